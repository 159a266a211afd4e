"""Both protocols on answers whose score is known, the table they fill, and the baselines."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from crystalnet.data.building import build_store
from crystalnet.data.crystals import Crystal
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.similarity import psnr, ssim
from crystalnet.physics.symmetry import ROTATIONS, lattice_operations, rotate
from crystalnet.scoring.baselines import MeanDensity, NearestNeighbour
from crystalnet.scoring.evaluation import evaluate, summary
from crystalnet.scoring.protocols import honest_score, paper_score

N = 14
LATTICES = {
    "triclinic": Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107),
    "monoclinic": Lattice.monoclinic(4.1, 5.2, 6.3, 100),
    "orthorhombic": Lattice.orthorhombic(4.1, 5.2, 6.3),
    "tetragonal": Lattice.tetragonal(4.1, 6.3),
    "trigonal": Lattice.rhombohedral(5.2, 70),
    "hexagonal": Lattice.hexagonal(4.1, 6.3),
    "cubic": Lattice([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]]),
}


def smooth(seed: int, n: int = N) -> torch.Tensor:
    """A density without any symmetry: some random plane waves of the lattice, (n, n, n)."""
    rng = np.random.default_rng(seed)
    spectrum = np.zeros((n, n, n), complex)
    spectrum[:3, :3, :3] = rng.normal(size=(3, 3, 3)) + 1j * rng.normal(size=(3, 3, 3))
    rho = np.fft.fftn(spectrum).real
    return torch.from_numpy(rho - rho.min())


def crystal(name: str, a: float, *species: str) -> Crystal:
    structure = Structure(Lattice.cubic(a), species, [[0, 0, 0], [0.5, 0.5, 0.5]][: len(species)])
    return Crystal(name, structure, 221, "cubic")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    train = [crystal("a", 4.1, "Cs", "Cl"), crystal("b", 2.9, "Fe", "Al"), crystal("c", 3.3, "Po")]
    splits = {"train": train, "val": train[:1], "test": [crystal("d", 4.2, "Cs", "Br"), train[1]]}
    return build_store(splits, tmp_path_factory.mktemp("data") / "small.h5", N, workers=1, progress=False)


# ------------------------------------------------------------------ paper


@pytest.mark.parametrize("rotation", [0, 5, 17, 23])
def test_the_truth_from_any_of_24_sides_is_perfect(rotation):
    truth = smooth(0)
    samples = torch.stack([smooth(1), rotate(truth, ROTATIONS[rotation]), smooth(2)])
    score = paper_score(truth, samples)
    assert score["paper_ssim"] == pytest.approx(1) and score["paper_psnr"] > 200


def test_ssim_and_psnr_are_chosen_independently():
    """One sample has the better SSIM, the other the better PSNR; the paper takes the best of each."""
    truth = smooth(0)
    data_range = float(truth.max() - truth.min())
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0), dtype=truth.dtype)
    shifted, noisy = truth + 0.5 * data_range, truth + 0.3 * data_range * noise
    alone = [paper_score(truth, sample[None]) for sample in (shifted, noisy)]
    assert alone[0]["paper_ssim"] > alone[1]["paper_ssim"] and alone[0]["paper_psnr"] < alone[1]["paper_psnr"]
    both = paper_score(truth, torch.stack([shifted, noisy]))
    assert both["paper_ssim"] == pytest.approx(alone[0]["paper_ssim"])
    assert both["paper_psnr"] == pytest.approx(alone[1]["paper_psnr"])


def test_more_samples_never_score_less():
    truth, samples = smooth(0), torch.stack([smooth(seed) for seed in range(1, 5)])
    scores = [paper_score(truth, samples[:k]) for k in range(1, 5)]
    for key in ("paper_ssim", "paper_psnr"):
        assert np.all(np.diff([score[key] for score in scores]) >= 0)
    assert len({score["paper_ssim"] for score in scores}) > 1


# ------------------------------------------------------------------ honest


@pytest.mark.parametrize("system", LATTICES)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_orientation_and_origin_of_an_answer_do_not_matter(system, data):
    """A powder pattern sees neither: an answer moved by them scores as it did."""
    operations = lattice_operations(LATTICES[system].matrix)
    moved_by = operations[data.draw(st.integers(0, len(operations) - 1))]
    shift = data.draw(st.tuples(*[st.integers(0, N - 1)] * 3))
    truth = smooth(0)
    answer = truth + 0.3 * smooth(data.draw(st.integers(1, 50)))
    moved = rotate(answer, moved_by).roll(shift, (0, 1, 2))
    assert honest_score(truth, moved, operations) == pytest.approx(honest_score(truth, answer, operations))
    exact = honest_score(truth, rotate(truth, moved_by).roll(shift, (0, 1, 2)), operations)
    assert (exact["honest_ssim"], exact["honest_nmae"]) == pytest.approx((1, 0))


@given(st.tuples(*[st.integers(0, N - 1)] * 3))
@settings(max_examples=10, deadline=None)
def test_no_origin_of_the_truth_is_special(shift):
    """The grid is periodic: a truth described from another origin gives the same score."""
    operations = lattice_operations(LATTICES["orthorhombic"].matrix)
    truth, answer = smooth(0), smooth(0) + 0.5 * smooth(1)
    moved = honest_score(truth.roll(shift, (0, 1, 2)), answer, operations)
    assert moved == pytest.approx(honest_score(truth, answer, operations))


def test_an_operation_the_lattice_does_not_have_is_not_forgiven():
    operations = lattice_operations(LATTICES["orthorhombic"].matrix)
    truth = smooth(0)
    turned = truth.permute(1, 0, 2)  # swaps axes of different length
    assert honest_score(truth, turned, operations)["honest_ssim"] < 0.9
    assert honest_score(truth, turned, lattice_operations(np.eye(3)))["honest_ssim"] == pytest.approx(1)


@pytest.mark.parametrize("system", ["triclinic", "monoclinic", "trigonal"])
def test_never_more_than_brute_force_over_orientations_and_origins(system):
    """Its PSNR is the best there is; its SSIM is read off that alignment, not chosen."""
    n = 7
    operations = lattice_operations(LATTICES[system].matrix)
    truth, answer = smooth(0, n), smooth(0, n) + 0.5 * smooth(3, n)
    data_range = float(truth.max() - truth.min())
    placed = torch.stack(
        [rotate(answer, w).roll(t, (0, 1, 2)) for w, t in product(operations, np.ndindex(n, n, n))]
    )
    score = honest_score(truth, answer, operations)
    assert score["honest_psnr"] == pytest.approx(
        float(psnr(truth.expand_as(placed), placed, data_range).max())
    )
    similarity = ssim(truth.expand_as(placed), placed, data_range, periodic=True)
    assert similarity.median() < score["honest_ssim"] <= float(similarity.max()) + 1e-9


def test_a_symmetric_crystal_may_sit_anywhere():
    """Rock salt with anion and cation exchanged is the same crystal at another origin."""
    structure = Structure(LATTICES["cubic"], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    exchanged = Structure(LATTICES["cubic"], ["Cl", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    truth, answer = (torch.from_numpy(promolecule_cmed(s, 16)) for s in (structure, exchanged))
    score = honest_score(truth, answer, lattice_operations(LATTICES["cubic"].matrix))
    assert score["honest_ssim"] == pytest.approx(1) and score["honest_nmae"] == pytest.approx(0, abs=1e-9)


# ------------------------------------------------------------------ tables


class Oracle:
    """Knows every density by its pattern; its guesses hold the truth last."""

    reads = "patterns"

    def __init__(self, store: Store):
        self.store, self.seen = store, []

    def answer(self, pattern, composition, n=50):
        self.seen.append(composition)
        (row, *_) = np.flatnonzero((self.store.patterns == pattern).all(1))
        return torch.from_numpy(self.store.cmed[row].astype(np.float32))

    def predict(self, pattern, composition, n_samples=5, seed=0, n=50):
        truth = self.answer(pattern, composition, n)
        return torch.stack([*[torch.rand(truth.shape) for _ in range(n_samples - 1)], truth])


def test_an_oracle_is_perfect_in_every_row(store):
    rows, oracle = store.indices("test"), Oracle(store)
    hidden = np.zeros_like(store.compositions)
    table = evaluate(oracle, store, hidden, rows, n_samples=2, progress=False)
    assert table["row"].tolist() == rows.tolist() and table["material_id"].tolist() == ["d", "b"]
    assert table["formula"].tolist() == ["CsBr", "AlFe"] and set(table["space_group"]) == {221}
    np.testing.assert_allclose(table[["paper_ssim", "honest_ssim"]], 1, atol=1e-4)
    np.testing.assert_allclose(table["honest_nmae"], 0, atol=1e-5)
    assert not np.any(oracle.seen)  # sees the compositions it is given, not the store's


@pytest.mark.parametrize(("reads", "size"), [("patterns", 1024), ("profiles", 768)])
def test_patterns_may_be_measured(store, reads, size):
    """What the predictor sees is not the store's, the truth is."""

    class Blind:
        def __init__(self):
            self.reads, self.seen = reads, []

        def answer(self, pattern, composition, n=50):
            self.seen.append(pattern)
            return torch.ones(n, n, n)

        def predict(self, pattern, composition, n_samples=5, seed=0, n=50):
            return torch.ones(n_samples, n, n, n)

    blind, rows = Blind(), store.indices("test")
    table = evaluate(
        blind, store, store.compositions, rows, 2, progress=False, patterns="laboratory, to 90 degrees"
    )
    assert table["honest_ssim"].between(-1, 0.9).all()
    for row, seen in zip(rows, blind.seen, strict=True):
        exact = getattr(store, reads)[row]
        assert seen.shape == (size,) == exact.shape and seen.max() == 1 and np.isfinite(seen).all()
        assert (seen > 0).sum() < (exact > 0).sum()  # weak peaks and large angles are gone
        strong = exact.argmax()
        assert seen[strong - 2 : strong + 3].max() > 0.5
    with pytest.raises(CrystalNetError, match="There is no challenge 'by moonlight'"):
        evaluate(blind, store, store.compositions, rows, 2, progress=False, patterns="by moonlight")


