"""What a step sees: every crystal once an epoch, the density at its points, and the same draw again."""

import numpy as np
import pytest
import torch
from some_crystals import rock_salt

from crystalnet.data.building import build_store
from crystalnet.data.store import Store
from crystalnet.model.batches import Batches
from crystalnet.params import TrainingParams

N_TRAIN = 7


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Seven crystals to train on, 14^3 voxels."""
    train = [rock_salt("Mg", "O", 4.0 + i / 10, f"crystal-{i}") for i in range(N_TRAIN)]
    splits = {"val": train[:1], "train": train, "test": train[:1]}
    return build_store(splits, tmp_path_factory.mktemp("data") / "small.h5", 14, workers=1, progress=False)


def batches(store: Store, n_processes: int = 1, **changes) -> Batches:
    settings = TrainingParams(**{"batch_size": 3, "strata": 3} | changes)
    return Batches(store, store.compositions, settings, 8, n_processes=n_processes)


@pytest.mark.parametrize(
    ("size", "n_processes", "expected"),
    [(7, 1, [7]), (3, 1, [3, 3]), (4, 1, [4, 3]), (20, 1, [7]),
     (4, 2, [4]), (5, 2, [4]), (6, 3, [6]), (2, 2, [2] * 3)],
)  # fmt: skip
def test_an_epoch_shows_each_crystal_once_in_batches_to_share(store, size, n_processes, expected):
    """A remainder of one crystal, or one that the processes cannot share, waits for the next epoch."""
    made, seen = batches(store, n_processes, batch_size=size), set()
    train = set(store.indices("train").tolist())
    for epoch in range(30):
        steps = [made.crystals(epoch, step).tolist() for step in range(made.n_steps)]
        assert [len(rows) for rows in steps] == expected
        once = {row for rows in steps for row in rows}
        assert len(once) == sum(expected) and once <= train
        seen |= once
    assert seen == train


def test_epochs_come_in_orders_of_their_own(store):
    made, other = batches(store, batch_size=7), batches(store, batch_size=7, seed=1)
    orders = {tuple(which.crystals(epoch, 0).tolist()) for which in (made, other) for epoch in range(5)}
    assert len(orders) == 10


def test_a_step_sees_the_density_at_its_points(store):
    made = batches(store, max_shift_bins=0, noise=0)
    rows, batch = made.crystals(4, 1).numpy(), made.draw(4, 1)
    assert batch.query_coords.shape == (3, 27, 3) and batch.noise.shape == (3, 8)
    np.testing.assert_array_equal(batch.pattern, store.patterns[rows])
    np.testing.assert_array_equal(batch.composition, store.compositions[rows])
    i, j, k = np.moveaxis((batch.query_coords.numpy() * store.n).round().astype(int), -1, 0)
    np.testing.assert_array_equal(batch.rho, store.cmed[rows[:, None], i, j, k].astype(np.float32))


def test_a_step_draws_the_same_whatever_came_before(store):
    made = batches(store)
    first = made.draw(3, 1)
    made.draw(0, 0)
    torch.manual_seed(5)
    for again in (made.draw(3, 1), batches(store).draw(3, 1)):
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_no_two_steps_draw_alike(store):
    drawn = [
        batches(store, seed=seed).draw(epoch, step) for seed in (0, 1) for epoch in (0, 1) for step in (0, 1)
    ]
    for part in (2, 3):  # points and latent noise
        assert len({crystal.numpy().tobytes() for batch in drawn for crystal in batch[part]}) == 8 * 3
