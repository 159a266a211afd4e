"""From settings to data sets: each made once, from any source, and reported on."""

import json
from pathlib import Path

import numpy as np
import pytest
from some_crystals import LATTICES

from crystalnet.data.cleaned import Cleaned
from crystalnet.data.crystals import Crystal
from crystalnet.data.densities import write_cmed
from crystalnet.data.store import ALTERED
from crystalnet.errors import CrystalNetError
from crystalnet.model.batches import Batches
from crystalnet.runs import datasets
from crystalnet.runs.datasets import DataSets
from crystalnet.runs.params import Params


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> DataSets:
    made = DataSets(Params.load("smoke"), tmp_path_factory.mktemp("runs"), progress=False)
    made.store("cubic")
    return made


def test_splits_are_those_of_the_store(run):
    cleaned, store = run.cleaned("cubic"), run.store("cubic")
    for name, crystals in cleaned.splits.items():
        stored = [store.crystals[row].material_id for row in store.indices(name)]
        assert stored == [crystal.material_id for crystal in crystals]
    assert len(cleaned.crystals) == 60 == len(store) + len(cleaned.duplicates)


# ------------------------------------------------------------------ altered copies


@pytest.mark.parametrize("cell", ["given", "canonical"])
def test_no_held_out_crystal_comes_back_in_training(run, tmp_path, cell):
    """Neither its formula with its space group among the copies, nor itself in what training reads."""
    params = Params.load("smoke", data={"variations": 3, "cell": cell})
    store = DataSets(params, tmp_path, progress=False).store("cubic")

    def identities(name):
        crystals = [store.crystals[row] for row in store.indices(name)]
        return {(crystal.formula, crystal.space_group) for crystal in crystals}

    held_out = identities("val") | identities("test")
    assert len(held_out) == 12 and not held_out & (identities("train") | identities(ALTERED))
    assert len(store.indices(ALTERED)) > 2 * len(store.indices("train"))
    assert not identities("train") & identities(ALTERED)
    # the other sets are what they are without copies
    for name in ("train", "val", "test"):
        of_run, own = run.store("cubic"), [store.crystals[row].material_id for row in store.indices(name)]
        assert own == [of_run.crystals[row].material_id for row in of_run.indices(name)]

    rows = set(store.indices("train")) | set(store.indices(ALTERED))
    batches = Batches(store, store.compositions, params.training, 4)
    assert {row for step in range(batches.n_steps) for row in batches.crystals(0, step).tolist()} <= rows


def test_altered_copies_have_no_calculated_density(tmp_path):
    params = Params.load("smoke", data={"variations": 1, "density": "dft"})
    with pytest.raises(CrystalNetError, match=r"data.variations to 0"):
        DataSets(params, tmp_path, progress=False).store("cubic")


# ------------------------------------------------------------------ other sources


def published(folder: Path, crystals: list[Crystal]) -> Path:
    """A table of crystals as JSON lines, each tenth one for validation and for the test."""
    path = folder / "crystals.jsonl"
    lines = [
        crystal.as_dict()
        | {"mp_id": crystal.material_id, "spacegroup": crystal.space_group}
        | {"split": {0: "val", 1: "test"}.get(i % 10, "train_stable")}
        for i, crystal in enumerate(crystals)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_a_table_of_crystals_and_its_own_split(run, tmp_path):
    path = published(tmp_path, run.cleaned("cubic").crystals)
    params = Params.load("smoke", data={"source": str(path), "split": "published", "n_crystals": None})
    own = DataSets(params, tmp_path / "runs", progress=False)
    store = own.store("cubic")
    assert {name: len(store.indices(name)) for name in ("train", "val", "test")} == {
        "train": 48, "val": 6, "test": 6,
    }  # fmt: skip
    assert str(path) in own.provenance("cubic")
    path.write_text(path.read_text() + "\n")  # a changed file is another source
    assert DataSets(params, tmp_path / "runs", progress=False).store("cubic").path != store.path


@pytest.mark.parametrize("source", ["nowhere.jsonl", "/nowhere/at/all"])
def test_a_missing_source_is_named(tmp_path, source):
    run = DataSets(Params.load("smoke", data={"source": source}), tmp_path, progress=False)
    with pytest.raises(CrystalNetError, match=rf"data\.source '{source}' does not exist"):
        run.store("cubic")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CrystalNetError, match="cannot hold results"):
        DataSets(Params.load("smoke"), tmp_path / "file" / "runs")


