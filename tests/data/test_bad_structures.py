"""Structures as files and programs write them, and spoil them: read right, or refused by their kind."""

import gzip
import io
import json
import string
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp.inputs import Poscar
from refusals import outcome, tried

from crystalnet.data.chgcar import read_chgcar
from crystalnet.data.crystals import Crystal
from crystalnet.data.densities import read_cmed, write_cmed
from crystalnet.data.tables import read_crystals
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms

RUTILE = """data_rutile
_chemical_formula_sum 'O2 Ti'
_cell_formula_units_Z 2
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_cell_volume 62.45
_exptl_crystal_density_diffrn 4.25
_symmetry_space_group_name_H-M 'P 42/m n m'
_symmetry_Int_Tables_number 136
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Ti1 Ti 0 0 0 1
O1 O .305 .305 0 1
"""
SYMMETRY = "_symmetry_space_group_name_H-M 'P 42/m n m'\n_symmetry_Int_Tables_number 136\n"
OPERATIONS = (
    "x,y,z -x,-y,z -y+1/2,x+1/2,z+1/2 y+1/2,-x+1/2,z+1/2 "
    "-x+1/2,y+1/2,-z+1/2 x+1/2,-y+1/2,-z+1/2 y,x,-z -y,-x,-z "
    "-x,-y,-z x,y,-z y+1/2,-x+1/2,-z+1/2 -y+1/2,x+1/2,-z+1/2 "
    "x+1/2,-y+1/2,z+1/2 -x+1/2,y+1/2,z+1/2 -y,-x,z y,x,z "
)
LISTED = "loop_\n_space_group_symop_operation_xyz\n" + "".join(f"'{op}'\n" for op in OPERATIONS.split())
CDI2 = Structure.from_spacegroup(
    164, Lattice.hexagonal(4.24, 6.86), ["Cd", "I"], [[0] * 3, [1 / 3, 2 / 3, 0.25]]
)
RHOMBOHEDRAL = Structure.from_spacegroup("R-3m", Lattice.hexagonal(3.76, 10.55), ["As"], [[0, 0, 0.227]])


def cif_of(text: str | bytes, folder) -> Crystal:
    path = folder / "spoilt.cif"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (crystal,) = read_crystals(path).crystals
    return crystal


def is_rutile(crystal: Crystal) -> bool:
    atoms = crystal.atoms
    return (crystal.formula, crystal.space_group, len(atoms.symbols)) == ("TiO2", 136, 6) and np.isclose(
        atoms.volume, 62.45, atol=0.05
    )


# ------------------------------------------------------------------ CIF

