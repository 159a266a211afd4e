"""Least squares: against scipy's, within bounds, never uphill."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from crystalnet.physics.descent import descended

T = np.linspace(0, 3, 40)
COUNTS = 5 * np.exp(-1.3 * T) + 0.2 + 0.01 * np.cos(9 * T)


def decay(p):
    """Height, rate and level of a decay: what it leaves, and its slopes."""
    fall = np.exp(-p[1] * T)
    return p[0] * fall + p[2] - COUNTS, lambda: np.stack([fall, -p[0] * T * fall, np.ones_like(T)], 1)


def test_it_finds_what_scipy_finds():
    start = np.array([1.0, 0.3, 0.0])
    ours = descended(start, decay, np.add, n_steps=100, enough=1e-12)
    np.testing.assert_allclose(ours, least_squares(lambda p: decay(p)[0], start).x, rtol=1e-4)


def test_a_bound_stops_one_parameter_and_not_the_others():
    start, highest = np.array([1.0, 0.3, 0.0]), np.array([4.0, 9.0, 9.0])

    def left(p):
        residual, slopes = decay(p)
        return residual, lambda: slopes() * ~((p >= highest) & (residual @ slopes() < 0))

    ours = descended(start, left, lambda p, step: np.minimum(p + step, highest), n_steps=100, enough=1e-12)
    theirs = least_squares(lambda p: decay(p)[0], start, bounds=(-np.inf, highest)).x
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert ours[0] == 4.0


@given(st.lists(st.floats(0, 5), min_size=3, max_size=3), st.integers(0, 20))
def test_it_never_goes_uphill(start, n_steps):
    start = np.array(start)
    after = descended(start, decay, lambda p, step: np.clip(p + step, -9, 9), n_steps=n_steps, enough=1e-9)
    before, after = decay(start)[0], decay(after)[0]
    assert after @ after <= before @ before


@pytest.mark.parametrize("stop", [{"enough": 2.0}, {"enough": 0.0, "smallest_step": 1e9}])
def test_it_ends_after_a_step_that_gains_little_or_goes_nowhere(stop):
    evaluated = []

    def left(p):
        evaluated.append(p)
        return decay(p)

    descended(np.array([4.0, 1.0, 0.0]), left, np.add, n_steps=50, **stop)
    assert len(evaluated) == 2