def test_the_embedded_source_needs_a_number(tmp_path):
    run = DataSets(Params.load("smoke", data={"n_crystals": None}), tmp_path, progress=False)
    with pytest.raises(CrystalNetError, match=r"needs data\.n_crystals"):
        run.store("cubic")


def settings(path: Path, **data) -> Params:
    data = {"source": str(path), "crystal_systems": ["cubic"], "n_crystals": None, "max_atoms": None} | data
    return Params.load("smoke", data=data)


def bad_rows(good: dict) -> dict[str, str]:
    """A line of JSON by the reason why it can't be used."""
    changes = {
        "closer than": {"frac_coords": [[0, 0, 0], [0.01, 0, 0]]},
        "no neighbour within": {"lattice": (np.eye(3) * 20).tolist()},
        "for Cm": {"species": ["Cs", "Cm"]},
        "no volume": {"lattice": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]},
        "more than 200 atoms": {
            "species": ["Cs"] * 201,
            "frac_coords": (np.arange(603) / 603).reshape(-1, 3).tolist(),
        },
        "not a number": {"frac_coords": [[0, 0, 0], [0.5, 0.5, None]]},
        "there is no 'species'": {"species": None},
        "3 x 3": {"lattice": [1, 2, 3]},
    }
    rows = {reason: good | change | {"mp_id": reason} for reason, change in changes.items()}
    del rows["there is no 'species'"]["species"]
    return {reason: json.dumps(row) for reason, row in rows.items()} | {"JSONDecodeError": '{"mp_id": "cut'}


@pytest.mark.parametrize("system", LATTICES)
def test_every_crystal_system_goes_through_whatever_stands_beside_it(tmp_path, system):
    """Good, left-handed and bad rows: a data set of the good ones and a report of the others."""
    lattice, space_group = LATTICES[system]
    good = [
        {"mp_id": f"{a}{b}", "spacegroup": space_group, "lattice": lattice.matrix.tolist(),
         "species": [a, b], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.48]]}
        for a in ("Na", "K", "Rb", "Cs") for b in ("F", "Cl", "Br", "I")
    ]  # fmt: skip
    good[0]["lattice"] = (-lattice.matrix).tolist()
    bad = bad_rows(good[1])
    path = tmp_path / "crystals.jsonl"
    path.write_text("\n".join([*map(json.dumps, good), *bad.values()]))
    run = DataSets(settings(path, crystal_systems=[system]), tmp_path / "runs", progress=False)
    with pytest.warns(UserWarning, match="left out 9"):
        store = run.store(system)
    assert len(store) == 16 and not any(store.failures)
    assert {crystal.crystal_system for crystal in store.crystals} == {system}
    assert (np.count_nonzero(store.patterns, 1) > 5).all() and (np.ptp(store.cmed, (1, 2, 3)) > 1).all()
    assert np.linalg.det(store.crystals[0].atoms.lattice) > 0
    report = run.build_report(system)
    for reason in bad:
        assert sum(count for line, count in report.items() if reason in line) == 1, reason
    assert report["left out"] == 9 and report["put right"] == 1
    assert report["usable"] == report["in the data set"] == 16


def test_crystals_are_read_once(run, monkeypatch):
    monkeypatch.setattr(datasets, "prototype_crystals", lambda *_, **__: pytest.fail("read again"))
    again = DataSets(run.params, run.folder, progress=False)
    first, second = run.cleaned("cubic"), again.cleaned("cubic")
    assert [c.as_dict() for c in first.crystals] == [c.as_dict() for c in second.crystals]
    assert first.report == second.report
    monkeypatch.undo()
    monkeypatch.setattr(datasets, "prototype_crystals", lambda *_, **__: 1 / 0)
    refreshed = DataSets(Params.load("smoke", data={"refresh": True}), run.folder, progress=False)
    with pytest.raises(ZeroDivisionError):
        refreshed.cleaned("cubic")


