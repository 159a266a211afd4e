"""The crystals that travel with the pages: chosen by rank alone, computed as a data set would."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Lattice, Structure

from crystalnet.data.blocks import compute_block
from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import CrystalNetError
from crystalnet.physics.symmetry import rotate
from crystalnet.runs.showcase import FILE, chosen, read_showcase, write_showcase

TURN = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
CRYSTALS = [
    crystal_from_structure(
        Structure.from_spacegroup("Pm-3m", Lattice.cubic(a), [x, y], [[0] * 3, [0.5] * 3]), x + y
    )
    for x, y, a in (("Cs", "Cl", 4.12), ("Cs", "Br", 4.29), ("Tl", "Cl", 3.83))
]
DATA = SimpleNamespace(source="salts", n_grid=50, density="promolecule", chgcar_method="fourier")


def scores(n: int) -> pd.DataFrame:
    table = pd.DataFrame(
        {"honest_ssim": np.random.default_rng(0).permutation(n) / n, "predictor": "CrystalNet"}
    )
    return pd.concat([table, table.assign(predictor="mean density", honest_ssim=2.0)], ignore_index=True)


@pytest.mark.parametrize("n", [3, 16, 500])
def test_quantiles_are_even_and_hold_both_ends(n: int):
    found = chosen(scores(n))["honest_ssim"].to_numpy()
    assert len(found) == min(n, 16) and (np.diff(found) < 0).all()
    assert found[0] == (n - 1) / n and found[-1] == 0
    assert np.ptp(np.diff(found)) <= 1.001 / n


class Turned:
    """Answers with the truth, but turned and moved."""

    def __init__(self, truths):
        self.truths = truths

    def answer(self, profile, composition, n):
        return rotate(next(self.truths), TURN).roll((10, 4, 6), (0, 1, 2))


def test_the_crystals_are_computed_and_laid_onto_the_answer(tmp_path, monkeypatch):
    computed = compute_block(CRYSTALS, DATA.n_grid, DATA.density, DATA.chgcar_method)
    truths = [torch.from_numpy(truth.astype(np.float32)) for _, _, truth, _ in computed]
    monkeypatch.setattr("crystalnet.runs.showcase.library.load", lambda name: Turned(iter(truths)))
    table = pd.DataFrame(
        {
            "material_id": [crystal.material_id for crystal in CRYSTALS],
            "formula": [crystal.formula for crystal in CRYSTALS],
            "space_group": 221,
            "honest_ssim": [0.9, 0.8, 0.7],
            "predictor": "CrystalNet",
        }
    )
    record = SimpleNamespace(scores=table, network="salts", system="cubic")
    known = SimpleNamespace(crystals=CRYSTALS)
    run = SimpleNamespace(cleaned=lambda system: known, params=SimpleNamespace(data=DATA))
    assert write_showcase(run, record, tmp_path) == tmp_path / FILE
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    shown = read_showcase(tmp_path)
    assert shown["material_id"].tolist() == ["CsCl", "CsBr", "TlCl"] and shown["lattice"].shape == (3, 3, 3)
    for i, (_, profile, _, _) in enumerate(computed):
        assert np.array_equal(shown["profile"][i], profile)
        answer = rotate(truths[i], TURN).roll((10, 4, 6), (0, 1, 2))[::2, ::2, ::2]
        np.testing.assert_allclose(shown["truth"][i], answer, rtol=2e-3, atol=1e-3)

    known.crystals = CRYSTALS[:2]
    with pytest.raises(CrystalNetError, match="salts lacks TlCl"):
        write_showcase(run, record, tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / FILE).write_bytes(b"not an archive")
    with pytest.raises(CrystalNetError, match=FILE):
        read_showcase(tmp_path)
