"""Reading crystals from files: every format, what is kept and what is left out, and errors that help."""

import gzip
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp.inputs import Poscar

from crystalnet.data.tables import read_crystals
from crystalnet.errors import CrystalNetError

NACL = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
FE = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0] * 3, [0.5] * 3])
CDI2 = Structure.from_spacegroup(
    164, Lattice.hexagonal(4.24, 6.86), ["Cd", "I"], [[0] * 3, [1 / 3, 2 / 3, 0.25]]
)


def cif(structure) -> str:
    return str(CifWriter(structure, symprec=0.01))


def chgcar(structure) -> str:
    return f"{Poscar(structure)}\n  2 2 2\n 1.0 1.0 1.0 1.0 1.0\n 1.0 1.0 1.0\n"


def row(structure, space_group, material_id="mp-1", **facts) -> dict:
    return {
        "mp_id": material_id,
        "spacegroup": space_group,
        "lattice": structure.lattice.matrix.tolist(),
        "species": [site.specie.symbol for site in structure],
        "frac_coords": structure.frac_coords.tolist(),
        **facts,
    }


def json_lines(path, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt") as file:
        file.writelines((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows)
    return path


@pytest.fixture(autouse=True)
def _no_silent_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def test_a_folder_of_every_structure_format(tmp_path):
    (tmp_path / "halite.cif").write_text(cif(NACL))
    (tmp_path / "POSCAR_iron").write_text(str(Poscar(FE)))
    (tmp_path / "layered.vasp").write_text(str(Poscar(CDI2)))
    with gzip.open(tmp_path / "zipped.cif.gz", "wt") as file:
        file.write(cif(CDI2))
    (tmp_path / "mp-7").mkdir()
    (tmp_path / "mp-7" / "CHGCAR").write_text(chgcar(NACL))
    (tmp_path / "README.md").write_text("not a crystal")
    crystals = {crystal.material_id: crystal for crystal in read_crystals(tmp_path).crystals}
    assert set(crystals) == {"halite", "iron", "layered", "zipped", "mp-7"}
    assert [crystals[k].space_group for k in ("halite", "iron", "layered", "zipped")] == [225, 229, 164, 164]
    assert [len(crystals[k].structure) for k in ("halite", "iron", "layered", "mp-7")] == [2, 1, 3, 8]
    assert (
        crystals["mp-7"].density_file == tmp_path / "mp-7" / "CHGCAR"
        and crystals["halite"].density_file is None
    )
    np.testing.assert_allclose(crystals["mp-7"].structure.lattice.matrix, NACL.lattice.matrix)
    assert [c.material_id for c in read_crystals(tmp_path, "trigonal").crystals] == ["layered", "zipped"]
    assert [c.material_id for c in read_crystals(tmp_path, "cubic", limit=1).crystals] == ["iron"]


def test_a_table_of_cifs(tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame(
        {"material_id": [1, 2, 3], "cif": [cif(NACL), cif(FE), cif(CDI2)], "e_above_hull": [0, 0.1, np.nan]}
    ).to_csv(path)
    crystals = read_crystals(path).crystals
    assert [(c.material_id, c.formula, c.stable) for c in crystals] == [
        ("1", "NaCl", True),
        ("2", "Fe", False),
        ("3", "CdI2", True),
    ]
    assert [c.formula for c in read_crystals(path, "trigonal").crystals] == ["CdI2"]


@pytest.mark.parametrize("name", ["some.jsonl", "some.jsonl.gz"])
def test_json_lines_keep_their_cells_and_splits(tmp_path, name):
    rows = [
        row(NACL, 225, "mp-1", split="train_unstable", e_above_hull=0.0),
        row(FE, 229, "mp-2", split="train_stable", e_above_hull=0.2),
        row(CDI2, 164, "mp-3", split="test", match="mp-id"),
        row(CDI2, 164, "mp-4", split="val", match="formula, ambiguous"),
        row(FE, 229, "mp-5", e_above_hull=0.2),
    ]
    crystals = read_crystals(json_lines(tmp_path / name, rows)).crystals
    assert [(c.material_id, c.split, c.stable, len(c.atoms.symbols)) for c in crystals] == [
        ("mp-1", "train", False, 8),
        ("mp-2", "train", True, 2),
        ("mp-3", "test", True, 3),
        ("mp-5", None, False, 2),
    ]
    assert crystals[2].crystal_system == "trigonal"


@pytest.mark.parametrize(
    "limit, shares", [(40, (32, 2, 6)), (3, (1, 1, 1)), (10, (8, 1, 1)), (999, (80, 5, 15))]
)
def test_a_limit_takes_every_split_in_its_share(tmp_path, limit, shares):
    names = ["train_unstable"] * 80 + ["val"] * 5 + ["test"] * 15
    rows = [row(FE, 229, f"mp-{i}", split=split) for i, split in enumerate(names)]
    crystals = read_crystals(json_lines(tmp_path / "a.jsonl", rows), limit=limit).crystals
    assert tuple(sum(c.split == s for c in crystals) for s in ("train", "val", "test")) == shares
    places = [int(c.material_id[3:]) for c in crystals if c.split == "train"]
    assert np.ptp(np.diff(places)) <= 1 if len(places) > 1 else places == [0]  # evenly spaced


def test_a_limit_below_the_number_of_splits_is_refused(tmp_path):
    rows = [row(FE, 229, f"mp-{i}", split=s) for i, s in enumerate(["train", "val", "test"])]
    with pytest.raises(CrystalNetError, match="leaves a published split empty"):
        read_crystals(json_lines(tmp_path / "a.jsonl", rows), limit=2)


def test_bad_rows_are_left_out_with_one_warning_that_counts_reasons(tmp_path):
    no_species = row(FE, 229, "mp-2")
    del no_species["species"]
    crowded = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0] * 3, [0.01] * 3])
    curium = Structure(Lattice.cubic(4), ["Cm"], [[0] * 3])
    rows = ["{broken", "[]", no_species, row(FE, 400), row(crowded, 221, "mp-3")]
    rows += [row(curium, 221, "mp-4"), row(curium, 221, "mp-5"), row(NACL, 225), row(NACL, 225)]
    path = json_lines(tmp_path / "a.jsonl", rows)
    with pytest.warns(UserWarning) as caught:
        (crystal,) = read_crystals(path).crystals
    assert crystal.formula == "NaCl"
    (message,) = [str(warning.message) for warning in caught]
    assert "left out 8" in message
    assert "2 x there is no valence density" in message
    assert "1 x two atoms are closer" in message
    assert "1 x there is no 'species'" in message
    assert "no space group 400" in message
    assert "1 x another crystal has its material_id" in message


