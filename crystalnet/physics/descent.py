r"""Least squares by Levenberg and Marquardt's method (SIAM J. Appl. Math. 11, 431, 1963).

A step solves (J^T J + damping diag(J^T J)) step = -J^T r. Damping grows until the sum of squares falls, and
then goes with the gain over that of a linear model (Nielsen, report IMM-REP-1999-05, Lyngby).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

DAMPING, LEAST_DAMPING = 1e-2, 1e-5  # at first, and at least; our choice
MOST_FALL = 5  # of the damping after a step, our choice
GROWTHS = 6, 18, 54, 162  # of the damping at a step, one try after the other, our choice: 10^6 in all

State = TypeVar("State")
Left = tuple[np.ndarray, Callable[[], np.ndarray]]  # a residual, and its slopes, which not every try asks for


def descended(
    state: State,
    left: Callable[[State], Left],
    moved: Callable[[State, np.ndarray], State],
    *,
    n_steps: int,
    enough: float,
    smallest_step: float = 0.0,
) -> State:
    """A state whose sum of squares is lower, or the same.

    Args:
        state: where to begin.
        left: the residual of a state, (n,), and what gives its derivatives by the parameters, (n, P).
        moved: a state after a step (P,); it may keep to bounds.
        n_steps: at most.
        enough: relative gain below which the descent ends.
        smallest_step: of the parameter that moves most, below which it ends.

    >>> def left(x):  # of sqrt(2): one residual, one parameter
    ...     return x**2 - 2, lambda: np.diag(2 * x)
    >>> descended(np.array([1.0]), left, np.add, n_steps=20, enough=1e-12).round(6)
    array([1.414214])
    """
    damping = DAMPING
    residual, slopes = left(state)
    for _ in range(n_steps):
        cost, by = residual @ residual, slopes()
        normal, gradient = by.T @ by, by.T @ residual
        scale = np.diag(normal) + 1e-9 * np.trace(normal) + 1e-12
        for growth in GROWTHS:
            step = -np.linalg.solve(normal + damping * np.diag(scale), gradient)
            new = moved(state, step)
            residual, slopes = left(new)
            gain = cost - residual @ residual
            if gain > 0:
                break
            damping *= growth
        else:
            return state
        state = new
        expected = step @ (damping * scale * step - gradient)
        damping = max(damping * max(1 / MOST_FALL, 1 - (2 * gain / expected - 1) ** 3), LEAST_DAMPING)
        if np.abs(step).max() < smallest_step or gain < enough * cost:
            return state
    return state
