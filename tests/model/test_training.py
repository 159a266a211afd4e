"""The training loop: it can learn, it repeats bit for bit, it resumes, and it fails with one clear error."""

import json
import subprocess
import sys
import time
from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch
from some_crystals import rock_salt
from some_networks import KINDS, SALTS, small
from torch import nn

from crystalnet.data.building import build_store
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model import checkpoints, training
from crystalnet.model.batches import Batches
from crystalnet.model.fields import PositionEncoder
from crystalnet.model.network import DensityNetwork
from crystalnet.model.plane_waves import PlaneWaves
from crystalnet.model.spectral import SpectralNet
from crystalnet.model.training import BEST, LAST, train
from crystalnet.model.validation import best_similarities
from crystalnet.physics.similarity import ssim
from crystalnet.settings import TrainingParams

CHANGES = {"film": {"frequencies": "periodic"}, "spectral": {"n_components": 4}}  # five crystals give four
SODIUM_CHLORIDE, MAGNESIA = rock_salt("Na", "Cl", 5.64), rock_salt("Mg", "O", 4.21)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Five crystals to train on and one to validate, 14^3 voxels."""
    salts = [rock_salt(*salt) for salt in SALTS[:5]]
    splits = {"train": salts, "val": [MAGNESIA], "test": [SODIUM_CHLORIDE]}
    return build_store(splits, tmp_path_factory.mktemp("data") / "small.h5", 14, workers=1, progress=False)


def settings(**changes) -> TrainingParams:
    few = {"epochs": 5, "batch_size": 3, "strata": 3, "restart_epochs": 3, "val_samples": 1, "val_grid": 7}
    return TrainingParams(**few | changes)


def untrained(kind: str = "film", **changes) -> DensityNetwork:
    return small(kind, **CHANGES.get(kind, {}) | changes)


def trained(store: Store, folder, kind: str = "film", **changes) -> tuple[DensityNetwork, pd.DataFrame]:
    """(network, history) of a run; the same arguments should give the same of both."""
    network = untrained(kind)
    return network, train(network, store, store.compositions, settings(**changes), folder, progress=False)


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(store, kind, tmp_path_factory):
    """(network, history) of a run in one go."""
    return trained(store, tmp_path_factory.mktemp(kind), kind)


def assert_same_bits(network: nn.Module, other: nn.Module) -> None:
    state = other.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def assert_same_run(first: tuple, second: tuple) -> None:
    assert_same_bits(first[0], second[0])
    assert first[1].drop(columns="seconds").equals(second[1].drop(columns="seconds"))


# ------------------------------------------------------------------ learning


def test_two_crystals_can_be_overfitted(tmp_path):
    """Eight copies of each make the batch's statistics nearly those that the answers are made with."""
    crystals = [SODIUM_CHLORIDE, MAGNESIA]
    splits = {"train": crystals * 8, "val": crystals[:1], "test": crystals[1:]}
    store = build_store(splits, tmp_path / "two.h5", 14, workers=1, progress=False)
    network = untrained(width=32, growth=1, n_frequencies=64, n_blocks=0)
    assert min(similarities(network, store, tmp_path / "run", epochs=120, learning_rate=1e-2)) > 0.95


def test_a_handful_of_crystals_can_be_overfitted(tmp_path):
    """The spectral network normalises no batch, so that each crystal is enough once."""
    crystals = [rock_salt(*salt) for salt in SALTS]
    splits = {"train": crystals, "val": crystals[:1], "test": crystals[1:2]}
    store = build_store(splits, tmp_path / "few.h5", 14, workers=1, progress=False)
    network = untrained("spectral", hidden=64, n_components=7, radius=6, dropout=0.0)
    own = {"points": "shared", "loss": "amplitude", "learning_rate": 5e-3}
    assert min(similarities(network, store, tmp_path / "run", epochs=300, **own)) > 0.97


def similarities(network: DensityNetwork, store: Store, folder, epochs: int, **changes) -> list[float]:
    """SSIM of each training crystal's answer after a training for reconstruction alone."""
    only_reconstruction = TrainingParams(
        epochs=epochs, batch_size=16, strata=5, restart_epochs=epochs, kl_weight=0, max_shift_bins=0,
        noise=0, validate_every=100, val_samples=1, val_grid=14, **changes,
    )  # fmt: skip
    train(network, store, store.compositions, only_reconstruction, folder, progress=False)
    patterns, found = getattr(store, network.reads), []
    for row in store.indices("train"):
        truth = torch.from_numpy(store.cmed[row].astype(np.float32))
        answer = network.answer(patterns[row], store.compositions[row], store.n)
        found.append(float(ssim(truth, answer, float(truth.max() - truth.min()))))
    return found


