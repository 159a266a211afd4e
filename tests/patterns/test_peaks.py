"""Fitted peaks against pymatgen's, against certified and published cells; and patterns without peaks."""

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.patterns.measured import Measured, read_pattern
from crystalnet.patterns.observed import SHARP, STEP
from crystalnet.patterns.peaks import fit_peaks, observed
from crystalnet.patterns.simulation import simulated

MNO = Structure.from_spacegroup(225, Lattice.cubic(4.444), ["Mn", "O"], [[0, 0, 0], [0.5] * 3])
QUARTZ = Structure.from_spacegroup(
    152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 0], [0.4135, 0.2669, 0.1191]]
)
ANGLES = np.arange(10, 90, 0.03)


def offsets(found, structure, two_theta_range=(10, 100)):
    """Relative errors of s of the peaks found, against pymatgen's nearest."""
    ideal = XRDCalculator(found.wavelength).get_pattern(structure, two_theta_range=two_theta_range)
    s = 1 / (2 * np.array(ideal.d_hkls))
    return np.array([found.s[i] / s[np.abs(s - found.s[i]).argmin()] - 1 for i in range(len(found.s))])


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"k_alpha_2": True},
        {"wavelength": "CuKa", "k_alpha_2": True},
        {"wavelength": "MoKa", "two_theta_range": (8, 60)},
        {"counts": 300, "background": 0.2},
        {"seed": None, "step": 0.04},
    ],
    ids=str,
)
def test_sharp_peaks_are_where_they_should_be(facts):
    pattern = simulated(MNO, **facts)
    fit = fit_peaks(pattern)
    found = fit.observed()
    assert np.abs(offsets(found, MNO, facts.get("two_theta_range", (10, 100)))).max() < 2e-4
    assert (fit.doublet is not None) == facts.get("k_alpha_2", False)
    assert found.width == SHARP * STEP and not found.exact
    assert (found.low, found.high) == pytest.approx(
        tuple(np.sin(np.radians(pattern.two_theta[[0, -1]] / 2)) / pattern.wavelength)
    )


def test_areas_are_intensities():
    found = observed(simulated(MNO, b_factor=0.0, counts=1e5))
    ideal = XRDCalculator(1.54056).get_pattern(MNO, two_theta_range=(10, 100))
    assert found.peaks.intensity == pytest.approx(ideal.y, rel=0.03)
    assert found.weakest < 0.02


def test_a_trigonal_pattern_with_overlaps():
    found = observed(simulated(QUARTZ, k_alpha_2=True))
    errors = np.abs(offsets(found, QUARTZ))
    assert 25 < len(found.s) < 38
    assert np.median(errors) < 5e-5 and np.quantile(errors, 0.9) < 5e-4


@pytest.mark.parametrize(("size", "counts", "error"), [(20, 10_000, 3e-4), (5, 5000, 2e-3), (2, 1000, 1e-2)])
def test_broad_peaks(size, counts, error):
    found = observed(simulated(MNO, crystallite_nm=size, counts=counts, background=0.2), k_alpha_2=False)
    assert np.median(np.abs(offsets(found, MNO))) < error and len(found.s) >= 4
    scherrer = 0.9 / (2 * 10 * size) / 2.355  # standard deviation of s
    assert found.width == pytest.approx(scherrer, rel=0.25)


def test_fitted_curve_and_scale():
    pattern = simulated(MNO)
    fit = fit_peaks(pattern)
    assert fit.background.shape == fit.fitted.shape == fit.pattern.counts.shape
    residual = (fit.pattern.counts - fit.fitted) / np.sqrt(np.maximum(fit.fitted, 1))
    assert residual.std() < 1.6
    scaled = Measured(pattern.two_theta, pattern.counts * 1e-3, None, pattern.wavelength)
    assert observed(scaled).s == pytest.approx(observed(pattern).s, rel=2e-5)


def test_uneven_steps_and_given_sigma():
    pattern = simulated(MNO)
    kept = np.random.default_rng(0).random(len(pattern.counts)) > 0.2
    sigma = np.sqrt(np.maximum(pattern.counts, 1))
    uneven = Measured(pattern.two_theta[kept], pattern.counts[kept], sigma[kept], pattern.wavelength)
    found = observed(uneven)
    assert len(found.s) == 7 and np.abs(offsets(found, MNO)).max() < 3e-4


def halo(height):
    return height * np.exp(-(((ANGLES - 22) / 6) ** 2)) + height / 10


