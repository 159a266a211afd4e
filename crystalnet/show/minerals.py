"""Measured minerals: how often the first answer is right, with intervals, and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from crystalnet.data.crystals import CRYSTAL_SYSTEMS
from crystalnet.runs.params import repository_root
from crystalnet.show.confidence import reliability
from crystalnet.solving.ranking import CONFIDENT

SEEN = "formula_in_shared_structures"
NUMBERS = "probability", "space group", "seconds"  # empty where nothing was found


def read_minerals(path: str | Path | None = None) -> pd.DataFrame:
    """Rows of `python book/minerals.py`, by default those that the repository keeps, book/minerals.csv.

    >>> read_minerals()["right"].isin([0, 1]).all()
    np.True_
    """
    path = Path(path) if path else repository_root() / "book" / "minerals.csv"
    empty = {name: [""] for name in NUMBERS}  # elsewhere 'NaN' would be a formula
    return pd.read_csv(path, keep_default_na=False, na_values=empty)


def interval(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval (Wilson 1927) of a share of which `right` of `n` were counted.

    >>> low, high = interval(9, 10)
    >>> round(low, 2), round(high, 2)
    (0.6, 0.98)
    """
    found = binomtest(int(right), int(n)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def groups(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What was right (1) or not (0) of each group: all, by formula, crystal system and size, confident ones.

    Args:
        rows: as `read_minerals` gives them. Groups without a mineral are left out.

    >>> rows = pd.DataFrame({"system": ["cubic"] * 4, "n_atoms": 8, SEEN: True, "right": [1, 1, 1, 0]})
    >>> {name: len(right) for name, right in groups(rows.assign(probability=0.5)).items()}
    {'all': 4, 'formula among the training crystals': 4, 'cubic': 4, 'up to 20 atoms': 4}
    """
    seen, size = rows[SEEN].astype(bool), rows["n_atoms"]
    parts = {"all": rows, "formula among the training crystals": rows[seen]}
    parts["formula not among them"] = rows[~seen]
    parts |= {system: rows[rows["system"] == system] for system in CRYSTAL_SYSTEMS}
    parts |= {"up to 20 atoms": rows[size <= 20], "21 to 60": rows[(size > 20) & (size <= 60)]}
    parts |= {"more than 60": rows[size > 60], "confident answers": rows[rows["probability"] >= CONFIDENT]}
    found = {name: part["right"] for name, part in parts.items() if len(part)}
    if "framework" in rows:
        found["all, whatever elements changed places"] = rows["framework"]
    return found


def rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of right first answers, as text, a row a group (see `groups`).

    >>> rows = pd.DataFrame({"system": ["cubic"] * 4, "n_atoms": 8, SEEN: True, "right": [1, 1, 1, 0]})
    >>> rates(rows.assign(probability=0.5)).loc["cubic", "right"]
    '3 of 4'
    """
    return pd.DataFrame({name: _rate(right) for name, right in groups(rows).items()}).T


def sureness(rows: pd.DataFrame) -> dict[str, float]:
    """How far the probability of first answers may be trusted: how many are confident, the part of them that
    is right, the part of all patterns that they are, and the expected calibration error, of five bins.

    Args:
        rows: as `read_minerals` gives them; where nothing was found the probability is none.

    >>> rows = pd.DataFrame({"probability": [0.9, 0.85, 0.2, None], "right": [1, 1, 0, 0]})
    >>> told = sureness(rows)
    >>> told["confident"], told["right"], told["coverage"]
    (2, 1.0, 0.5)
    """
    answered = rows[rows["probability"].notna()]
    sure = answered[answered["probability"] >= CONFIDENT]
    bins = reliability(answered["probability"], answered["right"])
    error = (bins["n"] * (bins["expected"] - bins["true"]).abs()).sum() / max(bins["n"].sum(), 1)
    precision = float(sure["right"].mean()) if len(sure) else float("nan")
    return {
        "confident": len(sure),
        "right": precision,
        "coverage": len(sure) / len(rows),
        "calibration error": float(error),
    }


def wrong_among_surest(rows: pd.DataFrame) -> pd.DataFrame:
    """The share of wrong answers among the surest k of all N patterns, the surest first.

    Args:
        rows: probability, right. A pattern without an answer is the least sure, and wrong.

    Returns:
        N rows: probability of the k-th, its share k / N of all, wrong.

    >>> rows = pd.DataFrame({"probability": [0.2, 0.9, None, 0.8], "right": [0, 1, 0, 0]})
    >>> wrong_among_surest(rows)["wrong"].round(2).tolist()
    [0.0, 0.5, 0.67, 0.75]
    """
    ordered = rows.fillna({"probability": 0.0}).sort_values("probability", ascending=False, kind="stable")
    count = np.arange(1, 1 + len(ordered))
    wrong = (1 - ordered["right"]).cumsum().to_numpy() / count
    return pd.DataFrame(
        {"probability": ordered["probability"].to_numpy(), "share": count / len(ordered), "wrong": wrong}
    )


def at_quantiles(rows: pd.DataFrame, quantiles: Sequence[float]) -> pd.DataFrame:
    """The answers whose probabilities stand at these quantiles of all answers' probabilities.

    >>> rows = pd.DataFrame({"name": ["a", "b", "c", "d"], "probability": [0.9, 0.1, None, 0.5]})
    >>> at_quantiles(rows, [0, 0.5, 1])["name"].tolist()
    ['b', 'd', 'a']
    """
    answered = rows[rows["probability"].notna()].sort_values("probability", kind="stable")
    places = [round(quantile * (len(answered) - 1)) for quantile in quantiles]
    return answered.iloc[places].assign(quantile=list(quantiles))


def _rate(right: pd.Series) -> dict[str, str]:
    low, high = interval(right.sum(), len(right))
    return {
        "right": f"{int(right.sum())} of {len(right)}",
        "share": f"{100 * right.mean():.0f} %",
        "95 % interval (Wilson)": f"{100 * low:.0f} to {100 * high:.0f} %",
    }
