"""Crystals as templates: the conventional cell of their space group, to be stretched and filled anew.

>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> template = Template.of(nacl)
>>> template.space_group, template.family, template.n_points, template.counts, template.amounts
(225, 'cubic', 4, {'Na': 1, 'Cl': 1}, (1, 1))
>>> template.type, template.n_formula_units, sorted(template.formula)
(((1, 1), 225, 2), 1, [('Cl', 1), ('Na', 1)])
>>> template.key[0], len(template.reflection_group), template.freedom.shape  # no coordinate is free
(225, 2, (2, 3, 0))
>>> larger = strained(template.lattice, 0.05 * template.strains[0])
>>> larger[0].round(2) + 0, template.atoms(larger, np.array(["K", "Br"])).symbols.tolist()
(array([5.93, 0.  , 0.  ]), ['K', 'Br'])
>>> hall_number(225), operations_of(hall_number(225))[0].shape, conventional(hall_number(225)).tolist()
(523, (48, 3, 3), [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

import moyopy
import numpy as np

from crystalnet.data.crystals import CRYSTAL_SYSTEMS, crystal_system_of, standard_primitive, symmetry_of
from crystalnet.data.leakage import ENANTIOMORPHS
from crystalnet.physics.atoms import Atoms

SAME_PLACE = 0.02  # Å, our choice: twice the tolerance within which the symmetry was found
FAMILIES = {system: "hexagonal" if system == "trigonal" else system for system in CRYSTAL_SYSTEMS}

_X, _Y, _Z, _YZ, _XZ, _XY = (
    np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], float) for xx, yy, zz, yz, xz, xy in np.eye(6)
)
STRAINS = {  # by family, (K, 3, 3), of cells that lie as those of templates do
    "cubic": np.stack([_X + _Y + _Z]),
    "hexagonal": np.stack([_X + _Y, _Z]),
    "tetragonal": np.stack([_X + _Y, _Z]),
    "orthorhombic": np.stack([_X, _Y, _Z]),
    "monoclinic": np.stack([_X, _Y, _Z, _XZ]),
    "triclinic": np.stack([_X, _Y, _Z, _YZ, _XZ, _XY]),
}


@dataclass(frozen=True, eq=False)
class Template:
    """A crystal in the standard setting of its space group, symmetry exact, one lattice point's atoms.

    Attributes:
        name: of the crystal that it comes from.
        space_group: number.
        family: shape of the conventional cell: the crystal system, but 'hexagonal' for trigonal crystals.
        lattice: (3, 3) rows, Å, conventional: a along x, b in the xy plane; monoclinic ones have b as their
            unique axis.
        cell: (3, 3) integers: rows of the conventional cell in primitive axes.
        frac_coords: (A, 3) in conventional axes, of the atoms of the primitive cell.
        symbols: (A,).
        sites: (A,) the orbit of each atom, from 0.
        wyckoffs: (A,) letters.
        rotations: (G, 3, 3) integers of fractional column vectors, primitive axes.
        translations: (G, 3).
        n_compounds: that it is the mean of.
        roles: for each of its elements how many of these compounds have which element there; itself alone if
            it is one crystal.
        strain_spread: (K,) standard deviation of the compounds' `strains`, at equal volume.
        site_spread: (A,) Å, root mean square of the atoms' distances from here.
    """

    name: str
    space_group: int
    family: str
    lattice: np.ndarray
    cell: np.ndarray
    frac_coords: np.ndarray
    symbols: np.ndarray
    sites: np.ndarray
    wyckoffs: tuple[str, ...]
    rotations: np.ndarray
    translations: np.ndarray
    n_compounds: int = 1
    roles: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    strain_spread: np.ndarray | None = None
    site_spread: np.ndarray | None = None

    @classmethod
    def of(cls, atoms: Atoms, name: str = "the crystal", tolerance: float | None = None) -> Template:
        """The template of a crystal, any cell of it.

        Args:
            tolerance: Å, within which its symmetry is looked for.

        Raises:
            CrystalNetError: its symmetry is not found.
        """
        symmetry = symmetry_of(atoms, name, *[] if tolerance is None else [tolerance])
        primitive = standard_primitive(symmetry)
        cell = conventional(symmetry.hall_number)
        letters, orbits = [""] * len(primitive.symbols), [0] * len(primitive.symbols)
        for place, letter, orbit in zip(
            symmetry.mapping_std_prim, symmetry.wyckoffs, symmetry.orbits, strict=True
        ):
            letters[place], orbits[place] = letter, symmetry.mapping_std_prim[orbit]
        rotations, translations = operations_of(symmetry.hall_number)
        return cls(
            name,
            symmetry.number,
            FAMILIES[crystal_system_of(symmetry.number)],
            cell @ primitive.lattice,
            cell,
            primitive.frac_coords @ np.linalg.inv(cell),
            primitive.symbols,
            np.unique(orbits, return_inverse=True)[1],
            tuple(letters),
            rotations,
            translations,
            roles={symbol: {symbol: 1} for symbol in primitive.symbols.tolist()},
        )

    @property
    def strains(self) -> np.ndarray:
        """Strains that its symmetry allows, (K, 3, 3) symmetric, in the Cartesian axes of `lattice`."""
        return STRAINS[self.family]

    @property
    def n_points(self) -> int:
        """Lattice points of the conventional cell: 1 for P, 2 for I, 3 for R, 4 for F."""
        return round(abs(np.linalg.det(self.cell)))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Atoms of each element in the primitive cell."""
        return dict(Counter(self.symbols.tolist()))

    @property
    def n_formula_units(self) -> int:
        """In the primitive cell."""
        return math.gcd(*self.counts.values())

    @property
    def amounts(self) -> tuple[int, ...]:
        """The anonymised formula: amounts of the elements in the reduced formula, rising."""
        return tuple(sorted(n // self.n_formula_units for n in self.counts.values()))

    @cached_property
    def formula(self) -> frozenset[tuple[str, int]]:
        """Elements with their amounts in the reduced formula, as `leakage.reduced_formula` gives them."""
        return frozenset((element, n // self.n_formula_units) for element, n in self.counts.items())

    @property
    def type(self) -> tuple[tuple[int, ...], int, int]:
        """Amounts, space group and atoms in the primitive cell: a structure type as `leakage` counts them."""
        return self.amounts, ENANTIOMORPHS.get(self.space_group, self.space_group), len(self.symbols)

    @cached_property
    def key(self) -> tuple:
        """Equal for templates that differ in elements, lengths and free coordinates alone."""
        places: dict[str, Counter] = {}
        for symbol, letter in zip(self.symbols.tolist(), self.wyckoffs, strict=True):
            places.setdefault(symbol, Counter())[letter] += 1
        elements = tuple(sorted(tuple(sorted(letters.items())) for letters in places.values()))
        return self.space_group, len(self.symbols), elements

    @cached_property
    def reflection_group(self) -> tuple[bytes, bytes]:
        """What the set of reflections depends on, beside lengths: rotations and cell, as bytes."""
        inverse = np.round(np.linalg.inv(self.cell.T), 9)
        conventional = np.round(inverse @ self.rotations @ self.cell.T).astype(np.int8)
        distinct = np.unique(conventional.reshape(-1, 9), axis=0)
        return distinct.tobytes(), self.cell.astype(np.int8).tobytes()

    @cached_property
    def freedom(self) -> np.ndarray:
        """Movements that keep the symmetry, (A, 3, P) in conventional axes; P is 0 where all is fixed."""
        inverse = np.linalg.inv(self.cell)
        coords, primitive = self.frac_coords @ self.cell, inverse @ self.lattice
        movements = [np.zeros((len(coords), 3, 0))]
        for orbit in range(self.sites.max() + 1):
            members = np.flatnonzero(self.sites == orbit)
            images = self.rotations @ coords[members[0]] + self.translations
            apart = images[:, None] - coords[members]
            lands = np.linalg.norm((apart - np.round(apart)) @ primitive, axis=-1) < SAME_PLACE
            if not lands.any(0).all():
                continue  # the orbit is not closed within the tolerance: its atoms stay
            projector = self.rotations[lands[:, 0]].mean(0)
            vectors, sizes, _ = np.linalg.svd(projector)
            free = vectors[:, sizes > 0.5]
            moves = np.zeros((len(coords), 3, free.shape[1]))
            moves[members] = self.rotations[lands.argmax(0)] @ free
            movements.append(moves)
        return np.einsum("aip,ij->ajp", np.concatenate(movements, axis=2), inverse)

    def atoms(self, lattice: np.ndarray, symbols: np.ndarray, frac_coords: np.ndarray | None = None) -> Atoms:
        """A crystal of this type in its primitive cell.

        Args:
            lattice: (3, 3) rows, Å, the conventional cell.
            symbols: (A,).
            frac_coords: (A, 3) in conventional axes; the template's unless given.
        """
        coords = self.frac_coords if frac_coords is None else frac_coords
        return Atoms(np.linalg.solve(self.cell, lattice), np.mod(coords @ self.cell, 1), np.asarray(symbols))


def strained(lattice: np.ndarray, strain: np.ndarray) -> np.ndarray:
    """Rows (3, 3) of a lattice under a symmetric logarithmic strain (3, 3), Cartesian."""
    logarithms, axes = np.linalg.eigh(strain)
    return lattice @ (axes * np.exp(logarithms)) @ axes.T


@cache
def hall_number(space_group: int) -> int:
    """Of the standard setting: unique axis b, cell choice 1, hexagonal axes, origin choice 2."""
    standard = moyopy.operations_from_number(space_group, setting=moyopy.Setting.standard(), primitive=True)
    halls = (hall for hall in range(1, 531) if moyopy.HallSymbolEntry(hall).number == space_group)
    return next(
        hall
        for hall in halls
        if np.array_equal(operations_of(hall)[0], standard.rotations)
        and np.allclose(operations_of(hall)[1], standard.translations)
    )


@cache
def operations_of(hall_number: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (G, 3, 3) and translations (G, 3) of a group in a setting, primitive axes. Read only."""
    number = moyopy.HallSymbolEntry(hall_number).number
    setting = moyopy.Setting.hall_number(hall_number)
    operations = moyopy.operations_from_number(number, setting=setting, primitive=True)
    return np.array(operations.rotations), np.array(operations.translations)


@cache
def conventional(hall_number: int) -> np.ndarray:
    """Rows of the conventional cell in primitive axes, (3, 3) integers."""
    return np.round(moyopy.HallSymbolEntry(hall_number).centering.linear).astype(int).T
