"""How sure an answer to a measured curve is: weights are those of the kept samples, and each clue counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crystalnet.runs.params import repository_root
from crystalnet.solving.evidence import CLUES, WEIGHTS, features_of_clues
from crystalnet.solving.ranking import fitted, probability
from crystalnet.solving.verdict import USUAL_CLUES, Verdict, verdict_of


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    return pd.read_csv(
        repository_root() / "book" / "samples.csv", keep_default_na=False, na_values={"left": [""]}
    )


def test_weights_are_fitted_to_the_samples(samples):
    answered = samples[samples["left"].notna()]
    again = fitted(features_of_clues(answered), answered["right"].to_numpy(float))
    np.testing.assert_allclose(again, WEIGHTS, atol=2e-3)


def test_samples_are_of_all_systems_and_some_are_told_untruths(samples):
    assert samples["crystal_system"].nunique() == 7
    assert 0 < (samples["untrue"] != "").mean() < 0.4
    assert not samples.loc[~samples["untrue"].isin(["", "hump"]), "right"].any()


@pytest.mark.parametrize(
    ("clue", "worse"),
    [("left", 0.7), ("gap", 0.0), ("compounds", 1), ("volume", 1.5), ("bond", 0.7)],
)
def test_each_clue_counts_its_way(clue, worse):
    usual, spoilt = USUAL_CLUES, USUAL_CLUES | {clue: worse}
    p = probability(features_of_clues(pd.DataFrame([usual, spoilt])), WEIGHTS)
    assert p[1] < p[0]


def test_the_verdict_names_what_lowers_most():
    assert set(USUAL_CLUES) == set(CLUES)
    assert verdict_of(USUAL_CLUES | {"left": 0.9}, 0.1) is Verdict.UNEXPLAINED
    assert verdict_of(USUAL_CLUES | {"gap": 0.0}, 0.5) is Verdict.RIVAL
    assert verdict_of(USUAL_CLUES, 0.9) is Verdict.CONFIDENT
