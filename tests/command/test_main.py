"""The command from outside: answers, JSON, tables, and errors with numbers of their own."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure

from crystalnet.command.main import main
from crystalnet.errors import Code
from crystalnet.patterns.simulation import simulated

SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture
def said():
    """Run a command; what it said, and its status."""

    def run(*words) -> tuple[str, int]:
        result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
        return result.output, result.exit_code

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salt")
    made = simulated(SALT, "CuKa1", (15, 100), crystallite_nm=80, counts=1e4)
    (folder / "patterns").mkdir()
    path = folder / "patterns" / "salt.xy"
    np.savetxt(path, np.stack([made.two_theta, made.counts], 1), fmt="%.4f")
    SALT.to(str(folder / "salt.cif"))
    return folder


def test_a_pattern_is_solved_and_reported(said, folder, tmp_path):
    salt = folder / "patterns" / "salt.xy"
    words = ["solve", salt, "-f", "NaCl", "-w", "CuKa1", "-s", "cubic", "--quiet"]
    text, status = said(*words, "-o", tmp_path / "report", "--json")
    answer = json.loads(text)
    assert status == 0 and answer["candidates"][0]["formula"] == "NaCl"
    assert answer["candidates"][0]["space group"] == 225 and 0 <= answer["probability"] <= 1
    assert answer["verdict"].isupper()
    assert (tmp_path / "report" / "candidates.csv").exists() and answer["report"]


def test_a_known_cell_is_used_for_one_pattern(said, folder):
    salt, cell = folder / "patterns" / "salt.xy", ["--cell", *["5.64", "5.64", "5.64", "90", "90", "90"]]
    text, status = said(
        "solve", salt, "-f", "NaCl", "-w", "CuKa1", *cell, "--space-group", "Fm-3m", "--json", "--quiet"
    )
    assert status == 0 and json.loads(text)["candidates"][0]["from"].startswith("given cell")
    text, status = said("solve", folder / "patterns", "-f", "NaCl", *cell, "--quiet")
    assert status == 2 and "one pattern" in text


def test_a_folder_of_patterns_is_a_table(said, folder, tmp_path):
    out = tmp_path / "out.csv"
    words = ["solve", folder / "patterns", "-f", "NaCl", "-w", "CuKa1", "-s", "cubic", "--quiet", "-o", out]
    text, status = said(*words)
    rows = pd.read_csv(out)
    assert status == 0 and rows["found"].tolist() == ["NaCl"] and "salt.xy" in text


def test_the_pattern_of_a_structure(said, folder, tmp_path):
    text, status = said("pattern", folder / "salt.cif", "-w", "CuKa")
    angle, intensity, d = map(
        float, max(text.splitlines()[1:], key=lambda line: float(line.split()[1])).split()
    )
    assert status == 0 and intensity == 100 and d == pytest.approx(5.64 / 2, abs=1e-3)
    assert angle == pytest.approx(31.7, abs=0.1)
    _, status = said("pattern", folder / "salt.cif", "--profile", "-o", tmp_path / "salt.xy")
    assert status == 0 and len(np.loadtxt(tmp_path / "salt.xy")) > 1000


def test_an_error_is_one_line_and_a_number(said, folder):
    text, status = said("solve", folder / "missing.xy", "-f", "NaCl", "--quiet")
    assert status == Code.FILE_MISSING.status and text.startswith("FILE_MISSING: ") and text.count("\n") == 1
    text, status = said("solve", folder / "patterns" / "salt.xy", "-f", "Xx", "--quiet")
    assert status == Code.UNKNOWN_ELEMENT.status


def test_what_is_read_is_said(said):
    text, status = said("formats")
    assert status == 0 and ".cif" in text and "XRDML" in text.upper()
    text, status = said("--help")
    assert status == 0 and all(
        name in text for name in ("solve", "refine", "catalogue", "pattern", "formats", "doctor")
    )


def test_a_catalogue_of_ones_own_is_made_and_used(said, folder, tmp_path):
    text, status = said(
        "catalogue", folder / "salt.cif", "-o", tmp_path / "mine.safetensors", "--json", "--quiet"
    )
    assert status == 0 and json.loads(text)["types"] == 1
    words = ["-f", "NaCl", "-w", "CuKa1", "--json", "--quiet", "--catalogue", tmp_path / "mine.safetensors"]
    text, status = said("solve", folder / "patterns" / "salt.xy", *words)
    assert status == 0 and json.loads(text)["candidates"][0]["space group"] == 225


def test_a_structure_is_refined_and_filed(said, folder, tmp_path):
    words = ["refine", folder / "patterns" / "salt.xy", folder / "salt.cif", "-w", "CuKa1"]
    text, status = said(*words, "-o", tmp_path / "refined", "--json")
    told = json.loads(text)
    assert status == 0 and told["Rwp"] < told["before"] and told["cell"]["a"].startswith("5.6")
    page = (tmp_path / "refined" / "refinement.md").read_text()
    assert "Fm-3m (225), Z = 4" in page and told["cell"]["a"] in page
    assert len(pd.read_csv(tmp_path / "refined" / "profile.csv")) > 1000
    assert Structure.from_file(tmp_path / "refined" / "refined.cif").composition.reduced_formula == "NaCl"
    text, status = said(*words, "-o", tmp_path / "refined", "--json")
    assert status == Code.NOT_WRITTEN.status
