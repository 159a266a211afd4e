"""Rates of measured minerals: counted, with intervals that hold the share."""

import pandas as pd

from crystalnet.show.minerals import SEEN, rates, read_minerals


def test_kept_rows_are_counted_once():
    rows = read_minerals()
    table = rates(rows)
    assert table.loc["all", "right"] == f"{rows['right'].sum()} of {len(rows)}"
    systems = [int(text.split()[-1]) for text in table["right"].iloc[3:10]]
    assert sum(systems) == len(rows) == rows["name"].nunique()
    assert set(rows.loc[rows["code"] != "", "right"]) <= {0}


def test_the_interval_holds_the_share():
    rows = pd.DataFrame(
        {"system": "cubic", "n_atoms": 8, SEEN: True, "probability": 0.9, "right": [1] * 9 + [0]}
    )
    row = rates(rows).loc["cubic"]
    low, high = (int(word) for word in row["95 % interval (Wilson)"].split() if word.isdecimal())
    assert low < 90 < high and row["share"] == "90 %"