@pytest.mark.parametrize(
    "expected",
    [np.full(len(ANGLES), level) for level in (0.05, 1, 30, 1e4)]
    + [halo(200), halo(1e4), 1e4 / ANGLES, 3e4 * np.exp(-ANGLES / 20) + 50],
    ids=["empty", "rare", "low", "flat", "halo", "strong halo", "slope", "steep slope"],
)
def test_no_peaks_no_answer(expected):
    counts = np.random.default_rng(0).poisson(expected).astype(float)
    with pytest.raises(CrystalNetError, match=r"stand out.*Measure"):
        observed(Measured(ANGLES, counts, None, 1.5406))


def test_peaks_on_a_halo():
    pattern = simulated(MNO, two_theta_range=(10, 89.98), step=0.03)
    noise = np.random.default_rng(0).poisson(halo(3000))
    found = observed(Measured(pattern.two_theta, pattern.counts + noise, None, pattern.wavelength))
    assert len(found.s) >= 6 and np.abs(offsets(found, MNO)).max() < 3e-4


def test_the_wavelength_must_be_known():
    pattern = simulated(MNO)
    bare = Measured(pattern.two_theta, pattern.counts)
    with pytest.raises(CrystalNetError, match="wavelength"):
        observed(bare)
    assert observed(bare, "CuKa1").wavelength == 1.54056


def cubic_fit(found, roughly, allowed):
    """Cell edge that the peaks tell, and what they deviate from it, all indexed by a rough edge."""
    square = (2 * found.s * roughly) ** 2
    n = np.round(square)
    # peaks of a second phase or of tungsten's lines are weak
    kept = (np.abs(square - n) < 0.01 * n) & np.isin(n, allowed) & (found.peaks.intensity > 0.5)
    assert kept.sum() > 15
    theta = np.arcsin(found.s[kept] * found.wavelength)
    edge = np.sqrt(n[kept]) / (2 * found.s[kept])
    # a displaced sample moves 2 theta by cos(theta), and d with the cotangent of that
    columns = np.stack([np.ones_like(theta), np.cos(theta) / np.tan(theta)], 1)
    best = np.linalg.lstsq(columns, edge, rcond=None)[0]
    return best[0], np.abs(edge - columns @ best).max() / best[0]


def test_certified_lab6(shared_data):
    pattern = read_pattern(shared_data / "data" / "experiments" / "LaB6_SRM660c_lab.csv")
    fit = fit_peaks(pattern, 1.5405929)
    edge, rest = cubic_fit(fit.observed(), 4.157, np.arange(1, 24))
    assert fit.doublet is not None
    assert edge == pytest.approx(4.156826, rel=3e-4)
    assert rest < 3e-4


def test_synchrotron_mg2si(shared_data):
    pattern = read_pattern(shared_data / "data" / "experiments" / "Mg2Si_100K.cif")
    fit = fit_peaks(pattern)
    even = {sum(i * i for i in hkl) for hkl in np.ndindex(12, 12, 12) if len({i % 2 for i in hkl}) == 1}
    edge, rest = cubic_fit(fit.observed(), 6.335, sorted(even))
    assert fit.doublet is None
    assert edge == pytest.approx(6.334697, rel=2e-4)
    assert rest < 3e-4


def test_laboratory_mno(shared_data):
    found = observed(read_pattern(shared_data / "data" / "experiments" / "MnO_lab.csv"), 1.5406)
    assert len(found.s) == 7
    edge = np.sqrt([3, 4, 8, 11, 12, 16, 19]) / (2 * found.s)
    assert edge == pytest.approx(4.444, rel=3e-4)


def test_low_resolution_gapo4(shared_data):
    found = observed(read_pattern(shared_data / "data" / "experiments" / "GaPO4.csv"), 0.1722)
    assert found.width > SHARP * STEP
    strong = found.s[(found.peaks.intensity > 8) & (found.s < 0.3)]
    # berlinite: a = 4.90, c = 11.05 Å
    lattice = Lattice.hexagonal(4.90, 11.05).reciprocal_lattice_crystallographic
    s = np.linalg.norm(lattice.get_cartesian_coords(list(np.ndindex(4, 4, 8))), axis=1) / 2
    nearest = np.array([np.abs(s / one - 1).min() for one in strong])
    assert len(strong) >= 8 and np.median(nearest) < 1e-3 and nearest.max() < 5e-3