def test_mixed_precision_learns_the_same_but_for_digits(store, tmp_path, kind, whole):
    """The losses are those of float32 to bfloat16's digits; weights and statistics stay float32."""
    _, full = whole
    network, mixed = trained(store, tmp_path, kind, precision="bf16-mixed")
    assert not mixed["loss"].equals(full["loss"])
    np.testing.assert_allclose(mixed["loss"][0], full["loss"][0], rtol=0.1)  # three rows a batch
    state = network.state_dict()
    assert {tensor.dtype for name, tensor in state.items() if "num_batches" not in name} == {torch.float32}


@pytest.mark.parametrize(
    ("kind", "waves", "method"), [("film", PositionEncoder, "forward"), ("spectral", PlaneWaves, "at")]
)
def test_mixed_precision_rounds_no_coordinate(store, tmp_path, monkeypatch, kind, waves, method):
    seen, encode = [], getattr(waves, method)

    def watched(self, coords):
        seen.append(coords.dtype)
        return encode(self, coords)

    monkeypatch.setattr(waves, method, watched)
    monkeypatch.setattr(SpectralNet, "tabulate", lambda *_: None)  # as if the points were on no grid
    trained(store, tmp_path, kind, precision="bf16-mixed", epochs=1)
    assert set(seen) == {torch.float32}


