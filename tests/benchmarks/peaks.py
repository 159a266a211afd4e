"""Peaks fitted to simulated laboratory patterns, by our descent and by scipy's least_squares.

OMP_NUM_THREADS=1 python tests/benchmarks/peaks.py

Patterns are those of embedded crystals, Cu K-alpha, as chapter 9 has them. Both fit the same groups of peaks
from the same start with the same bounds, slopes and tolerance. 'worse' and 'better' are shares of groups in
which we leave a sum of squares 2 % larger or smaller than scipy.
"""

import time

import numpy as np
from scipy.optimize import least_squares

from crystalnet.data.prototypes import prototype_crystals
from crystalnet.hardware import description
from crystalnet.patterns import peak_shapes
from crystalnet.scoring.challenges import CHALLENGES, observation

N_CRYSTALS = 6
FAR = 1e30  # beyond any bound


class Both:
    """Stands in for `descended`, and remembers how long either took and what it left."""

    def __init__(self):
        self.ours, self.scipys, self.ratios = 0.0, 0.0, []

    def __call__(self, start, left, moved, n_steps, enough):
        started = time.perf_counter()
        end = DESCENDED(start, left, moved, n_steps, enough)
        self.ours += time.perf_counter() - started
        bounds = moved(start, np.full(len(start), -FAR)), moved(start, np.full(len(start), FAR))
        low, high = (np.where(np.abs(bound) > FAR / 2, np.copysign(np.inf, bound), bound) for bound in bounds)
        inside = np.clip(start, low + 1e-9, high - 1e-9)
        started = time.perf_counter()
        found = least_squares(
            lambda p: left(p)[0], inside, lambda p: left(p)[1](), (low, high), xtol=1e-5, ftol=enough
        )
        self.scipys += time.perf_counter() - started
        residual = left(end)[0]
        self.ratios.append(residual @ residual / (2 * found.cost))
        return end


DESCENDED = peak_shapes.descended


def main() -> None:
    print(f"{'pattern':28}{'groups':>8}{'scipy s':>9}{'ours s':>8}{'ratio':>7}{'worse':>8}{'better':>8}")
    crystals = [*prototype_crystals("cubic", N_CRYSTALS), *prototype_crystals("trigonal", N_CRYSTALS)]
    for name in (name for name in CHALLENGES if name.startswith("laboratory")):
        both = peak_shapes.descended = Both()
        for crystal in crystals:
            observation(crystal, CHALLENGES[name])
        ratios = np.array(both.ratios)
        times = f"{both.scipys:9.2f}{both.ours:8.2f}{both.scipys / both.ours:7.1f}"
        shares = f"{(ratios > 1.02).mean():8.1%}{(ratios < 1 / 1.02).mean():8.1%}"
        print(f"{name:28}{len(ratios):8}{times}{shares}")
    print(description())


if __name__ == "__main__":
    main()
