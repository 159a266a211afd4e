r"""Where the powder lines of cubic, hexagonal and tetragonal lattices are, for many cells at once.

    q = 4 s^2 = 1 / d^2 = A n + C l^2

    family        n                  A             C
    cubic         h^2 + k^2 + l^2    1 / a^2       -   (no term in l: the number C of a cubic cell is 1)
    hexagonal     h^2 + h k + k^2    4 / (3 a^2)   1 / c^2
    tetragonal    h^2 + k^2          1 / a^2       1 / c^2

What a centring extinguishes depends on n and l alone, so that (n, l) names a line.

>>> lines = lines_of("cubic", "F")
>>> lines.n[:6]  # h^2 + k^2 + l^2 of 111, 200, 220, 311, 222, 400
array([ 3.,  4.,  8., 11., 12., 16.])
>>> cells = constants("cubic", 5.64, 5.64)[None]
>>> axes("cubic", cells)[0].round(2), lines.count(cells, q=0.4)
(array([5.64]), array([5]))
>>> lines.nearest(cells, np.array([[0.0943]]))[0]  # q = 3 / a^2: the line 111
array([[3.]])
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

CENTRINGS = {"cubic": ("F", "I", "P"), "hexagonal": ("R", "P"), "tetragonal": ("I", "P")}
"""Families, and the centrings of each, the one with the fewest lines first."""

HIGHEST = 48  # h and k, our choice: a = 34 Å at the highest s of Mo K-alpha


class Lines(NamedTuple):
    """The lines of a lattice type in rows (R,), by rising n: one n with l = first, first + stride, ...

    A stride of 0, in cubic lattices, means that l is 0.
    """

    n: np.ndarray
    first: np.ndarray
    stride: np.ndarray

    def nearest(self, cells: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The line of the cells (K, 2), rows of A and C, nearest to q (K, P), 1/Å^2.

        Where no line is near, that on one of the two sides.

        Returns:
            n, l and q - q_line, (K, P) each.
        """
        if not self.stride.any():
            between = (self.n[1:] + self.n[:-1]) / 2
            n = self.n[np.searchsorted(between, q / cells[:, :1])]
            return n, np.zeros_like(n), q - cells[:, :1] * n
        n, first, stride = self._up_to(cells, q.max())
        rest = q[..., None] - cells[:, :1, None] * n
        l = np.maximum(rest, 0)  # noqa: E741
        np.sqrt(l, out=l)
        l *= cells[:, 1:, None] ** -0.5  # noqa: E741
        if (stride == 1).all():  # trial cells, worth the haste
            np.rint(l, out=l)
            l[..., 0] = np.maximum(l[..., 0], 1)  # 000 is no line
        else:
            l = first + stride * np.maximum(np.rint((l - first) / stride), n == 0)  # noqa: E741
        rest -= cells[:, 1:, None] * (l * l)
        best = np.abs(rest).argmin(-1)[..., None]
        return n[best[..., 0]], *(np.take_along_axis(part, best, -1)[..., 0] for part in (l, rest))

    def count(self, cells: np.ndarray, q: float) -> np.ndarray:
        """Lines of the cells (K, 2) up to q, (K,); those of equal q count one by one."""
        if not self.stride.any():
            return np.searchsorted(self.n, q / cells[:, 0], side="right")
        n, first, stride = self._up_to(cells, q)
        rest = q - cells[:, :1] * n
        l = np.sqrt(np.maximum(rest, 0) / cells[:, 1:])  # noqa: E741
        return np.where(rest >= 0, np.floor((l - first) / stride) + 1, 0).clip(0).sum(1) - 1

    def _up_to(self, cells: np.ndarray, q: float) -> Lines:
        n_rows = int(np.searchsorted(self.n, q / cells[:, 0].min())) + 1
        return Lines(*(part[:n_rows] for part in self))


@cache
def lines_of(family: str, centring: str) -> Lines:
    """The lines of a family and a centring of `CENTRINGS`."""
    if family == "cubic":
        h, k, l = np.indices((HIGHEST,) * 3)  # noqa: E741
        kept = {"P": True, "I": (h + k + l) % 2 == 0, "F": (h % 2 == k % 2) & (h % 2 == l % 2)}[centring]
        n = np.unique((h * h + k * k + l * l)[(h >= k) & (k >= l) & (h > 0) & kept])
    else:
        h, k = np.indices((HIGHEST,) * 2)
        n = np.unique(h * h + k * k + (h * k if family == "hexagonal" else 0))
    n = n[n < HIGHEST**2].astype(float)  # above, some n need a higher h
    if family == "cubic":
        return Lines(n, 0 * n, 0 * n)
    if centring == "P":
        return Lines(n, 0 * n, 0 * n + 1)
    if centring == "I":  # h + k + l = 2 m, and n is even where h + k is
        return Lines(n, n % 2, 0 * n + 2)
    # R, -h + k + l = 3 m: n is a multiple of 3 where h - k is; elsewhere either l or -l belongs to the n
    n = np.repeat(n, np.where(n % 3, 2, 1))
    second = np.diff(n, prepend=-1) == 0
    return Lines(n, np.where(n % 3, 1 + second, 0), 0 * n + 3)


def axes(family: str, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and c in Å, (K,) each, of the cells (K, 2)."""
    a = (cells[:, 0] * (3 / 4 if family == "hexagonal" else 1)) ** -0.5
    return a, (a if family == "cubic" else cells[:, 1] ** -0.5)


def constants(family: str, a: float, c: float) -> np.ndarray:
    """A and C, (2,), of axes in Å."""
    return np.array([4 / (3 * a * a) if family == "hexagonal" else a**-2, 1 if family == "cubic" else c**-2])
