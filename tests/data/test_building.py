"""Building a data set: in parallel, on a cluster, after any interruption, it ends with the same bytes."""

import multiprocessing
import os
import time
from collections import namedtuple
from pathlib import Path

import h5py
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Poscar
from some_crystals import CRYSTALS, SPLITS, N, crystal

from crystalnet.data import building, layout
from crystalnet.data.building import build_store
from crystalnet.data.chgcar import chgcar_cmed
from crystalnet.data.crystals import Crystal
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.diffraction import powder_pattern


@pytest.fixture(scope="module", autouse=True)
def _small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "BLOCK", 2)
        patch.setattr(building, "START", 2)  # so that four blocks are enough for two processes
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return build_store(SPLITS, tmp_path_factory.mktemp("data") / "all.h5", N, workers=1, progress=False)


def test_a_rounded_cell_costs_the_pattern_nothing(tmp_path):
    """Axes that are not quite equal would split peaks; the density stays on the cell as given."""
    places = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    cells = Lattice.hexagonal(3.2, 5.2), Lattice.from_parameters(3.202, 3.199, 5.2, 90, 90, 119.98)
    exact, rounded = (Structure(cell, ["Mg", "Mg"], places) for cell in cells)
    splits = {"train": [Crystal("rounded", rounded, 194, "hexagonal")]}
    store = build_store(splits, tmp_path / "rounded.h5", N, workers=1, progress=False)
    n_bins = [
        np.count_nonzero(x) for x in (powder_pattern(exact), powder_pattern(rounded), store.patterns[0])
    ]
    assert n_bins[1] > 1.3 * n_bins[0] and n_bins[2] < 1.1 * n_bins[0]
    np.testing.assert_array_equal(store.cmed[0], promolecule_cmed(rounded, N).astype("f2"))


def chgcar_file(path, structure: Structure, seed: int = 0) -> np.ndarray:
    """A smooth, made-up density of the structure's cell, e/Å^3, in a file."""
    x = np.arange(N) / N
    rho = 2 + np.cos(2 * np.pi * (x[:, None, None] + seed)) + 0.5 * np.sin(4 * np.pi * x)
    rho = np.broadcast_to(rho, (N, N, N)).copy()
    Chgcar(Poscar(structure), {"total": rho * structure.volume}).write_file(path)
    return rho


def test_a_parallel_build_is_the_serial_one(store, tmp_path):
    parallel = build_store(SPLITS, tmp_path / "parallel.h5", N, workers=2, progress=False)
    assert parallel.path.read_bytes() == store.path.read_bytes()


def test_the_digest_names_the_data(store, tmp_path):
    def digest(splits, n=N):
        return build_store(splits, tmp_path / "other.h5", n, workers=1, progress=False).digest

    reversed_order = {"train": SPLITS["train"][::-1]} | {k: SPLITS[k] for k in ("val", "test")}
    digests = {store.digest, digest(reversed_order), digest(SPLITS, N + 1), digest({"train": CRYSTALS[:1]})}
    assert len(digests) == 4
    assert digest(SPLITS) == store.digest


# ------------------------------------------------------------------ densities from files


