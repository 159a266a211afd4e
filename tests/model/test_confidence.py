"""What an agreement of samples is worth: calibration, and what is gained by answering less."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from crystalnet.errors import CrystalNetError
from crystalnet.model import library
from crystalnet.model.confidence import FEWEST, Confidence, agreement, risk_coverage
from crystalnet.model.crystalnet import CrystalNet

unit = st.floats(0, 1, allow_subnormal=False)


def test_agreement_is_the_mean_similarity_of_the_samples():
    random = np.random.default_rng(0)
    answer, samples = random.random((12, 12, 12)), random.random((3, 12, 12, 12))
    wrapped = [np.pad(x, 3, mode="wrap") for x in (answer, *samples)]
    expected = [
        structural_similarity(
            wrapped[0], x, win_size=7, data_range=np.ptp(answer), use_sample_covariance=True
        )
        for x in wrapped[1:]
    ]
    found = agreement(torch.from_numpy(answer), torch.from_numpy(samples))
    assert found == pytest.approx(np.mean(expected), abs=1e-6)


def test_samples_that_are_the_answer_agree_wholly_and_nothing_agrees_with_a_flat_one():
    answer = torch.rand(10, 10, 10)
    assert agreement(answer, answer.expand(4, -1, -1, -1)) == pytest.approx(1)
    assert agreement(torch.ones(10, 10, 10), torch.rand(2, 10, 10, 10)) == 0


@given(st.lists(st.tuples(unit, unit), min_size=FEWEST, max_size=60))
def test_expectations_rise_and_are_right_on_average(pairs):
    agreements, similarity = np.array(pairs).T
    confidence = Confidence.fit(agreements, similarity)
    grid = confidence.expected(np.linspace(0, 1, 50))
    assert (np.diff(grid) >= -1e-9).all()
    assert similarity.min() - 1e-4 <= grid.min() and grid.max() <= similarity.max() + 1e-4


def test_a_rising_relation_is_found_again():
    agreements = np.linspace(0.2, 1, 40)
    confidence = Confidence.fit(agreements[::-1], agreements[::-1] ** 2)
    np.testing.assert_allclose(confidence.expected(agreements), agreements**2, atol=1e-4)
    assert confidence.expected(0.0) == pytest.approx(0.04, abs=1e-4)  # level beyond its ends
    assert isinstance(confidence.expected(0.5), float)


def test_noise_is_averaged():
    random = np.random.default_rng(0)
    agreements = random.random(2000)
    similarity = 0.3 + 0.5 * agreements + random.normal(scale=0.1, size=2000)
    grid = np.linspace(0.05, 0.95, 19)
    found = Confidence.fit(agreements, similarity).expected(grid)
    np.testing.assert_allclose(found, 0.3 + 0.5 * grid, atol=0.05)


def test_too_few_crystals_are_one_clear_error():
    with pytest.raises(CrystalNetError, match="9 validation crystals are too few"):
        Confidence.fit([0.5] * 9, [0.5] * 9)


def test_answering_the_surest_first_by_hand():
    coverage, mean = risk_coverage([0.2, 0.9, 0.6], [0.1, 0.8, 0.5])
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(mean, [0.9, 0.75, 1.7 / 3])


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=30))
def test_no_order_beats_that_by_the_truth(pairs):
    similarity, score = np.array(pairs).T
    _, mean = risk_coverage(similarity, score)
    _, best = risk_coverage(similarity, similarity)
    assert (mean <= best + 1e-12).all() and mean[-1] == pytest.approx(similarity.mean())


# ------------------------------------------------------------------ of a network


def test_a_calibration_is_kept_with_the_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    network = CrystalNet(width=16, growth=2, n_frequencies=8, n_blocks=1).eval()
    pattern, composition = torch.rand(1024), torch.full((118,), 1 / 118)
    pattern /= pattern.max()
    with pytest.raises(CrystalNetError, match="not calibrated"):
        network.expected_similarity(pattern, composition)
    network.confidence = Confidence.fit(np.linspace(0, 1, 20), np.linspace(0.3, 0.9, 20))
    library.write("one", network, "# one")
    again = library.load("one")
    assert again.confidence == network.confidence
    expected = again.expected_similarity(pattern, composition)
    assert 0.3 <= expected <= 0.9 and expected == again.expected_similarity(pattern, composition)
