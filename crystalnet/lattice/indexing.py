r"""Search for the cells of a family of lattices that explain peak positions, and what a cell is worth.

Trial cells come from a few low or strong peaks with guessed indices. A cell is worth the logarithm of how
much likelier it makes the positions than chance, when a peak belongs to one of the N lines up to q_max:

    merit = \sum_peaks ln((1 - e) g(offset) q_max / N + e) - (parameters) ln(q_max / sigma)

with a Gaussian g of sigma, and a share e of peaks that are of something else. So needless lines cost with
every peak, a missing peak nothing by itself, a foreign one a bounded amount, and families compare. The idea,
to weigh what fits by all that could have, is that of de Wolff (1968), J. Appl. Cryst. 1, 108, and of Smith &
Snyder (1979), J. Appl. Cryst. 12, 60.

>>> from crystalnet.physics.atoms import Atoms
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> peaks = Positions.of(Observed.of_structure(nacl, wavelength=1.5406)).first(N_PEAKS)
>>> cells = family_cells("cubic", peaks, np.ones(len(peaks.q)), LIMITS["volume"])
>>> merits = merits_of("cubic", cells, peaks, SCALES)  # centrings F, I and P, scales, cells
>>> axes("cubic", cells[merits.max((0, 1)).argmax()][None])[0].round(2)  # Å
array([5.64])
>>> best = refined("cubic", "F", cells[:1], peaks)
>>> peaks.lines("cubic", "F", best)[0][0, :4]  # h^2 + k^2 + l^2 of 111, 200, 220, 311
array([ 3.,  4.,  8., 11.])
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from crystalnet.lattice.lines import CENTRINGS, axes, lines_of
from crystalnet.patterns.observed import Observed

LIMITS = {"a": (2.0, 34.0), "c": (2.0, 120.0), "volume": (8.0, 10000.0)}  # Å, Å^3, our choice
N_PEAKS = 40  # lowest peaks that a cell is judged by, our choice
N_FIRST, N_LOW, N_STRONG = 4, 8, 4  # lowest peaks and strongest whose indices are guessed, our choice
N_FITTED = 150  # lowest peaks that a cell is refined with, our choice
HIGHEST_N, HIGHEST_L = 14, 24  # of guessed indices, our choice; those of n / 14 + l / 24 <= 1
MOST_LINES = 90  # up to the sixth peak, about: 99 of 100 trigonal crystals have fewer than 80
# lowest peaks that trials are judged by, and how many stay; our choice
STAGES = (4, 20000), (8, 4000), (12, 800), (24, 150)

EXACT = 1e-6, 1e-5  # of s, and degrees within which `powder_peaks` makes reflections one peak
MEASURED = 1e-4, 1 / 4  # of s, and of a peak's width, our choice: the first guess of what peaks are off by
SCALES = 2 ** np.arange(1.0, -4, -1)  # factors of that guess that are tried on measured peaks
ZERO = 0.05  # degrees of two_theta, our choice: the usual zero shift of measured peaks
FOREIGN = 0.02, 1e-6  # e of measured and of calculated peaks, our choice
REACH = 3.0  # sigma up to which a peak is on a line

STEPS = {  # factors of A and C from a cell to the sub- and supercells that are tried beside it
    "cubic": list(product((1, 2, 3, 4, 1 / 2, 1 / 3, 1 / 4), (1,))),
    "hexagonal": list(product((1, 3, 4, 1 / 3, 1 / 4), (1, 4, 9, 1 / 4, 1 / 9))),
    "tetragonal": list(product((1, 2, 4, 1 / 2, 1 / 4), (1, 4, 9, 1 / 4, 1 / 9))),
}


class Positions(NamedTuple):
    """(P,) each, by rising q (1/Å^2): with sigma of q, and what a zero shift of 1 degree adds to q."""

    q: np.ndarray
    sigma: np.ndarray
    shift: np.ndarray
    exact: bool

    @classmethod
    def of(cls, observed: Observed) -> Positions:
        s = observed.s
        cosine = np.sqrt(np.maximum(1 - (s * observed.wavelength) ** 2, 0))
        per_degree = np.radians(1) * np.maximum(cosine, 1e-3) / (2 * observed.wavelength)
        part, off = EXACT if observed.exact else MEASURED
        sigma = np.hypot(part * s, off * (per_degree if observed.exact else observed.width))
        return cls(4 * s**2, 8 * s * sigma, 8 * s * per_degree, observed.exact)

    def first(self, n: int, scale: float = 1.0) -> Positions:
        return Positions(self.q[:n], self.sigma[:n] * scale, self.shift[:n], self.exact)

    def lines(
        self, family: str, centring: str, cells: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`Lines.nearest` of the cells (K, 3), the third number a zero shift in degrees."""
        return lines_of(family, centring).nearest(cells[:, :2], self.q - cells[:, 2:] * self.shift)


def family_cells(
    family: str, peaks: Positions, strength: np.ndarray, volumes: tuple[float, float]
) -> np.ndarray:
    """Different cells (K, 3) of a family, the best first."""
    cells = _inside(family, _trials(family, peaks.q, strength), volumes)
    for n_peaks, most in STAGES:
        if not len(cells):
            return cells
        merit = merits_of(family, cells, peaks.first(n_peaks), np.ones(1), ("P",)).max((0, 1))
        cells = cells[np.argsort(-merit, kind="stable")[:most]]
    cells = _settled(family, cells, peaks)
    steps = np.insert(np.array(STEPS[family], float), 2, 1, axis=1)
    multiples = _inside(family, (cells[:10, None] * steps).reshape(-1, 3), volumes)
    return _settled(family, np.concatenate([cells, multiples]), peaks)


