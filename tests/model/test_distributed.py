"""Two processes that share every batch are one process: the same statistics, losses and weights."""

import json
import os

import numpy as np
import pytest
import torch
from some_crystals import rock_salt
from torch import distributed, nn

from crystalnet.data.building import build_store
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.devices import on_devices
from crystalnet.model.normalisation import BatchNorm
from crystalnet.model.training import LAST, train
from crystalnet.settings import TrainingParams

SMALL = {"width": 16, "growth": 2, "n_frequencies": 8, "frequencies": "periodic", "n_blocks": 1}
ROWS, CHANNELS = 12, 5


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    train = [rock_salt("Mg", "O", 4.0 + i / 10, f"crystal-{i}") for i in range(8)]
    splits = {
        "train": train,
        "val": [rock_salt("Na", "Cl", 5.6), rock_salt("K", "Br", 6.6)],
        "test": train[:1],
    }
    return build_store(splits, tmp_path_factory.mktemp("data") / "small.h5", 14, workers=1, progress=False)


def settings(**changes) -> TrainingParams:
    """In double precision, which no user needs, so that rounding hides nothing."""
    few = {"epochs": 3, "batch_size": 4, "strata": 3, "restart_epochs": 3, "val_samples": 1, "val_grid": 7}
    return TrainingParams(**few | changes).model_copy(update={"precision": "64-true"})


def normalised(rank: int, n_processes: int, port: int, inputs: torch.Tensor, path: str) -> None:
    """One process's rows through BatchNorm and back; what came out goes to a file."""
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=n_processes
    )
    norm, rows = BatchNorm(CHANNELS), inputs[rank::n_processes].clone().requires_grad_()
    out = norm(rows)
    (out * weights(rank, n_processes)).sum().backward()
    torch.save((out.detach(), rows.grad, norm.running_mean, norm.running_var), f"{path}/{rank}.pt")
    distributed.destroy_process_group()


def weights(rank: int, n_processes: int) -> torch.Tensor:
    """Any function of the outputs would do to compare gradients."""
    return torch.arange(ROWS * CHANNELS).view(ROWS, CHANNELS).cos()[rank::n_processes]


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_statistics_are_of_all_processes_rows(tmp_path):
    """torch's own BatchNorm on the whole batch is the oracle for values, gradients and statistics."""
    inputs = 3 + 2 * torch.randn(ROWS, CHANNELS, generator=torch.Generator().manual_seed(0))
    torch.multiprocessing.spawn(normalised, (2, free_port(), inputs, str(tmp_path)), 2)
    oracle, rows = nn.BatchNorm1d(CHANNELS), inputs.clone().requires_grad_()
    out = oracle(rows)
    (out * weights(0, 1)).sum().backward()
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        expected = out[rank::2], rows.grad[rank::2], oracle.running_mean, oracle.running_var
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b.detach(), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory) -> dict[int, tuple]:
    """(network, history) of the same run on one process and on two."""
    made = {}
    for devices in (1, 2):
        network, folder = CrystalNet(**SMALL), tmp_path_factory.mktemp("run")
        history = train(network, store, store.compositions, settings(devices=devices), folder, progress=False)
        made[devices] = network, history
    return made


def test_two_processes_learn_what_one_learns(runs):
    (network, one), (other, two) = runs[1], runs[2]
    np.testing.assert_allclose(two.drop(columns="seconds"), one.drop(columns="seconds"), rtol=1e-5)
    for name, weight in network.named_parameters():
        # the layer before BatchNorm has no use for a bias: Adam turns the rounding of its gradient into steps
        if not name.endswith("bias"):
            torch.testing.assert_close(other.get_parameter(name), weight.float(), rtol=1e-5, atol=1e-6)


def test_two_processes_resume(store, runs, tmp_path):
    """From the checkpoint of a run that ended after one of its three epochs."""
    network = CrystalNet(**SMALL)
    train(network, store, store.compositions, settings(devices=2, epochs=1), tmp_path, progress=False)
    tensors, header = checkpoints.read(tmp_path / LAST)
    header["settings"] = json.dumps(json.loads(header["settings"]) | {"epochs": 3})
    checkpoints.write(tmp_path / LAST, tensors, header)
    train(network, store, store.compositions, settings(devices=2), tmp_path, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), runs[2][0].parameters(), strict=True))


def test_an_error_in_a_process_is_the_error(store, tmp_path):
    asked = settings(devices=2, learning_rate=1e9, kl_weight=1e3)
    with pytest.raises(CrystalNetError, match=r"^The loss became .* Lower training.learning_rate") as error:
        train(CrystalNet(**SMALL), store, store.compositions, asked, tmp_path, progress=False)
    assert error.value.code is Code.DIVERGED


def dies(fabric, task) -> None:
    """What a process of each device does: the second one is gone."""
    if fabric.global_rank == 1:
        os._exit(9)
    fabric.barrier()


def test_a_process_that_dies_is_an_error():
    with pytest.raises(CrystalNetError, match=r"A process of the training died .* Run again") as error:
        on_devices(dies, None, settings(devices=2))
    assert error.value.code is Code.PROCESS_DIED


def test_devices_that_are_not_there(store, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has an accelerator")
    with pytest.raises(CrystalNetError, match=r"devices = 2 with accelerator 'gpu' is not to be had"):
        train(
            CrystalNet(**SMALL), store, store.compositions, settings(devices=2, accelerator="gpu"), tmp_path
        )
