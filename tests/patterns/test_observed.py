"""What a measurement says: free of wavelength and scale, and compared as curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.patterns.observed import STEP, Observed, distance
from crystalnet.physics.diffraction import Peaks, powder_peaks

QUARTZ = Structure.from_spacegroup(
    152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.2142]]
)


def test_the_wavelength_does_not_matter():
    mo, cu = (Observed.of_structure(QUARTZ, wavelength) for wavelength in (0.71073, 1.5406))
    n = np.searchsorted(mo.s, 0.6)
    both = [np.interp(mo.s[:n], o.s, o.intensity / o.intensity.max()) for o in (mo, cu)]
    strong = both[0] > 0.01  # what is dropped as weak depends on the wavelength
    assert np.allclose(both[0][strong], both[1][strong], rtol=1e-9)


def test_peaks_come_back():
    peaks = powder_peaks(QUARTZ)
    again = Observed.of_peaks(peaks).peaks
    for before, after in zip(peaks, again, strict=True):
        assert np.allclose(before, after, rtol=1e-9)


@given(st.floats(0.01, 1.3), st.floats(1, 5))
@settings(max_examples=50, deadline=None)
def test_a_peak_keeps_its_area_and_place(s, width):
    observed = Observed.of_structure(QUARTZ)
    object.__setattr__(observed, "width", width * STEP)
    n = observed.n_steps()
    curve = (observed.smearing(np.array([s]), n) @ np.ones(1)).ravel()
    if s > 5 * width * STEP:
        assert curve.sum() == pytest.approx(1, abs=2e-3)
        assert curve @ np.arange(n) * STEP == pytest.approx(s, rel=3e-3)


def test_the_slope_of_a_curve_is_that_of_its_differences():
    observed, s, d = Observed.of_structure(QUARTZ), np.array([0.3003, 0.41]), 1e-7
    n, intensity = observed.n_steps(), np.array([1.0, 2.0])
    up, down = (observed.smearing(s + sign * d, n) @ intensity for sign in (1, -1))
    slope = observed.smearing(s, n, order=1) @ intensity
    assert np.abs((up - down) / (2 * d) - slope).max() < 1e-3 * np.abs(slope).max()


def test_equal_curves_have_no_distance_and_strangers_one():
    a = Observed.of_structure(QUARTZ).amplitude
    b = np.zeros_like(a)
    assert distance(a, 3 * a) < 1e-7 and distance(a, b) == 1
    assert 0 < distance(a, np.roll(a, 1)) < 1


@pytest.mark.parametrize(
    ("two_theta", "intensity", "wavelength", "words"),
    [
        ([10.0], [1.0], 0.7, "two peaks"),
        ([10.0, 20], [1.0, np.nan], 0.7, "NaN"),
        ([10.0, 20], [1.0, -1], 0.7, "negative"),
        ([10.0, 20], [0.0, 0], 0.7, "above 0"),
        ([10.0, 190], [1.0, 1], 0.7, "outside"),
        ([0.0, 20], [1.0, 1], 0.7, "at 0"),
        ([10.0, 20], [1.0, 1], -1, "wavelength"),
        ([10.0, 20], [1.0, 1], np.nan, "wavelength"),
    ],
)
def test_peaks_that_cannot_be_are_one_clear_error(two_theta, intensity, wavelength, words):
    with pytest.raises(CrystalNetError, match=words):
        Observed.of_peaks(
            Peaks(np.array(two_theta), np.array(intensity), np.ones(len(two_theta))), wavelength
        )
