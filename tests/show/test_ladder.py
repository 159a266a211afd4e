"""The rungs between the paper's network and the spectral one say what the manifests say."""

import pytest

from crystalnet.runs.records import records
from crystalnet.runs.run import PREDICTORS
from crystalnet.scoring.evaluation import summary
from crystalnet.show.ladder import FREE, SPECTRAL, STRICT, called, ladder

FOUND = [record for record in records() if record.begun is None]
pytestmark = pytest.mark.skipif(not FOUND, reason="book/results holds no record yet")


def test_every_network_and_neighbour_has_its_row():
    table = ladder(FOUND)
    networks = table[table.index.get_level_values("network") != PREDICTORS[1]]
    assert len(networks) == len(FOUND)
    cells = {
        (one.system, one.manifest["history.csv"]["params"]["data"].get("cell", "given")) for one in FOUND
    }
    assert len(table) == len(FOUND) + len(cells)
    systems = table.index.get_level_values("system").tolist()
    assert systems == sorted(systems)


@pytest.mark.parametrize("record", FOUND, ids=lambda record: f"{record.profile}-{record.system}")
def test_a_row_says_what_made_it(record):
    table = ladder([record])
    row = table.loc[record.system, called(record)]
    made = record.manifest["history.csv"]
    numbers = summary(record.scores[record.scores["predictor"] == PREDICTORS[0]])
    assert row["SSIM, honest"] == f"{numbers['honest_ssim']:.3f}" and row["n"] == f"{numbers['crystals']:.0f}"
    expected = {
        STRICT: ("angles", "the paper's", "random", "density"),
        FREE: ("log d", f"of {made['training'].get('encoders_from')}", "plane waves", "amplitude"),
        SPECTRAL: ("log d", "windows", "plane waves, learned", "amplitude"),
    }[called(record)]
    assert tuple(row[["pattern", "encoders", "waves", "answer"]]) == expected
    assert record.network.endswith("-strict") == (called(record) == STRICT)
