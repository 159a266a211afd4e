"""Simulated patterns against pymatgen's peaks, Scherrer's widths and Poisson's noise."""

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure
from scipy.signal import find_peaks, peak_widths

from crystalnet.errors import CrystalNetError
from crystalnet.patterns.simulation import simulated

MNO = Structure.from_spacegroup(225, Lattice.cubic(4.444), ["Mn", "O"], [[0, 0, 0], [0.5] * 3])
IDEAL = {"seed": None, "background": 0.0, "step": 0.005}


def test_peaks_are_pymatgens():
    pattern = simulated(MNO, 1.5406, b_factor=0.0, caglioti=(0, 0, 0.0025), **IDEAL)
    expected = XRDCalculator(1.5406).get_pattern(MNO, two_theta_range=(10, 100))
    top = find_peaks(pattern.counts, height=pattern.counts.max() / 500)[0]
    assert pattern.two_theta[top] == pytest.approx(expected.x, abs=0.005)
    around = [np.abs(pattern.two_theta - x) < 1.5 for x in expected.x]
    areas = np.array([pattern.counts[near].sum() for near in around])
    assert 100 * areas / areas.max() == pytest.approx(expected.y, rel=0.02)


@pytest.mark.parametrize("size", [3, 10, 40])
def test_widths_are_scherrers(size):
    pattern = simulated(MNO, 1.5406, (30, 38), crystallite_nm=size, caglioti=(0, 0, 0), b_factor=0, **IDEAL)
    top = [np.argmax(pattern.counts)]
    width = peak_widths(pattern.counts, top, rel_height=0.5)[0][0] * 0.005
    theta = np.radians(pattern.two_theta[top[0]] / 2)
    if size > 3:  # neighbours reach in otherwise
        assert width == pytest.approx(np.degrees(0.9 * 1.5406 / (10 * size * np.cos(theta))), rel=0.05)
    else:
        assert width > 2


def test_noise_is_poissons():
    exact, *noisy = (simulated(MNO, counts=2000, background=0.1, seed=seed) for seed in (None, 1, 2, 1))
    assert (noisy[0].counts == noisy[2].counts).all() and (noisy[0].counts != noisy[1].counts).any()
    deviation = (noisy[0].counts - exact.counts) / np.sqrt(exact.counts)
    assert abs(deviation.mean()) < 0.1 and deviation.std() == pytest.approx(1, abs=0.05)
    assert exact.counts.max() == pytest.approx(2000 * 1.09, rel=0.02)


def test_doublet_shift_and_factor():
    one, two = (simulated(MNO, k_alpha_2=both, b_factor=0, **IDEAL) for both in (False, True))
    tops = find_peaks(two.counts, height=two.counts.max() / 200)[0]
    last, extra = two.two_theta[tops[-2:]]
    ratio = np.sin(np.radians(extra / 2)) / np.sin(np.radians(last / 2))
    assert ratio == pytest.approx(1.54439 / 1.54056, abs=1e-4)
    shifted = simulated(MNO, zero_shift=0.1, b_factor=0, **IDEAL)
    assert np.argmax(shifted.counts) - np.argmax(one.counts) == 20
    warm = simulated(MNO, b_factor=2.0, **IDEAL)
    high = one.two_theta > 97
    s = np.sin(np.radians(98.15 / 2)) / 1.54056, np.sin(np.radians(40.57 / 2)) / 1.54056
    fall = np.exp(-2 * 2.0 * (s[0] ** 2 - s[1] ** 2))
    assert warm.counts[high].max() / one.counts[high].max() == pytest.approx(fall, rel=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"wavelength": "CuKx"},
        {"wavelength": 0.5, "k_alpha_2": True},
        {"two_theta_range": (50, 20)},
        {"two_theta_range": (0, 20)},
        {"step": 0},
        {"crystallite_nm": -1},
        {"counts": 0},
        {"lorentzian": 2},
        {"two_theta_range": (11, 12)},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(CrystalNetError):
        simulated(MNO, **wrong)