def test_a_table_with_nothing_usable_is_an_error_with_reasons(tmp_path):
    path = json_lines(tmp_path / "a.jsonl", [row(FE, 400)] * 2)
    with pytest.raises(CrystalNetError, match=r"no crystal that (?s:.)*2 x .*no space group 400"):
        read_crystals(path)
    json_lines(path, [row(FE, 229)])
    with pytest.raises(CrystalNetError, match="holds no trigonal crystal"):
        read_crystals(path, "trigonal")


def disordered() -> str:
    return str(CifWriter(Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0] * 3])))


@pytest.mark.parametrize(
    "name, content, cause",
    [
        ("empty.cif", "", "this CIF gives no structure"),
        ("words.cif", "data_x\nnothing here", "this CIF gives no structure"),
        ("disordered.cif", disordered(), "partly occupied"),
        ("curium.cif", cif(Structure(Lattice.cubic(4), ["Cm"], [[0] * 3])), "for Cm"),
        ("two.cif", cif(NACL) + cif(FE), "holds 2 structures"),
        ("POSCAR", "", "its POSCAR part gives no structure"),
        ("old.vasp", "?\n1.0\n3 0 0\n0 3 0\n0 0 3\n1\ndirect\n0 0 0\n", "Elements in POSCAR"),
        ("CHGCAR_cut", str(Poscar(NACL)), "no density follows"),
        ("CHGCAR_left", "?\n1.0\n3 0 0\n0 3 0\n0 0 -3\nFe\n1\ndirect\n0 0 0\n\n2 2 2\n", "left-handed"),
        ("broken.cif.gz", "not gzip", "can't be read"),
        ("table.csv", "a,b\n1,2\n", "no column cif and material_id"),
        ("table.csv", "", "no column cif and material_id"),
        ("picture.png", "", "no known format"),
    ],
)
def test_a_bad_file_is_one_error_that_names_it(tmp_path, name, content, cause):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(CrystalNetError, match=cause) as caught:
        read_crystals(path)
    assert name in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert str(caught.value).endswith(".")


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(CrystalNetError, match="does not exist"):
        read_crystals(tmp_path / "nowhere")
    with pytest.raises(CrystalNetError, match=r"crystal system 'Cubic'.*cubic"):
        read_crystals(tmp_path, "Cubic")
    with pytest.raises(CrystalNetError, match="limit"):
        read_crystals(tmp_path, limit=0)
    with pytest.raises(CrystalNetError, match="holds no crystal"):
        read_crystals(tmp_path)


def test_real_chgcars_keep_their_cells(shared_data):
    folder = shared_data / "data/chgcar"
    index = {entry["file"]: entry for entry in json.loads((folder / "index.json").read_text())}
    crystals = read_crystals(folder).crystals
    assert len(crystals) == len(index)
    for crystal in crystals:
        entry = index[crystal.density_file.name]
        assert crystal.space_group == entry["spacegroup"]
        assert crystal.structure.volume == pytest.approx(entry["vol"], rel=1e-3)


@pytest.mark.parametrize("system", ["cubic", "trigonal"])
def test_the_published_split_is_read_in_its_shares(system, shared_data):
    crystals = read_crystals(shared_data / "data/structures/paper_split.jsonl.gz", system, limit=200).crystals
    assert len(crystals) == 200 and {c.crystal_system for c in crystals} == {system}
    assert {c.split for c in crystals} == {"train", "val", "test"}
    assert all(c.stable for c in crystals if c.split != "train")
    assert {c.stable for c in crystals if c.split == "train"} == {True, False}
