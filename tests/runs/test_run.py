"""A run from settings to tables: results are made once, each with a manifest, anew when settings change."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from crystalnet import __version__
from crystalnet.data.densities import write_cmed
from crystalnet.errors import CrystalNetError
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.runs import datasets, trainings
from crystalnet.runs import run as module
from crystalnet.runs.params import Params
from crystalnet.runs.results import read_table
from crystalnet.runs.run import PREDICTORS, Run
from crystalnet.scoring.baselines import MeanDensity
from crystalnet.scoring.protocols import honest_score

SYSTEMS = ("cubic", "trigonal")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """The smoke profile with both tables made, on one core: two would wait for each other."""
    made = Run(Params.load("smoke"), tmp_path_factory.mktemp("runs"), progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings, "n_cores", lambda: 1)
        made.table_1(), made.table_2()
    return made


@pytest.fixture
def nothing_is_made(monkeypatch):
    for place, name in ((trainings, "train"), (datasets, "build_store"), (module, "evaluate")):
        monkeypatch.setattr(place, name, lambda *_, made=name, **__: pytest.fail(f"{made} was called"))


def manifests(run: Run, kind: str = "") -> dict[Path, dict]:
    return {p.parent: json.loads(p.read_text()) for p in run.folder.glob(f"{kind}*/manifest.json")}


def test_table_1_has_every_predictor_on_every_system(run):
    table = run.table_1()
    assert table.index.names == ["system", "predictor"]
    assert set(table.index) == {(s, p) for s in SYSTEMS for p in PREDICTORS}
    assert (table["crystals"] == 6).all() and np.isfinite(table.astype(float)).all(axis=None)
    assert (table["paper_ssim"] <= 1).all() and table["paper_ssim"].nunique() > 3
    row = table.loc[("trigonal", "nearest neighbour")]
    assert row["honest_ssim"] == run.evaluation("trigonal", "nearest neighbour")["honest_ssim"].mean()


def test_table_2_has_every_level_on_every_system(run):
    table = run.table_2()
    assert table.index.names == ["system", "level"]
    assert set(table.index) == {(s, level) for s in SYSTEMS for level in run.params.ablations.levels}
    assert len(table) == 8 and (table["crystals"] == 3).all()


def test_scores_are_of_the_test_crystals(run):
    for system in SYSTEMS:
        rows = run.store(system).indices("test", 6)
        for predictor in PREDICTORS:
            assert run.evaluation(system, predictor)["row"].tolist() == rows.tolist()


def test_every_folder_says_what_made_it(run):
    made = manifests(run)
    assert made.keys() == {path.parent for path in run.folder.glob("*/*") if path.name != "lock"}
    # crystals, data, training and three evaluations; training and scores of four levels
    assert len(made) == len(SYSTEMS) * (1 + 1 + 1 + len(PREDICTORS) + 2 * 4)
    digests = {run.store(system).digest for system in SYSTEMS}
    assert len(digests) == len(SYSTEMS)
    for manifest in made.values():
        assert Params.load("smoke") == Params(**manifest["params"])
        assert manifest.get("data_hash") in (digests if "data_hash" in manifest else {None})
        assert manifest["wall_seconds"] > 0
        environment = manifest["environment"]
        assert environment["crystalnet"] == __version__ and environment["hardware"]
        assert {"commit", "python", "torch", "numpy"} <= environment.keys()
    assert {m["epochs"] for m in manifests(run, "training").values()} == {"2 of 2"}
    assert {m["epochs"] for m in manifests(run, "ablation-no_ratios").values()} == {"1 of 1"}
    assert not list(run.folder.rglob("*.part"))


def test_names_stay_names(tmp_path):
    """Na and N one to one are not 'not a number'."""
    table = pd.DataFrame(
        {"material_id": ["007", "mp-1"], "formula": ["NaN", "NaCl"], "honest_ssim": [0.5, np.nan]}
    )
    table.to_csv(tmp_path / "scores.csv", index=False)
    read = read_table(tmp_path / "scores.csv")
    assert read["formula"].tolist() == ["NaN", "NaCl"] and read["material_id"][0] == "007"
    assert np.isnan(read["honest_ssim"][1])


def test_a_second_run_makes_nothing(run, nothing_is_made):
    again = Run(run.params, run.folder, progress=False)
    assert again.table_1().equals(run.table_1()) and again.table_2().equals(run.table_2())
    first, second = run.trained("cubic"), again.trained("cubic")
    assert first.manifest == second.manifest and first.history.equals(second.history)
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert a.equal(b)


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"data": {"seed": 1}}, "build_store"),
        ({"data": {"n_grid": 21}}, "build_store"),
        ({"training": {"epochs": 3}}, "train"),
        ({"training": {"seed": 1}}, "train"),
        ({"model": {"width": 8}}, "train"),
        ({"evaluation": {"n_samples": 3}}, "evaluate"),
        ({"evaluation": {"seed": 1}}, "evaluate"),
    ],
)
def test_changed_settings_make_another_result(run, nothing_is_made, changes, made):
    other = Run(Params.load("smoke", **changes), run.folder, progress=False)
    with pytest.raises(pytest.fail.Exception, match=f"{made} was called"):
        other.evaluation("cubic")


def test_settings_of_other_results_change_nothing(run, nothing_is_made):
    """Table 1 does not depend on the ablations, nor the data on the training."""
    changes = {"ablations": {"epochs": 5}, "data": {"crystal_systems": ["cubic"]}}
    other = Run(Params.load("smoke", **changes), run.folder, progress=False)
    assert other.evaluation("cubic").equals(run.evaluation("cubic"))


def test_ablations_know_less(run):
    for system in SYSTEMS:
        full, known = (run.compositions(system, level) for level in ("baseline", "drop_element"))
        assert ((full > 0).sum(1) - (known > 0).sum(1)).max() == 1
        assert (known[(full > 0).sum(1) == 1] > 0).any()
    assert run.trained("cubic", "no_formula").model.formula_encoder is None
    assert run.trained("cubic", "no_ratios").model.formula_encoder is not None


def test_side_by_side_is_one_after_the_other(tmp_path, monkeypatch):
    """Two networks at a time, in processes of their own, score as they do alone with as many threads."""
    changes = {"training": {"networks_at_once": 2}, "data": {"crystal_systems": ["cubic"]}}
    params = Params.load("smoke", **changes, ablations={"levels": ["baseline", "no_formula"], "max_test": 2})
    together = Run(params, tmp_path / "together", progress=False)
    table = together.table_2()
    alone = Run(params, tmp_path / "alone", progress=False)
    monkeypatch.setattr(alone, "side_by_side", lambda *_: None)
    assert alone.table_2().equals(table)


def test_provenance_is_one_line(run):
    line = run.provenance("trigonal")
    store = run.store("trigonal")
    counts = ", ".join(f"{len(store.indices(name))} {name}" for name in ("train", "val", "test"))
    for fact in ("trigonal: 60 crystals from prototypes", counts, store.digest[:10], "promolecule", "smoke"):
        assert fact in line
    assert "\n" not in line


# ------------------------------------------------------------------ another truth


def test_answers_are_scored_against_other_densities(run, tmp_path):
    """The first test crystal has a density in the folder: its own, but for noise."""
    store = run.store("cubic")
    row = int(store.indices("test")[0])
    crystal = store.crystals[row]
    write_cmed(tmp_path / f"{crystal.material_id}.npz", store.cmed[row].astype(float) + 0.1, crystal.atoms)
    params = Params.load("smoke", evaluation={"densities": str(tmp_path)})
    table = Run(params, run.folder, progress=False).evaluation("cubic", "mean density", "dft")
    assert table["row"].tolist() == [row]
    truth = torch.from_numpy(store.cmed[row].astype(np.float32)) + 0.1
    expected = honest_score(truth, MeanDensity(store).mean, lattice_operations(crystal.atoms.lattice))
    assert table["honest_nmae"][0] == pytest.approx(expected["honest_nmae"], rel=1e-3)
    own = run.evaluation("cubic", "mean density").iloc[0]
    assert abs(own["honest_nmae"] / expected["honest_nmae"] - 1) > 0.1


def test_densities_of_other_crystals_are_no_truth(run, tmp_path):
    params = Params.load("smoke", evaluation={"densities": str(tmp_path)})
    with pytest.raises(CrystalNetError, match="holds no density of these crystals"):
        Run(params, run.folder, progress=False).evaluation("cubic", "mean density", "dft")


def test_dft_scores_need_densities(run):
    with pytest.raises(CrystalNetError, match="names no folder of DFT densities"):
        run.evaluation("cubic", "mean density", "dft")


def test_unknown_predictors_and_levels_are_named(run):
    with pytest.raises(CrystalNetError, match=r"'oracle'.* CrystalNet, nearest neighbour, mean density"):
        run.evaluation("cubic", "oracle")
    with pytest.raises(CrystalNetError, match="Unknown composition level 'guess'"):
        run.ablation("cubic", "guess")
