"""What README says was solved is what the book keeps; `test_published_results` has its scores."""

from pathlib import Path

import pytest

from crystalnet.runs.challenge_rows import read_challenges
from crystalnet.scoring.challenges import is_impostor
from crystalnet.scoring.misses import types_at_hand
from crystalnet.show.challenges import with_confidence
from crystalnet.show.minerals import rates, read_minerals, sureness
from crystalnet.solving.ranking import CONFIDENT, WEIGHTS
from crystalnet.solving.structure_types import FILE, TypeFile

README = (Path(__file__).parents[2] / "README.md").read_text()
GIVEN = {  # the first column of README's table of solved crystals
    "exact peaks": "exact",
    "5 % error on every intensity, peaks below 1 % lost": "intensity errors",
    "20 % error, the same lost": "large intensity errors",
    "exact peaks, the elements without ratios": "no ratios",
    "the same, one of the elements not named": "an element missing",
    "exact peaks, nothing of the composition": "no composition",
    "exact peaks, no neighbour by one element in the catalogue": "no swap neighbour",
    "exact peaks, the structure types of the package as the catalogue": "embedded types",
    "simulated laboratory pattern, Cu, 10 to 120°": "laboratory, to 120 degrees",
    "the same, to 50°": "laboratory, to 50 degrees",
    "the same, to 120°, crystallites of 5 nm": "laboratory, 5 nm",
    "exact peaks, structure type withheld: all sources": "type withheld",
    "the same, analogues alone": "type withheld, analogues",
    "the same, the network's density alone": "type withheld, network",
    "the same, phasing from the network's density": "type withheld, phasing from the network",
    "the same, phasing from random starts": "type withheld, phasing from random starts",
}


def table(first_column: str) -> list[list[str]]:
    """The rows of the table whose header begins with a name."""
    lines = README[README.index(f"| {first_column}") :].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[2 : lines.index("")]]


@pytest.mark.parametrize(("column", "system"), [(1, "cubic"), (2, "trigonal")])
def test_shares_of_solved_crystals(column, system):
    kept, _ = read_challenges()
    kept = kept[(kept["split"] == "test") & (kept["system"] == system)]
    for row in table("Given"):
        rows = kept[kept["challenge"] == GIVEN[row[0]]]
        expected = "not run"
        if len(rows):
            share, seconds = 100 * rows["top_1"].mean(), rows["seconds"].median()
            expected = f"{share:.1f} % of {len(rows)}, {seconds:.1f} s"
        assert row[column] == expected, row[0]


def test_impostors():
    kept, _ = read_challenges()
    tested = (kept["split"] == "test") & kept["challenge"].map(is_impostor)
    said = " ".join(README.split())
    assert f"Of {tested.sum()} patterns that no answer fits" in said
    judged = with_confidence(kept[tested], WEIGHTS)
    fooled = judged.loc[judged["confidence"] >= CONFIDENT, "formula"]
    assert ("none came back as a confident answer" if fooled.empty else f"({', '.join(fooled)})") in said


def test_measured_minerals():
    rows = read_minerals()
    table = rates(rows)
    words = " ".join(README.split())
    low, high = table.loc["all", "95 % interval (Wilson)"].split(" to ")
    said = f"right for {rows['right'].sum()} ({table.loc['all', 'share']}, 95 % interval {low} to {high};"
    assert f"Of {len(rows)} measured minerals" in words and said in words
    assert f"{table.loc['formula among the training crystals', 'right']} whose formula occurs" in words
    assert f"{table.loc['formula not among them', 'right']} others), in a median of" in words
    assert f"median of {rows['seconds'].median():.1f} s" in words
    at_hand = types_at_hand(rows, TypeFile(FILE)) > 0
    known, unknown = rows.loc[at_hand, "right"], rows.loc[~at_hand, "right"]
    assert f"{known.sum()} of {len(known)} are right, elsewhere {unknown.sum()} of {len(unknown)}" in words
    sure = sureness(rows)
    assert (
        f"Of {sure['confident']} confident answers {round(sure['right'] * sure['confident'])} are right"
        in words
    )
