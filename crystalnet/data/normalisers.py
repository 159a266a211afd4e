"""Normalisers of the space groups: the maps between the descriptions of a crystal that its group leaves open.

They change origin and axes so that the list of the group's operations stays the same; see International
Tables A, chapter 3.5. It is the Euclidean normaliser, and up to the orthorhombic system the affine one, which
swaps axes of unequal length.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import moyopy
import numpy as np

from crystalnet.data.crystals import crystal_system_of

TWENTY_FOURTHS = 24  # every translation of a space-group operation is a multiple of 1/24 of the cell


class Normaliser(NamedTuple):
    """The maps x -> W x + t between the descriptions of a space group, one for each coset of the group."""

    cell: np.ndarray  # (3, 3) integers: rows of the conventional cell in primitive axes
    linear: np.ndarray  # (m, 3, 3) integers W, of fractional coordinates in the primitive cell
    shifts: np.ndarray  # (m, k, 3) the k origin shifts t that go with each W
    axes: np.ndarray  # (m, 3, 3) integers: the new conventional cell in old primitive axes
    free: np.ndarray  # (3, 3): x -> free @ x is its part along directions without fixed origin
    mirrors: bool  # whether a mirror image is among the descriptions


@cache
def normaliser_of(hall_number: int) -> Normaliser:
    """The normaliser of a space group in the setting of that Hall number, modulo the group itself.

    A map (W, t) turns the operation (R, v) into (R', W v + t - R' t), where R' = W R W^-1. It is in the
    normaliser if every R' is a rotation of the group, with translation v', and (R' - 1) t = W v - v' modulo
    the lattice. These congruences are solved exactly, in whole twenty-fourths.

    >>> cubic = normaliser_of(523)  # Fm-3m: the origin at either ion
    >>> cubic.linear.shape, cubic.shifts[0].tolist(), cubic.free.any()
    ((1, 3, 3), [[0.0, 0.0, 0.0], [-0.5, -0.5, 0.5]], np.False_)
    """
    entry = moyopy.HallSymbolEntry(hall_number)
    operations = moyopy.operations_from_number(
        entry.number, setting=moyopy.Setting.hall_number(hall_number), primitive=True
    )
    rotations = np.array(operations.rotations)
    translations = np.round(TWENTY_FOURTHS * np.array(operations.translations)).astype(int)
    cell = np.round(entry.centering.linear).astype(int).T

    linear = _linear_parts(cell, crystal_system_of(entry.number))
    inverse = np.round(np.linalg.inv(linear)).astype(int)
    known = _codes(rotations)
    order = np.argsort(known)
    for rotation in rotations:  # one after the other, since few W are left after the first
        kept = np.isin(_codes(inverse @ rotation @ linear), known)
        linear, inverse = linear[kept], inverse[kept]
    sources = _codes(inverse[:, None] @ rotations @ linear[:, None])  # the R that becomes R'
    sources = order[np.searchsorted(known, sources, sorter=order)]
    wanted = np.einsum("mij,mnj->mni", linear, translations[sources]) - translations

    equations = (rotations - np.eye(3, dtype=int)).reshape(-1, 3)
    diagonal, wanted, columns = _diagonalised(equations, wanted.reshape(len(linear), -1).T)
    n_fixed = np.count_nonzero(diagonal)
    solvable = (wanted[n_fixed:] % TWENTY_FOURTHS == 0).all(0)
    cosets = _codes(rotations @ linear[:, None]).min(1)
    kept = np.intersect1d(np.unique(cosets, return_index=True)[1], np.flatnonzero(solvable))

    divisors = diagonal[:n_fixed]
    particular = wanted[:n_fixed, kept].T / TWENTY_FOURTHS
    whole = np.array(list(itertools.product(*map(range, abs(divisors)))))
    shifts = ((particular[:, None] + whole) / divisors) @ columns[:, :n_fixed].T
    free = columns[:, n_fixed:] @ np.linalg.inv(columns)[n_fixed:]
    axes = cell @ inverse[kept].transpose(0, 2, 1)
    mirrors = bool((np.linalg.det(np.concatenate([rotations, linear[kept]])) < 0).any())
    return Normaliser(cell, linear[kept], shifts, axes, free, mirrors)


def _linear_parts(cell: np.ndarray, crystal_system: str) -> np.ndarray:
    """Candidates (m, 3, 3) for W, on fractional coordinates of the primitive cell.

    In the axes of the conventional cell, entries of -1, 0 and 1 are enough: from orthorhombic upwards W
    permutes axes or is hexagonal, and two reduced triclinic cells differ by no more. Monoclinic cells take 2
    across the unique axis, for a glide vector is fixed modulo 2; moyo's are nearly reduced to begin with.
    """
    if crystal_system == "monoclinic":
        net = np.array(list(itertools.product(range(-2, 3), repeat=4)))
        parts = np.zeros((2, len(net), 3, 3), int)
        parts[:, :, [0, 0, 2, 2], [0, 2, 0, 2]] = net
        parts[0, :, 1, 1], parts[1, :, 1, 1] = 1, -1
    else:
        parts = np.array(list(itertools.product((-1, 0, 1), repeat=9)))
    parts = parts.reshape(-1, 3, 3)
    parts = parts[abs(np.round(np.linalg.det(parts))) == 1]
    primitive = cell.T @ parts @ np.linalg.inv(cell.T)
    return np.round(primitive[(abs(primitive - np.round(primitive)) < 1e-6).all((1, 2))]).astype(int)


def _codes(matrices: np.ndarray) -> np.ndarray:
    """A number for each integer matrix (..., 3, 3), equal for equal matrices only (entries up to 49)."""
    return matrices.reshape(*matrices.shape[:-2], 9) @ 100 ** np.arange(9)


def _diagonalised(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integer equations left @ t = right made diagonal: diagonal * s = right, t = columns @ s (Smith).

    Args:
        left: (n, 3) integers, n >= 3.
        right: (n, m) integers.

    Returns:
        the diagonal (3,), zeros last; the new right side (n, m); columns (3, 3) of determinant +-1.
    """
    left, right, columns = left.copy(), right.copy(), np.eye(3, dtype=int)
    for k in range(3):
        while (rest := abs(left[k:, k:])).any():
            row, column = np.unravel_index(np.where(rest > 0, rest, rest.max() + 1).argmin(), rest.shape)
            for table in left, right:
                table[[k, k + row]] = table[[k + row, k]]
            for table in left, columns:
                table[:, [k, k + column]] = table[:, [k + column, k]]
            down = left[k + 1 :, k] // left[k, k]
            for table in left, right:
                table[k + 1 :] -= np.outer(down, table[k])
            across = left[k, k + 1 :] // left[k, k]
            for table in left, columns:
                table[:, k + 1 :] -= np.outer(table[:, k], across)
            if not (left[k + 1 :, k].any() or left[k, k + 1 :].any()):
                break
    return np.diagonal(left).copy(), right, columns
