"""The crystal: a checked structure in its primitive cell, with the facts that data sets sort it by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import moyopy
import numpy as np
from pymatgen.core import Composition, DummySpecies, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.physics.tables import SYMBOLS, form_factor, valence

SYMPREC = 0.01  # Å, pymatgen's default; the rounding of a CIF (1/3 as 0.333) stays below it in small cells
MIN_DISTANCE = 0.5  # Å, our choice: below the shortest bond there is (H2, 0.74 Å)

CRYSTAL_SYSTEMS = {  # International Tables A: the last space-group number of each system
    "triclinic": 2,
    "monoclinic": 15,
    "orthorhombic": 74,
    "tetragonal": 142,
    "trigonal": 167,
    "hexagonal": 194,
    "cubic": 230,
}


def crystal_system_of(space_group: int) -> str:
    """The crystal system of a space-group number, 1 to 230."""
    if not 1 <= space_group <= 230:
        raise CrystalNetError(f"There is no space group {space_group}. Numbers run from 1 to 230.")
    return next(system for system, last in CRYSTAL_SYSTEMS.items() if space_group <= last)


@dataclass(frozen=True)
class Crystal:
    """One crystal of a data set.

    `structure` is ordered and right-handed, in the primitive cell that density and pattern are defined on.
    `stable`: on the convex hull, or not known to be off it. `split`: 'train', 'val' or 'test' where the
    source publishes one. `structure_type`: where the source knows it. `chgcar`: the file that holds the
    crystal's DFT density, on the same cell. `source`: where the crystal comes from.
    """

    material_id: str
    structure: Structure
    space_group: int
    crystal_system: str
    stable: bool = True
    split: str | None = None
    structure_type: str | None = None
    chgcar: Path | None = None
    source: str = ""

    @property
    def formula(self) -> str:
        """Reduced formula, e.g. 'MgAl2O4'."""
        return self.structure.composition.reduced_formula

    @property
    def symmetrized(self) -> Structure:
        """The standard primitive cell with its symmetry made exact; its pattern is the crystal's.

        Coordinates of a few digits split equivalent reflections into several peaks. The paper takes patterns
        on the conventional standard cell, which is symmetrised alike. Densities stay on `structure`.

        Raises:
            CrystalNetError: the symmetry search fails.
        """
        return _standard_primitive(_symmetry(self.structure, self.material_id))

    def as_dict(self) -> dict:
        """A JSON-able dictionary that `from_dict` turns back into the same crystal."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "structure"}
        return facts | {
            "chgcar": str(self.chgcar) if self.chgcar else None,
            "lattice": self.structure.lattice.matrix.tolist(),
            "species": [site.specie.symbol for site in self.structure],
            "frac_coords": self.structure.frac_coords.tolist(),
        }

    @classmethod
    def from_dict(cls, facts: dict) -> Crystal:
        """The crystal that `as_dict` wrote."""
        facts = dict(facts)
        facts["structure"] = Structure(
            facts.pop("lattice"), facts.pop("species"), facts.pop("frac_coords"), to_unit_cell=False
        )
        facts["chgcar"] = Path(facts["chgcar"]) if facts["chgcar"] else None
        return cls(**facts)


def crystal_from_structure(
    structure: Structure,
    material_id: str,
    *,
    name: str | None = None,
    keep_cell: bool = False,
    space_group: int | None = None,
    **facts,
) -> Crystal:
    """Check a structure, reduce it to its primitive cell and find its space group.

    The primitive cell is the standardised one, on the axes of the International Tables and one of the origins
    they allow, so that a structure type lies alike whatever cell a source gives: densities depend on it.

    Args:
        structure: any cell of an ordered crystal; oxidation states and site properties are dropped.
        material_id: the crystal's name in data sets.
        name: what error messages call it; the material_id unless given.
        keep_cell: keep the given cell, because it is primitive and published, or carries a density.
        space_group: number published with a kept cell; found (tolerance SYMPREC) unless given.
        facts: further fields of Crystal: stable, split, structure_type, chgcar, source.

    Raises:
        CrystalNetError: see `checked_structure`; also when the symmetry search fails.
    """
    name = name or material_id
    structure = checked_structure(structure, name)
    if space_group is None or not keep_cell:
        symmetry = _symmetry(structure, name)
        space_group = symmetry.number
        if not keep_cell:
            structure = _standard_primitive(symmetry)
    return Crystal(material_id, structure, space_group, crystal_system_of(space_group), **facts)


