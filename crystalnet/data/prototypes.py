"""The embedded source of crystals: known structure types filled with elements of like role. No download.

The types are those of the AFLOW library of crystallographic prototypes that ships with pymatgen
(Mehl et al., doi 10.1016/j.commatsci.2017.01.017). A type's elements are replaced by others that

1. stand near them on Pettifor's chemical scale (his Mendeleev numbers, doi 10.1016/0038-1098(84)90765-8),
2. keep their order of electronegativity, so that cations stay cations,
3. balance charge if the type's own elements do, in common oxidation states or else in any known to the ICSD,
4. fill the cell about as well as the type's own elements do, and
5. are not nonmetals alone: these form molecules, which do not scale with the cell.

Radii are those of pymatgen's DLSVolumePredictor, mined from known structures: r + k times the standard
deviation of electronegativity over the atoms. The type's cell is scaled by the ratio that these radii predict
for the new elements and for its own ones; nothing else of it changes.

>>> salt = next(t for t in structure_types("cubic") if t.crystal.formula == "NaCl")
>>> salt.counts
array([1, 1])
>>> fillings = substitutions(salt)  # a row each: an element for either place
>>> radii = salt.radii(fillings[:3])  # Å
>>> radii.shape, salt.volume_ratio(radii).shape, salt.packing(radii).shape
((3, 2), (3,), (3,))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from pymatgen.core import Structure

from crystalnet.data.chemistry import charge_balanced, chemistry_of_elements
from crystalnet.data.crystals import Crystal, crystal_from_structure
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms

# Our choices, for fillings that are often known compounds, in number enough to learn from.
MAX_ATOMS = 24  # in a type's primitive cell
NEIGHBOURS = 12  # places on Pettifor's scale, either way, within which an element's substitutes lie
PACKING_FACTOR = 1.2  # by which the new elements may fill the cell better or worse than the type's own
# By which a type's volume may differ from what its radii predict. Beyond lie forms of high pressure,
# molecules and misprints of the library.
VOLUME_FACTOR = 1.4


@dataclass(frozen=True, eq=False)
class StructureType:
    """A structure type of k elements in its standardised primitive cell.

    `elements` (k,): its own, as places on the chemical scale. `element_of_site` (A,): 0 to k - 1.
    `contacts` (k, k): shortest distance between atoms of two elements, Å.
    """

    crystal: Crystal
    elements: np.ndarray
    element_of_site: np.ndarray
    contacts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Atoms of each element (k,)."""
        return np.bincount(self.element_of_site)

    def radii(self, elements: np.ndarray) -> np.ndarray:
        """Radii in Å of elements (N, k) in this type."""
        chemistry = chemistry_of_elements()
        x = chemistry.electronegativity[elements]
        weights = self.counts / self.counts.sum()
        spread = np.sqrt((x - (x @ weights)[:, None]) ** 2 @ weights)
        return chemistry.radius[elements] + chemistry.radius_slope[elements] * spread[:, None]

    def volume_ratio(self, radii: np.ndarray) -> np.ndarray:
        """Volume at which the tightest pair of atoms touches, over the library cell's (N,); radii (N, k)."""
        return ((radii[:, :, None] + radii[:, None, :]) / self.contacts).max(axis=(1, 2)) ** 3

    def packing(self, radii: np.ndarray) -> np.ndarray:
        """Volume of the atoms' spheres over the cell's, but for a constant of the type (N,); radii (N, k)."""
        return radii**3 @ self.counts / self.volume_ratio(radii)


def prototype_crystals(
    crystal_system: str, n: int, seed: int = 0, max_atoms: int = MAX_ATOMS
) -> list[Crystal]:
    """The first n of a random sequence of crystals, all different in (formula, space group).

    The sequence depends on the seed alone, so a longer list begins with the shorter one. Each crystal's type
    is drawn with a weight equal to its number of elements, until the type's substitutions are used up. All
    crystals of a type share axes, origin and fractional coordinates; `structure_type` names it.

    `stable` is True for all of them: no energy is known, and none is claimed to exist.

    Args:
        crystal_system: 'cubic', 'trigonal' or another.
        n: how many.
        seed: of the sequence.
        max_atoms: of the types' primitive cells.

    Raises:
        CrystalNetError: there is no type of this crystal system, or n is more than can be made.

    >>> two, three = (prototype_crystals("cubic", n) for n in (2, 3))
    >>> [crystal.formula for crystal in three[:2]] == [crystal.formula for crystal in two]
    True
    """
    types = structure_types(crystal_system, max_atoms)
    crystals: dict[tuple[str, int], Crystal] = {}
    for structure_type, elements in _draws(types, np.random.default_rng(seed)):
        if len(crystals) == n:
            break
        crystal = _filled(structure_type, elements, f"proto-{crystal_system}-{len(crystals):05d}")
        crystals.setdefault((crystal.formula, crystal.space_group), crystal)
    if len(crystals) < n:
        raise CrystalNetError(
            f"Only {len(crystals)} {crystal_system} prototype crystals can be made, not {n}. Ask for fewer,"
            " allow larger cells (max_atoms), or read a table of structures.",
            Code.NOTHING_LEFT,
        )
    return list(crystals.values())


