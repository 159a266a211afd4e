"""Columns told apart by what they hold: deviations, backgrounds and fits beside the observed counts.

>>> counts = np.random.default_rng(0).poisson(100, 200).astype(float)
>>> is_deviation(np.sqrt(counts), counts), is_deviation(counts, counts)
(True, False)
>>> observed_first(counts, np.full(200, 90.0)), observed_first(np.full(200, 90.0), counts)
(True, False)
"""

from __future__ import annotations

import numpy as np

# All limits are our choice, far from both sides on the files of diffractometers and beamlines that we know.
POISSON = (0.3, 3.0)  # sigma over the square root of the counts, where it is that of counting
SPREAD = 5.0  # between the 5th and the 95th percentile of that ratio, on any scale
LARGEST = 0.35  # sigma over the counts of half the points
ZEROS = 0.5  # share of zero deviations that still leaves a column of deviations
SMOOTH = 0.2  # noise of a fit or background over that of the counts


def is_deviation(sigma: np.ndarray, counts: np.ndarray, told: bool = False) -> bool:
    """Whether a column can be the standard deviations of `counts`; `told` if the file calls it so."""
    if not np.isfinite(sigma).all() or (sigma < 0).any() or (sigma > 0).mean() <= ZEROS:
        return False
    some = (counts > 0) & (sigma > 0)
    if some.sum() < len(counts) / 4:
        return told
    ratio = sigma[some] / np.sqrt(counts[some])
    low, middle, high = np.percentile(ratio, [5, 50, 95])
    share = np.median(sigma[some] / counts[some])
    if told:
        return share < 0.5 or POISSON[0] < middle < POISSON[1]
    if POISSON[0] < middle < POISSON[1] and high < SPREAD * low:
        return True
    if share > LARGEST or high > SPREAD * low:
        return False
    strong, weak = counts[some] >= np.percentile(counts[some], 98), counts[some] <= np.median(counts[some])
    contrast = np.median(counts[some][strong]) / np.median(counts[some][weak])
    rise = np.log(np.median(sigma[some][strong]) / np.median(sigma[some][weak]))
    return contrast < 1.5 or 0.2 < rise / np.log(contrast) < 0.8


def observed_first(first: np.ndarray, second: np.ndarray) -> bool:
    """Of two columns beside x, whether the first rather than the second is observed.

    A background is smooth and lies below the counts; a fit is smooth and follows them.
    """
    noise = _noise(first), _noise(second)
    if noise[0] >= SMOOTH * noise[1]:
        return True
    follows = np.corrcoef(first, second)[0, 1] > 0.9 if np.ptp(first) > 0 else False
    below = np.median(first / np.where(second == 0, np.nan, second)) if (second != 0).any() else np.nan
    flat = np.ptp(first) < 0.5 * np.ptp(second) and 0.3 < np.nan_to_num(below) < 1.3
    return not (follows or flat)


def _noise(values: np.ndarray) -> float:
    """Of second differences, which slopes hardly touch."""
    return float(np.median(np.abs(np.diff(values, 2))) + 1e-12 * np.ptp(values))