SAME = {
    "as it is": RUTILE,
    "uncertainties": RUTILE.replace("4.594", "4.5940(3)").replace("62.45", "62.45(1)"),
    "order of the formula": RUTILE.replace("'O2 Ti'", "'Ti O2'"),
    "formula of the cell": RUTILE.replace("'O2 Ti'", "'Ti2 O4'"),
    "formula without blanks": RUTILE.replace("'O2 Ti'", "TiO2"),
    "formula of three places": RUTILE.replace("'O2 Ti'", "'O0.667 Ti0.333'").replace(
        "_cell_formula_units_Z 2", ""
    ),
    "no number of units": RUTILE.replace("_cell_formula_units_Z 2", ""),
    "nothing stated": RUTILE.replace("_chemical_formula_sum 'O2 Ti'\n", "").replace(
        "_cell_volume 62.45\n", ""
    ),
    "not known": RUTILE.replace("'O2 Ti'", "?").replace("62.45", ".").replace(" 4.25", " ?"),
    "density of two digits": RUTILE.replace(" 4.25", " 4.3"),
    "symbol alone": RUTILE.replace("_symmetry_Int_Tables_number 136\n", ""),
    "number alone": RUTILE.replace("_symmetry_space_group_name_H-M 'P 42/m n m'\n", ""),
    "symbol of the present": RUTILE.replace("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt"),
    "underscores": RUTILE.replace("'P 42/m n m'", "P4_2/mnm"),
    "operations": RUTILE.replace(SYMMETRY, LISTED),
    "operations and symbol": RUTILE.replace("loop_\n_atom", LISTED + "loop_\n_atom"),
    "operations and an odd symbol": RUTILE.replace("'P 42/m n m'", "'-P 4n 2n'").replace(
        "loop_\n_atom", LISTED + "loop_\n_atom"
    ),
    "ends of lines": RUTILE.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + RUTILE,
    "Latin-1": ("# r\xe9glages\n" + RUTILE).encode("latin-1"),
    "a title block before": "data_global\n_journal_name 'X'\n_cell_length_a 9\n" + RUTILE,
    "a text field": RUTILE + "_publ_section_title\n;\n_cell_length_a 5\nloop_\n;\n",
}
REFUSED = {
    "occupancy with a comma": (RUTILE.replace("0 0 0 1", "0 0 0 0,5"), Code.FILE_UNREADABLE),
    "occupancy of a word": (RUTILE.replace("0 0 0 1", "0 0 0 full"), Code.FILE_UNREADABLE),
    "occupancy above one": (RUTILE.replace("0 0 0 1", "0 0 0 1.5"), Code.FILE_UNREADABLE),
    "occupancy below zero": (RUTILE.replace("0 0 0 1", "0 0 0 -1"), Code.FILE_UNREADABLE),
    "occupancies not given": (RUTILE.replace(" 0 1\n", " 0 .\n"), Code.FILE_UNREADABLE),
    "half a site": (RUTILE.replace("0 0 0 1", "0 0 0 0.5"), Code.DISORDERED),
    "no symmetry": (RUTILE.replace(SYMMETRY, ""), Code.NO_SYMMETRY),
    "unknown symmetry": (
        RUTILE.replace(SYMMETRY, "_symmetry_space_group_name_H-M 'P nonsense'\n"),
        Code.NO_SYMMETRY,
    ),
    "number and unknown setting": (RUTILE.replace("'P 42/m n m'", "'C 42/x y z'"), Code.NO_SYMMETRY),
    "operations that are none": (
        RUTILE.replace("loop_\n_atom", LISTED.replace("x,y,z", "a,b") + "loop_\n_atom"),
        Code.NO_SYMMETRY,
    ),
    "symbol and number": (RUTILE.replace("number 136", "number 225"), Code.CONTRADICTION),
    "number of none": (RUTILE.replace("number 136", "number 999"), Code.CONTRADICTION),
    "operations of another": (
        RUTILE.replace(
            "loop_\n_atom", "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'\nloop_\n_atom"
        ),
        Code.CONTRADICTION,
    ),
    "an element missing": (RUTILE.replace("'O2 Ti'", "'O2 Ti H2'"), Code.CONTRADICTION),
    "another amount": (RUTILE.replace("'O2 Ti'", "'O Ti'"), Code.CONTRADICTION),
    "a formula of words": (RUTILE.replace("'O2 Ti'", "'titanium dioxide'"), Code.CONTRADICTION),
    "a site missing": (RUTILE.replace("O1 O .305 .305 0 1\n", ""), Code.CONTRADICTION),
    "another Z": (RUTILE.replace("_Z 2", "_Z 4"), Code.CONTRADICTION),
    "another volume": (RUTILE.replace("62.45", "66.1"), Code.CONTRADICTION),
    "another cell": (RUTILE.replace("length_c 2.959", "length_c 3.1"), Code.CONTRADICTION),
    "another density": (RUTILE.replace(" 4.25", " 5.25"), Code.CONTRADICTION),
    "a cell in nm": (
        RUTILE.replace("4.594", "0.4594").replace("2.959", "0.2959").replace("_cell_volume 62.45\n", ""),
        None,
    ),
    "a cell with commas": (RUTILE.replace("4.594", "4,594"), Code.FILE_UNREADABLE),
    "a cell that its group forbids": (
        RUTILE.replace("length_b 4.594", "length_b 5.1").replace("_cell_volume 62.45\n", ""),
        None,
    ),
    "a length twice": (
        RUTILE.replace("_cell_length_b", "_cell_length_a 5\n_cell_length_b"),
        Code.CONTRADICTION,
    ),
    "a coordinate that is none": (RUTILE.replace("O1 O .305", "O1 O nan"), None),
    "a coordinate missing": (RUTILE.replace("O1 O .305", "O1 O ?"), Code.FILE_UNREADABLE),
    "a site listed twice": (RUTILE + "O2 O .306 .306 0 1\n", None),
    "two structures": (RUTILE + RUTILE.replace("rutile", "again"), Code.FILE_UNREADABLE),
    "two of one name": (RUTILE + RUTILE, Code.FILE_UNREADABLE),
    "symbols to be guessed": (
        RUTILE.replace("'O2 Ti'", "?").replace("O1 O ", "OH1 OH "),
        Code.UNKNOWN_ELEMENT,
    ),
    "no atoms": (RUTILE.split("loop_")[0], Code.FILE_UNREADABLE),
    "UTF-16": (RUTILE.encode("utf-16"), Code.FILE_UNREADABLE),
    "many sites": (RUTILE + "O2 O .1 .2 .3 1\n" * 300, Code.TOO_LARGE),
    "many operations": (
        RUTILE.replace(
            "loop_\n_atom", "loop_\n_symmetry_equiv_pos_as_xyz\n" + "x,y,z\n" * 2000 + "loop_\n_atom"
        ),
        Code.TOO_LARGE,
    ),
    "a long line": (RUTILE + "# " + "x" * 200_000, Code.TOO_LARGE),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_cif_is_read_whatever_its_hand(kind, tmp_path):
    assert is_rutile(cif_of(SAME[kind], tmp_path))


@pytest.mark.parametrize("kind", REFUSED)
def test_a_cif_that_contradicts_itself_is_refused(kind, tmp_path):
    content, code = REFUSED[kind]
    error = outcome(cif_of, content, tmp_path, names="spoilt.cif")
    assert isinstance(error, CrystalNetError) and code in (None, error.code), error


@pytest.mark.parametrize("structure", [CDI2, RHOMBOHEDRAL], ids=["hexagonal", "rhombohedral"])
@pytest.mark.parametrize("primitive", [False, True])
@pytest.mark.parametrize("symprec", [None, 0.01])
def test_what_pymatgen_writes_is_read(structure, primitive, symprec, tmp_path):
    structure = structure.get_primitive_structure() if primitive else structure
    crystal = cif_of(str(CifWriter(structure, symprec=symprec)), tmp_path)
    assert crystal.formula == structure.reduced_formula
    assert crystal.space_group == structure.get_space_group_info()[1]


def test_both_numbers_of_a_contradiction_are_named(tmp_path):
    error = outcome(cif_of, RUTILE.replace("62.45", "66.1"), tmp_path)
    assert "66.1 Å^3" in str(error) and "62.45 Å^3" in str(error) and "_cell_volume" in str(error)
    error = outcome(cif_of, RUTILE.replace("'O2 Ti'", "'O2 Ti H2'"), tmp_path)
    assert "'O2 Ti H2'" in str(error) and "O4 Ti2" in str(error)
    text = RUTILE.replace(SYMMETRY, SYMMETRY.replace("'P 42/m n m'", "?").replace("136", "166"))
    text = text.replace("loop_\n_atom", LISTED + "loop_\n_atom")
    error = outcome(cif_of, text, tmp_path)
    assert "number 166" in str(error) and "number 136" in str(error)


@st.composite
def altered(draw, text: str) -> str:
    """A text with lines lost, doubled or exchanged, words replaced, characters changed, or its end cut."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        i, j = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        words = lines[i].split() or [""]
        k = draw(st.integers(0, len(words) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                lines[i] = ""
            case 1:
                lines.insert(j, lines[i])
            case 2:
                lines[i], lines[j] = lines[j], lines[i]
            case 3:
                words[k] = draw(ODD)
                lines[i] = " ".join(words)
            case 4:
                lines[i] = lines[i][: draw(st.integers(0, len(lines[i])))]
            case 5:
                lines[i] = draw(st.text(string.printable, max_size=20))
            case 6:
                lines = [*lines[: i + 1], ""]
    return "\n".join(lines) + "\n"


ODD = st.one_of(
    st.sampled_from(["nan", "inf", "-inf", "1e999", "-1", "0", "1e9", "0,5", "4.594(", "(3)", "1/0"]),
    st.sampled_from(["?", ".", "''", "loop_", "data_x", ";", "'", "\x00", "_atom_site_fract_x", "x,y"]),
    st.sampled_from(["é", "None", "Xx", "D", "OH", "Fe3+"]),
)


def _cif_read_or_refused(tmp_path, given_):
    outcome(cif_of, given_, tmp_path, names="spoilt.cif")


test_altered_cifs, test_many_altered_cifs = tried(altered(RUTILE))(_cif_read_or_refused)

# ------------------------------------------------------------------ POSCAR and CHGCAR

POSCAR = "TiO2\n1.0\n4.594 0 0\n0 4.594 0\n0 0 2.959\nTi O\n2 4\nDirect\n0 0 0\n.5 .5 .5\n.305 .305 0\n"
POSCAR += ".695 .695 0\n.195 .805 .5\n.805 .195 .5\n"
CHGCAR = POSCAR + "\n  2 2 2\n" + " 1.0 1.0 1.0 1.0 1.0\n 1.0 1.0 1.0\n"


def poscar_of(text: str, folder, name="spoilt.vasp") -> Crystal:
    path = folder / name
    path.write_text(text)
    (crystal,) = read_crystals(path).crystals
    return crystal


def test_a_poscar_is_read(tmp_path):
    assert is_rutile(poscar_of(POSCAR, tmp_path))
    assert is_rutile(poscar_of(POSCAR.replace("Direct", "Selective dynamics\nDirect"), tmp_path))
    assert is_rutile(poscar_of(str(Poscar(poscar_of(POSCAR, tmp_path).structure)), tmp_path))
    assert is_rutile(poscar_of(POSCAR + "\n" + "0 0 0\n" * 6, tmp_path))  # velocities
    assert is_rutile(poscar_of(CHGCAR, tmp_path, "CHGCAR_spoilt"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (POSCAR.replace("2 4", "1000000000 4"), Code.TOO_LARGE),
        (POSCAR.replace("2 4", "9" * 5000), Code.TOO_LARGE),
        (POSCAR.replace("2 4", "2 -4"), Code.BAD_STRUCTURE),
        (POSCAR.replace("2 4", "2"), Code.CONTRADICTION),
        (POSCAR.replace("2 4", "2 3"), Code.CONTRADICTION),
        (POSCAR.replace("2 4", "2 5"), Code.FILE_UNREADABLE),
        (POSCAR.replace("Ti O", "Ti O H"), Code.CONTRADICTION),
        (POSCAR.replace("Ti O\n", ""), Code.FILE_UNREADABLE),
        (POSCAR.replace("4.594 0 0", "4,594 0 0"), Code.FILE_UNREADABLE),
        (POSCAR.replace("\n1.0\n", "\n0.1\n"), Code.BAD_STRUCTURE),
        (POSCAR.replace("\n1.0\n", "\n0\n"), Code.BAD_STRUCTURE),
        (POSCAR.replace("\n1.0\n", "\nnan\n"), None),
        (POSCAR.replace("\n1.0\n", "\n0.6\n"), Code.BAD_STRUCTURE),  # 2.2 Å^3 an atom
    ],
)
def test_a_poscar_that_is_none_is_refused(text, code, tmp_path):
    error = outcome(poscar_of, text, tmp_path, names="spoilt.vasp")
    assert isinstance(error, CrystalNetError) and code in (None, error.code), error


def _poscar_read_or_refused(tmp_path, given_):
    outcome(poscar_of, given_, tmp_path, names="spoilt.vasp")


def _chgcar_read_or_refused(tmp_path, given_):
    outcome(poscar_of, given_, tmp_path, "CHGCAR_spoilt", names="CHGCAR_spoilt")
    outcome(read_chgcar, tmp_path / "CHGCAR_spoilt", names="CHGCAR_spoilt")


test_altered_poscars, test_many_altered_poscars = tried(altered(POSCAR))(_poscar_read_or_refused)
test_altered_chgcars, test_many_altered_chgcars = tried(altered(CHGCAR), 6, 60)(_chgcar_read_or_refused)


def test_a_density_is_bounded_before_it_is_read(tmp_path):
    for grid in ("100000 100000 100000", "0 2 2", "9" * 400 + " 1 1"):
        error = outcome(poscar_of, CHGCAR.replace("2 2 2", grid), tmp_path, "CHGCAR_spoilt")
        assert error.code in (Code.TOO_LARGE, Code.BAD_DENSITY)
    bomb = tmp_path / "CHGCAR_bomb.gz"
    with gzip.open(bomb, "wt") as file:
        file.write(CHGCAR)
        for _ in range(20):
            file.write(" 0.0 0.0 0.0 0.0 0.0\n" * 50_000)
    assert outcome(read_chgcar, bomb).code is Code.TOO_LARGE


# ------------------------------------------------------------------ packed files


def test_a_packed_file_is_bounded_while_it_is_unpacked(tmp_path):
    for name in ("bomb.cif.gz", "bomb.jsonl.gz", "bomb.csv.gz"):
        with gzip.open(tmp_path / name, "wb") as file:
            file.write(b"data_x\n" if "cif" in name else b"")
            for _ in range(40):
                file.write(b" " * 1_000_000)
        error = outcome(read_crystals, tmp_path / name, names=name)
        assert error.code is Code.TOO_LARGE
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rho.npy", b"\0" * 300_000_000)
    assert outcome(read_cmed, tmp_path / "bomb.npz", names="bomb.npz").code is Code.TOO_LARGE


def _packed_read_or_refused(tmp_path, given_):
    name, place, bit = given_
    path = tmp_path / name
    content = bytearray(PACKED[name])
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    result = outcome(read_crystals, path, names=name)
    assert isinstance(result, CrystalNetError) or is_rutile(result.crystals[0])


def _npz() -> bytes:
    lattice, rest = np.diag([4.594, 4.594, 2.959]), [line.split() for line in POSCAR.splitlines()[8:]]
    atoms = Atoms(lattice, np.array(rest, float), np.array(["Ti"] * 2 + ["O"] * 4))
    content = io.BytesIO()
    np.savez_compressed(
        content, rho=np.ones((6, 6, 6), np.float16), lattice=lattice, frac_coords=atoms[1], species=atoms[2]
    )
    return content.getvalue()


ROW = {
    "mp_id": "mp-1",
    "spacegroup": 136,
    "e_above_hull": 0.1,
    "lattice": [[4.594, 0, 0], [0, 4.594, 0], [0, 0, 2.959]],
    "species": ["Ti", "Ti", "O", "O", "O", "O"],
    "frac_coords": [[float(word) for word in line.split()] for line in POSCAR.splitlines()[8:]],
}
PACKED = {
    "one.cif.gz": gzip.compress(RUTILE.encode(), mtime=0),
    "one.vasp.gz": gzip.compress(POSCAR.encode(), mtime=0),
    "one.jsonl.gz": gzip.compress(json.dumps(ROW).encode(), mtime=0),
    "one.npz": _npz(),
}
FLIPS = st.tuples(st.sampled_from(sorted(PACKED)), st.integers(0, 10**4), st.integers(0, 7))
test_flipped_bits, test_many_flipped_bits = tried(FLIPS)(_packed_read_or_refused)

# ------------------------------------------------------------------ tables


def table_of(rows: list, folder, name="spoilt.jsonl"):
    path = folder / name
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return read_crystals(path)


@pytest.mark.parametrize("material_id", ["NaN", "NA", "None", "null", "nan", "1e5", "007", "-inf"])
def test_ids_are_kept_as_text(material_id, tmp_path):
    (crystal,) = table_of([ROW | {"mp_id": material_id}], tmp_path).crystals
    assert crystal.material_id == material_id
    path = tmp_path / "table.csv"
    path.write_text(f'material_id,cif,e_above_hull\n{material_id},"{RUTILE}",NaN\n')
    (crystal,) = read_crystals(path).crystals
    assert crystal.material_id == material_id and crystal.stable


@pytest.mark.parametrize("energy", ["high", "0.1x", float("inf"), [0.1], True, {}])
def test_an_energy_that_is_none_is_refused(energy, tmp_path):
    error = outcome(table_of, [ROW | {"e_above_hull": energy}], tmp_path, names="e_above_hull")
    assert error.code is Code.NOTHING_LEFT
    path = tmp_path / "table.csv"
    path.write_text(f'material_id,cif,e_above_hull\nx,"{RUTILE}","{energy}"\n')
    assert "e_above_hull" in str(outcome(read_crystals, path))


def test_an_energy_as_text_is_refused_in_json(tmp_path):
    error = outcome(
        table_of, [ROW | {"e_above_hull": "0.1"}], tmp_path, names="e_above_hull is the text '0.1'"
    )
    assert error.code is Code.NOTHING_LEFT


@pytest.mark.parametrize(
    "row",
    [
        json.dumps(ROW).replace('"spacegroup": 136', '"spacegroup": 136, "spacegroup": 225'),
        ROW | {"spacegroup": 136.5},
        ROW | {"spacegroup": True},
        ROW | {"spacegroup": "136"},
        ROW | {"mp_id": ""},
        ROW | {"mp_id": None},
        ROW | {"mp_id": 1.5},
        ROW | {"split": "tset"},
        ROW | {"split": ["test"]},
        ROW | {"lattice": [[1e400] * 3] * 3},
        ROW | {"lattice": [["a"] * 3] * 3},
        ROW | {"species": "TiTiOO"},
        ROW | {"source": 3},
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 10_000,
    ],
)
def test_a_row_that_is_none_is_left_out_with_its_reason(row, tmp_path):
    error = outcome(table_of, [row], tmp_path, names="spoilt.jsonl")
    assert isinstance(error, CrystalNetError) and error.code is Code.NOTHING_LEFT


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('material_id,cif\nx,"{}",more\n', "it has 3 fields, the table 2 columns"),
        ("material_id,cif,e_above_hull\nx,y\n", "it has 2 fields, the table 3 columns"),
        ('material_id,cif,cif\nx,"{}","{}"\n', "two columns have one name"),
        ('material_id;cif\nx;"{}"\n', "no column cif and material_id"),
        ('material_id,cif\n,"{}"\n', "its material_id is empty"),
        ('material_id,cif\nx,"{}', "can't be read"),
    ],
)
def test_a_csv_whose_columns_do_not_fit_is_refused(text, cause, tmp_path):
    (tmp_path / "spoilt.csv").write_text(text.replace("{}", RUTILE))
    assert cause in str(outcome(read_crystals, tmp_path / "spoilt.csv", names="spoilt.csv"))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
CHANGES = st.dictionaries(st.sampled_from([*ROW, "split", "match", "source"]), JUNK, min_size=1, max_size=3)


def _row_read_or_refused(tmp_path, given_):
    result = outcome(table_of, [ROW | given_], tmp_path, names="spoilt.jsonl")
    assert isinstance(result, CrystalNetError) or all(isinstance(c.material_id, str) for c in result.crystals)


test_altered_rows, test_many_altered_rows = tried(CHANGES, 20, 200)(_row_read_or_refused)


def test_a_density_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    atoms = table_of([ROW], tmp_path).crystals[0].atoms
    error = outcome(write_cmed, tmp_path / "file" / "a.npz", np.ones((6, 6, 6)), atoms, names="a.npz")
    assert error.code is Code.NOT_WRITTEN
