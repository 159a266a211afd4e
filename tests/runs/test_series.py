"""Tables of patterns: each a row, failures too; tables that are none are one clear error."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import CrystalNetError
from crystalnet.patterns.simulation import simulated
from crystalnet.runs import series
from crystalnet.runs.series import solve_series
from crystalnet.runs.series_tables import read_series
from crystalnet.solving.catalogue import Catalogue

SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
BLENDE = Structure.from_spacegroup(216, Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]])


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("patterns")
    for name, structure in {"salt": SALT, "blende": BLENDE}.items():
        made = simulated(structure, "CuKa1", (15, 100), crystallite_nm=80, counts=1e4, zero_shift=0.03)
        np.savetxt(folder / f"{name}.xy", np.stack([made.two_theta, made.counts], 1), fmt="%.4f")
        structure.to(str(folder / f"{name}.cif"))
    (folder / "truth.json").write_text("{}")
    (folder / "patterns.csv").write_text(
        "file,formula,wavelength,crystal_system,truth\n"
        "salt.xy,NaCl,CuKa1,cubic,salt.cif\n"
        'blende.xy,"Zn, S",1.5406,cubic,salt.cif\n'
        "missing.xy,NaCl,CuKa1,,\n"
        "salt.xy,NaCl,CuKa1,cubic,truth.json\n"
        "salt.xy,NaCl,15.4,cubic,\n"
    )
    crystals = [crystal_from_structure(*pair) for pair in ((SALT, "salt"), (BLENDE, "blende"))]
    settings = {"catalogue": Catalogue(crystals), "sources": ["analogues"], "seconds": 10}
    return solve_series(folder / "patterns.csv", progress=False, **settings)


def test_every_pattern_is_a_row(rows):
    assert rows["file"].tolist() == ["salt.xy", "blende.xy", "missing.xy", "salt.xy", "salt.xy"]
    salt, blende, missing, no_truth, no_wavelength = rows.to_dict("records")
    assert "truth.json" in no_truth["error"] and no_wavelength["code"] == "BAD_WAVELENGTH"
    assert (salt["found"], salt["space group"], salt["right"], salt["error"]) == ("NaCl", 225, True, "")
    assert salt["a (Å)"] == pytest.approx(5.64, rel=3e-4) and salt["probability"] > 0.8
    assert (blende["found"], blende["space group"], blende["right"]) == ("ZnS", 216, False)  # a wrong truth
    assert "missing.xy" in missing["error"] and missing["code"] == "FILE_MISSING"
    assert missing["found"] == "" and pd.isna(missing["probability"])


def row_of(given: dict) -> dict:
    """What stands in for a solution: 'slow' patterns take their time, 'bad' ones kill their process."""
    if given["file"].startswith("bad"):
        os._exit(1)
    time.sleep(0.4 if given["file"].startswith("slow") else 0)
    return {
        "file": given["file"],
        "formula": given["formula"],
        "probability": 0.123456,
        "code": "",
        "error": "",
    }


def table_of(folder, names) -> str:
    path = folder / "patterns.csv"
    path.write_text("file,formula\n" + "".join(f"{name},NaCl\n" for name in names))
    return str(path)


def test_a_process_that_dies_takes_its_own_row_alone(tmp_path):
    path = table_of(tmp_path, ["a", "bad", "b", "c"])
    given = dict(enumerate(read_series(path).to_dict("records")))
    rows = dict(series._solved(given, row_of, workers=2, scheduler=None))
    assert sorted(rows) == [0, 1, 2, 3] and rows[1]["code"] == "PROCESS_DIED"
    assert all(rows[place]["probability"] == 0.123456 for place in (0, 2, 3))


def test_what_no_rule_foresaw_is_a_row_and_is_tried_again(tmp_path, monkeypatch):
    calls = []

    def found(given, folder, settings):
        calls.append(given["file"])
        if given["file"] == "odd" and len(calls) < 3:
            raise ZeroDivisionError("by nothing")
        return {"probability": 0.5}

    monkeypatch.setattr("crystalnet.runs.pattern_row._found", found)
    path, out = table_of(tmp_path, ["a", "odd"]), tmp_path / "out.csv"
    first = solve_series(path, out, progress=False)
    assert first["error"].tolist() == ["", "ZeroDivisionError: by nothing"]
    second = solve_series(path, out, progress=False)
    assert calls == ["a", "odd", "odd"] and second["error"].tolist() == ["", ""]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.json", "patterns.csv"]
    (tmp_path / "other.csv").write_text("file\nx\n")
    with pytest.raises(CrystalNetError, match="holds no rows"):
        solve_series(path, tmp_path / "other.csv", progress=False)


KILLED = """
import sys
sys.path[:0] = {paths!r}
import test_series
from crystalnet.runs import series
series.solved_row = lambda given, folder, settings: test_series.row_of(given)
series.solve_series({path!r}, {out!r}, progress=False)
"""


def test_a_killed_series_goes_on_where_it_was(tmp_path):
    path, out = table_of(tmp_path, ["a", "b", "slow 1", "slow 2", "slow 3"]), tmp_path / "out.csv"
    code = KILLED.format(paths=[os.path.dirname(__file__), *sys.path], path=path, out=str(out))
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 120
        while not (out.exists() and len(pd.read_csv(out)) >= 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    kept = out.read_text()
    assert 3 <= len(pd.read_csv(out)) < 5
    subprocess.run([sys.executable, "-c", code], check=True)
    assert out.read_text().startswith(kept) and len(pd.read_csv(out)) == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.json", "patterns.csv"]


def test_rows_do_not_go_among_patterns_nor_over_the_json_of_something_else(tmp_path):
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "a.xy").write_text("no pattern")
    with pytest.raises(CrystalNetError, match="lies among the patterns"):
        solve_series(tmp_path / "patterns", tmp_path / "patterns" / "rows.csv", progress=False)
    (tmp_path / "rows.json").write_text('{"mine": 1}')
    with pytest.raises(CrystalNetError, match="does not tell of a series"):
        solve_series(tmp_path / "patterns", tmp_path / "rows.csv", progress=False)
    assert (tmp_path / "rows.json").read_text() == '{"mine": 1}' and not (tmp_path / "rows.csv").exists()
    solve_series(tmp_path / "patterns", tmp_path / "ours.csv", progress=False)
    assert len(solve_series(tmp_path / "patterns", tmp_path / "ours.csv", progress=False)) == 1