def test_history_has_a_row_an_epoch(store, tmp_path, kind):
    _, history = trained(store, tmp_path, kind, validate_every=2)
    assert history["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert history["val_ssim"].notna().tolist() == [False, True, False, True, True]  # the last one always
    rates = [1e-3, 7.5025e-4, 2.5075e-4, 1e-3, 9.3307e-4]  # a cycle of three epochs, the next of six
    assert history["learning_rate"].tolist() == pytest.approx(rates, rel=1e-3)
    total = history["reconstruction"] + 0.05 * history["kl"]
    np.testing.assert_allclose(history["loss"], total, rtol=1e-5)
    assert (history["seconds"] > 0).all()


@pytest.mark.parametrize("loss", ["density", "amplitude"])
def test_reconstruction_is_in_units_of_the_density_whatever_the_loss(store, tmp_path, kind, whole, loss):
    """The first step of all has seen no loss yet."""
    _, history = trained(store, tmp_path, kind, loss=loss, kl_weight=0, batch_size=5, epochs=1)
    _, expected = trained(store, tmp_path / "one", kind, batch_size=5, epochs=1)
    for name in ("reconstruction", "kl"):
        assert history[name][0] == expected[name][0]
    assert (history["loss"][0] == history["reconstruction"][0]) == (loss == "density")


@pytest.mark.parametrize("largest", [None, 1e-3])
def test_long_gradients_are_cut(store, tmp_path, monkeypatch, kind, largest):
    norms, step = [], torch.optim.AdamW.step

    def watched(self, *arguments, **named):
        parts = [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
        norms.append(float(torch.stack(parts).norm()))
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    trained(store, tmp_path, kind, largest_gradient=largest, epochs=2)
    assert len(norms) == 4 and (max(norms) < 1.001e-3) == (largest is not None) and min(norms) > 0.9e-3


def test_decay_draws_weights_to_zero(store, tmp_path, kind, whole):
    """Ten steps, in each of which a weight loses its product with decay and learning rate."""
    network, _ = trained(store, tmp_path, kind, weight_decay=100)
    sizes = [sum(float(p.detach().square().sum()) for p in n.parameters()) for n in (network, whole[0])]
    assert sizes[0] < 0.9 * sizes[1]


def test_nothing_is_tabulated_after_training(store, whole):
    """Answers at the training grid's points have all their digits again."""
    network, _ = whole
    axis = torch.arange(store.n) / store.n
    z = torch.randn(2, network.n_latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoded = network.eval().decode(z, torch.cartesian_prod(axis, axis, axis))
    torch.testing.assert_close(decoded.view(2, 14, 14, 14), network.density(z, 14), rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------ the same again


def test_the_seed_decides_every_bit(store, tmp_path, kind, whole):
    torch.manual_seed(2)
    after = torch.rand(3)
    torch.manual_seed(2)
    again = trained(store, tmp_path / "again", kind)
    assert_same_run(whole, again)
    assert torch.equal(torch.rand(3), after)  # and the caller's generator is left alone
    other, _ = trained(store, tmp_path / "other", kind, seed=1)
    weights = zip(whole[0].parameters(), other.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in weights if a.requires_grad and a.dim() > 1)


@pytest.mark.parametrize("stopped_in", range(10))
def test_stopped_at_any_step_and_resumed_is_never_stopped(
    store, tmp_path, monkeypatch, kind, whole, stopped_in
):
    """Two steps an epoch; stopped in the middle of one, with half of the weights updated."""
    monkeypatch.setattr(training, "CHECK_EVERY", 1)
    number, step = count(), torch.optim.AdamW.step

    def interrupted(self, *arguments, **named):
        step(self, *arguments, **named)
        if next(number) == stopped_in:
            self.param_groups[-1]["params"][-1].data.zero_()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        trained(store, tmp_path, kind, checkpoint_seconds=0)
    assert (tmp_path / LAST).exists() == (stopped_in > 0)
    assert_same_run(whole, trained(store, tmp_path, kind))


@pytest.mark.parametrize("stopped_in", [1, 4, 5])
def test_stopped_between_steps_and_validation(store, tmp_path, monkeypatch, kind, whole, stopped_in):
    epoch, score = count(1), best_similarities

    def interrupted(*arguments):
        if next(epoch) == stopped_in:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "best_similarities", interrupted)
        trained(store, tmp_path, kind)
    assert_same_run(whole, trained(store, tmp_path, kind))


def test_a_killed_process_loses_only_what_came_after_its_checkpoint(store, tmp_path):
    """SIGKILL, which nothing can catch, at a moment that nobody chose."""
    whole, _ = trained(store, tmp_path / "whole", epochs=40)
    script = (
        "import sys; from crystalnet.data.store import Store;"
        "from crystalnet.model import networks;"
        "from crystalnet.model.training import train; from crystalnet.runs.params import TrainingParams;"
        "import json; store = Store(sys.argv[1]);"
        "settings = TrainingParams(**json.loads(sys.argv[2]));"
        "network = networks.build(json.loads(sys.argv[3]));"
        "train(network, store, store.compositions, settings, sys.argv[4], progress=False)"
    )
    asked = settings(epochs=40, checkpoint_seconds=0)
    folder, model = tmp_path / "killed", json.dumps(untrained().settings)
    process = subprocess.Popen(
        [sys.executable, "-c", script, store.path, asked.model_dump_json(), model, folder]
    )
    while not (folder / LAST).exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    _, header = checkpoints.read(folder / LAST)
    assert len(json.loads(header["history"])) < 40
    resumed, _ = trained(store, folder, epochs=40)
    assert_same_bits(whole, resumed)


def test_a_run_that_ended_is_only_read(store, tmp_path, monkeypatch, kind):
    first, history = trained(store, tmp_path, kind)
    monkeypatch.setattr(Batches, "draw", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(SpectralNet, "prepare", lambda *_: pytest.fail("prepared again"))
    again, history_again = trained(store, tmp_path, kind)
    assert_same_bits(first, again)
    assert history.equals(history_again)


def test_the_best_epoch_is_kept(store, tmp_path, monkeypatch, kind):
    scores, seen = iter([0.1, 0.9, 0.3, 0.9, 0.2]), []

    def scored(model, *_):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return torch.tensor([next(scores)], dtype=torch.float64)

    monkeypatch.setattr(training, "best_similarities", scored)
    network, history = trained(store, tmp_path, kind)
    assert history["val_ssim"].tolist() == [0.1, 0.9, 0.3, 0.9, 0.2]
    best = network.state_dict()
    assert all(torch.equal(seen[1][name], best[name]) for name in best)
    assert not any(torch.equal(seen[4][name], p) for name, p in network.named_parameters() if p.dim() > 1)
    read = untrained(kind)
    checkpoints.load_weights(tmp_path / BEST, read)
    assert_same_bits(network, read)


@pytest.mark.parametrize("view", ["patterns", "profiles"])
@pytest.mark.parametrize(("val_grid", "stride"), [(7, 2), (6, 2), (8, 1), (28, 1)])
def test_validation_is_the_best_of_samples_and_rotations(store, val_grid, stride, view):
    row, asked = store.indices("val")[0], settings(val_samples=2).model_copy(update={"val_grid": val_grid})

    class Exact:
        """Answers with the truth, seen from another side."""

        reads = view

        def predict(self, pattern, composition, n_samples, seed, n):
            truth = torch.from_numpy(store.cmed[row, ::stride, ::stride, ::stride].astype(np.float32))
            np.testing.assert_array_equal(pattern, getattr(store, view)[row])
            np.testing.assert_array_equal(composition, store.compositions[row])
            assert (n_samples, n) == (2, 14 // stride)
            return torch.stack([torch.zeros_like(truth), truth.permute(1, 0, 2).flip(2).roll(1, 2)])

    scores = best_similarities(Exact(), store, store.compositions, asked)
    assert scores.tolist() == pytest.approx([1], abs=1e-5)


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("changed", [{"learning_rate": 2e-3}, {"seed": 1}, {"epochs": 9}, {"kl_weight": 0.0}])
def test_resuming_with_other_settings_is_refused(store, tmp_path, changed):
    trained(store, tmp_path)
    with pytest.raises(CrystalNetError, match="other settings"):
        trained(store, tmp_path, **changed)


def test_resuming_from_bare_weights_is_refused(store, tmp_path):
    checkpoints.save_weights(tmp_path / LAST, untrained())
    with pytest.raises(CrystalNetError, match="other settings"):
        trained(store, tmp_path)


def test_resuming_with_another_network_is_refused(store, tmp_path):
    trained(store, tmp_path)
    other = untrained(width=8)
    with pytest.raises(CrystalNetError, match="other settings"):
        train(other, store, store.compositions, settings(), tmp_path, progress=False)
    for wrong in (other, untrained("spectral")):
        with pytest.raises(CrystalNetError, match="holds a network with settings"):
            checkpoints.load_weights(tmp_path / BEST, wrong)


@pytest.mark.parametrize("name", [LAST, BEST])
@pytest.mark.parametrize("kept", [0, 5, 0.5, 0.999])
def test_a_damaged_checkpoint_is_one_clear_error(store, tmp_path, name, kept):
    trained(store, tmp_path, epochs=1)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CrystalNetError, match=f"{name} is not a readable weights file"):
        trained(store, tmp_path, epochs=1)


def test_a_loss_that_is_no_number_names_step_crystals_and_state(store, tmp_path, monkeypatch):
    """From the third epoch on, one crystal's density is no number."""
    bad = int(store.indices("train")[2])
    draw = Batches.draw

    def poisoned(self, epoch, step):
        batch = draw(self, epoch, step)
        if epoch == 2:
            batch.rho[self.crystals(epoch, step) == bad] = torch.nan
        return batch

    monkeypatch.setattr(Batches, "draw", poisoned)
    with pytest.raises(CrystalNetError, match="The loss became nan in epoch 2, step") as error:
        trained(store, tmp_path, checkpoint_seconds=0)
    message = str(error.value)
    assert store.crystals[bad].material_id in message and str(tmp_path / LAST) in message
    named = message.split("a batch of ")[1].split(". ")[0].split(", ")
    step = int(message.split("step ")[1].split(",")[0])
    assert len(named) == (3, 2)[step]  # that batch, not every crystal
    tensors, header = checkpoints.read(tmp_path / LAST)
    assert len(json.loads(header["history"])) == 1 and len(tensors["losses"]) == 2  # two epochs, no step more
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    monkeypatch.setattr(Batches, "draw", draw)
    mended, _ = trained(store, tmp_path)
    whole, _ = trained(store, tmp_path / "whole")
    assert_same_bits(mended, whole)


def test_a_loss_that_grows_without_bound_stops_the_run(store, tmp_path):
    with pytest.raises(CrystalNetError, match=r"The loss became .* Lower training.learning_rate"):
        trained(store, tmp_path, learning_rate=1e9, kl_weight=1e3)


def test_too_few_crystals(tmp_path):
    splits = {"train": [MAGNESIA], "val": [MAGNESIA], "test": [MAGNESIA]}
    store = build_store(splits, tmp_path / "one.h5", 14, workers=1, progress=False)
    with pytest.raises(CrystalNetError, match="1 training crystals are too few"):
        trained(store, tmp_path / "run")


def test_a_folder_that_cannot_be_made(store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CrystalNetError, match="cannot be made"):
        trained(store, tmp_path / "file" / "run")


def test_no_validation_crystals(tmp_path):
    splits = {"train": [MAGNESIA, SODIUM_CHLORIDE], "test": [MAGNESIA]}
    store = build_store(splits, tmp_path / "none.h5", 14, workers=1, progress=False)
    with pytest.raises(CrystalNetError, match="no validation crystals"):
        trained(store, tmp_path / "run")


def test_a_full_disk_keeps_the_last_state(store, tmp_path, monkeypatch):
    trained(store, tmp_path, epochs=5)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    network = untrained()
    for broken in ("save_file", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"crystalnet.model.checkpoints.{broken}", full)
            with pytest.raises(CrystalNetError, match=r"could not be written .*No space left"):
                checkpoints.save_weights(tmp_path / BEST, network)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
