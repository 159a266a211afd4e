"""Reasons of misses: every one by its rule, and of the rows that are kept each miss once."""

import pandas as pd
import pytest

from crystalnet.scoring.misses import Reason, misses, reason, types_at_hand
from crystalnet.show.minerals import read_minerals
from crystalnet.solving.structure_types import FILE, TypeFile

ROW = {"name": "KMgF3_221", "formula": "KMgF3", "system": "cubic", "code": "", "verdict": "UNEXPLAINED"}
ROW |= {"found": "KMgF3", "space group": 221.0, "right": 0, "framework": 0}


@pytest.mark.parametrize(
    ("differs", "expected"),
    [
        ({"right": 1, "framework": 1}, None),
        ({"code": "FILE_UNREADABLE", "found": ""}, Reason.ERROR),
        ({"code": "NO_CANDIDATE", "found": ""}, Reason.NO_CANDIDATE),
        ({"verdict": "NO_CANDIDATE", "found": ""}, Reason.NO_CANDIDATE),
        ({"framework": 1, "space group": 161.0}, Reason.ELEMENTS),
        ({"formula": "KMgF3H2"}, Reason.NO_HYDROGEN),
        ({"formula": "F3MgK"}, Reason.ARRANGEMENT),
        ({"space group": 225.0}, Reason.SPACE_GROUP),
        ({"space group": 62.0}, Reason.SYSTEM),
        ({"name": "a perovskite"}, Reason.SPACE_GROUP),
    ],
)
def test_the_first_rule_that_holds(differs, expected):
    assert reason(ROW | differs) is expected


def test_each_miss_of_the_kept_rows_has_one_reason():
    rows = read_minerals()
    at_hand = types_at_hand(rows, TypeFile(FILE))
    table = misses(rows, at_hand)
    assert sorted(table["name"]) == sorted(rows.loc[rows["right"] == 0, "name"])
    assert Reason.ERROR.value not in set(table["instead"])
    elements = table.loc[table["instead"] == Reason.ELEMENTS.value, "framework"]
    assert elements.all() and elements.size == rows["framework"].sum() - rows["right"].sum()
    without_hydrogen = table.loc[table["instead"] == Reason.NO_HYDROGEN.value, "from"]
    assert without_hydrogen.str.endswith("without hydrogen").all()
    assert pd.Series(table["instead"]).map([r.value for r in Reason].index).is_monotonic_increasing
