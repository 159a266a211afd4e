r"""What the zero of the circle and the height of the sample do to the angles of measured peaks.

    2 theta = 2 theta_true + z + d cos(theta)

In Bragg-Brentano geometry a specimen that lies too high or too low shifts every peak by d cos(theta) (Klug &
Alexander, X-ray Diffraction Procedures, 1974), a wrong zero by z. Both are told from the cell by peaks over
many angles.

>>> from crystalnet.physics.atoms import Atoms
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> true = Observed.of_structure(nacl, wavelength=1.5406)
>>> moved = np.sin(np.arcsin(true.s * 1.5406) + np.radians(0.06) / 2) / 1.5406  # by 0.06 degrees
>>> measured = replace(true, s=moved, exact=False)
>>> straight, cells = indexed(measured, "cubic")
>>> z, d = shifts(measured, cells[0])
>>> round(z + d, 2), round(cells[0].a, 2)
(0.06, 5.64)
>>> [float(np.abs(x.s - true.s).max().round(5)) for x in (measured, straight, aligned(measured, cells[0]))]
[0.00033, 7e-05, 7e-05]
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crystalnet.lattice.indexing import REACH, Positions
from crystalnet.lattice.lattice import Cell, find_cells
from crystalnet.lattice.lines import constants
from crystalnet.patterns.observed import Observed

USUAL = 0.05, 0.1  # degrees of z and d, our choice: what they lean to
FEWEST = 8  # peaks on lines of the cell, our choice: twice the parameters
ROUNDS = 3


def shifts(observed: Observed, cell: Cell) -> tuple[float, float]:
    """z and d, degrees, that bring the peaks onto the lines of a cell, itself free; 0 if too few are near."""
    peaks = Positions.of(observed)
    half = np.arcsin(np.minimum(observed.s * observed.wavelength, 1))
    unit = np.append(constants(cell.family, cell.a, cell.c), 0.0)
    moved = np.zeros(len(peaks.q))
    z = d = 0.0
    for _ in range(ROUNDS):
        there = peaks._replace(q=peaks.q - moved)
        n, l, off = (part[0] for part in there.lines(cell.family, "P", unit[None]))  # noqa: E741
        on = np.abs(off) < REACH * peaks.sigma
        if on.sum() < FEWEST:
            return 0.0, 0.0
        slopes = np.stack([n * unit[0], l**2 * unit[1], peaks.shift, peaks.shift * np.cos(half)], 1)
        slopes, rest = (slopes[on] / peaks.sigma[on, None], (off + moved)[on] / peaks.sigma[on])
        lean = np.diag([0, 1e-12, USUAL[0] ** -2, USUAL[1] ** -2])  # a cubic cell has no C to fit
        step = np.linalg.solve(slopes.T @ slopes + lean, slopes.T @ rest)
        unit[:2] *= 1 + step[:2]
        z, d = step[2:]
        moved = peaks.shift * (z + d * np.cos(half))
    return float(z), float(d)


def aligned(observed: Observed, cell: Cell) -> Observed:
    """The peaks where they would be without both shifts."""
    z, d = shifts(observed, cell)
    half = np.arcsin(np.minimum(observed.s * observed.wavelength, 1))
    true = half - np.radians(z + d * np.cos(half)) / 2
    return replace(observed, s=np.sin(true) / observed.wavelength)


def indexed(observed: Observed, family: str | None = None) -> tuple[Observed, list[Cell]]:
    """Cells that explain the peaks, best first, and the peaks without the shifts that the best one shows.

    Raises:
        CrystalNetError: see `find_cells`.
    """
    cells = find_cells(observed, family)
    if observed.exact:
        return observed, cells
    straight = aligned(observed, cells[0])
    return straight, find_cells(straight, family)
