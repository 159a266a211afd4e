"""Tables of solved crystals: impostors, misses and what made them, counted by hand."""

import pandas as pd

from crystalnet.show.challenges import fooled, impostor_table, made_by, missed
from crystalnet.solving.analogues import GOOD
from crystalnet.solving.ranking import CONFIDENT, LEFT

BEYOND = {"system": "cubic", "space_group": 225, "atoms": 2, "found_group": 221, "origin": "an analogue"}


def rows(*cases: tuple) -> pd.DataFrame:
    names = ["challenge", "formula", "outcome", "distance", "confidence", "top_1"]
    return pd.DataFrame(cases, columns=names).assign(**BEYOND)


def test_impostors_are_counted_and_named():
    table = rows(
        ("wrong formula", "NaCl", "answer", 0.1, CONFIDENT, 0),
        ("wrong formula", "KCl", "answer", 0.1, CONFIDENT - 0.01, 0),
        ("noise", "KBr", "no peaks", 1.0, 0.0, 0),
        ("exact", "MgO", "answer", 0.0, 1.0, 1),
    )
    counts = impostor_table(table)
    assert counts.loc[("cubic", "wrong formula")].tolist() == [2, 2, 1]
    assert counts.loc[("cubic", "noise")].tolist() == [1, 0, 0] and len(counts) == 2
    assert fooled(table)["formula"].tolist() == ["NaCl"]


def test_a_miss_says_why():
    table = rows(
        ("exact", "A", "answer", 0.9 * LEFT, 0.5, 0),
        ("exact", "B", "answer", (LEFT + GOOD) / 2, 0.5, 0),
        ("exact", "C", "answer", 1.1 * GOOD, 0.5, 0),
        ("exact", "D", "no cell", 1.0, 0.0, 0),
        ("exact", "E", "answer", 0.0, 1.0, 1),
        ("noise", "F", "answer", 0.0, 1.0, 0),
    )
    assert missed(table)["why"].to_dict() == {
        "A": "the pattern does not tell",
        "B": "the search ended early",
        "C": "no source came near enough",
        "D": "no cell",
    }


def test_challenges_of_one_run_share_a_line():
    params = {"profile": "solving", "data": {"source": "data/structures/a.jsonl.gz", "split": "published"}}
    one = {"params": params, "catalogue": 12345, "seconds": 15.0}
    made = {
        "test, cubic, exact": one | {"environment": {"hardware": "an abacus", "commit": "b"}},
        "test, cubic, noise": one
        | {"environment": {"hardware": "an abacus", "commit": "a"}, "derived": ["bond"]},
    }
    assert made_by(made) == [
        "bond (test, cubic, noise)",
        "solving: a.jsonl.gz, published split, 12,345 templates, 15 s a source, an abacus, commit a, b",
    ]
