"""The figures of the spectral network draw what their data say (see test_figures for what all have)."""

import numpy as np
import pandas as pd
import pytest

from crystalnet.errors import CrystalNetError
from crystalnet.model.confidence import Confidence
from crystalnet.physics.diffraction import Peaks
from crystalnet.physics.profiles import N_LOG_BINS, log_profile
from crystalnet.show import figures
from crystalnet.show.confidence import BINS, reliability


def scores(n: int, seed: int) -> pd.DataFrame:
    """Crystals whose SSIM rises with the agreement, with scatter."""
    rng = np.random.default_rng(seed)
    agreement = rng.uniform(0.4, 1, n)
    ssim = np.clip(agreement**2 + 0.1 * rng.normal(size=n), 0, 1)
    return pd.DataFrame({"formula": [f"X{k}" for k in range(n)], "agreement": agreement, "honest_ssim": ssim})


VALIDATION, TEST = scores(200, 0), scores(300, 1)
CONFIDENCE = Confidence.fit(VALIDATION["agreement"], VALIDATION["honest_ssim"])


def points(figure, name: str, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    trace = [trace for trace in figure.data if trace.name == name][number]
    return np.asarray(trace.x, float), np.asarray(trace.y, float)


def test_bins_of_equal_size_hold_every_crystal_and_rise():
    expected = CONFIDENCE.expected(TEST["agreement"].to_numpy())
    bins = reliability(expected, TEST["honest_ssim"])
    assert len(bins) == BINS and bins["n"].sum() == len(TEST) and np.ptp(bins["n"]) <= 1
    assert bins["expected"].is_monotonic_increasing
    assert (bins["n"] * bins["true"]).sum() / len(TEST) == pytest.approx(TEST["honest_ssim"].mean())


def test_a_handful_of_crystals_makes_a_bin_each():
    bins = reliability([0.9, 0.2], [0.8, 0.3])
    assert bins.to_numpy().tolist() == [[1, 0.2, 0.3], [1, 0.9, 0.8]]


def test_calibration_shows_every_crystal_at_its_agreement_and_at_its_promise():
    figure = figures.calibration_scatter(VALIDATION, TEST, CONFIDENCE)
    x, y = points(figure, "a crystal")
    np.testing.assert_allclose(x, VALIDATION["agreement"], rtol=1e-6)
    np.testing.assert_allclose(y, VALIDATION["honest_ssim"], rtol=1e-6)
    x, y = points(figure, "a crystal", 1)
    np.testing.assert_allclose(
        x, np.interp(TEST["agreement"], CONFIDENCE.agreement, CONFIDENCE.ssim), rtol=1e-6
    )
    np.testing.assert_allclose(y, TEST["honest_ssim"], rtol=1e-6)
    np.testing.assert_array_equal(points(figure, "calibration"), CONFIDENCE)
    assert len(points(figure, "mean of a bin")[0]) == BINS


def test_no_order_lies_above_the_best_first_and_all_end_at_the_mean():
    figure = figures.risk_coverage_curves(TEST)
    share, best = points(figure, "the best first")
    _, surest = points(figure, "the surest first")
    assert (surest <= best + 1e-6).all() and (np.diff(best) <= 1e-6).all()
    mean = TEST["honest_ssim"].mean()
    np.testing.assert_allclose([best[-1], surest[-1]], mean, rtol=1e-6)
    np.testing.assert_allclose(points(figure, "in any order")[1], mean)
    assert share[-1] == 1


def test_variance_that_is_only_noise_is_not_drawn():
    left_out = [0.5, 1e-3, 1e-12, 0.0]
    figure = figures.basis_curves(left_out, {"known": pd.Series([0.8, 0.9], [1, 4])})
    curve = figure.data[0]
    assert list(curve.x) == [1, 2]
    np.testing.assert_allclose(curve.y, left_out[:2], rtol=1e-6)
    np.testing.assert_allclose(points(figure, "known"), ([1, 4], [0.8, 0.9]), rtol=1e-6)


def test_a_peak_stands_at_its_d_with_larger_d_on_the_left():
    d = 2.5
    profile = log_profile(Peaks(np.array([16.3]), np.array([1.0]), np.array([d])))
    figure = figures.profile_overlay({"a": profile, "b": profile}, (10, 1))
    x, y = points(figure, "a")
    assert x[y.argmax()] == pytest.approx(d, rel=0.003)
    left, right = figure.layout.xaxis.range
    assert (left, right) == pytest.approx((1, 0))
    assert [trace.line.dash for trace in figure.data] == ["solid", "dot"]


def test_what_is_no_profile_is_named():
    with pytest.raises(CrystalNetError, match=rf"is \({N_LOG_BINS},\), not \(1024,\)"):
        figures.profile_overlay({"a": np.zeros(1024)})


def test_epochs_without_a_validation_are_left_out_of_the_cost():
    history = pd.DataFrame({"core_seconds": [10.0, 20.0, 30.0], "val_ssim": [0.5, np.nan, 0.7]})
    figure = figures.ssim_against_seconds({"a": history})
    np.testing.assert_allclose(points(figure, "a"), ([10, 30], [0.5, 0.7]), rtol=1e-6)
