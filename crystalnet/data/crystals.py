"""The crystal: a checked structure in its primitive cell, with the facts that data sets sort it by."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import moyopy
import numpy as np
from pymatgen.core import Composition, Structure

from crystalnet.data.checks import checked_atoms
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS

logging.getLogger("moyo").setLevel(logging.ERROR)  # it warns of wide tolerances, which solvers try on purpose

SYMPREC = 0.01  # Å, pymatgen's default; the rounding of a CIF (1/3 as 0.333) stays below it in small cells

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
    """The crystal system of a space-group number, 1 to 230.

    >>> crystal_system_of(167), crystal_system_of(225)
    ('trigonal', 'cubic')
    """
    if not 1 <= space_group <= 230:
        raise CrystalNetError(
            f"There is no space group {space_group}. Numbers run from 1 to 230.", Code.BAD_ARGUMENT
        )
    return next(system for system, last in CRYSTAL_SYSTEMS.items() if space_group <= last)


@dataclass(frozen=True, eq=False, slots=True)
class Crystal:
    """One crystal of a data set, light enough to keep all of them in memory (about 1 kB).

    `atoms` are ordered and right-handed, in the primitive cell that density and pattern are defined on; a
    pymatgen Structure may be given for them. `stable`: on the convex hull, or not known to be off it.
    `split`: 'train', 'val' or 'test' where the source publishes one. `structure_type`: where the source knows
    it. `density_file`: holds the crystal's DFT density on the same cell. `source`: where it comes from.
    `note`: what was put right in it.

    >>> from pymatgen.core import Lattice, Structure
    >>> cell = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    >>> salt = crystal_from_structure(cell, "salt")
    >>> salt.formula, salt.space_group, salt.crystal_system, len(salt.atoms.symbols)  # primitive
    ('NaCl', 225, 'cubic', 2)
    >>> salt.structure.composition == salt.composition, salt.symmetrized.volume.__round__(2)
    (True, 44.85)
    >>> Crystal.from_dict(salt.as_dict()).material_id
    'salt'
    """

    material_id: str
    atoms: Atoms
    space_group: int
    crystal_system: str
    stable: bool = True
    split: str | None = None
    structure_type: str | None = None
    density_file: Path | None = None
    source: str = ""
    note: str = ""

    def __post_init__(self):
        object.__setattr__(self, "atoms", Atoms.of(self.atoms))

    @property
    def structure(self) -> Structure:
        """The crystal as a pymatgen Structure, made anew at each call."""
        return Structure(self.atoms.lattice, self.atoms.symbols, self.atoms.frac_coords, to_unit_cell=False)

    @property
    def composition(self) -> Composition:
        return Composition(Counter(self.atoms.symbols.tolist()))

    @property
    def formula(self) -> str:
        """Reduced formula, e.g. 'MgAl2O4'."""
        return self.composition.reduced_formula

    @property
    def symmetrized(self) -> Atoms:
        """The standard primitive cell with its symmetry made exact; its pattern is the crystal's.

        Coordinates of a few digits split equivalent reflections into several peaks. The paper takes patterns
        on the conventional standard cell, which is symmetrised alike. Densities stay on `atoms`.

        Raises:
            CrystalNetError: the symmetry search fails.
        """
        return standard_primitive(symmetry_of(self.atoms, self.material_id))

    def as_dict(self) -> dict:
        """A JSON-able dictionary that `from_dict` turns back into the same crystal."""
        facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "atoms"}
        return facts | {
            "density_file": str(self.density_file) if self.density_file else None,
            "lattice": self.atoms.lattice.tolist(),
            "species": self.atoms.symbols.tolist(),
            "frac_coords": self.atoms.frac_coords.tolist(),
        }

    @classmethod
    def from_dict(cls, facts: dict) -> Crystal:
        """The crystal that `as_dict` wrote."""
        facts = dict(facts)
        atoms = Atoms(*(np.array(facts.pop(name)) for name in ("lattice", "frac_coords", "species")))
        density_file = facts.pop("density_file")
        return cls(atoms=atoms, density_file=Path(density_file) if density_file else None, **facts)


def crystal_from_structure(
    structure: Structure,
    material_id: str,
    *,
    name: str | None = None,
    keep_cell: bool = False,
    space_group: int | None = None,
    **facts: Any,
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
        facts: further fields of Crystal: stable, split, structure_type, density_file, source.

    Raises:
        CrystalNetError: see `checked_atoms`; also when the symmetry search fails.
    """
    name = name or material_id
    atoms = checked_atoms(structure, name)
    if np.linalg.det(Atoms.of(structure).lattice) < 0:
        facts["note"] = "its left-handed cell was turned right-handed"
    if space_group is None or not keep_cell:
        symmetry = symmetry_of(atoms, name)
        space_group = symmetry.number
        if not keep_cell:
            atoms = standard_primitive(symmetry)
    return Crystal(material_id, atoms, space_group, crystal_system_of(space_group), **facts)


def composition_vector(structure: Atoms | Structure | Composition) -> np.ndarray:
    """Atomic fractions (118,) float32, sum 1; element Z at index Z - 1 (paper: 'Formula', 118 elements).

    >>> composition_vector(Composition("NaCl"))[[10, 16]]  # Z = 11 and 17
    array([0.5, 0.5], dtype=float32)
    """
    vector = np.zeros(len(SYMBOLS), dtype=np.float32)
    if isinstance(structure, Atoms):
        for symbol in structure.symbols.tolist():
            vector[ATOMIC_NUMBERS[symbol] - 1] += 1
        return vector / vector.sum()
    composition = structure if isinstance(structure, Composition) else structure.composition
    for element, fraction in composition.fractional_composition.items():
        vector[element.Z - 1] += fraction
    return vector


def symmetry_of(atoms: Atoms, name: str, tolerance: float = SYMPREC) -> moyopy.MoyoDataset:
    """Space group and standardised cells, by moyopy with a tolerance in Å; `name` is for the error.

    >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
    >>> symmetry = symmetry_of(iron, "iron")
    >>> symmetry.number, len(standard_primitive(symmetry).symbols)  # Im-3m, one atom
    (229, 1)
    """
    numbers = [ATOMIC_NUMBERS[symbol] for symbol in atoms.symbols.tolist()]
    cell = moyopy.Cell(atoms.lattice.tolist(), atoms.frac_coords.tolist(), numbers)
    try:
        return moyopy.MoyoDataset(cell, symprec=tolerance)
    except ValueError as error:
        raise CrystalNetError(
            f"{name}: its symmetry could not be found ({error}). Give the coordinates to more digits.",
            Code.NO_SYMMETRY,
        ) from None


def standard_primitive(symmetry: moyopy.MoyoDataset) -> Atoms:
    """The standardised primitive cell, on the axes of the International Tables, symmetry exact.

    >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
    >>> round(standard_primitive(symmetry_of(iron, "iron")).volume * 2 / 2.87**3, 6)
    1.0
    """
    cell = symmetry.prim_std_cell
    symbols = np.array([SYMBOLS[number - 1] for number in cell.numbers])
    return Atoms(np.array(cell.basis), np.mod(cell.positions, 1.0), symbols)
