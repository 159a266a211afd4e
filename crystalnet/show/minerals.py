"""Measured minerals: how often the first answer is right, with intervals."""

from __future__ import annotations

import pandas as pd
from scipy.stats import binomtest

from crystalnet.data.crystals import CRYSTAL_SYSTEMS
from crystalnet.runs.params import repository_root
from crystalnet.show.confidence import reliability
from crystalnet.solving.ranking import CONFIDENT

SEEN = "formula_in_shared_structures"
NUMBERS = "probability", "space group", "seconds"  # empty where nothing was found


def read_minerals() -> pd.DataFrame:
    """The rows that the repository keeps, book/minerals.csv.

    >>> read_minerals()["right"].isin([0, 1]).all()
    np.True_
    """
    empty = {name: [""] for name in NUMBERS}  # elsewhere 'NaN' would be a formula
    return pd.read_csv(repository_root() / "book" / "minerals.csv", keep_default_na=False, na_values=empty)


def rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of right first answers, a row a group of minerals: all, by formula, by crystal system, by size.

    Args:
        rows: as `read_minerals` gives them.

    >>> rows = pd.DataFrame({"system": ["cubic"] * 4, "n_atoms": 8, SEEN: True, "right": [1, 1, 1, 0]})
    >>> rates(rows.assign(probability=0.5)).loc["cubic", "right"]
    '3 of 4'
    """
    groups = {"all": rows, "formula among the training crystals": rows[rows[SEEN]]}
    groups["formula not among them"] = rows[~rows[SEEN]]
    groups |= {system: rows[rows["system"] == system] for system in CRYSTAL_SYSTEMS}
    size = rows["n_atoms"]
    groups |= {"up to 20 atoms": rows[size <= 20], "21 to 60": rows[(size > 20) & (size <= 60)]}
    groups |= {"more than 60": rows[size > 60], "confident answers": rows[rows["probability"] >= CONFIDENT]}
    table = {name: _rate(part["right"]) for name, part in groups.items() if len(part)}
    if "framework" in rows:
        table["all, whatever elements changed places"] = _rate(rows["framework"])
    return pd.DataFrame(table).T


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


def _rate(right: pd.Series) -> dict[str, str]:
    found = binomtest(int(right.sum()), len(right))
    low, high = found.proportion_ci(method="wilson")
    return {
        "right": f"{int(right.sum())} of {len(right)}",
        "share": f"{100 * right.mean():.0f} %",
        "95 % interval (Wilson)": f"{100 * low:.0f} to {100 * high:.0f} %",
    }
