"""Profiles against a loop over peaks and bins, and against what stretched crystals must give."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from some_crystals import CRYSTALS

from crystalnet.errors import CrystalNetError
from crystalnet.physics.diffraction import MO_K_ALPHA, Peaks, powder_patterns, powder_peaks
from crystalnet.physics.profiles import (
    HIGHEST,
    LOG_STEP,
    LOWEST,
    N_LOG_BINS,
    compression,
    log_profile,
    patterns_and_profiles,
    shifted,
)

STRUCTURES = [crystal.structure for crystal in CRYSTALS]
CU_K_ALPHA = 1.5406  # Å
REACH = 4  # bins from a peak's own beyond which nothing of it is left


def cubic(a: float, *atoms) -> Structure:
    species, frac_coords = zip(*atoms, strict=True)
    return Structure(Lattice.cubic(a), species, frac_coords)


def peaks_at(places, amplitudes, wavelength: float = 0.5) -> Peaks:
    """Peaks whose profile has the amplitudes at places, which are counted in bins."""
    s = LOWEST * np.exp(np.array(places) * LOG_STEP)
    theta = np.arcsin(wavelength * s)
    lorentz_polarisation = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    return Peaks(np.degrees(2 * theta), np.array(amplitudes) * lorentz_polarisation, 1 / (2 * s))


def places_of(g) -> np.ndarray:
    """Where on the axis, in bins, reflections with |g| in 1/Å are."""
    return np.log(np.asarray(g) / 2 / LOWEST) / LOG_STEP


def some_peaks(low: float, high: float):
    """(places, amplitudes), no place at the border of two bins, where rounding would choose one of them."""
    place = st.floats(low, high).filter(lambda x: 1e-6 < x % 1 < 1 - 1e-6)
    peak = st.tuples(place, st.floats(0.01, 100))
    return st.lists(peak, min_size=1, max_size=8).map(lambda peaks: list(zip(*peaks, strict=True)))


# ------------------------------------------------------------------ the axis


def test_the_axis_holds_all_that_molybdenum_radiation_reaches():
    assert pytest.approx(HIGHEST) == LOWEST * np.exp(N_LOG_BINS * LOG_STEP)
    assert pytest.approx(10) == 1 / (2 * LOWEST)
    assert HIGHEST > 1 / MO_K_ALPHA
    for structure in STRUCTURES:
        places = places_of(1 / powder_peaks(structure).d_spacing)
        assert places.min() > 0 and places.max() < N_LOG_BINS


@settings(max_examples=30, deadline=None)
@given(some_peaks(-10, N_LOG_BINS + 10))
def test_a_profile_is_the_sum_of_smeared_peaks(peaks):
    """A loop over peaks and bins: Gaussians of one bin's width, cut three bins beside the peak's own."""
    places, amplitudes = peaks
    expected = np.zeros(N_LOG_BINS)
    for place, amplitude in zip(places, amplitudes, strict=True):
        own = int(np.floor(place))
        for b in range(own - 3, own + 4):
            if 0 <= b < N_LOG_BINS:
                expected[b] += amplitude * np.exp(-0.5 * (b + 0.5 - place) ** 2)
    if expected.max() < 1e-30:  # all of them beyond the ends
        with pytest.raises(CrystalNetError, match="No peak lies between"):
            log_profile(peaks_at(places, amplitudes))
        return
    profile = log_profile(peaks_at(places, amplitudes))
    assert profile.dtype == np.float32 and profile.shape == (N_LOG_BINS,) and profile.max() == 1
    np.testing.assert_allclose(profile, expected / expected.max(), atol=1e-6, rtol=0)


# ------------------------------------------------------------------ stretched crystals


@settings(max_examples=50, deadline=None)
@given(some_peaks(300, 400), st.integers(-290, 360))
def test_a_stretch_is_a_shift(peaks, bins):
    """All spacings divided by one factor, intensities without their angle's factor equal."""
    places, amplitudes = peaks
    before = peaks_at(places, amplitudes)
    s = np.exp(bins * LOG_STEP) / (2 * before.d_spacing)
    after = peaks_at(np.log(s / LOWEST) / LOG_STEP, amplitudes)
    np.testing.assert_allclose(after.d_spacing, before.d_spacing * np.exp(-bins * LOG_STEP), rtol=1e-12)
    moved = shifted(torch.from_numpy(log_profile(before))[None], torch.tensor([bins]))[0]
    np.testing.assert_allclose(log_profile(after), moved, atol=1e-6, rtol=0)


def test_a_stretched_crystal_has_nearly_the_shifted_profile():
    """But for the form factors, which are taken elsewhere then, and for peaks that come in at the end."""
    bins = torch.tensor([25, -25, 60])
    inside = slice(0, N_LOG_BINS - 70)
    factors = np.exp(-bins.numpy() * LOG_STEP)
    before = cubic(4.12, ("Cs", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5]))
    after = [Structure(before.lattice.matrix * f, before.species, before.frac_coords) for f in factors]
    profile, profiles = patterns_and_profiles([before])[1], patterns_and_profiles(after)[1]
    moved = shifted(profile.expand(3, -1), bins)

    def alike(a, b):
        return torch.nn.functional.cosine_similarity(a[:, inside], b[:, inside])

    assert (alike(profiles, moved) > 0.995).all()
    assert (alike(profiles, profile.expand(3, -1)) < 0.7).all()
    volumes = torch.tensor([structure.volume for structure in after])
    torch.testing.assert_close(compression(bins), (before.volume / volumes).float())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.lists(st.integers(-25, 25), min_size=1, max_size=5), st.integers(0, 10**6))
