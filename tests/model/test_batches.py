"""What a step sees: every crystal once an epoch, the density at its points, and the same draw again."""

import numpy as np
import pytest
import torch
from some_crystals import rock_salt

from crystalnet.data.building import build_store
from crystalnet.data.store import ALTERED, Store
from crystalnet.errors import CrystalNetError
from crystalnet.model.batches import Batch, Batches
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.physics.profiles import LOG_STEP, log_profile
from crystalnet.settings import TrainingParams

N_TRAIN = 7


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Seven crystals to train on, 14^3 voxels."""
    train = [rock_salt("Mg", "O", 4.0 + i / 10, f"crystal-{i}") for i in range(N_TRAIN)]
    splits = {"val": train[:1], "train": train, "test": train[:1]}
    return build_store(splits, tmp_path_factory.mktemp("data") / "small.h5", 14, workers=1, progress=False)


@pytest.fixture(scope="module")
def with_copies(tmp_path_factory) -> Store:
    """Four crystals to train on, five altered copies of them, and others that no training may see."""
    train = [rock_salt("Mg", "O", 4 + i / 10, f"train-{i}") for i in range(4)]
    others = [rock_salt("K", "Cl", 6 + i / 10, f"other-{i}") for i in range(4)]
    copies = [rock_salt("Ca", "S", 5 + i / 10, f"copy~{i}") for i in range(5)]
    splits = {"val": others[:2], ALTERED: copies, "train": train, "test": others[2:]}
    return build_store(splits, tmp_path_factory.mktemp("data") / "more.h5", 14, workers=1, progress=False)


def batches(store: Store, n_processes: int = 1, reads: str = "patterns", **changes) -> Batches:
    settings = TrainingParams(**{"batch_size": 3, "strata": 3} | changes)
    return Batches(store, store.compositions, settings, 8, reads=reads, n_processes=n_processes)


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


# ------------------------------------------------------------------ altered copies


def test_altered_copies_are_trained_on_as_well(with_copies):
    made, seen = batches(with_copies, batch_size=5), set()
    allowed = {*with_copies.indices("train").tolist(), *with_copies.indices(ALTERED).tolist()}
    for epoch in range(10):
        steps = [made.crystals(epoch, step).tolist() for step in range(made.n_steps)]
        assert [len(rows) for rows in steps] == [5, 4]
        once = {row for rows in steps for row in rows}
        assert once == allowed and len(once) == 9
        seen |= {frozenset(rows) for rows in steps}
    assert len(seen) > 10  # mixed anew in each epoch


# ------------------------------------------------------------------ shared points


def test_points_may_be_drawn_once_a_step(store):
    made = batches(store, points="shared", max_shift_bins=0, noise=0)
    rows, batch = made.crystals(2, 0).numpy(), made.draw(2, 0)
    assert batch.query_coords.shape == (27, 3) and batch.rho.shape == (3, 27)
    i, j, k = (batch.query_coords.numpy() * store.n).round().astype(int).T
    np.testing.assert_array_equal(batch.rho, store.cmed[rows][:, i, j, k].astype(np.float32))
    cells = {tuple(cell) for cell in (3 * batch.query_coords + 1e-4).int().tolist()}
    assert len(cells) > 20  # spread over the cell: 14 voxels are no multiple of three strata
    assert not torch.equal(batch.query_coords, made.draw(2, 1).query_coords)


@pytest.mark.parametrize("points", ["own", "shared"])
@pytest.mark.parametrize("reads", ["patterns", "profiles"])
def test_parts_of_a_batch_are_shared_out(store, points, reads):
    """Two processes take every second crystal; together they have each of them once."""
    batch = batches(store, reads=reads, points=points, batch_size=6, loss="amplitude").draw(0, 0)
    parts = [batch.part(slice(rank, None, 2)) for rank in (0, 1)]
    for name, whole, *shares in zip(Batch._fields, batch, *parts, strict=True):
        if name == "query_coords" and points == "shared":
            assert all(torch.equal(share, whole) for share in shares)
        else:
            assert all(len(share) == 3 for share in shares)
            together = torch.stack(shares, 1).flatten(0, 1)
            assert torch.equal(together, whole), name
    whole = batch.part(slice(None))
    assert all(torch.equal(a, b) for a, b in zip(whole, batch, strict=True))


# ------------------------------------------------------------------ highest densities


def test_each_crystals_highest_density_comes_with_it(with_copies):
    """Of the stored grid, not of the points; altered copies have one as well."""
    made = batches(with_copies, batch_size=9, loss="amplitude")
    rows, batch = made.crystals(0, 0), made.draw(0, 0)
    expected = with_copies.cmed[rows.numpy()].astype(np.float32).max(axis=(1, 2, 3))
    assert batch.highest.shape == (9, 1) and len(set(expected)) > 5
    np.testing.assert_array_equal(batch.highest[:, 0], expected)
    assert (batch.rho <= batch.highest).all() and (batch.rho.amax(1) < batch.highest[:, 0]).any()


def test_a_loss_that_needs_no_highest_density_reads_none(store):
    assert (batches(store, loss="density").draw(0, 0).highest == 1).all()


# ------------------------------------------------------------------ stretched crystals


def test_a_shifted_profile_comes_with_the_density_of_the_stretched_crystal(store):
    """Fewer electrons a volume in a larger crystal: the shift is found in the profile, peak by peak."""
    plain = batches(store, reads="profiles", max_shift_bins=0, noise=0, loss="amplitude", batch_size=7)
    made = batches(store, reads="profiles", max_shift_bins=8, noise=0, loss="amplitude", batch_size=7)
    shifts = set()
    for epoch in range(4):
        rows, batch = made.crystals(epoch, 0).numpy(), made.draw(epoch, 0)
        assert batch.pattern.shape == (7, 768)
        np.testing.assert_array_equal(plain.draw(epoch, 0).pattern, store.profiles[rows])
        i, j, k = np.moveaxis((batch.query_coords.numpy() * store.n).round().astype(int), -1, 0)
        rho = store.cmed[rows[:, None], i, j, k].astype(np.float32)
        highest = store.cmed[rows].astype(np.float32).max(axis=(1, 2, 3))
        for b, row in enumerate(rows):
            moved = [np.roll(store.profiles[row], shift) for shift in range(-8, 9)]
            at = [np.abs(profile - batch.pattern[b].numpy())[20:-20].max() for profile in moved]
            assert sorted(at)[0] < 1e-6 < 0.01 < sorted(at)[1]
            shift = int(np.argmin(at)) - 8
            shifts.add(shift)
            factor = np.exp(-shift * LOG_STEP)  # of all lengths
            np.testing.assert_allclose(batch.rho[b], rho[b] / factor**3, rtol=1e-5)
            assert float(batch.highest[b]) == pytest.approx(highest[b] / factor**3, rel=1e-5)
    assert len(shifts) > 8


def test_a_stretched_crystal_has_its_profile_and_its_electrons(store):
    """The factor of the density against crystals that are really stretched: cells' volumes, peaks' places."""
    made = batches(store, reads="profiles", max_shift_bins=8, noise=0, batch_size=7)
    batch, rows = made.draw(1, 0), made.crystals(1, 0).numpy()
    i, j, k = np.moveaxis((batch.query_coords.numpy() * store.n).round().astype(int), -1, 0)
    factors = np.median(batch.rho.numpy() / store.cmed[rows[:, None], i, j, k].astype(np.float32), axis=1)
    assert len(set(factors.round(5))) > 3
    for row, factor, profile in zip(rows, factors, batch.pattern.numpy(), strict=True):
        atoms = store.crystals[row].atoms
        stretched = atoms._replace(lattice=atoms.lattice * factor ** (-1 / 3))
        assert stretched.volume * factor == pytest.approx(atoms.volume, rel=1e-4)
        expected = log_profile(powder_peaks(stretched))
        cosine = profile @ expected / np.linalg.norm(profile) / np.linalg.norm(expected)
        assert cosine > 0.98  # form factors, and the axis' end, are what is left


def test_a_share_of_profiles_is_seen_as_measured(store):
    """The densities stay; every step draws anew."""
    plain, made = (
        batches(store, reads="profiles", max_shift_bins=8, noise=0, degraded=share, batch_size=7)
        for share in (0, 1)
    )
    before, after, later = plain.draw(0, 0), made.draw(0, 0), made.draw(1, 0)
    assert not (before.pattern == after.pattern).all(1).any()
    assert ((after.pattern > 0).sum(1) <= (before.pattern > 0).sum(1) + 7).all() and later.pattern.amax() == 1
    assert torch.equal(before.rho, after.rho) and torch.equal(before.highest, after.highest)
    with pytest.raises(CrystalNetError, match=r"training\.degraded is for networks that read profiles"):
        batches(store, degraded=0.5)


def test_a_shifted_pattern_leaves_the_density_alone(store):
    """On the axis of angles a shift is an error of the instrument."""
    made = batches(store, max_shift_bins=3, loss="amplitude", batch_size=7)
    rows, batch = made.crystals(0, 0).numpy(), made.draw(0, 0)
    i, j, k = np.moveaxis((batch.query_coords.numpy() * store.n).round().astype(int), -1, 0)
    np.testing.assert_array_equal(batch.rho, store.cmed[rows[:, None], i, j, k].astype(np.float32))
    highest = store.cmed[rows].astype(np.float32).max(axis=(1, 2, 3))
    np.testing.assert_array_equal(batch.highest[:, 0], highest)
    assert not np.array_equal(batch.pattern, store.patterns[rows])
