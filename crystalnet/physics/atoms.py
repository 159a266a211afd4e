"""Atoms in a periodic cell, as the bare arrays that physics needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from crystalnet.errors import Code, CrystalNetError

if TYPE_CHECKING:  # physics runs without pymatgen
    from pymatgen.core import Structure

AtomsLike: TypeAlias = "Structure | Atoms"  # what `Atoms.of` takes: an ordered crystal


class Atoms(NamedTuple):
    """A fully ordered crystal: `lattice` (3, 3) rows in Å, `frac_coords` (A, 3), `symbols` (A,).

    >>> fcc = 5.64 / 2 * (1 - np.eye(3))  # the primitive cell of rock salt
    >>> nacl = Atoms(fcc, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
    >>> round(nacl.volume, 2)  # a quarter of 5.64^3
    44.85
    >>> Atoms.of(nacl) is nacl
    True
    """

    lattice: np.ndarray
    frac_coords: np.ndarray
    symbols: np.ndarray

    @property
    def volume(self) -> float:
        """Cell volume, Å^3."""
        return abs(float(np.linalg.det(self.lattice)))

    @classmethod
    def of(cls, structure: AtomsLike) -> Atoms:
        """The atoms of a pymatgen Structure; Atoms pass through.

        Raises:
            CrystalNetError: no atoms, a site that is not one whole atom of one element, or a
                coordinate that is not finite.
        """
        if isinstance(structure, cls):
            return structure
        if len(structure) == 0:
            raise CrystalNetError(
                "The structure holds no atoms. Give a structure with at least one site.", Code.BAD_STRUCTURE
            )
        if not structure.is_ordered:
            site = next(s for s in structure if not s.is_ordered)
            raise CrystalNetError(
                f"Site {site.species_string!r} at {np.round(site.frac_coords, 4).tolist()} is partly occupied"
                " or shared. Density and pattern are defined for ordered crystals: choose one ordered"
                " arrangement first (pymatgen's OrderDisorderedStructureTransformation makes them).",
                Code.DISORDERED,
            )
        lattice = np.array(structure.lattice.matrix, dtype=float)
        frac_coords = np.array(structure.frac_coords, dtype=float)
        if not (np.isfinite(lattice).all() and np.isfinite(frac_coords).all()):
            raise CrystalNetError(
                "A lattice vector or coordinate is not a finite number. Correct the file.", Code.BAD_STRUCTURE
            )
        return cls(lattice, frac_coords, np.array([site.specie.symbol for site in structure]))