def test_shifts_let_zeros_in(n, bins, seed):
    patterns = np.random.default_rng(seed).random((len(bins), n)).astype(np.float32)
    moved = shifted(torch.from_numpy(patterns), torch.tensor(bins)).numpy()
    for before, after, k in zip(patterns, moved, bins, strict=True):
        expected = [before[i - k] if 0 <= i - k < n else 0 for i in range(n)]
        np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5])
def test_a_shift_by_part_of_a_bin_changes_little(part):
    """The overlap of two Gaussians of one bin's width that are `part` apart is exp(-part^2 / 4)."""
    places = np.arange(20, 700, 20) + 0.3
    here, moved = (log_profile(peaks_at(p, np.ones(len(p)))) for p in (places, places + part))
    overlap = here @ moved / np.linalg.norm(here) / np.linalg.norm(moved)
    assert overlap == pytest.approx(np.exp(-(part**2) / 4), abs=2e-3)


# ------------------------------------------------------------------ crystals


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_wavelength_does_not_matter(structure):
    """Copper reaches half as far as molybdenum; what both see is the same."""
    long, short = (log_profile(powder_peaks(structure, w)) for w in (CU_K_ALPHA, MO_K_ALPHA))
    seen = int(places_of(2 / CU_K_ALPHA)) - REACH
    long, short = long[:seen] / long[:seen].max(), short[:seen] / short[:seen].max()
    assert (long > 0.01).sum() > 20
    np.testing.assert_allclose(long, short, atol=1e-5, rtol=0)


def test_both_views_are_those_of_single_crystals():
    patterns, profiles = patterns_and_profiles(STRUCTURES)
    assert patterns.dtype == profiles.dtype == torch.float32
    assert torch.equal(patterns, powder_patterns(STRUCTURES))
    assert (profiles.amax(1) == 1).all() and (patterns.amax(1) == 1).all()
    for structure, profile in zip(STRUCTURES, profiles.numpy(), strict=True):
        np.testing.assert_allclose(profile, log_profile(powder_peaks(structure)), atol=1e-6, rtol=0)


def test_the_choice_of_cell_does_not_matter():
    """But for rounding, which may put a peak into the next bin's reach."""
    structure = STRUCTURES[4]
    _, profiles = patterns_and_profiles([structure, structure.make_supercell(2, in_place=False)])
    np.testing.assert_allclose(*profiles, atol=3e-3, rtol=0)


def test_extinct_reflections_stay_dark():
    """h + k + l is even in a body-centred crystal; an atom of another kind in the centre lights the rest."""
    a = 2.87
    h = np.indices((9, 9, 9)).reshape(3, -1).T[1:]
    h = h[(h**2).sum(1) < (2 * a / MO_K_ALPHA) ** 2]
    place, odd = places_of(np.linalg.norm(h, axis=1) / a), h.sum(1) % 2 == 1
    alone = [p for p in place[odd] if np.abs(place[~odd] - p).min() > 2 * REACH]
    assert len(alone) > 9
    iron = cubic(a, ("Fe", [0, 0, 0]), ("Fe", [0.5] * 3))
    alloy = cubic(a, ("Fe", [0, 0, 0]), ("Al", [0.5] * 3))
    _, (iron, alloy) = patterns_and_profiles([iron, alloy])
    bins = torch.tensor(alone).long()
    assert (iron[bins] == 0).all() and (alloy[bins] > 0).all()
    assert (iron[torch.from_numpy(place[~odd]).long()] > 0).all()


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("part", Peaks._fields)
def test_a_value_that_is_no_peaks_is_named(part, value):
    peaks = peaks_at([100.5, 200.5, 300.5], [1, 2, 3])
    getattr(peaks, part)[1] = value
    with pytest.raises(CrystalNetError, match="holds NaN, infinite or negative values"):
        log_profile(peaks)


def test_a_spacing_of_nothing_is_no_peaks():
    with pytest.raises(CrystalNetError, match="Clean the list of peaks"):
        log_profile(Peaks(np.array([10.0]), np.array([1.0]), np.array([0.0])))


@pytest.mark.parametrize("places", [[], [-20.5], [N_LOG_BINS + 20.5], [-9.5, N_LOG_BINS + 9.5]])
def test_no_peak_on_the_axis(places):
    with pytest.raises(CrystalNetError, match=r"between d = 0\.352 and 10 Å\. Check the wavelength"):
        log_profile(peaks_at(places, np.ones(len(places)), 0.1))


def test_peaks_beyond_the_ends_are_left_out():
    places, amplitudes = [100.5, 300.2], [1.0, 2.0]
    more = peaks_at([*places, -30.5, N_LOG_BINS + 30.5], [*amplitudes, 50.0, 50.0])
    np.testing.assert_allclose(log_profile(more), log_profile(peaks_at(places, amplitudes)), atol=1e-7)


def test_a_crystal_that_cannot_be_computed_is_counted_out():
    disordered = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    with pytest.raises(CrystalNetError, match=r"^Crystal 1 of 3, counted from 0: .*ordered"):
        patterns_and_profiles([STRUCTURES[0], disordered, STRUCTURES[1]])
