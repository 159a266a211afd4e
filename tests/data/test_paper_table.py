"""The crystals of the authors' lists as a table: by `python book/fetch.py structures` from a local server."""

import importlib.util
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import materials_project_server as mp
import pytest
from materials_project_server import Material, Server, status
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure

from crystalnet.data import download
from crystalnet.data.materials_project.table import fetch_table
from crystalnet.data.published import LISTS, read_id_lists
from crystalnet.data.tables import read_crystals
from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.params import Params
from crystalnet.runs.places import located
from crystalnet.runs.run import Run

NUMBERS = {"cubic": range(1, 9), "trigonal": range(11, 19)}  # of materials; two on each list
SOURCE = "data/structures/paper_split.jsonl.gz"


def material(number: int, space_group: int) -> Material:
    """A crystal of caesium chloride's kind, a size each."""
    structure = Structure(Lattice.cubic(4 + number / 100), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])
    facts = json.loads(json.dumps(structure.as_dict(), cls=MontyEncoder))
    return Material(mp.written(number), facts, space_group, None)


@pytest.fixture(scope="module", autouse=True)
def _quick_schemas():
    with pytest.MonkeyPatch.context() as patch:
        mp.make_schemas_once(patch.setattr)
        yield


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """It lacks mp-2, and has mp-8 as the same crystal as mp-1."""
    materials = {number: material(number, 221) for number in NUMBERS["cubic"] if number != 2}
    materials |= {number: material(number, 160) for number in NUMBERS["trigonal"]}
    materials[8].structure = materials[1].structure
    server = Server(materials.values())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    monkeypatch.setenv("MP_API_KEY", mp.KEY)
    monkeypatch.setattr(download, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(download, "LONGEST_WAIT", 0.01)
    yield server
    server.close()


@pytest.fixture
def command(server, monkeypatch):
    path = Path(__file__).parents[2] / "book" / "fetch.py"
    spec = importlib.util.spec_from_file_location("fetch_command", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    monkeypatch.setattr(made, "fetch_table", partial(fetch_table, progress=False, endpoint=server.endpoint))
    monkeypatch.setattr("sys.argv", ["fetch.py", "structures"])
    return made


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A data/ with the authors' lists alone."""
    folder = tmp_path / "data"
    (folder / "splits").mkdir(parents=True)
    for system, numbers in NUMBERS.items():
        for k, name in enumerate(LISTS):
            ids = {mp.written(number): "CsCl" for number in numbers[2 * k : 2 * k + 2]}
            (folder / "splits" / f"{system}_{name}.json").write_text(json.dumps(ids))
    monkeypatch.setenv("CRYSTALNET_DATA", str(folder))
    return folder


def test_a_run_says_what_makes_its_table_and_then_reads_it(command, data, tmp_path, capsys):
    params = Params.load("real", data={"id_lists": "data/splits", "crystal_systems": ["cubic"]})
    run = Run(params, tmp_path / "runs", progress=False)
    with pytest.raises(
        CrystalNetError, match=r"'data/structures/.*`python book/fetch.py structures`"
    ) as error:
        run.cleaned("cubic")
    assert error.value.code is Code.FILE_MISSING

    command.main()
    out, err = capsys.readouterr()
    assert (
        out.strip()
        == str(data / "structures" / "paper_split.jsonl.gz")
        == str(located("data.source", SOURCE))
    )
    assert "left out 1: the Materials Project does not have it any more" in err
    assert "left out 1: it is the same as mp-1 now" in err
    cubic, trigonal = (read_crystals(located("data.source", SOURCE), system).crystals for system in NUMBERS)
    assert [c.material_id for c in cubic] == ["mp-1", "mp-3", "mp-4", "mp-5", "mp-6", "mp-7"]
    assert [c.split for c in trigonal] == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert [c.stable for c in trigonal] == [True, True, False, False, True, True, True, True]
    for crystal, number in zip(cubic, (1, 3, 4, 5, 6, 7), strict=True):
        assert crystal.atoms.lattice[0, 0] == 4 + number / 100 and crystal.formula == "CsCl"
    assert "Materials Project" in cubic[0].source

    command.main()  # again: nothing is asked for
    assert "is there" in capsys.readouterr().out


def test_what_was_broken_off_goes_on_where_it_was(command, server, data):
    server.lasting_fault("mp-15", status(500))  # the first trigonal crystal to validate with
    with pytest.raises(SystemExit, match=r"failed 5 times.*Run again"):
        command.main()
    kept = {path: path.stat().st_mtime_ns for path in data.glob("structures/fetched/materials-*")}
    assert len(kept) == 6 and not (data / "structures" / "paper_split.jsonl.gz").exists()
    server.lasting_fault("mp-15", None)
    before = server.requests["/materials/summary/"]
    command.main()
    assert server.requests["/materials/summary/"] == before + 2  # the two lists that were not there
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(read_crystals(located("data.source", SOURCE), "trigonal").crystals) == 8


def test_the_table_needs_lists_and_a_key(command, data, monkeypatch):
    monkeypatch.delenv("MP_API_KEY")
    with pytest.raises(SystemExit, match="The API key of the Materials Project is missing"):
        command.main()
    for path in data.glob("splits/*"):
        path.unlink()
    (data / "splits").rmdir()
    with pytest.raises(SystemExit, match=r"lists 'data/splits' does not exist.*released code"):
        command.main()


def test_none_of_the_crystals_is_an_error(server, data):
    server.materials.clear()
    splits = [read_id_lists(data / "splits", "cubic")]
    with pytest.raises(CrystalNetError, match="none of the listed crystals"):
        fetch_table(splits, data / "a.jsonl.gz", data / "fetched", progress=False, endpoint=server.endpoint)