def test_summary_on_numbers_done_by_hand():
    table = pd.DataFrame({"paper_ssim": [0.4, 0.9, 0.95, 0.95], "paper_psnr": [10.0, 20, 30, 40]})
    table = table.assign(honest_ssim=[0.1, 0.2, 0.3, 1.0], honest_psnr=[1.0, 1, 1, 5])
    numbers = summary(table)
    assert numbers["crystals"] == 4
    assert numbers["paper_ssim"] == pytest.approx(0.8) and numbers["paper_ssim_median"] == pytest.approx(
        0.925
    )
    assert numbers["paper_ssim_std"] == pytest.approx(np.std([0.4, 0.9, 0.95, 0.95]))
    assert (numbers["paper_above_0.9"], numbers["paper_below_0.5"]) == (0.5, 0.25)
    assert (numbers["paper_psnr"], numbers["honest_psnr"]) == (25, 2)
    assert (numbers["honest_above_0.9"], numbers["honest_below_0.5"]) == (0.25, 0.75)


# ------------------------------------------------------------------ baselines


def test_the_nearest_neighbour_of_a_training_crystal_is_itself(store):
    neighbour = NearestNeighbour(store)
    for row in store.indices("train"):
        pattern, composition = store.patterns[row], store.compositions[row]
        assert neighbour.nearest(pattern, composition, 2)[0] == row
        answer = neighbour.answer(pattern, composition, N)
        np.testing.assert_array_equal(answer, store.cmed[row].astype(np.float32))