def test_cleaned_crystals_survive_their_file(run, tmp_path):
    cleaned = run.cleaned("cubic")
    cleaned.write(tmp_path / "a.jsonl.gz")
    again = Cleaned.read(tmp_path / "a.jsonl.gz")
    again.write(tmp_path / "b.jsonl.gz")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert {n: len(c) for n, c in again.splits.items()} == {n: len(c) for n, c in cleaned.splits.items()}
    (tmp_path / "b.jsonl.gz").write_bytes((tmp_path / "a.jsonl.gz").read_bytes()[:500])
    with pytest.raises(CrystalNetError, match=r"is damaged .* Delete its folder"):
        Cleaned.read(tmp_path / "b.jsonl.gz")


@pytest.mark.parametrize("how", ["no_swap_neighbour", "held_out_types", "held_out_pairs"])
def test_hard_splits_are_settings(run, how):
    hard = DataSets(Params.load("smoke", data={"split": how}), run.folder, progress=False)
    cleaned, store = hard.cleaned("cubic"), hard.store("cubic")
    assert len(store) == 60 - len(cleaned.held_back) and len(store.indices("test")) > 0
    assert hard.build_report("cubic")["held back by the split"] == len(cleaned.held_back)
    assert f"{how} split" in hard.provenance("cubic")


def test_the_authors_lists_choose_and_split(run, tmp_path):
    crystals = run.cleaned("cubic").crystals
    path = published(tmp_path, crystals)
    names = {
        "train_stable": crystals[:20],
        "train_unstable": crystals[20:30],
        "val": crystals[30:35],
        "test": crystals[35:40],
    }
    for name, members in names.items():
        ids = {crystal.material_id: crystal.formula for crystal in members} | {f"mp-{name}": "XeF2"}
        (tmp_path / f"cubic_{name}.json").write_text(json.dumps(ids))
    listed = DataSets(
        settings(path, id_lists=str(tmp_path), split="published"), tmp_path / "runs", progress=False
    )
    cleaned = listed.cleaned("cubic")
    assert {name: len(members) for name, members in cleaned.splits.items()} == {
        "train": 30,
        "val": 5,
        "test": 5,
    }
    assert sum(crystal.stable for crystal in cleaned.splits["train"]) == 20
    assert [tuple(entry) for entry in cleaned.report.missing] == [(f"mp-{n}", "XeF2", n) for n in names]
    assert cleaned.report.unlisted == 20


def test_crystals_can_be_put_into_their_canonical_cell(run):
    params = Params.load("smoke", data={"cell": "canonical"})
    canonical = DataSets(params, run.folder, progress=False).cleaned("cubic")
    given = run.cleaned("cubic")
    rock_salts = [c for c in canonical.crystals if c.space_group == 225 and len(c.atoms.symbols) == 2]
    assert len(canonical.crystals) == len(given.crystals) and rock_salts
    for crystal in rock_salts:
        np.testing.assert_allclose(crystal.atoms.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-9)


def test_densities_of_files_keep_their_cell(run, tmp_path):
    for i, crystal in enumerate(run.cleaned("cubic").crystals[:20]):
        write_cmed(tmp_path / f"c{i}.npz", np.full((20, 20, 20), 0.1) + np.arange(20) / 20, crystal.atoms)
    dft = DataSets(settings(tmp_path, density="dft"), tmp_path / "runs", progress=False)
    store = dft.store("cubic")
    assert store.density_source == "DFT" and not any(store.failures)
    np.testing.assert_allclose(store.cmed[0, 3, 4], 0.1 + np.arange(20) / 20, rtol=1e-3)
    turned = DataSets(settings(tmp_path, cell="canonical"), tmp_path / "runs", progress=False)
    with pytest.raises(CrystalNetError, match=r"Set data\.cell to 'given'"):
        turned.cleaned("cubic")


def test_a_cluster_that_does_not_answer_is_named(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    params = Params.load("smoke", data={"scheduler": "tcp://127.0.0.1:9"})
    run = DataSets(params, tmp_path, progress=False)
    with pytest.raises(CrystalNetError, match=r"No Dask scheduler answers at 'tcp://127"):
        run.store("cubic")
