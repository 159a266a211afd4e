"""The whole curve of a pattern, against the ideal peaks of the crystal that it was simulated from."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from crystalnet.patterns.observed import Observed, by_height
from crystalnet.patterns.peaks import fit_peaks
from crystalnet.patterns.profile import FINE, Profile
from crystalnet.patterns.simulation import simulated

QUARTZ = Structure.from_spacegroup(
    152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.4524]]
)
WIDTH = 0.002


@pytest.mark.parametrize("k_alpha_2", [False, True])
def test_a_measured_curve_is_that_of_the_ideal_peaks(k_alpha_2):
    measured = simulated(QUARTZ, "CuKa1", (15, 100), counts=2e4, b_factor=0, k_alpha_2=k_alpha_2)
    profile = Profile.of(fit_peaks(measured))
    ideal = Profile.of_peaks(Observed.of_structure(QUARTZ, 1.540598, (15, 100)))
    s = np.arange(0.1, profile.high - 0.02, 1e-3)
    (y, nu), (known, _) = (one.curve(WIDTH, s) for one in (profile, ideal))
    assert y @ known / np.linalg.norm(y) / np.linalg.norm(known) > 0.995
    assert (nu > 0).all() and np.median(nu) < 0.05 * y.max()


def test_lines_keep_their_areas():
    observed = Observed.of_structure(QUARTZ, 1.5406, (15, 100))
    profile = Profile.of_peaks(observed)
    inside = (observed.s > profile.low + 4 * profile.width) & (observed.s < profile.high - 4 * profile.width)
    total = observed.intensity[inside].sum()
    assert profile.intensity.sum() == pytest.approx(total, rel=0.02)
    at = profile.low + FINE * profile.intensity.argmax()
    assert at == pytest.approx(observed.s[observed.intensity.argmax()], abs=FINE)


def test_the_curve_takes_the_place_of_the_peaks():
    fit = fit_peaks(simulated(QUARTZ, "CuKa1", (15, 100)))
    observed = Profile.of(fit).observed(fit.observed())
    assert len(observed.amplitude) == len(observed.floor) == observed.n_steps()
    assert observed.has_peak(np.linspace(0.1, 0.4, 9)).all() and observed.is_shifted
    assert observed.n_told > len(observed.s) > 5


def test_height_shifts_angles_by_its_cosine():
    two_theta, wavelength, d = np.array([20.0, 60, 110]), 1.5406, 0.1
    s, moved = (
        np.sin(np.radians(angle / 2)) / wavelength
        for angle in (two_theta, two_theta + d * np.cos(np.radians(two_theta / 2)))
    )
    assert np.allclose(moved - s, d * by_height(s, wavelength), rtol=1e-2)
