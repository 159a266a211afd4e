"""What a structure must be before anything is computed from it.

>>> iron = Atoms(-2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
>>> bool(np.linalg.det(checked_atoms(iron, "iron").lattice) > 0)  # was left-handed
True
>>> "Pu" in supported_elements(), "Am" in supported_elements()
(True, False)
"""

from __future__ import annotations

from functools import cache

import numpy as np
from pymatgen.core import DummySpecies, Structure

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import SYMBOLS, form_factor, valence

MIN_DISTANCE = 0.5  # Å, our choice: below the shortest bond there is (H2, 0.74 Å)
ISOLATION = 7.0  # Å, our choice: above the longest contact of any element (caesium, 5.3 Å)
MIN_VOLUME = 5.0  # Å^3 an atom, our choice: below diamond's 5.67; hydrides under pressure are denser
MAX_ATOMS = 200  # in the cell, our choice: beyond, a 50^3 grid no longer tells the atoms apart


def checked_atoms(structure: Structure | Atoms, name: str) -> Atoms:
    """The bare atoms, right-handed, without oxidation states and site properties.

    A left-handed cell has all three vectors and all coordinates negated, which moves no atom.

    Raises:
        CrystalNetError: no atoms or more than MAX_ATOMS, partial occupancy, an element without form factor or
            valence density, a cell that does not repeat in three directions, has no volume or a value that
            is not finite, atoms closer than MIN_DISTANCE, or one that is alone within ISOLATION.
    """
    if isinstance(structure, Structure):
        structure = _bare(structure, name)
    lattice, frac_coords, symbols = structure
    if not 0 < len(symbols) <= MAX_ATOMS:
        raise CrystalNetError(
            f"{name}: the structure holds no atoms. Give one with at least one site."
            if len(symbols) == 0
            else f"{name}: more than {MAX_ATOMS} atoms. Give the primitive cell, or leave this crystal out.",
            Code.BAD_STRUCTURE,
        )
    for symbol in sorted(set(symbols.tolist()) - supported_elements()):
        raise CrystalNetError(
            f"{name}: there is no valence density or form factor for {symbol}. Leave this crystal out.",
            Code.UNKNOWN_ELEMENT,
        )
    if not (np.isfinite(lattice).all() and np.isfinite(frac_coords).all()):
        raise CrystalNetError(
            f"{name}: a coordinate or lattice vector is not a number. Correct the file.", Code.BAD_STRUCTURE
        )
    volume = np.linalg.det(lattice)
    if abs(volume) < MIN_DISTANCE**3:
        raise CrystalNetError(
            f"{name}: the unit cell has no volume. Correct the lattice vectors.", Code.BAD_STRUCTURE
        )
    if volume < 0:
        lattice, frac_coords = -lattice, -frac_coords
    nearest = _nearest_distances(lattice, frac_coords)
    if nearest.min() < MIN_DISTANCE:
        raise CrystalNetError(
            f"{name}: two atoms are closer than {MIN_DISTANCE} Å. Remove a doubled site or correct the cell.",
            Code.BAD_STRUCTURE,
        )
    if nearest.max() > ISOLATION:
        raise CrystalNetError(
            f"{name}: an atom has no neighbour within {ISOLATION} Å. A molecule in a box is no crystal.",
            Code.BAD_STRUCTURE,
        )
    return Atoms(lattice, frac_coords, symbols)


def dense_as_a_crystal(structure: Structure | Atoms, name: str) -> None:
    """Refuse a cell that no crystal under usual pressure has: its units or symmetry are wrong most often.

    >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
    >>> dense_as_a_crystal(iron, "iron")
    >>> dense_as_a_crystal(iron._replace(lattice=1.5 * np.eye(3)), "in half the cell")
    Traceback (most recent call last):
    ...
    crystalnet.errors.CrystalNetError: in half the cell: an atom has 1.69 Å^3, less than 5 Å^3, ...

    Raises:
        CrystalNetError: less than MIN_VOLUME an atom.
    """
    lattice = structure.lattice.matrix if isinstance(structure, Structure) else structure.lattice
    n_atoms = len(structure) if isinstance(structure, Structure) else len(structure.symbols)
    each = abs(np.linalg.det(lattice)) / max(n_atoms, 1)
    if n_atoms <= MAX_ATOMS and MIN_DISTANCE**3 / max(n_atoms, 1) <= each < MIN_VOLUME:
        raise CrystalNetError(
            f"{name}: an atom has {each:.2f} Å^3, less than {MIN_VOLUME:g} Å^3, as in no crystal. Correct the"
            " cell, its units (Å) or the symmetry that doubles atoms.",
            Code.BAD_STRUCTURE,
        )


def _bare(structure: Structure, name: str) -> Atoms:
    if not all(structure.lattice.pbc):
        raise CrystalNetError(
            f"{name}: the cell does not repeat in all three directions. A slab or molecule has no powder"
            " pattern; leave it out.",
            Code.BAD_STRUCTURE,
        )
    if not structure.is_ordered:
        raise CrystalNetError(
            f"{name}: a site is partly occupied or shared. Choose one ordered arrangement first; density and"
            " pattern are defined for ordered crystals.",
            Code.DISORDERED,
        )
    symbols = []
    for site in structure:
        if isinstance(site.specie, DummySpecies):
            raise CrystalNetError(
                f"{name}: {site.specie.symbol} is not an element. Name the element.", Code.UNKNOWN_ELEMENT
            )
        symbols.append(SYMBOLS[site.specie.Z - 1])  # Z, so that deuterium counts as hydrogen
    return Atoms(np.array(structure.lattice.matrix), structure.frac_coords.reshape(-1, 3), np.array(symbols))


def _nearest_distances(lattice: np.ndarray, frac_coords: np.ndarray) -> np.ndarray:
    """Distance (A,) in Å from each atom to the nearest atom or image; exact up to ISOLATION."""
    reach = np.floor(ISOLATION * np.linalg.norm(np.linalg.inv(lattice), axis=0) + 0.5).astype(int)
    reach = np.minimum(reach, 20)  # a cell flatter than any crystal's fails all the same
    images = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
    apart = frac_coords[:, None] - frac_coords
    apart -= np.round(apart)
    nearest = np.full(len(frac_coords), np.inf)
    for i, row in enumerate(apart):
        squared = (((row[:, None] + images) @ lattice) ** 2).sum(-1)
        squared[i, len(images) // 2] = np.inf  # the atom itself
        nearest[i] = np.sqrt(squared.min())
    return nearest


@cache
def supported_elements() -> frozenset[str]:
    """Elements with both an X-ray form factor and a valence density."""

    def supported(symbol: str) -> bool:
        try:
            return bool(valence(symbol) and form_factor(symbol))
        except CrystalNetError:
            return False

    return frozenset(filter(supported, SYMBOLS))
