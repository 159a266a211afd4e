"""Training that goes on from a network of the package."""

import pytest
import torch

from crystalnet import library
from crystalnet.errors import CrystalNetError
from crystalnet.params import Params
from crystalnet.trainings import Trainings


@pytest.fixture
def before(tmp_path, monkeypatch):
    """A run whose network is one of the package's, in a weights folder of the test's own."""
    monkeypatch.setattr(library, "FOLDER", tmp_path / "weights")
    run = Trainings(Params.load("smoke_spectral"), tmp_path, progress=False)
    library.write("mine", run.trained("cubic").model, "# Card")
    return run


def begun(run, **changes):
    groups = {
        name: getattr(run.params, name).model_dump() | changes.pop(name, {}) for name in ("model", "training")
    }
    groups["training"]["begins_with"] = "mine"
    return Trainings(Params.load("smoke_spectral", **groups), run.folder, progress=False)


def test_training_begins_with_a_network_of_the_package(before):
    fresh, later = before.trained("cubic"), begun(before).trained("cubic")
    assert later.history["loss"].iloc[0] < fresh.history["loss"].iloc[0]
    kept = library.load("mine").field.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in later.model.field.state_dict().items())
    assert later.manifest["training"]["begins_with"] == "mine" and later.manifest["begun"]
    again = begun(before).trained("cubic")
    assert again.manifest == later.manifest


def test_a_network_of_another_size_is_refused(before):
    with pytest.raises(CrystalNetError, match=r"'mine' differs from .* in n_components \(\d+\)"):
        begun(before, model={"n_components": 9}).trained("cubic")
    run = begun(before)
    (library.FOLDER / "mine.safetensors").unlink()
    with pytest.raises(CrystalNetError, match="no trained network 'mine'"):
        run.trained("cubic")
