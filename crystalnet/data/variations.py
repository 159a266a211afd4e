"""Altered copies of crystals, to train on when few are at hand: like elements in the same roles.

Each copy keeps its original's space group and structure type. Elements change places with others near them on
Pettifor's chemical scale, the cell grows or shrinks with their radii and is strained, and free coordinates
move. Strain and movement are averaged over the crystal's own operations, so that they break no symmetry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import moyopy
import numpy as np

from crystalnet.data.checks import ISOLATION, MIN_DISTANCE
from crystalnet.data.chemistry import chemistry_of_elements
from crystalnet.data.crystals import Crystal, symmetry_of
from crystalnet.data.leakage import ENANTIOMORPHS, Formula, reduced_formula
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms

# Our choices, for crystals that could well be real ones and yet differ as much as those of a type do.
EXCHANGED = 0.75  # probability that an element is exchanged
NEIGHBOURS = 6  # places on Pettifor's scale, either way, within which its substitutes lie
STRAIN = 0.015  # standard deviation before averaging
MOVEMENT = 0.05  # Å, standard deviation of an atom along an axis before averaging
CLOSEST = 0.75  # of the original's shortest distance, scaled with the radii, that a copy's may fall to
ATTEMPTS = 3  # until a copy is given up

IMAGES = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


class _Group(NamedTuple):
    """The operations of a crystal's space group on its own cell."""

    rotations: np.ndarray  # of fractional column vectors (G, 3, 3)
    turns: np.ndarray  # the same of Cartesian ones (G, 3, 3)
    sources: np.ndarray  # the atom that an operation brings to each atom's place (G, A)


def variations(
    crystals: Sequence[Crystal], copies: int, seed: int = 0, held_out: Iterable[Crystal] = ()
) -> list[Crystal]:
    """`copies` altered copies of each crystal, less those that fail or are too near to another crystal.

    A copy shares formula and space group with no held-out crystal, no original and no other copy; mirror
    images (space groups 152 and 154, say) count as one. A crystal of noble gases alone has no copies.

    Args:
        crystals: the originals.
        copies: of each, 0 or more.
        seed: all that is random of a copy depends on it, the original's material_id and the copy's number
            alone, so that fewer originals give the same copies.
        held_out: crystals of validation and test.

    Returns:
        The copies in the order of their originals. They carry no split and no density, and are named
        '<original>~1' and so on.

    >>> from crystalnet.data.prototypes import prototype_crystals
    >>> crystals = prototype_crystals("cubic", 1)
    >>> (copy,) = variations(crystals, copies=1)
    >>> copy.material_id, copy.space_group == crystals[0].space_group
    ('proto-cubic-00000~1', True)
    """
    taken = {_identity(crystal) for crystal in (*crystals, *held_out)}
    kept = []
    for crystal in crystals:
        for copy in _copies(crystal, copies, seed):
            if (identity := _identity(copy)) not in taken:
                taken.add(identity)
                kept.append(copy)
    return kept


def _identity(crystal: Crystal) -> tuple[Formula, int]:
    return reduced_formula(crystal), ENANTIOMORPHS.get(crystal.space_group, crystal.space_group)


