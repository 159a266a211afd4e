"""What solving gives, in tables: challenges, impostors, who solves what, what is missed, and what made them.

Rows are DataFrames as `solvings.Solvings.challenge` gives them, with columns system, challenge and split.

>>> rows = pd.DataFrame({"challenge": ["exact", "errors"] * 2, "material_id": ["a", "a", "b", "b"],
...                      "top_1": [1, 0, 1, 1]})
>>> who_solves(rows)["by it alone"].tolist()  # a, by the exact pattern
[1, 0]
>>> auc([0.9, 0.8, 0.1], [True, False, False])
1.0

Those that the book keeps:

>>> from crystalnet.runs.challenge_rows import read_challenges
>>> from crystalnet.solving.ranking import WEIGHTS
>>> kept, manifest = read_challenges()
>>> judged = with_confidence(kept[kept["split"] == "test"], WEIGHTS)
>>> exact = challenge_table(judged).loc["exact"]
>>> bool(exact["top 1"] > 0.95), bool(exact["AUC"] > 0.9)
(True, True)
>>> answers = judged[judged["outcome"] == "answer"]
>>> features_of(answers).shape == (len(answers), 8)
True
>>> len(missed(judged)) == ((judged["challenge"] == "exact") & (judged["top_1"] == 0)).sum()
np.True_
>>> int(impostor_table(judged)["confident"].sum()) == len(fooled(judged))
True
>>> calibrated(kept[kept["split"] == "val"]).shape
(8,)
>>> "templates" in made_by(manifest)[0]
True
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from crystalnet.scoring.challenges import is_impostor
from crystalnet.solving.analogues import GOOD
from crystalnet.solving.ranking import CONFIDENT, FACTS, LEFT, features, fitted, probability

ENOUGH_RIGHT = 5  # right and wrong answers that a calibration needs of each, our choice


def features_of(rows: pd.DataFrame) -> np.ndarray:
    """`ranking.features` of rows that have an answer, (N, 8)."""
    return features(**{name: rows[name] for name in FACTS})


def with_confidence(rows: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """The rows with a column 'confidence', 0 where there was no answer."""
    answered = (rows["outcome"] == "answer").to_numpy()
    confidence = np.zeros(len(rows))
    confidence[answered] = probability(features_of(rows[answered]), weights)
    return rows.assign(confidence=confidence)


def calibrated(validation: pd.DataFrame) -> np.ndarray:
    """Weights of the confidence, from rows of validation crystals; too few of them are an error."""
    rows = validation[validation["outcome"] == "answer"]
    right = rows["top_1"].to_numpy(float)
    if min(right.sum(), (1 - right).sum()) < ENOUGH_RIGHT:
        raise ValueError("Too few right or wrong answers to calibrate with.")
    return fitted(features_of(rows), right)


def challenge_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a challenge: shares of crystals solved, confident ones and how many of these are right.

    'rms' is the median of `StructureMatcher`'s displacement, in units of (volume / atoms)^1/3.
    """

    def summary(part: pd.DataFrame) -> pd.Series:
        sure = part["confidence"] >= CONFIDENT
        return pd.Series(
            {
                "crystals": len(part),
                "top 1": part["top_1"].mean(),
                "top 5": part["top_5"].mean(),
                "top 20": part["top_20"].mean(),
                "tight, top 1": part["tight_1"].mean(),
                "rms": part["rms_1"].median(),
                "confident": sure.mean(),
                "of these right": part.loc[sure, "top_1"].mean() if sure.any() else np.nan,
                "AUC": auc(part["confidence"], part["top_1"]),
                "seconds": part["seconds"].median(),
            }
        )

    table = rows.groupby("challenge", sort=False)[rows.columns.tolist()].apply(summary)
    return table.astype({"crystals": int})


def auc(confidence: ArrayLike, right: ArrayLike) -> float:
    """The probability that a right answer is more confident than a wrong one; NaN if one kind is missing."""
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    if right.all() or not right.any():
        return float("nan")
    yes, no = confidence[right][:, None], confidence[~right]
    return float((yes > no).mean() + 0.5 * (yes == no).mean())


def who_solves(rows: pd.DataFrame) -> pd.DataFrame:
    """Of crystals that several challenges share: how many each source solves, and how many it alone does."""
    solved = (
        rows.pivot_table(index="material_id", columns="challenge", values="top_1", sort=False).dropna() > 0
    )
    alone = solved.sum(axis=1) == 1
    return pd.DataFrame({"crystals": len(solved), "solved": solved.sum(), "by it alone": solved[alone].sum()})


def impostor_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Inputs that have no right answer: how many, answered at all, and answered with confidence."""
    rows = rows[rows["challenge"].map(is_impostor)]
    counted = {
        "inputs": True,
        "answered": rows["outcome"] == "answer",
        "confident": rows["confidence"] >= CONFIDENT,
    }
    return rows.assign(**counted).groupby(["system", "challenge"], sort=False)[list(counted)].sum()


def fooled(rows: pd.DataFrame) -> pd.DataFrame:
    """The crystals whose impostor was answered with confidence, with their own formulas."""
    sure = rows[rows["challenge"].map(is_impostor) & (rows["confidence"] >= CONFIDENT)]
    return sure[["system", "challenge", "formula", "space_group", "distance", "confidence"]]


def missed(rows: pd.DataFrame) -> pd.DataFrame:
    """Wrong first answers to exact patterns with the whole formula; why, as far as the distance tells."""
    wrong = rows[(rows["challenge"] == "exact") & (rows["top_1"] == 0)]
    reasons = ["the pattern does not tell", "the search ended early"]
    near = [wrong["distance"] < LEFT, wrong["distance"] < GOOD]
    explained = np.select(near, reasons, "no source came near enough")
    wrong = wrong.assign(why=np.where(wrong["outcome"] == "answer", explained, wrong["outcome"]))
    columns = ["formula", "space_group", "atoms", "found_group", "origin", "distance", "confidence", "why"]
    return wrong[columns].set_index("formula")


def made_by(manifest: dict[str, dict]) -> list[str]:
    """Where rows come from, a line each: source, split, templates, seconds, hardware and commits; and what
    was filled in later. `manifest`: see `challenge_rows.read_challenges`."""
    commits: dict[str, set[str]] = {}
    derived: dict[str, list[str]] = {}
    for challenge, made in manifest.items():
        params, environment = made["params"], made["environment"]
        source = (
            f"{params['profile']}: {PurePosixPath(params['data']['source']).name},"
            f" {params['data']['split']} split, {made['catalogue']:,} templates,"
            f" {made['seconds']:g} s a source, {environment['hardware']}"
        )
        commits.setdefault(source, set()).add(str(environment["commit"]))
        for how in made.get("derived", []):
            derived.setdefault(how, []).append(challenge)
    lines = {f"{source}, commit {', '.join(sorted(some))}" for source, some in commits.items()}
    for how, some in derived.items():
        lines.add(f"{how} ({', '.join(some) if len(some) < 5 else f'{len(some)} challenges'})")
    return sorted(lines)
