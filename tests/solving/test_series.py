"""Tables of patterns: each a row, failures too; tables that are none are one clear error."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.simulation import simulated
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.series import read_series, solve_series

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
    assert "truth.json" in no_truth["error"] and "wavelength" in no_wavelength["error"]
    assert (salt["found"], salt["space group"], salt["right"], salt["error"]) == ("NaCl", 225, True, "")
    assert salt["a (Å)"] == pytest.approx(5.64, rel=3e-4) and salt["probability"] > 0.8
    assert (blende["found"], blende["space group"], blende["right"]) == ("ZnS", 216, False)  # a wrong truth
    assert "missing.xy" in missing["error"] and pd.isna(missing["found"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.xy\n", "lacks formula"),
        ("file,formula,colour\na.xy,NaCl,red\n", "unknown columns colour"),
        ("file,formula\n", "no rows"),
        ("", "can't be read"),
        ("file,formula\na.xy,NaCl,extra\n", "line 2 has 3 fields, not 2"),
        ("file,formula\na.xy\n", "line 2 has 1 fields"),
        ("file,file,formula\na.xy,b.xy,NaCl\n", "names a column twice"),
        ("file,formula\n../a.xy,NaCl\n", "outside its folder"),
        ("file,formula,truth\na.xy,NaCl,/etc/hosts\n", "outside its folder"),
        ('file,formula\n"a.xy,NaCl\n', "can't be read"),
        ("file,formula\na\0.xy,NaCl\n", "can't be read"),
        (None, "can't be read"),
    ],
)
def test_a_table_that_is_none_is_explained(tmp_path, text, message):
    path = tmp_path / "patterns.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CrystalNetError, match=message):
        read_series(path)


def test_what_is_not_said_is_empty(tmp_path):
    path = tmp_path / "patterns.csv"
    path.write_text("formula, file\nNaCl, a.xy\n")
    assert read_series(path).to_dict("records") == [
        {"file": "a.xy", "formula": "NaCl", "wavelength": "", "crystal_system": "", "scan": "", "truth": ""}
    ]


def test_names_keep_their_characters_and_semicolons_part_columns_too(tmp_path):
    path = tmp_path / "patterns.csv"
    path.write_text(
        '\ufefffile;formula;scan\n# a remark\nNaN#1.xy;"La, B";2\n../b.xy;NA;\n', encoding="utf-8"
    )
    table = read_series(path, outside=True)
    assert table["file"].tolist() == ["NaN#1.xy", "../b.xy"] and table["formula"].tolist() == ["La, B", "NA"]
    assert table["scan"].tolist() == ["2", ""]


CELLS = st.sampled_from(
    ["a.xy", "NaCl", "", "NaN", "NA", "1.5", ",", '"', "../b", "#", "\0", "ä", "cubic", "2"]
)


@given(
    st.lists(st.sampled_from(["file", "formula", "wavelength", "scan", "truth", "colour", ""]), max_size=4),
    st.lists(st.lists(CELLS, max_size=4), max_size=3),
    st.sampled_from([",", ";"]),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_read_as_it_stands_or_refused(tmp_path, columns, rows, separator):
    path = tmp_path / "patterns.csv"
    path.write_text("\n".join(separator.join(row) for row in [columns, *rows]), encoding="utf-8")
    try:
        table = read_series(path)
    except CrystalNetError as error:
        assert error.code is Code.BAD_TABLE and str(path) in str(error)
    else:
        assert len(table) and all(isinstance(value, str) for value in table.to_numpy().ravel())
