"""Why a mineral was missed, told by rule from its row and from the structure types at hand.

>>> row = {"right": 0, "code": "", "verdict": "UNEXPLAINED", "framework": 0, "formula": "MgBHO3"}
>>> answer = {"found": "MgBO3", "space group": 14.0, "system": "monoclinic", "name": "MgBHO3_14"}
>>> reason(row | answer).name
'NO_HYDROGEN'
>>> reason(row | answer | {"found": "MgBHO3"}).value
'another arrangement'
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import pandas as pd
from pymatgen.core import Composition

from crystalnet.data.crystals import crystal_system_of
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.structure_types import TypeFile
from crystalnet.solving.templates import Template


class Reason(Enum):
    """What came instead of the right answer; the first that holds."""

    ERROR = "an error"
    NO_CANDIDATE = "nothing proposed"
    ELEMENTS = "elements open"  # type and cell are right
    NO_HYDROGEN = "hydrogen left out"
    ARRANGEMENT = "another arrangement"  # in the right space group
    SPACE_GROUP = "another space group"  # of the right crystal system
    SYSTEM = "another crystal system"


def space_group_of(name: str) -> int | None:
    """The space group that a mineral's name ends in, if it does.

    >>> space_group_of("SrCO3_62"), space_group_of("strontianite")
    (62, None)
    """
    last = name.rsplit("_", 1)[-1]
    return int(last) if last.isdecimal() else None


def reason(row: Mapping[str, Any]) -> Reason | None:
    """What came instead of the right answer; None if it is right.

    Args:
        row: of book/minerals.csv: name, formula, system, found, space group, verdict, right, framework, code.

    >>> reason({"right": 1}) is None
    True
    >>> reason({"right": 0, "code": "NO_CANDIDATE"}).name
    'NO_CANDIDATE'
    """
    if row["right"]:
        return None
    if row["code"] and row["code"] != Reason.NO_CANDIDATE.name:
        return Reason.ERROR
    if row["code"] or row["verdict"] == Reason.NO_CANDIDATE.name:
        return Reason.NO_CANDIDATE
    if row["framework"]:
        return Reason.ELEMENTS
    if Composition(row["found"]).reduced_formula != Composition(row["formula"]).reduced_formula:
        return Reason.NO_HYDROGEN  # the one way to another formula than the given one
    if row["space group"] == space_group_of(row["name"]):
        return Reason.ARRANGEMENT
    same = crystal_system_of(int(row["space group"])) == row["system"]
    return Reason.SPACE_GROUP if same else Reason.SYSTEM


def types_at_hand(rows: pd.DataFrame, types: TypeFile) -> pd.Series:
    """How many types of each mineral's anonymised formula and space group a file holds.

    Args:
        rows: name, formula. 0 where a name does not end in a space group.

    >>> from crystalnet.solving.structure_types import FILE
    >>> rows = pd.DataFrame({"name": ["PbS_225", "Al4Os4SO14_4"], "formula": ["PbS", "Al4Os4SO14"]})
    >>> (types_at_hand(rows, TypeFile(FILE)) > 0).tolist()
    [True, False]
    """
    pairs = zip(rows["name"], rows["formula"], strict=True)
    counts = [
        sum(t.space_group == space_group_of(name) for t in _of(formula, types)) for name, formula in pairs
    ]
    return pd.Series(counts, rows.index, name="types at hand")


def misses(rows: pd.DataFrame, at_hand: pd.Series) -> pd.DataFrame:
    """A row a miss: what came instead, by which they are sorted, and how many types were at hand.

    Args:
        rows: as book/minerals.csv has them.
        at_hand: see `types_at_hand`.

    >>> one = {"right": 0, "code": "NO_CANDIDATE", "name": "KCl_225"}
    >>> found = misses(pd.DataFrame([one, {"right": 1}]), pd.Series([3, 1]))
    >>> found[["name", "instead", "types at hand"]].values.tolist()
    [['KCl_225', 'nothing proposed', 3]]
    """
    order = [one.value for one in Reason]
    reasons = [found.value if (found := reason(row)) else None for row in rows.to_dict("records")]
    table = rows.assign(instead=reasons, **{"types at hand": at_hand})
    return table[table["instead"].notna()].sort_values("instead", key=lambda s: s.map(order.index))


def _of(formula: str, types: TypeFile) -> list[Template]:
    return types.templates(tuple(sorted(Knowledge.of_formula(formula).amounts)))