def _copies(original: Crystal, copies: int, seed: int) -> Iterator[Crystal]:
    if not set(original.atoms.symbols.tolist()) & set(chemistry_of_elements().symbols):
        return
    try:
        symmetry = symmetry_of(original.atoms, original.material_id)
    except CrystalNetError:
        return
    group = _group(original.atoms, symmetry)
    shortest = _nearest(original.atoms).min()
    for k in range(1, copies + 1):
        material_id = f"{original.material_id}~{k}"
        digest = hashlib.sha256(f"{seed}/{material_id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8]))
        for _ in range(ATTEMPTS):
            symbols = _exchanged(original.atoms.symbols, rng)
            scale = _scale(original.atoms.symbols, symbols)
            atoms = _deformed(original.atoms, scale, group, rng)._replace(symbols=symbols)
            if _sound(atoms, CLOSEST * scale * shortest, symmetry.number):
                facts = {"split": None, "stable": False, "density_file": None, "note": ""}
                yield replace(original, material_id=material_id, atoms=atoms, **facts)
                break


def _group(atoms: Atoms, symmetry: moyopy.MoyoDataset) -> _Group:
    rotations = np.array(symmetry.operations.rotations, dtype=float)
    translations = np.array(symmetry.operations.translations)
    sources = []
    for rotation, translation in zip(rotations, translations, strict=True):  # at once would fill memory
        apart = (atoms.frac_coords @ rotation.T + translation)[:, None] - atoms.frac_coords
        sources.append(((apart - np.round(apart)) ** 2).sum(axis=-1).argmin(axis=0))
    turns = atoms.lattice.T @ rotations @ np.linalg.inv(atoms.lattice.T)
    return _Group(rotations, turns, np.array(sources))


def _exchanged(symbols: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The symbols with at least one element exchanged, if any has a free neighbour on the scale."""
    scale = chemistry_of_elements().symbols
    substitutes = {symbol: symbol for symbol in symbols.tolist()}
    known = [symbol for symbol in substitutes if symbol in scale]
    chosen = rng.random(len(known)) < EXCHANGED
    chosen[rng.integers(len(known))] |= not chosen.any()  # the original's formula would be left out
    taken = set(substitutes)  # two elements must not become one
    for symbol in np.array(known)[chosen].tolist():
        place = scale.index(symbol)
        free = [s for s in scale[max(place - NEIGHBOURS, 0) : place + NEIGHBOURS + 1] if s not in taken]
        if free:
            substitutes[symbol] = free[rng.integers(len(free))]
            taken.add(substitutes[symbol])
    return np.array([substitutes[symbol] for symbol in symbols.tolist()])


def _scale(symbols: np.ndarray, new_symbols: np.ndarray) -> float:
    """Factor of all lengths at which the new atoms' spheres fill the cell as the old ones did."""
    chemistry = chemistry_of_elements()
    spheres = dict(zip(chemistry.symbols, chemistry.radius**3, strict=True))
    old, new = (sum(spheres.get(s, 0.0) for s in atoms.tolist()) for atoms in (symbols, new_symbols))
    return float((new / old) ** (1 / 3))


def _deformed(atoms: Atoms, scale: float, group: _Group, rng: np.random.Generator) -> Atoms:
    strain = rng.normal(scale=STRAIN, size=(3, 3))
    strain = _averaged_strain((strain + strain.T) / 2, group)
    movement = rng.normal(scale=MOVEMENT, size=atoms.frac_coords.shape) @ np.linalg.inv(atoms.lattice)
    frac_coords = atoms.frac_coords + _averaged_movement(movement, group)
    return Atoms(scale * atoms.lattice @ (np.eye(3) + strain), frac_coords, atoms.symbols)


def _averaged_strain(strain: np.ndarray, group: _Group) -> np.ndarray:
    """The part of a Cartesian tensor (3, 3) that the point group leaves alone."""
    return (group.turns @ strain @ group.turns.transpose(0, 2, 1)).mean(axis=0)


def _averaged_movement(movement: np.ndarray, group: _Group) -> np.ndarray:
    """The part of fractional displacements (A, 3) that the space group leaves alone."""
    return np.einsum("gij,gaj->ai", group.rotations, movement[group.sources]) / len(group.rotations)


def _sound(atoms: Atoms, closest: float, space_group: int) -> bool:
    """Whether no atoms are closer than `closest` in Å, none is alone, and the space group is found again."""
    nearest = _nearest(atoms)
    if nearest.min() < max(closest, MIN_DISTANCE) or nearest.max() > ISOLATION:
        return False
    try:
        return symmetry_of(atoms, "an altered copy").number == space_group
    except CrystalNetError:
        return False


def _nearest(atoms: Atoms) -> np.ndarray:
    """Distance (A,) in Å from each atom to the nearest one in its own cell and the 26 around it."""
    apart = atoms.frac_coords[:, None] - atoms.frac_coords
    apart = (apart - np.round(apart)) @ atoms.lattice
    shifts = IMAGES @ atoms.lattice
    squared = (apart**2).sum(-1)[..., None] + 2 * apart @ shifts.T + (shifts**2).sum(-1)
    own = np.arange(len(apart))
    squared[own, own, len(IMAGES) // 2] = np.inf  # the atom itself
    return np.sqrt(squared.min(axis=(1, 2)))
