"""Rates of measured minerals: counted, with intervals that hold the share."""

import pandas as pd
import pytest

from crystalnet.show.minerals import SEEN, at_quantiles, interval, rates, read_minerals, wrong_among_surest


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


def test_the_last_of_the_surest_are_all():
    rows = read_minerals()
    curve = wrong_among_surest(rows)
    assert len(curve) == len(rows) and curve["share"].iloc[-1] == 1
    assert curve["wrong"].iloc[-1] == pytest.approx(1 - rows["right"].mean())
    assert curve["probability"].is_monotonic_decreasing


def test_quantiles_are_of_answers_alone():
    ends = at_quantiles(read_minerals(), [0, 1])["probability"]
    assert ends.tolist() == [read_minerals()["probability"].min(), read_minerals()["probability"].max()]


def test_intervals_stay_within_bounds():
    assert interval(0, 5)[0] == 0 and interval(5, 5)[1] == 1
