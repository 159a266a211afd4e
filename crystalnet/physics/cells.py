"""The cell in which a crystal's reflections are fewest: primitive, with short vectors.

Any cell of a crystal gives the same powder pattern. A centred one spends most of its reflections on
extinctions, and an oblique one has its sphere of reflections in a box that is mostly empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

from crystalnet.physics.scattering import Sites

CENTRINGS = np.array(  # A, B, C and I, a cell doubled along an axis, and R, obverse and reverse
    [*(np.argwhere(np.ones((2, 2, 2)))[1:] / 2), [2 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 1 / 3]]
)
SAME_PLACE = 1e-8  # of a cell vector, our choice: what is lost is some 1e-12 of the intensity
SHORTER = 1e-6  # of a multiple, our choice: a difference below it is rounding


def smallest_cells(crystals: Sequence[Sites]) -> list[Sites]:
    """The same crystals in primitive cells of short vectors, the longest first.

    Repeats that are no combination of `CENTRINGS`, as those of a threefold supercell, stay: the cell is then
    larger than it need be.

    >>> bcc = Sites(2.87 * np.eye(3), [(np.zeros(9), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))])
    >>> (primitive,) = smallest_cells([bcc])
    >>> round(float(np.linalg.det(primitive.lattice) / np.linalg.det(bcc.lattice)), 6)
    0.5
    """
    crystals = [_primitive(crystal) for crystal in crystals]
    given = np.array([crystal.lattice for crystal in crystals]).reshape(-1, 3, 3)
    lattices = _short_vectors(given)
    combinations = np.round(given @ np.linalg.inv(lattices))  # whole ones, so that no coordinate is rounded
    return [
        Sites(lattice, [(entry, coords @ combination) for entry, coords in crystal.elements])
        for crystal, lattice, combination in zip(crystals, lattices, combinations, strict=True)
    ]


def _primitive(crystal: Sites) -> Sites:
    """Take one centring after the other out of the cell; of the atoms that it makes the same, one stays."""
    while gcd(*[len(coords) for _, coords in crystal.elements]) > 1:
        rarest = min([coords for _, coords in crystal.elements], key=len)
        for centring in CENTRINGS[_lands(rarest[:1], rarest, CENTRINGS[:, None]).any((1, 2))]:
            lands = [_lands(coords, coords, centring) for _, coords in crystal.elements]
            if all((on.sum(1) == 1).all() for on in lands):
                break
        else:
            break
        axis = np.flatnonzero(centring)[-1]
        lattice = crystal.lattice.copy()
        lattice[axis] = (
            centring @ lattice
        )  # the cell becomes smaller, since the centring's last part is 1/2 or 1/3
        elements = []
        for (entry, coords), on in zip(crystal.elements, lands, strict=True):
            first, second = np.arange(len(coords)), on.argmax(1)
            coords = coords[(first <= second) & (first <= second[second])]
            along = coords[:, axis] / centring[axis]
            coords = coords - along[:, None] * centring
            coords[:, axis] = along
            elements.append((entry, coords))
        crystal = Sites(lattice, elements)
    return crystal


def _lands(moved: np.ndarray, coords: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Which atoms (..., m, n) of `coords` (n, 3) atoms `moved` (m, 3) land on when moved by (..., 1, 3)."""
    apart = (moved + by)[..., None, :] - coords
    return (np.abs(apart - np.round(apart)) < SAME_PLACE).all(-1)


def _short_vectors(lattices: np.ndarray) -> np.ndarray:
    """The lattices (b, 3, 3) with whole multiples of a vector taken off another while that shortens it, the
    longest vector first."""
    while True:
        dots = lattices @ lattices.mT
        squares = (lattices**2).sum(-1)
        multiples = np.round((1 - SHORTER) * dots / squares[:, None]) * (
            1 - np.eye(3)
        )  # of vector j in vector i
        if not multiples.any():
            return np.take_along_axis(lattices, np.argsort(-squares, kind="stable")[..., None], 1)
        gains = (multiples * (2 * dots - multiples * squares[:, None])).reshape(-1, 9)
        best = np.arange(9) == gains.argmax(1)[:, None]
        lattices = lattices - (multiples * best.reshape(-1, 3, 3)) @ lattices
