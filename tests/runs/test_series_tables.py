"""Tables of patterns are read as they stand; what is no table is one clear error."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.series_tables import read_series


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