def test_neighbours_are_training_crystals_most_alike_first(store):
    row = store.indices("test")[0]  # CsBr: CsCl shares the cation and nearly the peaks
    neighbour = NearestNeighbour(store)
    rows = neighbour.nearest(store.patterns[row], store.compositions[row], 3)
    assert rows[0] == 0 and sorted(rows) == store.indices("train").tolist()
    samples = neighbour.predict(store.patterns[row], store.compositions[row], 2)
    np.testing.assert_array_equal(samples, store.cmed[rows[:2]].astype(np.float32))


def test_pattern_and_composition_both_choose_the_neighbour(store):
    """Either one decides where the other says nothing."""
    neighbour = NearestNeighbour(store)
    void_pattern, void_composition = np.zeros(1024, np.float32), np.zeros(118, np.float32)
    for row in store.indices("train"):
        assert neighbour.nearest(store.patterns[row], void_composition, 1)[0] == row
        assert neighbour.nearest(void_pattern, store.compositions[row], 1)[0] == row


def test_the_mean_density_is_the_mean_of_the_training_crystals(store):
    expected = store.cmed[store.indices("train")].astype(float).mean(0)
    mean = MeanDensity(store)
    np.testing.assert_allclose(mean.answer(None, None, N), expected, rtol=1e-6)
    assert mean.predict(None, None, 5).shape == (1, N, N, N)