def checked_structure(structure: Structure, name: str) -> Structure:
    """A bare copy, right-handed, without oxidation states and site properties.

    A left-handed cell has all three vectors and all coordinates negated, which moves no atom.

    Raises:
        CrystalNetError: no atoms, partial occupancy, an element without form factor or valence density,
            a coordinate or lattice that is not finite, no volume, atoms closer than MIN_DISTANCE.
    """
    if len(structure) == 0:
        raise CrystalNetError(f"{name}: the structure holds no atoms. Give one with at least one site.")
    if not structure.is_ordered:
        raise CrystalNetError(
            f"{name}: a site is partly occupied or shared. Choose one ordered arrangement first; density and"
            " pattern are defined for ordered crystals."
        )
    species = []
    for site in structure:
        if isinstance(site.specie, DummySpecies):
            raise CrystalNetError(f"{name}: {site.specie.symbol} is not an element. Name the element.")
        species.append(SYMBOLS[site.specie.Z - 1])  # Z, so that deuterium counts as hydrogen
    for symbol in set(species) - supported_elements():
        raise CrystalNetError(
            f"{name}: there is no valence density or form factor for {symbol}. Leave this crystal out."
        )
    lattice, frac_coords = np.array(structure.lattice.matrix), np.array(structure.frac_coords)
    if not (np.isfinite(lattice).all() and np.isfinite(frac_coords).all()):
        raise CrystalNetError(f"{name}: a coordinate or lattice vector is not a number. Correct the file.")
    volume = np.linalg.det(lattice)
    if abs(volume) < MIN_DISTANCE**3:
        raise CrystalNetError(f"{name}: the unit cell has no volume. Correct the lattice vectors.")
    if volume < 0:
        lattice, frac_coords = -lattice, -frac_coords
    checked = Structure(lattice, species, frac_coords)
    distances = checked.distance_matrix
    np.fill_diagonal(distances, min(checked.lattice.abc))  # an atom and its own image
    if distances.min() < MIN_DISTANCE:
        raise CrystalNetError(
            f"{name}: two atoms are closer than {MIN_DISTANCE} Å. Remove a doubled site or correct the cell."
        )
    return checked


@cache
def supported_elements() -> frozenset[str]:
    """Elements with both an X-ray form factor and a valence density."""

    def supported(symbol: str) -> bool:
        try:
            return bool(valence(symbol) and form_factor(symbol))
        except CrystalNetError:
            return False

    return frozenset(filter(supported, SYMBOLS))


def composition_vector(structure: Structure | Composition) -> np.ndarray:
    """Atomic fractions (118,) float32, sum 1; element Z at index Z - 1 (paper: 'Formula', 118 elements)."""
    composition = structure if isinstance(structure, Composition) else structure.composition
    vector = np.zeros(len(SYMBOLS), dtype=np.float32)
    for element, fraction in composition.fractional_composition.items():
        vector[element.Z - 1] += fraction
    return vector


def _symmetry(structure: Structure, name: str) -> moyopy.MoyoDataset:
    numbers = [site.specie.Z for site in structure]
    cell = moyopy.Cell(structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), numbers)
    try:
        return moyopy.MoyoDataset(cell, symprec=SYMPREC)
    except ValueError as error:
        raise CrystalNetError(
            f"{name}: its symmetry could not be found ({error}). Give the coordinates to more digits."
        ) from None


def _standard_primitive(symmetry: moyopy.MoyoDataset) -> Structure:
    cell = symmetry.prim_std_cell
    return Structure(cell.basis, cell.numbers, np.mod(cell.positions, 1.0))
