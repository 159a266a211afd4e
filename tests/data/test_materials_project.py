"""The Materials Project source against a server on this machine that fails in every known way."""

import gzip
import json
import multiprocessing
import os
import random
import shutil
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path

import materials_project_server as mp
import numpy as np
import pymatgen.core
import pytest
from materials_project_server import Material, Server, cut, instead, reset, slow, status, zipped
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Poscar

from crystalnet.data import download
from crystalnet.data.chgcar import chgcar_cmed, read_chgcar
from crystalnet.data.densities import read_cmed
from crystalnet.data.download import FailureLog, PassingError, UnreachableError, in_parallel, patiently
from crystalnet.data.materials_project import densities, fetch, queries
from crystalnet.errors import CrystalNetError

KILLS = int(os.environ.get("CRYSTALNET_KILLS", 10))
N_GRID = 12
REAL = {  # file -> space group
    "pymatgen_nospin": 229,
    "heusler_bcc_Fe": 229,
    "atomate_PBEsol_Al": 225,
    "atomate_Si_static": 227,
}
PRELOADED = [  # by the process whose children are killed
    "crystalnet.data.materials_project",
    "mp_api.client",
    "mp_api.client.routes.materials.materials",
    "mp_api.client.routes.materials.summary",
    "mp_api.client.routes.materials.tasks",
    "mp_api.client.routes.molecules.molecules",
    "boto3",
    "pyrho.charge_density",
    "pymatgen.io.vasp",
]


def as_json(thing) -> dict:
    return json.loads(json.dumps(thing.as_dict(), cls=MontyEncoder))


def waves(structure: Structure, phase: float) -> Chgcar:
    x, y, _ = np.meshgrid(*[np.arange(8) / 8] * 3, indexing="ij")
    rho = 2 + np.cos(2 * np.pi * x + phase) + np.sin(2 * np.pi * y)
    return Chgcar(Poscar(structure), {"total": rho * structure.volume})


@cache
def material(value: int, space_group: int = 221, **facts) -> Material:
    """A CsCl-like crystal; the CHGCAR has its own cell, a little smaller than the listed one."""
    elements = ["Li", "Na", "K", "Rb", "Cs"][value % 5], ["F", "Cl", "Br", "I"][value % 4]
    listed, own = (Structure(Lattice.cubic(a), elements, [[0, 0, 0], [0.5] * 3]) for a in (3.6, 3.5))
    chgcar = facts.pop("chgcar", as_json(waves(own, value)))
    return Material(mp.written(value), as_json(listed), space_group, chgcar, **facts)


@cache
def real_material(value: int, path: Path, space_group: int) -> Material:
    chgcar = read_chgcar(path)
    return Material(mp.written(value), as_json(chgcar.structure), space_group, as_json(chgcar))


@pytest.fixture(scope="module", autouse=True)
def _quick_schemas():
    with pytest.MonkeyPatch.context() as patch:
        mp.make_schemas_once(patch.setattr)
        yield


