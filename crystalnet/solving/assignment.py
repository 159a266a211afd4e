"""Which peak of a map is which element: a search under the known composition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

LIGHTEST = 0.3  # of the lightest element's expected weight, our choice: below are no atoms
SURVIVORS = 200  # descriptions that each step of the search keeps, our choice


class Orbits(NamedTuple):
    """Peaks by falling weight: fractional coordinates (k, 3) of each one's images, and the weights (O,)."""

    coords: list[np.ndarray]
    weights: np.ndarray


def assignments(
    found: Orbits,
    counts: Mapping[str, int],
    expected: Mapping[str, float],
    *,
    most: int,
    scaled: bool,
    complete: bool,
) -> list[tuple]:
    """For each orbit its element or None, the likeliest assignments first; `scaled`: on a scale not known.

    >>> found = Orbits([np.zeros((1, 3)), np.full((1, 3), 0.5)], np.array([16.0, 9.0]))
    >>> assignments(found, {"Na": 1, "Cl": 1}, {"Na": 10, "Cl": 17}, most=1, scaled=False, complete=True)
    [('Cl', 'Na')]
    """
    symbols = sorted(counts, key=lambda symbol: -expected[symbol])
    n_left = tuple(counts[symbol] for symbol in symbols)
    wanted = np.array([expected[symbol] for symbol in symbols])
    sizes, weights = [len(coords) for coords in found.coords], found.weights
    if scaled:
        each, ranked = np.repeat(weights, sizes), np.repeat(wanted, n_left)
        n = min(len(each), len(ranked))
        weights = weights * (ranked[:n].sum() / max(each[:n].sum(), 1e-12))
    states = [(0.0, n_left, ())]  # the cost so far, the atoms left of each element, the labels
    for size, weight in zip(sizes, weights, strict=True):
        following: dict[tuple, list] = {}
        for cost, left, labels in states:
            following.setdefault(left, []).append((cost + size * weight**2, left, (*labels, None)))
            for k in range(len(symbols)) if weight > LIGHTEST * wanted[-1] else ():
                if left[k] >= size:
                    after = (*left[:k], left[k] - size, *left[k + 1 :])
                    misfit = cost + size * (weight - wanted[k]) ** 2
                    following.setdefault(after, []).append((misfit, after, (*labels, symbols[k])))
        # an atom that is still to come costs what it would if it never came
        best = [state for same in following.values() for state in sorted(same, key=lambda x: x[0])[:most]]
        states = sorted(best, key=lambda state: state[0] + np.dot(state[1], wanted**2))[:SURVIVORS]
    return [labels for _, left, labels in states if not (complete and any(left))][:most]
