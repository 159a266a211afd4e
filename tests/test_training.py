"""The training loop: it can learn, it repeats bit for bit, it resumes, and it fails with one clear error."""

from itertools import count

import numpy as np
import pytest
import torch
from pymatgen.core import Structure
from torch import nn

from crystalnet.data.building import build_store
from crystalnet.data.crystals import Crystal
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model import checkpoints, training
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.training import BEST, LAST, train, validation_ssim
from crystalnet.params import TrainingParams
from crystalnet.physics.similarity import ssim

SMALL = {"width": 16, "growth": 2, "n_frequencies": 8, "frequencies": "periodic", "n_blocks": 1}


def rock_salt(cation: str, anion: str, a: float, material_id: str = "") -> Crystal:
    fcc = [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]
    structure = Structure(fcc, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return Crystal(material_id or cation + anion, structure, 225, "cubic")


SODIUM_CHLORIDE, MAGNESIA = rock_salt("Na", "Cl", 5.64), rock_salt("Mg", "O", 4.21)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Five crystals to train on and one to validate, 14^3 voxels."""
    names = [("Li", "F", 4.03), ("K", "Cl", 6.29), ("Ca", "O", 4.81), ("Na", "Br", 5.97), ("Ti", "C", 4.33)]
    splits = {"train": [rock_salt(*name) for name in names], "val": [MAGNESIA], "test": [SODIUM_CHLORIDE]}
    return build_store(splits, tmp_path_factory.mktemp("data") / "small.h5", 14, workers=1, progress=False)


def settings(**changes) -> TrainingParams:
    few = {"epochs": 5, "batch_size": 3, "strata": 3, "restart_epochs": 3, "val_samples": 1, "val_grid": 7}
    return TrainingParams(**few | changes)


def trained(store: Store, folder, **changes):
    """(network, history) of a run; the same arguments should give the same of both."""
    network = CrystalNet(**SMALL)
    return network, train(network, store, store.compositions, settings(**changes), folder, progress=False)


def assert_same_bits(network: nn.Module, other: nn.Module) -> None:
    state = other.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


# ------------------------------------------------------------------ learning


def test_two_crystals_can_be_overfitted(tmp_path):
    """Eight copies of each make the batch's statistics nearly those that the answers are made with."""
    crystals = [SODIUM_CHLORIDE, MAGNESIA]
    splits = {"train": crystals * 8, "val": crystals[:1], "test": crystals[1:]}
    store = build_store(splits, tmp_path / "two.h5", 20, workers=1, progress=False)
    network = CrystalNet(32, growth=1, n_frequencies=64, frequencies="periodic", n_blocks=0)
    only_reconstruction = TrainingParams(
        epochs=200, batch_size=16, strata=5, learning_rate=1e-2, restart_epochs=200, kl_weight=0,
        max_shift_bins=0, noise=0, validate_every=100, val_samples=1, val_grid=20,
    )  # fmt: skip
    train(network, store, store.compositions, only_reconstruction, tmp_path / "run", progress=False)
    for row in (0, 1):
        truth = torch.from_numpy(store.cmed[row].astype(np.float32))
        answer = network.answer(store.patterns[row], store.compositions[row], store.n)
        assert ssim(truth, answer, float(truth.max() - truth.min())) > 0.99


def test_history_has_a_row_an_epoch(store, tmp_path):
    _, history = trained(store, tmp_path, validate_every=2)
    assert history["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert history["val_ssim"].notna().tolist() == [False, True, False, True, True]  # the last one always
    rates = [1e-3, 7.5025e-4, 2.5075e-4, 1e-3, 9.3307e-4]  # a cycle of three epochs, the next of six
    assert history["learning_rate"].tolist() == pytest.approx(rates, rel=1e-3)
    total = history["reconstruction"] + 0.05 * history["kl"]
    np.testing.assert_allclose(history["loss"], total, rtol=1e-5)
    assert (history["seconds"] > 0).all()


def test_a_crystal_left_over_waits_for_the_next_epoch():
    """BatchNorm needs two: five crystals in batches of two are two batches."""
    generator = torch.Generator().manual_seed(0)
    batches = [training._batches(np.arange(10, 15), 2, generator) for _ in range(20)]
    assert all([len(batch) for batch in epoch] == [2, 2] for epoch in batches)
    assert all(len(set(np.concatenate(epoch))) == 4 for epoch in batches)
    assert set(np.concatenate([batch for epoch in batches for batch in epoch])) == set(range(10, 15))


def test_each_step_sees_the_density_at_its_points(store):
    rows = np.array([3, 0])
    inputs = torch.from_numpy(store.patterns), torch.from_numpy(store.compositions)
    unchanged, generator = settings(max_shift_bins=0, noise=0), torch.Generator().manual_seed(0)
    pattern, composition, query_coords, rho = training._draw(store, inputs, rows, unchanged, generator)
    assert query_coords.shape == (2, 27, 3) and rho.shape == (2, 27)
    np.testing.assert_array_equal(pattern, store.patterns[rows])
    np.testing.assert_array_equal(composition, store.compositions[rows])
    i, j, k = np.moveaxis((query_coords.numpy() * store.n).round().astype(int), -1, 0)
    np.testing.assert_array_equal(rho, store.cmed[rows[:, None], i, j, k].astype(np.float32))


def test_no_two_steps_see_the_same_points(store, tmp_path, monkeypatch):
    draw, seen = training._draw, []

    def watched(*arguments):
        seen.append(drawn := draw(*arguments))
        return drawn

    monkeypatch.setattr(training, "_draw", watched)
    trained(store, tmp_path)
    points = {crystal.numpy().tobytes() for _, _, query_coords, _ in seen for crystal in query_coords}
    assert len(points) == 5 * 5  # crystals x epochs


# ------------------------------------------------------------------ the same again


def test_the_seed_decides_every_bit(store, tmp_path):
    torch.manual_seed(1)
    first, history = trained(store, tmp_path / "first")
    torch.manual_seed(2)
    again, history_again = trained(store, tmp_path / "again")
    assert_same_bits(first, again)
    assert history.drop(columns="seconds").equals(history_again.drop(columns="seconds"))
    other, _ = trained(store, tmp_path / "other", seed=1)
    assert not torch.equal(first.regressor.head.weight, other.regressor.head.weight)


@pytest.mark.parametrize("stopped_in", [1, 4, 5])
def test_stopped_and_resumed_is_never_stopped(store, tmp_path, monkeypatch, stopped_in):
    """Stopped after the steps of an epoch, before it is saved; resumed with a fresh network."""
    whole, history = trained(store, tmp_path / "whole")
    epoch = count(1)

    def interrupted(*arguments):
        if next(epoch) == stopped_in:
            raise KeyboardInterrupt
        return validation_ssim(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "validation_ssim", interrupted)
        trained(store, tmp_path / "stopped")
    resumed, history_resumed = trained(store, tmp_path / "stopped")
    assert_same_bits(whole, resumed)
    assert history.drop(columns="seconds").equals(history_resumed.drop(columns="seconds"))


def test_a_run_that_ended_is_only_read(store, tmp_path, monkeypatch):
    first, history = trained(store, tmp_path)
    monkeypatch.setattr(training, "_losses", lambda *_: pytest.fail("trained again"))
    again, history_again = trained(store, tmp_path)
    assert_same_bits(first, again)
    assert history.equals(history_again)


def test_the_best_epoch_is_kept(store, tmp_path, monkeypatch):
    scores, seen = iter([0.1, 0.9, 0.3, 0.9, 0.2]), []

    def scored(model, *_):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(training, "validation_ssim", scored)
    network, history = trained(store, tmp_path)
    assert history["val_ssim"].tolist() == [0.1, 0.9, 0.3, 0.9, 0.2]
    best = network.state_dict()
    assert all(torch.equal(seen[1][name], best[name]) for name in best)
    assert not torch.equal(seen[4]["regressor.head.weight"], best["regressor.head.weight"])
    read = CrystalNet(**SMALL)
    checkpoints.load_weights(tmp_path / BEST, read)
    assert_same_bits(network, read)


@pytest.mark.parametrize(("val_grid", "stride"), [(7, 2), (6, 2), (8, 1), (28, 1)])
def test_validation_is_the_best_of_samples_and_rotations(store, val_grid, stride):
    inputs = torch.from_numpy(store.patterns), torch.from_numpy(store.compositions)
    row, asked = store.indices("val")[0], settings(val_samples=2).model_copy(update={"val_grid": val_grid})

    class Exact:
        """Answers with the truth, seen from another side."""

        def predict(self, pattern, composition, n_samples, seed, n):
            truth = torch.from_numpy(store.cmed[row, ::stride, ::stride, ::stride].astype(np.float32))
            assert torch.equal(pattern, inputs[0][row]) and torch.equal(composition, inputs[1][row])
            assert (n_samples, n) == (2, 14 // stride)
            return torch.stack([torch.zeros_like(truth), truth.permute(1, 0, 2).flip(2).roll(1, 2)])

    assert validation_ssim(Exact(), store, inputs, asked) == pytest.approx(1, abs=1e-5)


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("changed", [{"learning_rate": 2e-3}, {"seed": 1}, {"epochs": 9}, {"kl_weight": 0.0}])
def test_resuming_with_other_settings_is_refused(store, tmp_path, changed):
    trained(store, tmp_path)
    with pytest.raises(CrystalNetError, match="other settings"):
        trained(store, tmp_path, **changed)


def test_resuming_from_bare_weights_is_refused(store, tmp_path):
    checkpoints.save_weights(tmp_path / LAST, CrystalNet(**SMALL))
    with pytest.raises(CrystalNetError, match="other settings"):
        trained(store, tmp_path)


def test_resuming_with_another_network_is_refused(store, tmp_path):
    trained(store, tmp_path)
    other = CrystalNet(**SMALL | {"width": 8})
    with pytest.raises(CrystalNetError, match="other settings"):
        train(other, store, store.compositions, settings(), tmp_path, progress=False)
    with pytest.raises(CrystalNetError, match="holds a network with settings"):
        checkpoints.load_weights(tmp_path / BEST, other)


@pytest.mark.parametrize("name", [LAST, BEST])
@pytest.mark.parametrize("kept", [0, 5, 0.5, 0.999])
def test_a_damaged_checkpoint_is_one_clear_error(store, tmp_path, name, kept):
    trained(store, tmp_path, epochs=1)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CrystalNetError, match=f"{name} is not a readable weights file"):
        trained(store, tmp_path, epochs=1)


def test_a_loss_that_is_no_number_names_crystals(store, tmp_path):
    compositions = store.compositions.copy()
    compositions[store.indices("train")] = np.nan
    with pytest.raises(CrystalNetError, match="became nan in epoch 0, in a batch with") as error:
        train(CrystalNet(**SMALL), store, compositions, settings(), tmp_path, progress=False)
    named = str(error.value).split("a batch with ")[1].split(", ...")[0].split(", ")
    assert set(named) < {store.crystals[row].material_id for row in store.indices("train")}
    assert len(named) == 3  # the batch, which is not every crystal
    assert not (tmp_path / LAST).exists()


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

    network = CrystalNet(**SMALL)
    for broken in ("save_file", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"crystalnet.model.checkpoints.{broken}", full)
            with pytest.raises(CrystalNetError, match=r"could not be written .*No space left"):
                checkpoints.save_weights(tmp_path / BEST, network)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
