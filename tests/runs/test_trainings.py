"""Training that goes on from a network of the package, and both on spoilt patterns."""

import os

import pytest
import torch

from crystalnet.errors import CrystalNetError
from crystalnet.model import library
from crystalnet.runs.params import Params
from crystalnet.runs.run import Run
from crystalnet.scoring.evaluation import evaluate


@pytest.fixture
def before(tmp_path, monkeypatch):
    """A run whose network is one of the package's, in a weights folder of the test's own."""
    monkeypatch.setattr(library, "FOLDER", tmp_path / "weights")
    run = Run(Params.load("smoke_spectral"), tmp_path, progress=False)
    library.write("mine", run.trained("cubic").model, "# Card")
    return run


def begun(run, **changes):
    groups = {
        name: getattr(run.params, name).model_dump() | changes.pop(name, {}) for name in ("model", "training")
    }
    groups["training"]["begins_with"] = "mine"
    return Run(Params.load("smoke_spectral", **groups), run.folder, progress=False)


def test_training_begins_with_a_network_of_the_package(before):
    fresh, later = before.trained("cubic"), begun(before).trained("cubic")
    assert later.history["loss"].iloc[0] < fresh.history["loss"].iloc[0]
    kept = library.load("mine").field.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in later.model.field.state_dict().items())
    assert later.manifest["training"]["begins_with"] == "mine" and later.manifest["begun"]
    os.utime(library.path_of("mine"), (1, 1))  # the same weights in another checkout
    again = begun(before).trained("cubic")
    assert again.manifest == later.manifest


def test_both_networks_are_scored_on_spoilt_patterns(before):
    run, patterns = begun(before), "laboratory, to 50 degrees"
    store, settings = run.store("cubic"), run.params.ablations
    rows = store.indices("test", settings.max_test)
    for network, model in (("trained", run.trained("cubic").model), ("begun", library.load("mine"))):
        table = run.spoilt("cubic", patterns, network)
        expected = evaluate(
            model, store, store.compositions, rows, settings.n_samples, progress=False, patterns=patterns
        )
        assert table["honest_ssim"].tolist() == pytest.approx(expected["honest_ssim"].tolist())
        assert table.attrs["manifest"]["patterns"] == patterns
    with pytest.raises(CrystalNetError, match="begins_with names no network"):
        before.spoilt("cubic", patterns, "begun")


def test_a_network_of_another_size_is_refused(before):
    with pytest.raises(CrystalNetError, match=r"'mine' differs from .* in n_components \(\d+\)"):
        begun(before, model={"n_components": 9}).trained("cubic")
    run = begun(before)
    (library.FOLDER / "mine.safetensors").unlink()
    with pytest.raises(CrystalNetError, match="no trained network 'mine'"):
        run.trained("cubic")


def taking(run, **model):
    model = {"field": "film", "encoders": "windows", "reads": "profiles", "elements": "properties"} | model
    groups = {"model": model, "training": {"encoders_from": "mine", "epochs": 1, "loss": "density"}}
    return Run(Params.load("smoke_spectral", **groups), run.folder, progress=False)


def test_encoders_of_a_spectral_network_stay_as_they_are(before):
    theirs = library.load("mine")
    size = {"width": 16, "n_frequencies": 8, "n_blocks": 0, "hidden": theirs.settings["hidden"]}
    run = taking(before, code=theirs.settings["width"], **size)
    trained = run.trained("cubic")
    pairs = (
        (trained.model.xrd_encoder, theirs.pattern_encoder),
        (trained.model.formula_encoder, theirs.composition_encoder),
    )
    for mine, others in pairs:
        kept = others.state_dict()
        assert all(torch.equal(kept[name], tensor) for name, tensor in mine.state_dict().items())
    fresh = run.network().position_encoder.state_dict()
    moved = trained.model.position_encoder.state_dict()
    assert not torch.equal(fresh["layers.0.weight"], moved["layers.0.weight"])
    assert trained.manifest["encoders"]
    longer = theirs.settings["width"] + 1
    for other in (taking(before, code=longer, **size), taking(before, encoders="dense")):
        with pytest.raises(CrystalNetError, match="encoders_from does not go with model"):
            other.trained("cubic")
    spectral = before.params.training.model_dump() | {"encoders_from": "mine"}
    with pytest.raises(CrystalNetError, match="for the paper's field alone"):
        Run(Params.load("smoke_spectral", training=spectral), before.folder, progress=False).trained("cubic")
