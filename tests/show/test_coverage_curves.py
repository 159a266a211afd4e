"""Curves of what structure types reach."""

from pathlib import Path

import pandas as pd
import pytest

from crystalnet.scoring.coverage import coverage
from crystalnet.show.coverage import coverage_curves

RECORD = Path(__file__).parents[2] / "book" / "types.csv"


def test_shares_are_counted_by_rank():
    ranks = pd.DataFrame(
        {"kind": ["a", "a", "b"], "type": [5, 200, float("nan")], "arrangement": [5.0] + 2 * [float("nan")]}
    )
    table = coverage(ranks, kept=(5, 100, 1000)).set_index(["kind", "kept"])
    assert table.loc["a", "type"].tolist() == [0.5, 0.5, 1] and table.loc["a", "arrangement"].max() == 0.5
    assert not table.loc["b", ["type", "arrangement"]].to_numpy().any()


def test_the_kept_record_rises_with_the_types_and_is_drawn():
    table = pd.read_csv(RECORD)
    for _, rows in table.groupby("kind"):
        assert rows["kept"].is_monotonic_increasing and rows["type"].is_monotonic_increasing
        assert (rows["type"] >= rows["arrangement"]).all()
    figure = coverage_curves(table)
    kinds = table["kind"].unique().tolist()
    assert len(figure.data) == 2 * len(kinds) and [t.name for t in figure.data if t.showlegend] == kinds
    assert figure.data[0].y[-1] == pytest.approx(table["arrangement"][table["kind"] == kinds[0]].iloc[-1])


# what the types of the package are to reach, by formula, space group and sites
@pytest.mark.parametrize(
    ("kind", "least"),
    [("cubic", 0.95), ("trigonal", 0.85), ("hexagonal", 0.92), ("tetragonal", 0.87), ("orthorhombic", 0.82)],
)
def test_most_test_crystals_are_of_a_known_type(kind, least):
    table = pd.read_csv(RECORD)
    assert table["type"][table["kind"] == kind].max() >= least