def test_a_crystal_with_a_chgcar_takes_its_density_from_it(tmp_path):
    path = tmp_path / "CHGCAR"
    rho = chgcar_file(path, CRYSTALS[0].structure)
    splits = {"train": [crystal("triclinic", density_file=path), CRYSTALS[1]]}
    store = build_store(splits, tmp_path / "mixed.h5", N, workers=1, progress=False)
    np.testing.assert_allclose(store.cmed[0].astype(float), rho, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(store.cmed[1], promolecule_cmed(CRYSTALS[1].structure, N).astype("f2"))
    assert store.density_source == "DFT and promolecule"
    assert store.crystals[0].density_file == Path("CHGCAR")


def test_the_density_of_a_crystal_is_chosen(tmp_path):
    path = tmp_path / "CHGCAR"
    rho = chgcar_file(path, CRYSTALS[0].structure)
    splits = {"train": [crystal("triclinic", density_file=path), CRYSTALS[1]]}
    promolecule = build_store(splits, tmp_path / "p.h5", N, "promolecule", workers=1, progress=False)
    assert promolecule.density_source == "promolecule"
    np.testing.assert_array_equal(promolecule.cmed[0], promolecule_cmed(CRYSTALS[0].atoms, N).astype("f2"))
    with pytest.warns(UserWarning, match="1 of 2 crystals .* There is no density file"):
        dft = build_store(splits, tmp_path / "d.h5", N, "dft", workers=1, progress=False)
    assert dft.density_source == "DFT" and dft.split.tolist() == ["train", ""]
    np.testing.assert_allclose(dft.cmed[0].astype(float), rho, rtol=1e-3, atol=1e-3)


def test_the_way_to_read_a_chgcar_is_chosen(tmp_path):
    path = tmp_path / "CHGCAR"
    chgcar_file(path, CRYSTALS[0].structure)
    splits = {"train": [crystal("triclinic", density_file=path)]}
    for method in ("fourier", "paper"):
        store = build_store(
            splits, tmp_path / f"{method}.h5", 20, chgcar_method=method, workers=1, progress=False
        )
        np.testing.assert_allclose(
            store.cmed[0].astype(float), chgcar_cmed(path, 20, method), rtol=1e-3, atol=1e-3
        )


def test_a_crystal_that_fails_is_kept_without_a_split(tmp_path):
    lost = crystal("cubic", ("K", "Br"), density_file=tmp_path / "nowhere")
    splits = {"train": [CRYSTALS[0], lost, CRYSTALS[1]], "test": [CRYSTALS[2]]}
    with pytest.warns(
        UserWarning, match=r"1 of 4 crystals could not be computed: 1 x There is no file .*nowhere"
    ):
        store = build_store(splits, tmp_path / "partly.h5", N, workers=1, progress=False)
    assert store.split.tolist() == ["train", "", "train", "test"]
    assert store.indices("train").tolist() == [0, 2]
    assert [c.material_id for c in store.crystals] == [c.material_id for c in [*splits["train"], CRYSTALS[2]]]
    np.testing.assert_allclose(store.patterns[2], powder_pattern(CRYSTALS[1].structure), atol=1e-6)
    assert not store.patterns[1].any() and not store.cmed[1].any()


def test_a_crystal_without_symmetry_search_fails_alone(tmp_path):
    """Two atoms in one place: the search refuses."""
    structure = Structure(Lattice.cubic(4), ["Na", "Na"], [[0, 0, 0], [0, 0, 1e-6]])
    splits = {"train": [Crystal("doubled", structure, 221, "cubic"), CRYSTALS[1]]}
    with pytest.warns(UserWarning, match="1 of 2 crystals .* symmetry could not be found"):
        store = build_store(splits, tmp_path / "doubled.h5", N, workers=1, progress=False)
    assert store.split.tolist() == ["", "train"]


def test_a_density_beyond_half_precision_fails_alone(tmp_path):
    path = tmp_path / "CHGCAR"
    structure = CRYSTALS[0].structure
    spike = np.ones((N, N, N))
    spike[0, 0, 0] = 1e6
    Chgcar(Poscar(structure), {"total": spike * structure.volume}).write_file(path)
    splits = {"train": [crystal("triclinic", density_file=path), CRYSTALS[1]]}
    with pytest.warns(UserWarning, match="1 of 2 crystals .* spikes above 65504"):
        store = build_store(splits, tmp_path / "spike.h5", N, workers=1, progress=False)
    assert store.split.tolist() == ["", "train"] and np.isfinite(store.cmed).all()


# ------------------------------------------------------------------ whole or not at all


def interrupted_after(blocks: int, reason, monkeypatch):
    compute, calls = building.compute_block, []

    def computed(*args):
        calls.append(args)
        if len(calls) > blocks:
            raise reason
        return compute(*args)

    monkeypatch.setattr(building, "compute_block", computed)
    return calls


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError(28, "No space left on device"), RuntimeError])
def test_an_interrupted_build_goes_on_where_it_was(store, tmp_path, monkeypatch, reason):
    path = tmp_path / "all.h5"
    expected = CrystalNetError if isinstance(reason, OSError) else reason
    with monkeypatch.context() as patch, pytest.raises(expected):
        interrupted_after(3, reason, patch)
        build_store(SPLITS, path, N, workers=1, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["all.h5.part"]
    calls = interrupted_after(99, None, monkeypatch)
    build_store(SPLITS, path, N, workers=1, progress=False)
    assert [len(crystals) for crystals, *_ in calls] == [2, 1]  # 9 crystals, 6 were done
    assert [p.name for p in tmp_path.iterdir()] == ["all.h5"]
    assert path.read_bytes() == store.path.read_bytes()


def test_an_interrupted_build_keeps_the_file_before(store, tmp_path, monkeypatch):
    path = tmp_path / "all.h5"
    path.write_bytes(store.path.read_bytes())
    interrupted_after(0, KeyboardInterrupt, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        build_store(SPLITS, path, N + 1, workers=1, progress=False)
    assert Store(path).digest == store.digest


def test_a_whole_file_is_not_built_again(store, monkeypatch):
    interrupted_after(0, RuntimeError, monkeypatch)
    assert build_store(SPLITS, store.path, N, workers=1, progress=False).digest == store.digest


def test_other_settings_never_continue_a_build(tmp_path, monkeypatch):
    """What one build left half done is not mixed with another's crystals, grid or density."""
    path = tmp_path / "all.h5"
    other = {"train": CRYSTALS[::-1]}
    for i, (splits, n, density) in enumerate(
        [
            (SPLITS, N, "available"),
            (SPLITS, N + 1, "available"),
            (other, N, "available"),
            (SPLITS, N, "promolecule"),
        ]
    ):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupted_after(2, KeyboardInterrupt, patch)
            build_store(SPLITS, path, N + 2, workers=1, progress=False)
        built = build_store(splits, path, n, density, workers=1, progress=False)
        fresh = build_store(splits, tmp_path / f"{i}.h5", n, density, workers=1, progress=False)
        assert path.read_bytes() == fresh.path.read_bytes()
        assert built.digest == fresh.digest


def test_a_row_lost_by_the_disk_is_computed_again(store, tmp_path, monkeypatch):
    """As after a power failure: the checksum reached the disk, the density did not."""
    path = tmp_path / "all.h5"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted_after(3, KeyboardInterrupt, patch)
        build_store(SPLITS, path, N, workers=1, progress=False)
    with h5py.File(tmp_path / "all.h5.part", "r+") as file:
        file["cmed"][1] = 0
    build_store(SPLITS, path, N, workers=1, progress=False)
    assert path.read_bytes() == store.path.read_bytes()


def killed_build(path, seconds: float) -> int:
    """Build in a process of its own, killed after some time; its exit code."""

    def build():
        build_store(SPLITS, path, N, workers=1, progress=False)

    process = multiprocessing.get_context("fork").Process(target=build)
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


def test_a_build_killed_at_any_moment_ends_with_the_same_bytes(store, tmp_path):
    """CRYSTALNET_KILLS says how many kills; each trial gets up to three of them."""
    started = time.perf_counter()
    assert killed_build(tmp_path / "whole.h5", 60) == 0
    assert (tmp_path / "whole.h5").read_bytes() == store.path.read_bytes()
    whole = time.perf_counter() - started
    rng, kills, trial = np.random.default_rng(0), 0, 0
    while kills < int(os.environ.get("CRYSTALNET_KILLS", 10)) and trial < 1000:
        path = tmp_path / f"{trial}.h5"
        kills += sum(killed_build(path, rng.uniform(0, whole)) == -9 for _ in range(3))
        assert killed_build(path, 60) == 0
        assert path.read_bytes() == store.path.read_bytes()
        trial += 1


def test_a_killed_build_leaves_no_process_behind(tmp_path):
    psutil = pytest.importorskip("psutil")

    def build():
        splits = {"train": [crystal(species=pair) for pair in [("Na", "Cl")] * 4000]}
        build_store(splits, tmp_path / "all.h5", 50, workers=2, progress=False)

    process = multiprocessing.get_context("fork").Process(target=build)
    process.start()
    workers, until = [], time.monotonic() + 60
    while len(workers) < 2 and time.monotonic() < until:
        time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "popen_loky" in " ".join(child.cmdline())]
    process.kill()
    process.join()
    assert process.exitcode == -9 and len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_a_disk_without_space_is_told_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("Usage", "total used free")(10**9, 10**9, 1000)
    monkeypatch.setattr(layout.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CrystalNetError, match=r"needs .* GB, 0.0 GB are free. Free disk space"):
        build_store(SPLITS, tmp_path / "all.h5", N, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_dask_cluster_builds_the_same_file(store, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        executor = client.get_executor(pure=False)
        built = build_store(SPLITS, tmp_path / "all.h5", N, workers=2, executor=executor, progress=False)
    assert built.path.read_bytes() == store.path.read_bytes()


def test_an_empty_data_set_is_refused(tmp_path):
    with pytest.raises(CrystalNetError, match="would be empty"):
        build_store({"train": [], "test": []}, tmp_path / "empty.h5")