def _trials(family: str, q: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Cells (T, 3) that put one (cubic) or two of the low or strong peaks on lines of small indices."""
    some = np.union1d(np.arange(min(N_LOW, len(q))), np.argsort(-strength, kind="stable")[:N_STRONG])
    n = lines_of(family, "P").n
    if family == "cubic":
        cells = (q[some, None] / n[:60]).reshape(-1, 1) * (1, 0, 0) + (0, 1, 0)
        return cells
    n, m = (part.ravel() for part in np.meshgrid(n[n <= HIGHEST_N], np.arange(HIGHEST_L + 1.0) ** 2))
    kept = n / HIGHEST_N + m**0.5 / HIGHEST_L <= 1
    n, m = n[kept], m[kept]
    determinant = n[:, None] * m - m[:, None] * n
    one, two = np.nonzero(determinant)
    inverse = np.stack([m[two], -m[one], -n[two], n[one]]) / determinant[one, two]
    found, top = [], q[: N_LOW - 2][-1]
    for i, j in product(some[:N_FIRST], some):
        if i < j:
            A = inverse[0] * q[i] + inverse[1] * q[j]  # noqa: N806
            C = inverse[2] * q[i] + inverse[3] * q[j]  # noqa: N806
            kept = (A > 0) & (C > 0)
            A, C = A[kept], C[kept]  # noqa: N806
            x, y = top / A, np.sqrt(top / C)
            kept = 0.3 * x * (y + 1) + y < MOST_LINES  # 0.3: about 2 / 3 of the n up to 14 that are
            found.append(np.stack([A[kept], C[kept], np.zeros(kept.sum())], 1))
    return np.concatenate(found)


def _inside(family: str, cells: np.ndarray, volumes) -> np.ndarray:
    """Those of the cells (K, 3) within `LIMITS` and the volumes."""
    a, c = axes(family, cells)
    volume = a * a * c * (3**0.5 / 2 if family == "hexagonal" else 1)
    limits = (a, *LIMITS["a"]), (c, *LIMITS["c"]), (volume, *volumes)
    return cells[np.all([(low < x) & (x < high) for x, low, high in limits], 0)]


def merits_of(
    family: str,
    cells: np.ndarray,
    peaks: Positions,
    scales: np.ndarray,
    types: Sequence[str] = (),
) -> np.ndarray:
    """Figures of merit (centrings, scales, K) of the cells (K, 3), sigma times each of the scales."""
    types = types or CENTRINGS[family]
    merits = np.empty((len(types), len(scales), len(cells)))
    q_max, sigma = peaks.q[-1] * (1 + 1e-9), peaks.sigma * scales[:, None, None]
    e = FOREIGN[peaks.exact]
    order = np.argsort(cells[:, 0])  # those of a part need equally many rows of lines
    for part in np.array_split(order, len(cells) * len(peaks.q) // 2**14 + 1):
        for t, centring in enumerate(types):
            offset = peaks.lines(family, centring, cells[part])[2]
            n_lines = np.maximum(lines_of(family, centring).count(cells[part, :2], q_max), 1)
            density = np.exp(-0.5 * (offset / sigma) ** 2) / (sigma * (2 * np.pi) ** 0.5)
            merits[t, :, part] = np.log((1 - e) * density * q_max / n_lines[:, None] + e).sum(-1).T
    n_parameters = 1 if family == "cubic" else 2
    return merits - n_parameters * np.log(q_max / np.median(sigma, -1))


def _settled(family: str, cells: np.ndarray, peaks: Positions) -> np.ndarray:
    """The cells (K, 3) refined with ever more peaks, the best first, and of equal ones the best."""
    for n_peaks in (10, 20, len(peaks.q)):
        cells = refined(family, "P", cells, peaks.first(n_peaks))
    scales = np.ones(1) if peaks.exact else SCALES
    cells = cells[np.argsort(-merits_of(family, cells, peaks, scales).max((0, 1)), kind="stable")]
    logs = np.log(cells[:, :2])
    same = (np.abs(logs[:, None] - logs) < REACH * np.median(peaks.sigma / peaks.q)).all(-1)
    kept: list[int] = []
    for i, row in enumerate(same):
        if not row[kept].any():
            kept.append(i)
    return cells[kept]


def refined(family: str, centring: str, cells: np.ndarray, peaks: Positions) -> np.ndarray:
    """One step of least squares for A, C and the zero shift of the cells (K, 3), on peaks that have a line.

    A peak counts where a line within `REACH` sigma is no accident, that is where lines are rare.
    """
    n, l, offset = peaks.lines(family, centring, cells)  # noqa: E741
    n_lines = lines_of(family, centring).count(cells[:, :2], peaks.q[-1])[:, None]
    rarity = 1.5 * n_lines * peaks.q**0.5 / peaks.q[-1] ** 1.5 * 2 * REACH * peaks.sigma
    weight = ((np.abs(offset) < REACH * peaks.sigma) & (rarity < 0.5)) / peaks.sigma
    slopes = np.stack([n * cells[:, :1], l**2 * cells[:, 1:2], peaks.shift + 0 * offset], -1)
    slopes = slopes * weight[..., None]
    # A and C may change by parts of themselves; what no peak tells of stays
    prior = np.array([1, 1, 1e30 if peaks.exact else ZERO**-2])
    pull = slopes.mT @ (weight * offset)[..., None]
    pull[:, 2, 0] -= prior[2] * cells[:, 2]
    step = np.linalg.solve(slopes.mT @ slopes + np.diag(prior), pull)[..., 0]
    factor = np.append(cells[:, :2], np.ones((len(cells), 1)), 1)
    return cells + np.clip(step, -0.05, 0.05) * factor
