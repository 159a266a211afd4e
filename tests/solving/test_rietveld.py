"""Refinement: a disturbed structure comes back, with uncertainties; what does not converge says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rietx as rx
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.laboratory import Sample, measured_sample
from crystalnet.patterns.simulation import simulated
from crystalnet.physics.atoms import Atoms
from crystalnet.solving.rietveld import refined
from crystalnet.solving.rietveld.result import Quantity

RUTILE = Structure.from_spacegroup(
    136, Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)
SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="module")
def answer():
    pattern = simulated(RUTILE, "CuKa1", (20, 90), k_alpha_2=True, counts=20_000, lorentzian=0.3)
    start = Structure.from_spacegroup(
        136, Lattice.tetragonal(4.60, 2.965), ["Ti", "O"], [[0, 0, 0], [0.295, 0.295, 0]]
    )
    return refined(pattern, start)


def test_cell_and_coordinate_come_back(answer):
    assert answer.cell["a"].value == pytest.approx(4.594, abs=2e-3)
    assert answer.cell["c"].value == pytest.approx(2.959, abs=2e-3)
    assert StructureMatcher(ltol=0.01, stol=0.03).fit(answer.structure, RUTILE)
    assert answer.cell["alpha"].esd is None and 0 < answer.cell["a"].esd < 1e-3


def test_the_fit_is_better_than_its_start_and_says_how_good(answer):
    assert answer.factors["Rwp"] < answer.before
    assert 0 < answer.factors["Rexp"] <= answer.factors["Rwp"] < 0.1
    assert len(answer.two_theta) == len(answer.observed) == len(answer.calculated) == len(answer.background)
    assert ((answer.ticks > 20) & (answer.ticks < 91)).all() and len(answer.ticks) > 10
    assert list(answer.sites["element"].str.replace(r"[\d+-]", "", regex=True)) == ["Ti", "O"]


@pytest.mark.parametrize("end", [".cif", ".gsas2.cif"])
def test_its_cifs_can_be_read(answer, end):
    again = Structure.from_str(answer.files[end], fmt="cif")
    assert StructureMatcher().fit(again, RUTILE)


def test_other_programs_get_the_same_cell(answer, tmp_path):
    """Read back by rietx's own parsers of these formats."""
    for end, read in ((".pcr", rx.read_fullprof_pcr), (".inp", rx.read_topas_inp)):
        path = tmp_path / f"refined{end}"
        path.write_text(answer.files[end], encoding="utf-8")
        assert len(read(path).phases) == 1
        assert f"{answer.cell['a'].value:.4f}"[:6] in answer.files[end]
    assert "Lam" in answer.files[".instprm"]


def sample(**told):
    atoms = Atoms(
        RUTILE.lattice.matrix, RUTILE.frac_coords, np.array([site.specie.symbol for site in RUTILE])
    )
    return measured_sample(atoms, Sample(**told), two_theta_range=(15, 100))


def test_grains_that_lie_on_a_face_are_found():
    answer = refined(sample(face=(1, 1, 0), march=0.7, counts=20_000), RUTILE, "CuKa")
    assert answer.grains.face in ((1, 1, 0), (1, -1, 0))
    assert answer.grains.march.value == pytest.approx(0.7, abs=0.05)
    assert "grains on (1" in answer.facts["texture (March-Dollase)"]


def test_grains_as_they_fall_need_no_texture(answer):
    assert answer.grains is None and "texture (March-Dollase)" not in answer.facts


def test_shares_of_two_phases_come_back():
    """Intensities add in proportion to mass over volume; both are drawn on one scale of counts."""
    rutile, salt = (powder(structure) for structure in (RUTILE, SALT))
    pattern = replace(rutile, counts=rutile.counts + salt.counts, name="two phases")
    answer = refined(pattern, RUTILE, "CuKa1", others=[SALT])
    alone = refined(pattern, RUTILE, "CuKa1")
    assert answer.factors["Rwp"] < 0.5 * alone.factors["Rwp"] and len(answer.other_ticks) > 5
    assert set(answer.shares) and sum(one.value for one in answer.shares.values()) == pytest.approx(1)
    assert answer.cell["a"].value == pytest.approx(4.594, abs=2e-3) and alone.shares == {}


def powder(structure):
    return simulated(structure, "CuKa1", (20, 90), counts=20_000, lorentzian=0.3)


def test_nothing_is_left_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refined(simulated(RUTILE, "CuKa1", (20, 90), step=0.05), RUTILE, free_atoms=False)
    assert list(tmp_path.iterdir()) == []


def test_without_a_wavelength_it_is_asked_for():
    pattern = simulated(RUTILE, "CuKa1", (20, 90), step=0.05)
    object.__setattr__(pattern, "wavelength", None)
    with pytest.raises(CrystalNetError) as caught:
        refined(pattern, RUTILE)
    assert caught.value.code is Code.NO_WAVELENGTH


@pytest.mark.parametrize(
    ("value", "esd", "text"),
    [(5.4, 0.02, "5.40(2)"), (5.4321, 0.0012, "5.4321(12)"), (90.0, None, "90"), (0.0, np.nan, "0")],
)
def test_quantities_are_written_as_crystallographers_do(value, esd, text):
    assert str(Quantity(value, esd)) == text
