"""The volume that atoms take: measured crystals, sums, and the fit that the table comes from."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Element, Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.lattice.volumes import FILE, SMALLEST_VOLUME, fills, fitted, usual_volume
from crystalnet.physics.tables import SYMBOLS
from crystalnet.runs.datasets import DataSets
from crystalnet.runs.params import Params

AMOUNTS = st.dictionaries(st.sampled_from(["H", "O", "Na", "Fe", "Au"]), st.integers(1, 9), min_size=1)


@pytest.mark.parametrize(
    ("formula", "volume"),  # Å^3 a formula unit, from measured lattice constants
    [
        ({"Na": 1, "Cl": 1}, 5.640**3 / 4),
        ({"Mg": 1, "O": 1}, 4.212**3 / 4),
        ({"Ca": 1, "F": 2}, 5.463**3 / 4),
        ({"Sr": 1, "Ti": 1, "O": 3}, 3.905**3),
        ({"Ga": 1, "As": 1}, 5.653**3 / 4),
        ({"Cu": 1}, 3.615**3 / 4),
        ({"La": 1, "B": 6}, 4.157**3),
        ({"Al": 2, "O": 3}, 254.8 / 6),
    ],
)
def test_volumes_are_near_the_measured_ones(formula, volume):
    assert usual_volume(formula) == pytest.approx(volume, rel=0.2)
    assert fills(formula, volume) and not fills(formula, 3 * volume) and not fills(formula, volume / 3)


def test_an_atom_takes_less_in_electronegative_company():
    in_metal, in_salt = usual_volume({"Na": 1}), usual_volume({"Na": 1, "F": 1}) - 11.0  # a fluoride ion
    assert in_salt < 0.6 * in_metal


@given(AMOUNTS, st.integers(2, 5))
def test_volumes_grow_with_the_amounts(amounts, times):
    more = {element: times * n for element, n in amounts.items()}
    assert usual_volume(more) == pytest.approx(times * usual_volume(amounts))
    assert usual_volume(amounts) >= SMALLEST_VOLUME * sum(amounts.values())


@given(AMOUNTS, st.floats(20, 2000))
def test_atoms_that_nobody_named_may_take_almost_anything(amounts, volume):
    assert fills({None: 5}, volume) == (20 < volume < 500)
    if fills(amounts, volume):
        assert fills({**amounts, None: 1}, volume + 50)


def test_an_element_without_crystals_takes_the_usual_volume():
    assert "Og" not in json.loads(FILE.read_text())["elements"]
    assert usual_volume({"Og": 2}) == pytest.approx(30)


def test_the_fit_finds_volumes_that_crystals_were_made_with():
    """Mixtures of two metals whose atoms take 20 and 40 Å^3 in any company."""
    crystals = []
    for n in range(1, 8):
        symbols = ["Cu"] * n + ["Pb"] * (8 - n)
        lattice = Lattice.cubic((20 * n + 40 * (8 - n)) ** (1 / 3))
        places = [[i / 2, j / 2, k / 2] for i in range(2) for j in range(2) for k in range(2)]
        crystals.append(crystal_from_structure(Structure(lattice, symbols, places), str(n)))
    rows = dict(zip(SYMBOLS, fitted(crystals * 300), strict=True))
    for crystal in crystals:
        symbols = crystal.atoms.symbols.tolist()
        powers = (np.mean([Element(symbol).X for symbol in symbols]) - 2) ** np.arange(3)
        predicted = sum(rows[symbol] @ powers for symbol in symbols)
        assert predicted == pytest.approx(crystal.structure.volume, rel=0.01)


def test_the_table_is_the_fit_to_training_crystals(shared_data, monkeypatch):
    folders = shared_data / "data", shared_data / "reference"
    monkeypatch.setenv("CRYSTALNET_DATA", os.pathsep.join(map(str, folders)))
    crystals = []
    for system in ("cubic", "trigonal"):
        crystals += DataSets(Params.load(f"solving_{system}"), progress=False).cleaned(system).splits["train"]
    rows = dict(zip(SYMBOLS, fitted(crystals), strict=True))
    kept = json.loads(FILE.read_text())["elements"]
    assert len(kept) > 85
    for element, row in kept.items():
        np.testing.assert_allclose(row, rows[element], atol=1e-3)
