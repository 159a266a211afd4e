"""Results and weights in the repository: whole, of the crystals they name, still what the weights give."""

import numpy as np
import pytest
import torch
from pymatgen.core import Composition

from crystalnet.data.crystals import composition_vector
from crystalnet.model import library, networks
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.runs.params import repository_root
from crystalnet.runs.records import Record, records
from crystalnet.runs.run import PREDICTORS
from crystalnet.scoring.evaluation import summary
from crystalnet.scoring.protocols import honest_score

RECORDS = records()
pytestmark = pytest.mark.skipif(not RECORDS, reason="book/results holds no record yet")


@pytest.fixture(params=RECORDS, ids=lambda record: f"{record.profile}-{record.system}")
def record(request) -> Record:
    return request.param


def test_everybody_is_scored_on_the_same_crystals(record):
    asked = record.scores.groupby("predictor")["material_id"].apply(tuple)
    assert set(asked.index) == set(PREDICTORS) and asked.nunique() == 1
    assert len(set(asked.iloc[0])) == len(asked.iloc[0]) <= record.manifest["test"]
    if record.levels is not None:
        assert record.levels.groupby("level")["material_id"].apply(tuple).nunique() == 1


def test_no_score_chosen_by_the_truth_stands_alone(record):
    for table in filter(lambda table: table is not None, (record.scores, record.scores_dft, record.levels)):
        assert table[["paper_ssim", "paper_psnr", "honest_ssim", "honest_psnr"]].notna().all(axis=None)


def test_manifests_say_what_made_each_number(record):
    training = record.manifest["history.csv"]
    for key in ("data_hash", "code", "epochs", "training_seconds", "wall_seconds", "model", "training"):
        assert training[key]
    assert {"commit", "hardware", "torch"} <= training["environment"].keys()
    done, planned = map(int, training["epochs"].split(" of "))
    assert done == len(record.history) <= planned
    assert training["data_hash"] == record.manifest["data_hash"]
    assert record.manifest["scores.csv"]["CrystalNet"]["training"]["data_hash"] == training["data_hash"]


def test_the_weights_still_give_the_published_answers(record):
    """Rounded weights and float32 products here, bfloat16 products where the scores were made, perhaps."""
    name = record.network
    if name not in library.available():
        pytest.skip(f"no weights {name!r}")
    network = library.load(name)
    made = networks.build(record.manifest["history.csv"]["model"])
    if network.settings != made.settings or record.gallery is None:
        pytest.skip(f"the weights {name!r} are of another run")
    network_scores = record.scores[record.scores["predictor"] == "CrystalNet"].set_index("row")
    shown = record.gallery
    for i, row in enumerate(shown["row"]):
        published = network_scores.loc[row]
        composition = composition_vector(Composition(published["formula"]))
        view = shown["profile" if network.reads == "profiles" else "pattern"][i]
        answer = network.answer(view, composition, shown["truth"].shape[-1])
        truth = torch.from_numpy(shown["truth"][i].astype(np.float32))
        scores = honest_score(truth, answer, lattice_operations(shown["lattice"][i]))
        assert scores["honest_ssim"] == pytest.approx(published["honest_ssim"], abs=0.02)
        assert scores["honest_nmae"] == pytest.approx(published["honest_nmae"], abs=0.02)


def test_the_readme_shows_these_numbers(record):
    """Its table is written by hand: mean SSIM / PSNR of network and neighbour under both protocols."""
    readme = (repository_root() / "README.md").read_text()
    for predictor in PREDICTORS[:2]:
        numbers = summary(record.scores[record.scores["predictor"] == predictor])
        cells = [f"{numbers[f'{p}_ssim']:.3f} / {numbers[f'{p}_psnr']:.1f}" for p in ("paper", "honest")]
        assert f"{cells[0]} | {cells[1]}" in readme
