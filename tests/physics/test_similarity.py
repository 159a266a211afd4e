"""SSIM and PSNR against scikit-image; rotations and alignment against crystals moved on purpose."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.similarity import align, nmae, psnr, score_rotations, ssim
from crystalnet.physics.symmetry import CUBE, ROTATIONS, lattice_operations, rotate

FCC = Lattice([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])


def pair(seed, n=20, noise=0.4):
    rng = np.random.default_rng(seed)
    smooth = np.cumsum(rng.normal(size=(n, n, n)), axis=0)
    return smooth, smooth + noise * rng.normal(size=(n, n, n))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(7, 30), st.floats(0.01, 3), st.floats(0.5, 50))
def test_equals_scikit_image(seed, n, noise, data_range):
    a, b = pair(seed, n, noise)
    assert ssim(a, b, data_range) == pytest.approx(
        structural_similarity(a, b, win_size=7, data_range=data_range), abs=1e-6
    )
    assert psnr(a, b, data_range) == pytest.approx(
        peak_signal_noise_ratio(a, b, data_range=data_range), abs=1e-6
    )


def test_single_precision_is_close_and_batches_are_rows():
    a, b = pair(0, 50)
    data_range = a.max() - a.min()
    exact = structural_similarity(a, b, win_size=7, data_range=data_range)
    batch = ssim(np.stack([a, a]).astype("f4"), np.stack([b, a]).astype("f4"), data_range)
    assert batch.tolist() == pytest.approx([exact, 1.0], abs=1e-4)


def test_not_a_cube():
    a, b = (np.random.default_rng(i).random((9, 12, 15)) for i in range(2))
    assert ssim(a, b, 1.0) == pytest.approx(structural_similarity(a, b, win_size=7, data_range=1.0), abs=1e-6)


def test_periodic_ssim_is_scikit_image_on_the_continued_crystal():
    a, b = pair(1)
    wide = [np.pad(x, 3, mode="wrap") for x in (a, b)]
    expected = structural_similarity(*wide, win_size=7, data_range=10.0)
    assert ssim(a, b, 10.0, periodic=True) == pytest.approx(expected, abs=1e-6)
    moved = [np.roll(x, (3, 8, 5), (0, 1, 2)) for x in (a, b)]
    assert ssim(*moved, 10.0, periodic=True) == pytest.approx(expected, abs=1e-6)


def test_nmae():
    assert nmae(np.full((3, 3, 3), 2.0), np.full((3, 3, 3), 2.5)) == pytest.approx(0.25)


def test_equal_densities_score_perfectly():
    a, _ = pair(2)
    assert ssim(a, a, 1.0) == pytest.approx(1.0)
    assert psnr(a, a, 1.0) == np.inf


def test_different_shapes_are_refused():
    with pytest.raises(CrystalNetError, match="differ in shape"):
        ssim(np.zeros((8, 8, 8)), np.zeros((9, 9, 9)), 1.0)


# ------------------------------------------------------------------ rotations


def test_the_24_rotations_form_a_group():
    keys = {r.tobytes() for r in ROTATIONS}
    assert len(keys) == 24 and len(CUBE) == 48
    assert all((a @ b).tobytes() in keys for a in ROTATIONS for b in ROTATIONS)


@pytest.mark.parametrize("n", [6, 7])
def test_rotation_moves_each_voxel_where_the_matrix_says(n):
    cmed = torch.arange(n**3).view(n, n, n)
    shear = np.array([[1, 1, 0], [0, 1, 0], [0, 0, -1]])
    for w in [*CUBE, shear]:
        turned = rotate(cmed, w)
        for x in ([0, 0, 0], [1, 2, 5], [3, 0, 4]):
            assert turned[tuple(w @ x % n)] == cmed[tuple(x)]


def test_a_symmetric_crystal_is_itself_under_its_rotations():
    """The array rotation of the released code gives CsCl 0.97 here; about the origin it is 1."""
    cscl = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    cmed = torch.from_numpy(promolecule_cmed(cscl))
    similarity, ratio = score_rotations(cmed, cmed[None])
    assert similarity.min() > 1 - 1e-6 and ratio.min() > 100


def test_every_rotation_is_scored_as_scikit_image_would():
    truth, sample = (torch.from_numpy(x) for x in pair(3, 22))
    data_range = float(truth.max() - truth.min())
    similarity, ratio = score_rotations(truth, torch.stack([sample, truth]))
    assert similarity.shape == ratio.shape == (2, 24)
    for r in (0, 5, 11, 23):
        turned = rotate(sample, ROTATIONS[r]).contiguous().numpy()
        back = rotate(truth, np.linalg.inv(ROTATIONS[r])).contiguous().numpy()
        expected = structural_similarity(back, sample.numpy(), win_size=7, data_range=data_range)
        assert float(similarity[0, r]) == pytest.approx(expected, abs=1e-6)
        expected = peak_signal_noise_ratio(truth.numpy(), turned, data_range=data_range)
        assert float(ratio[0, r]) == pytest.approx(expected, abs=1e-6)


# ------------------------------------------------------------------ lattices and alignment


@pytest.mark.parametrize(
    ("lattice", "order"),
    [
        (Lattice.cubic(4), 48),
        (FCC, 48),
        (Lattice([[-2, 2, 2], [2, -2, 2], [2, 2, -2]]), 48),
        (Lattice.hexagonal(3, 5), 24),
        (Lattice.rhombohedral(5, 33), 12),
        (Lattice.rhombohedral(5, 105), 12),
        (Lattice.tetragonal(3, 4), 16),
        (Lattice.orthorhombic(3, 4, 5), 8),
        (Lattice.monoclinic(3, 4, 5, 100), 4),
        (Lattice.from_parameters(3, 4, 5, 80, 95, 107), 2),
        (Lattice([[4, 0, 0], [8, 4, 0], [4, 0, 4]]), 48),  # a cubic lattice in a skewed basis
    ],
)
def test_lattice_operations_have_the_order_of_the_holohedry(lattice, order):
    operations = lattice_operations(lattice.matrix)
    assert len(operations) == order == len({w.tobytes() for w in operations})
    assert np.array_equal(operations[0], np.eye(3))
    metric = lattice.matrix @ lattice.matrix.T
    for w in operations:
        np.testing.assert_allclose(w.T @ metric @ w, metric, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 47), st.tuples(*[st.integers(0, 19)] * 3))
def test_alignment_finds_any_origin_and_orientation(which, shift):
    truth = torch.from_numpy(pair(4)[0])
    operations = lattice_operations(FCC.matrix)
    moved = rotate(truth, operations[which]).roll(shift, (0, 1, 2))
    found = align(truth, moved, operations)
    torch.testing.assert_close(found.aligned, truth)


def test_alignment_is_the_best_of_all():
    """Against brute force over all operations and origins of a small grid."""
    rng = np.random.default_rng(5)
    truth, answer = (torch.from_numpy(rng.random((5, 5, 5))) for _ in range(2))
    operations = lattice_operations(FCC.matrix)
    best = min(
        float(((rotate(answer, w).roll(t, (0, 1, 2)) - truth) ** 2).mean())
        for w in operations
        for t in np.ndindex(5, 5, 5)
    )
    assert float(((align(truth, answer, operations).aligned - truth) ** 2).mean()) == pytest.approx(best)
