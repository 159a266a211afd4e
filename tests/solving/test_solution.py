"""solve from end to end, its report on disk, and challenges: small embedded crystals."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar

import crystalnet
from crystalnet.data.canonical import canonical
from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import CrystalNetError
from crystalnet.lattice.lattice import Cell, find_cells
from crystalnet.model.library import available
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.simulation import simulated
from crystalnet.physics.density import n_electrons, promolecule_cmed
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.physics.tables import valence
from crystalnet.runs.challenge_rows import publish_challenges, read_challenges
from crystalnet.runs.params import Params
from crystalnet.runs.solvings import Solvings
from crystalnet.scoring.attempts import solved
from crystalnet.scoring.challenges import CHALLENGES, Challenge, is_impostor, known, observation
from crystalnet.scoring.protocols import honest_score
from crystalnet.show.challenges import (
    auc,
    calibrated,
    challenge_table,
    features_of,
    who_solves,
    with_confidence,
)
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.densities import from_density, primitive
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.pretrained import network_name
from crystalnet.solving.ranking import CONFIDENT, WEIGHTS, bond, faintest, features, probability
from crystalnet.solving.report import report, write_report
from crystalnet.solving.solution import Solution, solve
from crystalnet.solving.sources import embedded
from crystalnet.solving.verdict import USUAL, Verdict, verdict_of

SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
TITANATE = Structure.from_spacegroup(
    221, Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
)

BLENDE = Structure.from_spacegroup(216, Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]])


@pytest.fixture(scope="module")
def catalogue():
    kinds = {"salt": SALT, "titanate": TITANATE, "blende": BLENDE}
    return Catalogue([crystal_from_structure(structure, name) for name, structure in kinds.items()])


@pytest.fixture(scope="module")
def salt(catalogue) -> Solution:
    peaks = powder_peaks(SALT, 1.5406, (10, 120))
    return solve(peaks, "NaCl", 1.5406, "cubic", catalogue=catalogue, sources=["analogues"], progress=False)


def test_the_answer_is_the_crystal(salt):
    assert StructureMatcher().fit(salt.structure, SALT)
    table = salt.table()
    assert table.loc[0, "space group"] == 225 and table.loc[0, "formula"] == "NaCl"
    assert table.loc[0, "a (Å)"] == pytest.approx(5.64, abs=2e-3)
    assert list(table["rank"]) == list(range(1, len(table) + 1))
    assert 0 <= salt.confidence <= 1 and "NaCl" not in repr(salt)
    assert salt.is_confident == (salt.verdict is Verdict.CONFIDENT) == (salt.best_or_none() is not None)


def test_a_measured_file_is_solved_with_the_embedded_types(tmp_path):
    measured = simulated(TITANATE, "CuKa1", (15, 110), crystallite_nm=80, counts=1e4, zero_shift=0.02)
    path = tmp_path / "a pattern.xy"
    np.savetxt(path, np.stack([measured.two_theta, measured.counts], 1), fmt="%.4f")
    solution = crystalnet.solve(path, "SrTiO3", "CuKa1", "cubic", sources=["analogues"], progress=False)
    assert StructureMatcher().fit(solution.structure, TITANATE)
    assert solution.fit is not None and solution.cells[0].a == pytest.approx(3.905, rel=5e-4)
    assert len(embedded()) > 50
    assert any("no header" in told for told in solution.assumptions)
    assert report(solution).index("no header names the columns") < report(solution).index("## Given")


def test_the_report_is_whole_or_not_there(salt, tmp_path):
    folder = write_report(salt, tmp_path / "it")
    assert folder == tmp_path / "it"
    cif = sorted(folder.glob("1-*.cif"))[0]
    assert StructureMatcher().fit(Structure.from_file(cif), SALT)
    chgcar = Chgcar.from_file(folder / "1-density.CHGCAR")
    electrons = sum(valence(symbol).n_electrons for symbol in ("Na", "Cl"))
    n_units = len(chgcar.structure) / 2
    cmed = chgcar.data["total"] / chgcar.structure.volume
    assert n_electrons(cmed, chgcar.structure.lattice.matrix) == pytest.approx(n_units * electrons, rel=1e-3)
    assert (folder / "1-density.cube").stat().st_size > 0
    assert len(pd.read_csv(folder / "candidates.csv")) == len(salt.candidates)
    text = (folder / "report.md").read_text()
    assert "NaCl" in text and f"{salt.confidence:.2f}" in text
    with pytest.raises(CrystalNetError, match="exists already"):
        write_report(salt, folder)
    (tmp_path / "a file").touch()
    with pytest.raises(CrystalNetError, match="could not be written"):
        write_report(salt, tmp_path / "a file" / "below")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a file", "it"]


def test_nothing_found_is_said(salt, tmp_path):
    nothing = Solution("it", salt.observed, salt.knowledge, salt.cells, [], 0.0, Verdict.NO_CANDIDATE, 1.0)
    for asked in (lambda: nothing.structure, lambda: write_report(nothing, tmp_path / "x")):
        with pytest.raises(CrystalNetError, match="Check formula"):
            asked()
    assert "No confident answer" in report(nothing) and not nothing.is_confident
    assert nothing.best_or_none() is None and "NO_CANDIDATE" in report(nothing)


@pytest.mark.parametrize(
    ("odd", "verdict"),
    [
        ({"distance": 0.3}, Verdict.UNEXPLAINED),
        ({"lead": 1.0}, Verdict.RIVAL),
        ({"unnamed": 3}, Verdict.ELEMENTS_OPEN),
        ({"faintest": 1e-5}, Verdict.FAINT),
        ({"volume": 1.6}, Verdict.UNUSUAL_VOLUME),
        ({"bond": 0.6}, Verdict.UNUSUAL_BONDS),
        ({"peaks": 3}, Verdict.FEW_PEAKS),
    ],
)
def test_the_verdict_names_what_is_odd(odd, verdict):
    told = {**USUAL, **odd}
    assert verdict_of(told, 0.5) is verdict
    assert verdict_of(told, 0.9) is Verdict.CONFIDENT and verdict_of(told, 0.7, True).name == "NOT_CALIBRATED"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"formula": "Xx"}, "no tables for Xx"),
        ({"crystal_system": "cubical"}, "no such crystal system"),
        ({"sources": ["tea leaves"]}, "no source"),
        ({"sources": ("analogues", "netwrk")}, "no source 'netwrk'"),
        ({"sources": ()}, "No source"),
        ({"seconds": 0}, "seconds above 0"),
        ({"seconds": -1}, "seconds above 0"),
        ({"seconds": float("nan")}, "seconds above 0"),
        ({"wavelength": -1.0}, "wavelength"),
    ],
)
def test_what_cannot_be_is_one_clear_error(how, words, catalogue):
    given = {"formula": "NaCl", "wavelength": 0.71073, "crystal_system": "cubic", **how}
    with pytest.raises(CrystalNetError, match=words):
        solve(powder_peaks(SALT), **given, catalogue=catalogue, progress=False)


def test_the_primitive_cell_of_every_centring():
    for family, centring, points in [
        ("cubic", "P", 1),
        ("cubic", "I", 2),
        ("cubic", "F", 4),
        ("hexagonal", "R", 3),
    ]:
        cell = Cell(family, 4.0, 4.0 if family == "cubic" else 9.0, 0, 0, 0)
        assert cell.volume / abs(np.linalg.det(primitive(cell, centring))) == pytest.approx(points)


def test_atoms_come_out_of_the_network_s_density():
    """Rock salt is among what every network learns first."""
    observed = Observed.of_structure(SALT)
    found = from_density(
        Frames(observed), Knowledge.of_formula("NaCl"), find_cells(observed, "cubic"),
        crystalnet.load("cubic-spectral"), ways=("network",),
    )  # fmt: skip
    assert StructureMatcher().fit(
        SALT,
        Structure(
            found[0].trial.atoms.lattice, found[0].trial.atoms.symbols, found[0].trial.atoms.frac_coords
        ),
    )


def test_the_network_answers_without_the_candidates(salt):
    density, expected = replace(salt, candidates=[]).network_answer(30)
    assert density.shape == (30, 30, 30) and CONFIDENT < expected <= 1
    truth = canonical(crystal_from_structure(SALT, "salt").atoms)
    pair = torch.from_numpy(promolecule_cmed(truth, 30)).float(), torch.from_numpy(density)
    assert honest_score(*pair, lattice_operations(truth.lattice))["honest_ssim"] > CONFIDENT
    for change, words in (
        ({"knowledge": Knowledge.of_elements(["Na", "Cl"])}, "needs the whole formula"),
        ({"cells": [salt.cells[0]._replace(family="tetragonal")]}, "no network for tetragonal cells"),
    ):
        with pytest.raises(CrystalNetError, match=words):
            replace(salt, **change).network_answer()


def test_measured_patterns_have_networks_of_their_own():
    for family, system in (("cubic", "cubic"), ("hexagonal", "trigonal")):
        names = network_name(family, exact=True), network_name(family, exact=False)
        assert names == (f"{system}-spectral", f"{system}-laboratory")
        assert set(names) <= set(available())
    assert network_name("tetragonal", exact=True) is None


# ------------------------------------------------------------------ challenges


def test_what_a_challenge_tells():
    crystal = crystal_from_structure(TITANATE, "it")
    assert known(crystal, "full").formula == {"Sr": 1, "Ti": 1, "O": 3}
    assert known(crystal, "no_ratios").amounts is None
    assert len(known(crystal, "drop_element").elements) == 2 and known(crystal, "drop_element").n_hidden == 1
    assert known(crystal, "no_formula") == Knowledge.nothing()
    exact, again = (observation(crystal, Challenge(pattern="errors")) for _ in range(2))
    assert np.array_equal(exact.intensity, again.intensity)
    assert len(exact.s) < len(Observed.of_structure(crystal.symmetrized).s)


def test_impostors_are_never_right(catalogue):
    crystal = crystal_from_structure(SALT, "salt")
    for name in ("wrong formula", "wrong system", "noise"):
        row = solved(crystal, CHALLENGES[name], catalogue, seconds=3)
        assert not row["top_1"] and row["outcome"] in ("answer", "no cell", "no candidate", "no peaks")
    row = solved(crystal, CHALLENGES["exact"], catalogue, seconds=3)
    assert row["top_1"] and row["tight_1"] and row["outcome"] == "answer"


def test_challenges_are_kept_and_go_on_where_they_were(tmp_path):
    params = Params.load(
        "smoke", data={"crystal_systems": ["cubic"]}, solving={"challenges": ["exact"], "most": {"others": 3}}
    )
    table = Solvings(params, tmp_path, progress=False).challenge("cubic", "exact")
    assert len(table) == 3 and table["top_1"].isin([0, 1]).all() and table.attrs["manifest"]["seconds"]
    place = next(tmp_path.glob("challenge-*"))
    rows, manifest = place / "rows.jsonl", place / "manifest.json"
    whole = rows.read_text()
    manifest.unlink()
    rows.write_text(whole[: whole.index("\n") + 20])  # broken off within the second line
    again = Solvings(params, tmp_path, progress=False).challenge("cubic", "exact")
    assert again.drop(columns="seconds").equals(table.drop(columns="seconds"))
    assert json.loads(rows.read_text().splitlines()[0])["material_id"]


def test_challenges_are_published_beside_those_that_are_kept(tmp_path):
    params = Params.load(
        "smoke",
        data={"crystal_systems": ["cubic"]},
        solving={"challenges": ["exact"], "most": {"others": 2}, "seconds": 2},
    )
    run, folder = Solvings(params, tmp_path, progress=False), tmp_path / "solved"
    path = publish_challenges(run, splits=["test"], folder=folder)
    first = path.read_text().splitlines()
    publish_challenges(run, ["noise"], ["test"], folder)
    kept, made = read_challenges(folder)
    assert kept["challenge"].tolist() == ["exact"] * 2 + ["noise"] * 2
    assert set(made) == {"test, cubic, exact", "test, cubic, noise"}
    assert path.read_text().splitlines()[:3] == first
    with pytest.raises(CrystalNetError, match="There is no challenge 'by moonlight'"):
        publish_challenges(run, ["by moonlight"], folder=folder)
    for damage in ("{", "{}"):
        path.with_suffix(".json").write_text(damage)
        with pytest.raises(CrystalNetError, match="damaged"):
            read_challenges(folder)
    with pytest.raises(CrystalNetError, match="damaged"):
        publish_challenges(run, splits=["test"], folder=folder)
    assert path.read_text().splitlines()[:3] == first


def test_tables_of_challenges():
    rng = np.random.default_rng(0)
    right = np.arange(40) % 2
    rows = pd.DataFrame(
        {
            "material_id": [str(i // 2) for i in range(40)],
            "challenge": ["a", "b"] * 20,
            "outcome": ["answer"] * 39 + ["no cell"],
            "top_1": right, "top_5": right, "top_20": right, "tight_1": right, "rms_1": 0.01, "seconds": 1.0,
            "distance": np.where(right, 0.01, 0.4) * rng.uniform(0.5, 2, 40), "lead": 2.0,
            "unnamed": 0, "faintest": 0.1, "ideal": 0, "volume": 1.1, "bond": 1.0, "peaks": 30,
        }
    )  # fmt: skip
    weights = calibrated(rows)
    judged = with_confidence(rows, weights)
    assert judged["confidence"].iloc[-1] == 0 and features_of(rows).shape == (40, 8)
    table = challenge_table(judged)
    assert table.loc["b", "top 1"] == 1 and table.loc["a", "top 1"] == 0
    assert auc(judged["confidence"][:39], right[:39]) == 1 and np.isnan(auc([1, 2], [1, 1]))
    assert who_solves(rows)["by it alone"].tolist() == [0, 20]
    with pytest.raises(ValueError, match="Too few"):
        calibrated(rows.head(6))
    assert WEIGHTS.shape == weights.shape


def test_the_package_s_probability_is_that_of_the_kept_rows():
    kept, manifest = read_challenges()
    validation = kept[kept["split"] == "val"]
    assert np.allclose(calibrated(validation), WEIGHTS, atol=1e-3)
    made = {tuple(name.split(", ", 2)) for name in manifest}
    assert made == set(kept[["split", "system", "challenge"]].itertuples(index=False, name=None))
    assert set(kept["challenge"]) <= set(CHALLENGES)


def test_signs_of_the_package_s_probability():
    """Farther, with less of a lead, unnamed elements, atoms that hardly scatter, no errors, too much or too
    little room, a bond too short or too long, few peaks: less sure."""
    facts = {
        "distance": 0.1,
        "lead": 2.0,
        "unnamed": 0,
        "faintest": 0.1,
        "ideal": 0,
        "volume": 1.0,
        "bond": 1.0,
        "peaks": 30,
    }
    base, better = probability(features(**facts)), probability(features(**facts | {"lead": 3.0}))
    for worse in (
        {"distance": 0.2},
        {"unnamed": 1},
        {"faintest": 0.01},
        {"ideal": 1},
        {"volume": 1.3},
        {"volume": 0.8},
        {"bond": 1.2},
        {"bond": 0.8},
        {"peaks": 10},
    ):
        assert probability(features(**facts | worse)) < base < better


@pytest.mark.parametrize("structure", [SALT, TITANATE, BLENDE], ids=["NaCl", "SrTiO3", "ZnS"])
def test_bonds_of_real_crystals_are_as_long_as_radii_say(structure):
    assert bond(structure) == pytest.approx(1, abs=0.1)
    stretched = structure.copy()
    stretched.scale_lattice(structure.volume * 1.2**3)
    assert bond(stretched) == pytest.approx(1.2 * bond(structure))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("symbols", [["He"], ["Cs", "He"], ["Cm", "O"], ["Cs", "Cl"]])
def test_where_no_bond_tells_nothing_is_held_against_a_structure(symbols):
    far = Structure(Lattice.cubic(40), symbols, [[0, 0, 0], [0.5, 0.5, 0.5]][: len(symbols)])
    assert bond(far) == 1


@given(st.lists(st.sampled_from(["H", "O", "Fe", "U"]), min_size=1, max_size=12))
def test_the_faintest_atom_has_the_least_share(symbols):
    electrons = np.array([{"H": 1, "O": 8, "Fe": 26, "U": 92}[symbol] for symbol in symbols])
    assert faintest(symbols) == pytest.approx(electrons.min() ** 2 / (electrons**2).sum())
    assert faintest(symbols + symbols) == pytest.approx(faintest(symbols) / 2)  # a cell twice as large


def test_impostors_of_the_test_set_are_hardly_ever_confident():
    kept, _ = read_challenges()
    impostors = kept[kept["challenge"].map(is_impostor) & (kept["split"] == "test")]
    assert len(impostors) >= 100 and not impostors["top_1"].any()
    assert (with_confidence(impostors, WEIGHTS)["confidence"] >= CONFIDENT).mean() < 0.02