@cache
def structure_types(crystal_system: str, max_atoms: int = MAX_ATOMS) -> tuple[StructureType, ...]:
    """The library's types of a crystal system whose volume agrees with their radii, ordered by name."""
    chemistry = chemistry_of_elements()
    types = []
    for crystal in library_crystals():
        symbols = crystal.atoms.symbols.tolist()
        known = set(symbols) <= set(chemistry.symbols)
        if crystal.crystal_system != crystal_system or len(symbols) > max_atoms or not known:
            continue
        own = list(dict.fromkeys(symbols))
        element_of_site = np.array([own.index(symbol) for symbol in symbols])
        structure = crystal.structure
        distances = structure.distance_matrix
        np.fill_diagonal(distances, _shortest_translation(structure))
        contacts = [
            [distances[np.ix_(element_of_site == a, element_of_site == b)].min() for b in range(len(own))]
            for a in range(len(own))
        ]
        elements = np.array([chemistry.symbols.index(symbol) for symbol in own])
        structure_type = StructureType(crystal, elements, element_of_site, np.array(contacts))
        ratio = structure_type.volume_ratio(structure_type.radii(elements[None]))[0]
        if 1 / VOLUME_FACTOR < ratio < VOLUME_FACTOR:
            types.append(structure_type)
    if not types:
        raise CrystalNetError(
            f"There are no {crystal_system} prototypes with up to {max_atoms} atoms. Choose another crystal"
            " system, such as 'cubic' or 'trigonal', or larger cells (max_atoms).",
            Code.NOTHING_LEFT,
        )
    return tuple(sorted(types, key=lambda structure_type: structure_type.crystal.structure_type))


@cache
def substitutions(structure_type: StructureType) -> np.ndarray:
    """Every sensible filling of a type: places of its k elements on the chemical scale (N, k)."""
    chemistry = chemistry_of_elements()
    places = np.arange(len(chemistry.symbols))
    near = [places[(abs(places - own) <= NEIGHBOURS) & chemistry.usable] for own in structure_type.elements]
    fillings = np.stack(np.meshgrid(*near, indexing="ij"), axis=-1).reshape(-1, len(near))
    own = structure_type.elements
    rising = np.argsort(chemistry.electronegativity[own])
    keeps_order = np.diff(chemistry.electronegativity[fillings][:, rising], axis=1) > 0
    fillings = fillings[keeps_order.all(axis=1) & ~chemistry.nonmetal[fillings].all(axis=1)]

    packing, own_packing = (structure_type.packing(structure_type.radii(e)) for e in (fillings, own[None]))
    fillings = fillings[abs(np.log(packing / own_packing)) < np.log(PACKING_FACTOR)]

    for states in chemistry.common_states, chemistry.icsd_states:
        if charge_balanced(states[own[None]], structure_type.counts)[0]:
            return fillings[charge_balanced(states[fillings], structure_type.counts)]
    return fillings  # an alloy


@cache
def library_crystals() -> tuple[Crystal, ...]:
    """The AFLOW prototypes as pymatgen ships them, all crystal systems, in standardised primitive cells.

    >>> library_crystals()[0].structure_type
    'HgS AB_hP6_154_a_b'
    """
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY  # reads 288 structures on import

    crystals = []
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure, label = entry["snl"].structure, entry["tags"]["aflow"]
        name = f"{structure.composition.reduced_formula} {label}"
        try:
            crystal = crystal_from_structure(structure, name, structure_type=name, source="AFLOW prototype")
        except CrystalNetError:  # an element without tables
            continue
        crystals.append(crystal)
    return tuple(crystals)


def _draws(
    types: tuple[StructureType, ...], rng: np.random.Generator
) -> Iterator[tuple[StructureType, np.ndarray]]:
    """Types with a filling each, in random order, until no filling is left."""
    queues = [list(rng.permutation(substitutions(structure_type))) for structure_type in types]
    while any(queues):
        weights = np.array([len(queue[0]) if queue else 0 for queue in queues])
        drawn = rng.choice(len(types), p=weights / weights.sum())
        yield types[drawn], queues[drawn].pop()


def _filled(structure_type: StructureType, elements: np.ndarray, material_id: str) -> Crystal:
    """The crystal of a type with these elements (k,), its cell scaled to their radii."""
    library = structure_type.crystal
    new, own = structure_type.volume_ratio(
        structure_type.radii(np.array([elements, structure_type.elements]))
    )
    symbols = np.array(chemistry_of_elements().symbols)[elements][structure_type.element_of_site]
    lattice = library.atoms.lattice * (new / own) ** (1 / 3)
    return Crystal(
        material_id,
        Atoms(lattice, library.atoms.frac_coords, symbols),
        library.space_group,  # different elements stay different, so the symmetry is the type's
        library.crystal_system,
        structure_type=library.structure_type,
        source=library.source,
    )


def _shortest_translation(structure: Structure) -> float:
    """Shortest lattice translation, Å."""
    return min(structure.lattice.get_niggli_reduced_lattice().abc)