@pytest.fixture
def serve(monkeypatch):
    """Starts a server of materials, whose key is the one that is set."""
    servers = []

    def start(*materials: Material) -> Server:
        servers.append(Server(materials))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", servers[-1].endpoint)
        return servers[-1]

    monkeypatch.setenv("MP_API_KEY", mp.KEY)
    monkeypatch.setattr(download, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(download, "LONGEST_WAIT", 0.01)
    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(serve) -> Server:
    """Five cubic materials with a density."""
    return serve(*(material(value) for value in range(1, 6)))


def run(server: Server, folder: Path, **options):
    given = {"densities": True, "n_grid": N_GRID, "progress": False, "endpoint": server.endpoint}
    return fetch("cubic", folder, **(given | options))


def ids(fetched) -> list[str]:
    return [crystal.material_id for crystal in fetched.crystals]


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


# What is fetched


def test_crystals_have_the_cell_and_density_of_their_chgcar(server, tmp_path):
    fetched = run(server, tmp_path)
    assert fetched.failures == {}
    assert ids(fetched) == [f"mp-{value}" for value in range(1, 6)]
    for crystal in fetched.crystals:
        rho, atoms = read_cmed(crystal.density_file)
        chgcar = waves(Structure(np.eye(3) * 3.5, ["Na"], [[0, 0, 0]]), int(crystal.material_id[3:]))
        np.testing.assert_allclose(rho, chgcar_cmed(chgcar, N_GRID), atol=2e-3)  # float16
        np.testing.assert_array_equal(atoms.lattice, 3.5 * np.eye(3))
        np.testing.assert_array_equal(crystal.atoms.lattice, atoms.lattice)
        assert (crystal.space_group, crystal.crystal_system) == (221, "cubic")
        assert crystal.source == "Materials Project 2026.10.1"


def test_real_chgcars_arrive_as_from_the_file(serve, shared_data, tmp_path):
    paths = [shared_data / "data" / "chgcar" / f"{name}.CHGCAR.gz" for name in REAL]
    server = serve(*map(real_material, range(1, 5), paths, REAL.values()))
    for method in ("fourier", "paper"):
        fetched = run(server, tmp_path, n_grid=20, chgcar_method=method)
        assert len(fetched.crystals) == len(paths)
        for crystal, path in zip(fetched.crystals, paths, strict=True):
            rho, _ = read_cmed(crystal.density_file)
            np.testing.assert_array_equal(rho, chgcar_cmed(path, 20, method).astype(np.float16))


def test_only_what_was_asked_for_is_listed(serve, tmp_path):
    server = serve(
        material(30),
        material(4),
        material(1, space_group=166),
        material(2, chgcar=None),
        material(3, deprecated=True),
        material(99999999),
    )
    assert ids(run(server, tmp_path / "a")) == ["mp-4", "mp-30", "mp-ikvozv"]
    structures = run(server, tmp_path / "b", densities=False)
    assert ids(structures) == ["mp-2", "mp-4", "mp-30", "mp-ikvozv"]
    assert structures.crystals[0].density_file is None
    np.testing.assert_array_equal(structures.crystals[0].atoms.lattice, 3.6 * np.eye(3))
    trigonal = fetch("trigonal", tmp_path / "c", densities=False, progress=False, endpoint=server.endpoint)
    assert ids(trigonal) == ["mp-1"]
    assert server.requests_below(mp.BUCKET) == 3


def test_a_material_is_stable_unless_it_is_known_to_be_above_the_hull(serve, tmp_path):
    server = serve(material(1), material(2, energy_above_hull=0.1), material(3, energy_above_hull=None))
    assert [crystal.stable for crystal in run(server, tmp_path).crystals] == [True, False, True]


def test_a_list_of_many_pages_is_whole(server, tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "PAGE", 2)
    assert len(run(server, tmp_path, densities=False).crystals) == 5
    assert server.requests["/materials/summary/"] == 3


def test_the_limit_takes_the_first_of_the_list(server, tmp_path):
    assert ids(run(server, tmp_path, limit=2)) == ["mp-1", "mp-2"]
    assert server.requests_below(mp.BUCKET) == 2


def test_a_structure_that_is_refused_is_a_failure(serve, tmp_path):
    close = Structure(Lattice.cubic(3), ["Na", "Cl"], [[0, 0, 0], [0.01, 0, 0]])
    odd = material(3)
    server = serve(
        material(1),
        Material("mp-2", as_json(close), 221, material(2).chgcar),
        Material("mp-3", {"sites": "none"}, 221, odd.chgcar),
        Material("mp-4", odd.structure, 231, odd.chgcar),
    )
    fetched = run(server, tmp_path)
    assert ids(fetched) == ["mp-1"]
    assert "closer than" in fetched.failures["mp-2"]
    assert "structure is not understood" in fetched.failures["mp-3"]
    assert "summary is not understood" in fetched.failures["mp-4"]
    assert server.requests_below(mp.BUCKET) == 1


# Published ids


def test_published_ids_are_followed_to_where_they_are_now(serve, tmp_path):
    server = serve(
        material(1),
        material(2, other_ids=("mp-77", "mp-78")),
        material(3, space_group=166),
        material(4, deprecated=True),
        material(99999999),
    )
    asked = ["mp-4", "mp-77", "mp-404", "mp-3", "mp-99999999", "nonsense", "mp-78", "mp-1", "mp-1"]
    fetched = run(server, tmp_path, ids=asked)
    assert ids(fetched) == ["mp-4", "mp-77", "mp-99999999", "mp-1"]
    assert fetched.crystals[1].density_file.name == "mp-2.npz"
    assert "does not have it" in fetched.failures["mp-404"]
    assert "is trigonal" in fetched.failures["mp-3"]
    assert "no id" in fetched.failures["nonsense"]
    assert "same material as mp-77" in fetched.failures["mp-78"]


def test_a_long_list_of_ids_never_makes_a_long_uri(serve, tmp_path):
    present = [material(1_000_000 + value) for value in range(60)]
    server = serve(*present)
    asked = [f"mp-{value}" for value in range(2_000_000, 2_000_300)] + [m.material_id for m in present]
    fetched = run(server, tmp_path, ids=asked)
    assert len(fetched.crystals) == 60
    assert len(fetched.failures) == 300
    assert server.longest_uri < mp.LONGEST_URI


# The key


@pytest.mark.parametrize("key", ["", "short", mp.KEY[:-1] + "!", mp.KEY + "0"])
def test_a_missing_or_malformed_key_tells_where_to_get_one(server, tmp_path, monkeypatch, key):
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_MAPI_KEY", "")
    monkeypatch.setenv("MP_API_KEY", key)
    with pytest.raises(CrystalNetError, match=r"https://materialsproject.org/api .*MP_API_KEY") as error:
        run(server, tmp_path)
    assert not key or key not in str(error.value)
    assert not server.requests


def test_pymatgens_settings_may_hold_the_key(server, tmp_path, monkeypatch):
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_MAPI_KEY", mp.KEY)
    assert len(run(server, tmp_path).crystals) == 5


def test_the_key_is_neither_written_nor_sent_to_s3(server, tmp_path, capfd):
    server.lasting_fault(material(1).path, status(503))
    fetched = run(server, tmp_path, progress=True, keep_chgcar=True)
    seen = str(fetched.failures) + "".join(capfd.readouterr())
    assert fetched.failures
    assert mp.KEY not in seen
    for content in files(tmp_path).values():
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert mp.KEY.encode() not in plain
    assert not server.key_sent_to_s3


@pytest.mark.parametrize(("code", "words"), [(401, "API key"), (403, "blocks")])
@pytest.mark.parametrize("path", ["/materials/summary/", "/materials/core/"])
def test_a_refusal_is_one_clear_error_at_once(server, tmp_path, code, words, path):
    server.lasting_fault(path, status(code))
    with pytest.raises(CrystalNetError, match=f"{words}.*https://materialsproject.org/api") as error:
        run(server, tmp_path)
    assert mp.KEY not in str(error.value)
    assert server.requests[path] == 1


# Faults that pass


@pytest.mark.parametrize(
    "fault",
    [status(429, "0.002"), status(500), status(502), status(503), status(504), reset, cut, slow],
    ids=["429", "500", "502", "503", "504", "reset", "cut", "slow"],
)
def test_faults_that_pass_leave_no_trace(serve, server, tmp_path, fault):
    paths = [
        "/materials/summary/",
        "/materials/core/",
        "/materials/tasks/",
        material(2).path,
        material(4).path,
    ]
    for path in [*paths, "/heartbeat"]:
        server.fault(path, fault, fault)
    assert run(server, tmp_path / "a", keep_chgcar=True).failures == {}
    expected = 1 if fault is slow else 3
    assert [server.requests[path] for path in paths] == [expected] * len(paths)
    calm = serve(*(material(value) for value in range(1, 6)))
    run(calm, tmp_path / "b", keep_chgcar=True)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_pauses_grow_and_respect_what_the_server_asks_for(monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def request(wait: float = 0.0):
        raise PassingError("busy", wait)

    with pytest.raises(UnreachableError, match=r"x failed 5 times: busy\. Run again"):
        patiently(request, "x")
    for k, pause in enumerate(pauses):
        assert 0.5 <= pause / 2**k <= 1.5
    pauses.clear()
    with pytest.raises(UnreachableError):
        patiently(lambda: request(50.0), "x")
    assert pauses == [50.0] * (download.TRIES - 1)
    pauses.clear()
    with pytest.raises(UnreachableError):
        patiently(lambda: request(1e9), "x")
    assert max(pauses) == download.LONGEST_WAIT


def test_retry_after_is_seconds_or_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert PassingError.of_status(429, "7").wait == 7
    assert 80 < PassingError.of_status(503, later).wait <= 90
    assert PassingError.of_status(500, "soon").wait == 0
    assert PassingError.of_status(404, None) is None


# Faults that last: the material is a failure, the others are there, the next run tries it again


def potassium_bromide(edge: float = 3.5, at_origin: float | None = None) -> dict:
    chgcar = waves(Structure(edge * np.eye(3), ["K", "Br"], [[0, 0, 0], [0.5] * 3]), 0)
    if at_origin is not None:
        chgcar.data["total"][0, 0, 0] = at_origin
    return as_json(chgcar)


LASTING = {
    "unreachable": (status(503), "503"),
    "too many requests": (status(429), "429"),
    "always cut": (cut, "failed 5 times"),
    "always reset": (reset, "failed 5 times"),
    "forbidden": (status(403), "answers 403"),
    "missing object": (status(404), "holds no charge density"),
    "null density": (instead(zipped({"data": None})), "holds no charge density"),
    "foreign JSON": (instead(zipped({"data": {"rho": [1, 2]}})), "no whole CHGCAR"),
    "other JSON": (instead(zipped([1, 2])), "no whole CHGCAR"),
    "no gzip": (instead(b"<html>sorry</html>"), "no whole CHGCAR"),
    "cut gzip": (instead(zipped({"data": material(2).chgcar})[:-200]), "no whole CHGCAR"),
    "NaN density": (instead(zipped({"data": potassium_bromide(at_origin=np.nan)})), "not finite"),
    "left-handed cell": (instead(zipped({"data": potassium_bromide(-3.5)})), "mirror its density"),
    "other composition": (instead(zipped({"data": material(3).chgcar})), "density is that of"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_costs_one_material_until_it_ends(server, tmp_path, name):
    fault, words = LASTING[name]
    ill = material(2)
    server.lasting_fault(ill.path, fault)
    fetched = run(server, tmp_path)
    assert ids(fetched) == ["mp-1", "mp-3", "mp-4", "mp-5"]
    assert list(fetched.failures) == ["mp-2"]
    assert words in fetched.failures["mp-2"]
    log = FailureLog(tmp_path / "failures.jsonl")
    assert log.read() == fetched.failures
    before = Counter(server.requests)

    server.lasting_fault(ill.path, None)
    fetched = run(server, tmp_path)
    assert ids(fetched) == [f"mp-{value}" for value in range(1, 6)]
    assert fetched.failures == {} == log.read()
    new = {path for path, count in server.requests.items() if count > before[path]}
    assert {path for path in new if path.startswith(mp.BUCKET)} == {ill.path}


def test_a_material_without_a_static_calculation_is_a_failure(serve, tmp_path):
    server = serve(material(1), material(2, chgcar=None))
    fetched = run(server, tmp_path, ids=["mp-1", "mp-2"])
    assert ids(fetched) == ["mp-1"]
    assert "holds no charge density" in fetched.failures["mp-2"]


def test_an_older_task_stands_in_where_the_latest_has_no_density(server, tmp_path):
    stale = material(2)
    server.objects[stale.older_path] = server.objects.pop(stale.path)
    assert run(server, tmp_path).failures == {}
    assert server.requests[stale.path] == server.requests[stale.older_path] == 1


def test_no_passing_fault_makes_an_older_task_stand_in(server, tmp_path):
    ill = material(2)
    server.objects[ill.older_path] = server.objects[ill.path]
    server.lasting_fault(ill.path, status(503))
    assert list(run(server, tmp_path).failures) == ["mp-2"]
    assert server.requests[ill.older_path] == 0


def test_one_material_that_breaks_a_query_of_many_costs_no_other(server, tmp_path):
    server.lasting_fault("mp-3%2C", status(500))  # the query of all
    server.lasting_fault("/materials/core/?material_ids=mp-3&", status(500))  # the query of it alone
    fetched = run(server, tmp_path)
    assert ids(fetched) == ["mp-1", "mp-2", "mp-4", "mp-5"]
    assert "500" in fetched.failures["mp-3"]


@pytest.mark.parametrize(
    "body", [b"<html>sorry</html>", b'{"rows": []}', b'{"data": [{}], "meta": {"total_doc": 1}}', b"[]"]
)
def test_an_answer_that_is_not_understood_is_one_clear_error(server, tmp_path, body):
    server.lasting_fault("/materials/summary/", instead(body))
    with pytest.raises(CrystalNetError, match=r"not understood.*Run again"):
        run(server, tmp_path)
    server.lasting_fault("/materials/summary/", None)
    assert len(run(server, tmp_path).crystals) == 5


# When nothing works


def test_no_server_is_one_clear_error(server, tmp_path):
    server.close()
    with pytest.raises(
        CrystalNetError, match=r"connection to the Materials Project failed 5 times.*Run again"
    ):
        run(server, tmp_path)


def test_many_failures_of_connection_in_a_row_stop_the_run_and_keep_what_is_there(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(download, "IN_A_ROW", 2)
    server.lasting_fault(material(3).path, reset)
    assert len(run(server, tmp_path / "a").crystals) == 4
    server.lasting_fault(material(4).path, reset)
    with pytest.raises(CrystalNetError, match=r"2 requests failed one after the other.*Check the network"):
        run(server, tmp_path / "b", workers=1)
    assert {"mp-1.npz", "mp-2.npz"} <= {path.name for path in tmp_path.glob("b/densities-*/*")}


def test_missing_densities_in_a_row_stop_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "IN_A_ROW", 2)
    server.objects.clear()
    assert len(run(server, tmp_path).failures) == 5


def test_a_full_disk_is_one_clear_error_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(densities.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CrystalNetError, match=r"5 to fetch.*of disk needed.*Free disk space"):
        run(server, tmp_path)
    assert server.requests_below(mp.BUCKET) == 0


def test_a_disk_that_becomes_full_stops_the_run(server, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(densities, "write_cmed", full)
    with pytest.raises(CrystalNetError, match=r"No space left on device.*Free disk space and run again"):
        run(server, tmp_path)


def test_an_error_of_ours_is_not_taken_for_a_failure():
    def work(item):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_parallel(work, [1], workers=2))


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"workers": 0}, {"chgcar_method": "spline"}], ids=["limit", "workers", "method"]
)
def test_wrong_arguments_are_clear_errors(server, tmp_path, options):
    with pytest.raises(CrystalNetError, match=r"Choose|Give"):
        run(server, tmp_path, **options)
    with pytest.raises(CrystalNetError, match="Choose one of"):
        fetch("cubical", tmp_path, densities=False)
    assert not server.requests


# Once and never again


def test_a_finished_download_needs_neither_key_nor_network(server, tmp_path, monkeypatch):
    first = run(server, tmp_path)
    server.close()
    monkeypatch.delenv("MP_API_KEY")
    again = run(server, tmp_path)
    assert [crystal.as_dict() for crystal in again.crystals] == [
        crystal.as_dict() for crystal in first.crystals
    ]


def test_a_kept_chgcar_is_not_fetched_again(server, tmp_path):
    run(server, tmp_path, keep_chgcar=True)
    kept = files(tmp_path / "chgcars")
    assert kept == {f"mp-{v}.json.gz": server.objects[material(v).path] for v in range(1, 6)}
    assert len(run(server, tmp_path, n_grid=6).crystals) == 5
    assert set(server.requests[path] for path in server.objects) == {1}


def test_a_density_that_is_not_whole_any_more_is_fetched_again(server, tmp_path):
    whole = {
        crystal.density_file: crystal.density_file.read_bytes() for crystal in run(server, tmp_path).crystals
    }
    broken, content = next(iter(whole.items()))
    broken.write_bytes(content[:200])
    broken.with_name(broken.name + ".part").write_bytes(b"left by a kill")
    assert run(server, tmp_path).failures == {}
    assert files(broken.parent) == {path.name: content for path, content in whole.items()}
    assert server.requests_below(mp.BUCKET) == 6


def test_a_broken_list_is_one_clear_error(server, tmp_path):
    run(server, tmp_path)
    path = next(tmp_path.glob("materials-*"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CrystalNetError, match="Delete it"):
        run(server, tmp_path)


def test_the_log_of_failures_survives_a_cut_line(tmp_path):
    log = FailureLog(tmp_path / "failures.jsonl")
    assert log.read() == {}
    log.write("mp-1", "first")
    log.write("mp-2", "second")
    log.path.write_bytes(log.path.read_bytes()[:-20])
    assert log.read() == {"mp-1": "first"}
    log.write("mp-1", None)
    log.write("mp-3", "third")
    assert log.read() == {"mp-3": "third"}


def test_the_plan_and_the_progress_are_told_unless_silenced(server, tmp_path, capfd):
    server.lasting_fault(material(2).path, status(404))
    run(server, tmp_path)
    assert capfd.readouterr() == ("", "")
    run(server, tmp_path, progress=True)
    told = capfd.readouterr()
    assert told.out == ""
    assert "5 densities: 4 are here, 1 to fetch (1 of them failed before)" in told.err
    assert "GB free" in told.err
    assert "density/s" in told.err


def test_workers_never_run_far_ahead():
    taken = []

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    for item, result in in_parallel(lambda item: item**2, items(), workers=2):
        assert result == item**2
        assert len(taken) <= item + 4
    assert len(taken) == 20


def test_a_run_killed_at_any_moment_goes_on_without_fetching_twice(serve, tmp_path, request):
    """Kill -9 at random moments; what was in flight at a kill is asked for again, and nothing else is.

    An object whose density was on the disk when the process died is never requested again, nor is the list,
    and the finished folder is byte for byte that of an uninterrupted run.
    """
    n, workers = 16, 4
    try:
        folder = request.getfixturevalue("shared_data") / "data" / "chgcar"
        names = ["pymatgen_nospin", "heusler_bcc_Fe"]
        materials = [real_material(v, folder / f"{names[v % 2]}.CHGCAR.gz", 229) for v in range(n)]
    except pytest.skip.Exception:
        materials = [material(v) for v in range(n)]
    server = serve(*materials)
    server.pause = 0.06
    processes = multiprocessing.get_context("forkserver")  # its children start in no time
    processes.set_forkserver_preload(PRELOADED)
    environment = {name: os.environ[name] for name in ("AWS_ENDPOINT_URL_S3", "MP_API_KEY")}
    options = {"densities": True, "progress": False, "workers": workers, "endpoint": server.endpoint}

    def start(folder: Path):
        child = processes.Process(
            target=mp.in_child, args=(fetch, environment, "cubic", folder), kwargs=options
        )
        child.start()
        return child

    def uninterrupted(folder: Path) -> float:
        child, began = start(folder), time.monotonic()
        child.join(60)
        assert child.exitcode == 0
        return time.monotonic() - began

    uninterrupted(tmp_path / "warm")
    duration = uninterrupted(tmp_path / "whole")
    expected = files(tmp_path / "whole")
    assert len(expected) == n + 1

    moments, kills, rounds = random.Random(0), 0, 0
    while kills < KILLS:
        rounds += 1
        assert rounds <= KILLS + 1, "the runs end before they can be killed"
        folder, killed = tmp_path / f"killed-{rounds}", 0
        server.requests.clear()
        while True:
            here = {
                m.path for m in materials if (folder / f"densities-50-fourier/{m.material_id}.npz").exists()
            }
            if list(folder.glob("materials-*.gz")):
                here.add("/materials/summary/")
            before = {path: server.requests[path] for path in here}
            child = start(folder)
            child.join(moments.uniform(0, duration) if kills < KILLS else 60)
            if child.is_alive():
                child.kill()
                child.join(60)
                kills, killed = kills + 1, killed + 1
            assert {path: server.requests[path] for path in here} == before
            if child.exitcode == 0:
                break
            assert child.exitcode == -9
        assert files(folder) == expected
        assert server.requests_below(mp.BUCKET) <= n + killed * workers
