"""Degraded profiles against peaks that are known, and against simulated measurements."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystalnet.data.prototypes import prototype_crystals
from crystalnet.model.degradation import degraded, found_peaks
from crystalnet.physics.profiles import (
    HIGHEST,
    LOWEST,
    N_LOG_BINS,
    bin_of,
    patterns_and_profiles,
    s_of,
    smeared,
)
from crystalnet.scoring.challenges import Challenge, view

LARGE, SMALL = 2000.0, 50.0  # Å


def profile_of(places, heights) -> torch.Tensor:
    places, heights = (torch.tensor(x, dtype=torch.float32) for x in (places, heights))
    return smeared(torch.zeros(len(places), dtype=torch.long), places, heights, 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def some_profiles() -> torch.Tensor:
    return patterns_and_profiles(
        [crystal.symmetrized for crystal in prototype_crystals("trigonal", 24, 0, max_atoms=6)]
    )[1]


def test_the_axis_can_be_read_both_ways():
    s = torch.linspace(LOWEST, HIGHEST, 50, dtype=torch.float64)
    torch.testing.assert_close(s_of(bin_of(s)), s)
    assert bin_of(torch.tensor([LOWEST])) == 0 and bin_of(torch.tensor([HIGHEST])) == pytest.approx(
        N_LOG_BINS
    )


# ------------------------------------------------------------------ peaks that stand out


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(12, 30), st.floats(0.01, 1)), min_size=1, max_size=20), st.floats(5, 20))
def test_peaks_that_are_far_apart_are_found_as_they_are(steps, first):
    apart, heights = map(np.array, zip(*steps, strict=True))
    places = first + np.cumsum(apart)
    crystal, place, height = found_peaks(profile_of(places, heights), LARGE)
    assert (crystal == 0).all() and len(place) == len(places)
    np.testing.assert_allclose(place, places, atol=0.02)
    np.testing.assert_allclose(height, heights / highest_bin(places, heights), rtol=0.05)


def highest_bin(places, heights) -> float:
    """Which profiles are scaled by: a peak between two bins has no bin of its full height."""
    bins = np.arange(N_LOG_BINS) + 0.5
    return float((heights[:, None] * np.exp(-0.5 * (bins - places[:, None]) ** 2)).sum(0).max())


@pytest.mark.parametrize(("apart", "number"), [(2e-3, 1), (2e-2, 2)])
def test_what_small_crystallites_make_overlap_is_one_peak(apart, number):
    """Scherrer: 0.9 / 50 Å in 1/d is 0.009 Å^-1 in s, whatever s is."""
    for s in (0.15, 0.3, 0.6):
        places = bin_of(torch.tensor([s, s + apart])).tolist()
        _, place, _ = found_peaks(profile_of(places, [1.0, 1.0]), SMALL)
        assert len(place) == number
        if number == 1:
            assert float(place) == pytest.approx(np.mean(places), abs=0.05)


def test_areas_are_kept(some_profiles):
    for size in (LARGE, SMALL):
        crystal, _, height = found_peaks(some_profiles, size)
        total = torch.zeros(len(some_profiles)).index_add_(0, crystal, height) * np.sqrt(2 * np.pi)
        torch.testing.assert_close(total, some_profiles.sum(1), rtol=1e-4, atol=0)
    assert len(found_peaks(some_profiles, SMALL)[0]) < 0.8 * len(found_peaks(some_profiles, LARGE)[0])


# ------------------------------------------------------------------ what is taken away


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1))
def test_a_degraded_profile_is_a_profile(some_profiles, seed, share):
    made = degraded(some_profiles, share, generator(seed))
    assert made.shape == some_profiles.shape and made.dtype == some_profiles.dtype
    assert (made >= 0).all() and (made.amax(1) == 1).all()
    assert torch.equal(made, degraded(some_profiles, share, generator(seed)))


def test_a_share_is_degraded(some_profiles):
    assert torch.equal(degraded(some_profiles, 0, generator()), some_profiles)
    many = some_profiles.repeat(20, 1)
    same = (degraded(many, 0.4, generator()) == many).all(1).float().mean()
    assert 0.5 < same < 0.7
    assert not (degraded(many, 1, generator()) == many).all(1).any()


def test_peaks_are_lost_where_angles_end_and_where_they_are_weak(some_profiles):
    made = degraded(some_profiles.repeat(20, 1), 1, generator())
    last = (made > 0).float().mul(torch.arange(N_LOG_BINS)).amax(1)
    reached = s_of(last)
    assert reached.min() > 0.1 and reached.max() <= HIGHEST
    assert (reached < 0.35).float().mean() > 0.05 and (reached > 1).float().mean() > 0.05
    assert (made > 0).sum() < 0.8 * 20 * (some_profiles > 0).sum()


def test_nothing_is_taken_where_nothing_would_be_left():
    beyond = profile_of([N_LOG_BINS - 2.0], [1.0]).repeat(200, 1)
    made = degraded(beyond, 1, generator())
    assert (made.amax(1) == 1).all() and (made == beyond).all(1).any()


def test_degraded_profiles_are_like_those_of_simulated_measurements():
    """How much a pattern loses: the range of simulated measurements lies within that of training."""
    crystals = prototype_crystals("cubic", 8, 0, max_atoms=6)
    exact = patterns_and_profiles([crystal.symmetrized for crystal in crystals])[1]
    made = degraded(exact.repeat(50, 1), 1, generator())

    def likeness(profiles, others):
        return torch.nn.functional.cosine_similarity(profiles.sqrt(), others.sqrt())

    low, high = likeness(made, exact.repeat(50, 1)).quantile(torch.tensor([0.02, 0.98]))
    for challenge in (
        Challenge("laboratory"),
        Challenge("laboratory", two_theta=(10.0, 50.0)),
        Challenge("laboratory", crystallite_nm=5.0),
    ):
        views = torch.from_numpy(np.stack([view(crystal, challenge, "profiles") for crystal in crystals]))
        typical = likeness(views, exact).median()
        assert low < typical < high
