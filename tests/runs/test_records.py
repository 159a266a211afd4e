"""Published results: whole or not there, small, without paths of a machine, and read back the same."""

import importlib.util
import json
import re
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.symmetry import CUBE, lattice_operations, rotate
from crystalnet.runs import publishing, trainings
from crystalnet.runs import records as module
from crystalnet.runs.params import Params
from crystalnet.runs.publishing import publish
from crystalnet.runs.records import Record, records
from crystalnet.runs.run import PREDICTORS, Run
from crystalnet.scoring.protocols import honest_score

ROOT = Path(__file__).parents[2]
N, N_CRYSTALS, N_TEST = 8, 30, 21
LATTICE = 4.0 * np.eye(3)
ALL = {
    "levels": ("baseline", "no_formula"),
    "variants": {"positive sigma": {}},
    "densities": "../dft",
    "spoilt": ("laboratory, 5 nm", "laboratory, 20 nm"),
    "begins_with": "cubic-spectral",
}


class FakeStore:
    """Noise for densities; the test crystals are the last ones."""

    n, digest, density_source = N, "0123456789abcdef", "promolecule"

    def __init__(self):
        random = np.random.default_rng(0)
        self.cmed = random.random((N_CRYSTALS, N, N, N)).astype(np.float16)
        self.patterns = np.zeros((N_CRYSTALS, 1024), np.float32)
        self.patterns[:, 0] = np.arange(N_CRYSTALS)
        self.profiles = random.random((N_CRYSTALS, 768)).astype(np.float32)
        self.compositions = random.random((N_CRYSTALS, 118)).astype(np.float32)
        self.crystals = [
            SimpleNamespace(atoms=Atoms(LATTICE, np.zeros((1, 3)), np.array(["Po"])))
        ] * N_CRYSTALS

    def indices(self, split):
        first, last = {"train": (0, 6), "val": (6, 9), "test": (9, N_CRYSTALS), "altered": (0, 0)}[split]
        return np.arange(first, last)


class FakeNetwork:
    """Answers with the truth, but turned and moved: only an alignment finds that."""

    reads = "patterns"

    def __init__(self, store):
        self.store = store

    def answer(self, pattern, composition, n):
        row = int(pattern[0])
        assert np.array_equal(composition, self.store.compositions[row])
        truth = torch.from_numpy(self.store.cmed[row].astype(np.float32))
        return rotate(truth, CUBE[row]).roll((1, 2, 3), (0, 1, 2))


class FakeRun:
    """Tables out of a hat. `failing`: a method that breaks off."""

    progress = False

    def __init__(
        self,
        systems=("cubic",),
        levels=(),
        variants=(),
        densities=None,
        spoilt=(),
        begins_with=None,
        failing=None,
        **settings,
    ):
        self.systems, self.failing, self.side = systems, failing, []
        self.params = SimpleNamespace(
            profile="fake",
            data=SimpleNamespace(split="random"),
            training=SimpleNamespace(begins_with=begins_with, encoders_from=None),
            evaluation=SimpleNamespace(densities=densities, spoilt=spoilt),
            ablations=SimpleNamespace(levels=levels, variants=variants or {}),
        )
        self.settings = {"source": "data/a.jsonl", **settings}
        self.stores = {system: FakeStore() for system in systems}

    def store(self, system):
        return self.stores[system]

    def trained(self, system, level=None, variant=None):
        self.breaks_off("trained")
        history = {"epoch": [0, 1, 2], "loss": [1 / 3, 1 / 7, 1e-9 / 3], "val_ssim": [np.nan, np.nan, 2 / 3]}
        manifest = {
            "epochs": "3 of 5",
            "training_seconds": 3723.4,
            "level": level,
            "variant": variant,
            "model": {},
            "environment": {"hardware": "an abacus", "commit": "abc1234"},
            "params": {"profile": "fake", "data": self.settings},
        }
        return SimpleNamespace(
            model=FakeNetwork(self.store(system)), history=pd.DataFrame(history), manifest=manifest
        )

    def scores(self, system, *case, trained=None):
        """The test crystals in an order, and with scores, that the case alone decides."""
        random = np.random.default_rng(zlib.crc32(str((system, *case)).encode()))
        rows = self.store(system).indices("test")
        numbers = {name: random.random(N_TEST) * 30 for name in ("paper_ssim", "paper_psnr", "honest_psnr")}
        table = pd.DataFrame(
            {
                "row": rows,
                "material_id": [f"{row:05}" for row in rows],
                "formula": "NaN",
                "space_group": 221,
                **numbers,
                "honest_ssim": random.permutation(N_TEST) / (N_TEST - 1),
                "honest_nmae": random.random(N_TEST),
                "agreement": random.random(N_TEST),
            }
        )
        made_by = {"case": [system, *case], "n_samples": 5, "params": {"data": self.settings}}
        table.attrs["manifest"] = made_by | {"training": trained and trained.manifest}
        return table

    def evaluation(self, system, predictor="CrystalNet", truth="data set"):
        self.breaks_off("evaluation")
        return self.scores(system, predictor, truth)

    def validation(self, system):
        return self.scores(system, "validation")

    def ablation(self, system, level):
        self.breaks_off("ablation")
        return self.scores(system, level, trained=self.trained(system, level))

    def variant(self, system, name):
        return self.scores(system, name, "variant", trained=self.trained(system, "baseline", name))

    def spoilt(self, system, patterns, network="trained"):
        return self.scores(system, patterns, network)

    def side_by_side(self, make, cases, name):
        self.side += [(name, *case) for case in cases]

    def breaks_off(self, method):
        if method == self.failing:
            raise KeyboardInterrupt


@pytest.fixture
def folder(tmp_path) -> Path:
    """A published record of everything there can be."""
    return publish(FakeRun(**ALL), tmp_path / "fake")[0]


def full(*_, **__):
    raise OSError("full")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ------------------------------------------------------------------ what is written is what is read


def test_a_record_reads_back_what_the_run_gave(folder):
    run, record = FakeRun(**ALL), Record.read(folder)
    assert (record.profile, record.system) == ("fake", "cubic")
    pd.testing.assert_frame_equal(record.history, run.trained("cubic").history, rtol=5e-5)
    expected = {
        "scores": {name: run.evaluation("cubic", name) for name in PREDICTORS},
        "validation": {PREDICTORS[0]: run.validation("cubic")},
        "scores_dft": {name: run.evaluation("cubic", name, "dft") for name in PREDICTORS},
        "levels": {name: run.ablation("cubic", name) for name in ALL["levels"]},
        "variants": {name: run.variant("cubic", name) for name in ALL["variants"]},
        "spoilt": {name: run.spoilt("cubic", name) for name in ALL["spoilt"]},
        "begun": {name: run.spoilt("cubic", name, "begun") for name in ALL["spoilt"]},
    }
    columns = dict.fromkeys(("scores", "validation", "scores_dft"), "predictor")
    columns |= {"levels": "level", "variants": "variant", "spoilt": "patterns", "begun": "patterns"}
    for name, tables in expected.items():
        table = getattr(record, name)
        assert table.columns[0] == columns[name]
        assert list(table[columns[name]].unique()) == list(tables)
        for case, rows in table.groupby(columns[name]):
            if name == "scores":  # the crystals have no atoms but polonium
                assert not rows.pop("neighbours").any()
            rows = rows.drop(columns=columns[name]).reset_index(drop=True)
            pd.testing.assert_frame_equal(rows, tables[case], rtol=5e-5, check_dtype=False)


def test_names_that_look_like_numbers_or_gaps_stay_text(folder):
    scores = Record.read(folder).scores
    assert scores["material_id"][0] == "00009"
    assert set(scores["formula"]) == {"NaN"}


def test_numbers_have_five_digits(folder):
    for path in folder.glob("*.csv"):
        for number in re.findall(r"(?<![\w.])\d+\.\d+(?=[,\n])", path.read_text()):
            assert len(number.replace(".", "").lstrip("0")) <= 5, f"{path.name}: {number}"


def test_the_manifest_tells_what_made_each_file(folder):
    manifest = Record.read(folder).manifest
    assert manifest.keys() == {
        *("history.csv", "scores.csv", "validation.csv", "scores_dft.csv", "levels.csv", "variants.csv"),
        *("spoilt.csv", "begun.csv"),
        *("train", "altered", "val", "test", "density_source", "split", "data_hash"),
    }
    assert (manifest["train"], manifest["val"], manifest["test"]) == (6, 3, N_TEST)
    assert manifest["density_source"] == "promolecule" and manifest["split"] == "random"
    assert manifest["data_hash"] == FakeStore.digest
    assert manifest["history.csv"]["level"] is None
    for file, truth in (("scores.csv", "data set"), ("scores_dft.csv", "dft")):
        for predictor in PREDICTORS:
            assert manifest[file][predictor]["case"] == ["cubic", predictor, truth]
    for level in ALL["levels"]:
        assert manifest["levels.csv"][level]["training"]["level"] == level
        assert manifest["levels.csv"][level]["scores"]["case"] == ["cubic", level]
    positive = manifest["variants.csv"]["positive sigma"]
    assert (positive["training"]["level"], positive["training"]["variant"]) == ("baseline", "positive sigma")
    assert positive["scores"]["case"] == ["cubic", "positive sigma", "variant"]
    for file, network in (("spoilt.csv", "trained"), ("begun.csv", "begun")):
        for name in ALL["spoilt"]:
            assert manifest[file][name]["case"] == ["cubic", name, network]


def test_what_the_profile_does_not_ask_for_is_none(tmp_path):
    place = publish(FakeRun(), tmp_path)[0]
    files = {"history.csv", "scores.csv", "validation.csv", "gallery.npz", "manifest.json"}
    assert contents(place).keys() == files
    record = Record.read(place)
    assert record.scores_dft is None and record.levels is None and record.variants is None
    assert record.spoilt is None and record.begun is None
    (place / "gallery.npz").unlink()
    assert Record.read(place).gallery is None


def test_the_gallery_shows_quantiles_laid_onto_the_truth(folder):
    run, gallery = FakeRun(**ALL), Record.read(folder).gallery
    store, scores = run.store("cubic"), run.evaluation("cubic")
    assert gallery["quantile"].tolist() == [0.95, 0.75, 0.5, 0.25, 0.05]
    by_row = scores.set_index("row")["honest_ssim"]
    assert by_row[gallery["row"]].tolist() == [0.95, 0.75, 0.5, 0.25, 0.05]  # 21 crystals: 0, 0.05, ... 1
    rows = gallery["row"]
    assert np.array_equal(gallery["truth"], store.cmed[rows]) and gallery["truth"].dtype == np.float16
    assert np.array_equal(gallery["answer"], gallery["truth"]) and gallery["answer"].dtype == np.float16
    assert np.array_equal(gallery["pattern"], store.patterns[rows]) and gallery["pattern"].dtype == np.float32
    assert np.array_equal(gallery["lattice"], [LATTICE] * 5)


def test_a_few_test_crystals_are_shown_once_each(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeRun, "scores", lambda *case, of=FakeRun.scores: of(*case).head(3))
    gallery = Record.read(publish(FakeRun(), tmp_path)[0]).gallery
    assert sorted(gallery["row"]) == [9, 10, 11] and len(gallery["answer"]) == 3


def test_provenance_is_one_line_of_facts(folder):
    line = Record.read(folder).provenance()
    assert "\n" not in line
    for fact in (
        *("cubic: a.jsonl", "6 train, 3 val, 21 test", "random split", "data 0123456789)", "promolecule"),
        *("3 of 5 epochs on an abacus in 1:02:03", "21 test crystals, 5 guesses", "profile fake", "abc1234"),
    ):
        assert fact in line


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("/somewhere/crystals.h5", "crystals.h5"),
        ("C:\\Users\\somebody\\crystals.h5", "crystals.h5"),
        ("~/data/crystals.h5", "crystals.h5"),
        ("../elsewhere/data", "../elsewhere/data"),
        ("tcp://scheduler:8786", "tcp://scheduler:8786"),
        ("2 cores of A/B", "2 cores of A/B"),
        (None, None),
    ],
)
def test_paths_of_this_machine_become_names(tmp_path, given, written):
    run = FakeRun(levels=["baseline"], setting=given, some=[{"deep": [given]}])
    manifest = json.loads((publish(run, tmp_path)[0] / "manifest.json").read_text())
    training = manifest["levels.csv"]["baseline"]["training"]
    for made_by in (manifest["history.csv"], manifest["scores.csv"]["CrystalNet"], training):
        settings = made_by["params"]["data"]
        assert settings["setting"] == written and settings["some"] == [{"deep": [written]}]


# ------------------------------------------------------------------ publication


def test_publication_is_the_same_again(folder):
    before = contents(folder)
    assert publish(FakeRun(**ALL), folder.parent) == [folder]
    assert contents(folder) == before


def test_networks_side_by_side_are_asked_for_first(tmp_path):
    run = FakeRun(("cubic", "trigonal"), **ALL)
    publish(run, tmp_path)
    assert ("scores_dft", "trigonal", "mean density") in run.side
    assert ("levels", "cubic", "no_formula") in run.side
    assert ("variants", "trigonal", "positive sigma") in run.side
    assert len(run.side) == len(set(run.side)) == 2 * (3 + 1 + 3 + 2 + 1 + 2 + 2)


def test_the_default_place_is_the_profile_in_the_book(tmp_path, monkeypatch):
    for place in (publishing, module):
        monkeypatch.setattr(place, "repository_root", lambda: tmp_path)
    assert publish(FakeRun()) == [tmp_path / "book" / "results" / "fake" / "cubic"]
    assert [record.profile for record in records()] == ["fake"]


@pytest.mark.parametrize("failing", ["trained", "evaluation", "ablation"])
def test_a_publication_broken_off_leaves_the_older_record(folder, failing):
    before = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        publish(FakeRun(**ALL, failing=failing, source="elsewhere"), folder.parent)
    assert contents(folder) == before


@pytest.mark.parametrize("writer", ["np.savez_compressed", "json.dumps"])
def test_a_record_half_written_leaves_the_older_one(folder, monkeypatch, writer):
    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr(f"{publishing.__name__}.{writer}", full)
        with pytest.raises(OSError, match="full"):
            publish(FakeRun(), folder.parent)
    assert contents(folder) == before
    assert [record.system for record in records(folder.parents[1])] == ["cubic"]
    publish(FakeRun(), folder.parent)
    assert Record.read(folder).levels is None
    assert [place.name for place in folder.parent.iterdir()] == ["cubic"]


def test_a_swap_broken_off_loses_no_record(folder, monkeypatch):
    """Killed after the older record moved aside: the next publication puts it back before it writes."""
    before, move = contents(folder), publishing.os.replace
    moves = []

    def killed_after_the_first(source, target):
        if not Path(source).is_dir():
            return move(source, target)
        moves.append(source)
        if len(moves) == 2:
            raise KeyboardInterrupt
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(publishing.os, "replace", killed_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            publish(FakeRun(), folder.parent)
    assert not folder.exists()
    with monkeypatch.context() as patch:
        patch.setattr(publishing.np, "savez_compressed", full)
        with pytest.raises(OSError, match="full"):
            publish(FakeRun(), folder.parent)
    assert contents(folder) == before


def test_a_folder_that_cannot_be_made_is_an_error_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CrystalNetError, match=r"cannot hold records .* Choose another folder"):
        publish(FakeRun(failing="trained"), tmp_path / "file" / "fake")


# ------------------------------------------------------------------ all records


def test_records_are_sorted_by_profile_and_system(tmp_path):
    for profile in ("small", "large"):
        publish(FakeRun(("trigonal", "cubic")), tmp_path / profile)
    for folder in (tmp_path, tmp_path / "small"):
        (folder / "README.md").write_text("what this is")
    (tmp_path / "small" / ".cubic.part").mkdir()
    assert [(record.profile, record.system) for record in records(tmp_path)] == [
        *(("large", "cubic"), ("large", "trigonal")),
        *(("small", "cubic"), ("small", "trigonal")),
    ]


def test_there_may_be_no_records(tmp_path):
    assert records(tmp_path) == records(tmp_path / "nowhere") == []


# ------------------------------------------------------------------ damage


def assert_one_clear_error(folder: Path, name: str) -> None:
    with pytest.raises(CrystalNetError) as caught:
        Record.read(folder)
    message = str(caught.value)
    assert str(folder / name) in message and message.endswith(module.REMEDY) and "\n" not in message


@pytest.mark.parametrize(
    "name", ["manifest.json", "history.csv", "scores.csv", "scores_dft.csv", "levels.csv", "variants.csv"]
)
def test_a_missing_file_is_one_clear_error(folder, name):
    (folder / name).unlink()
    assert_one_clear_error(folder, name)


@pytest.mark.parametrize("name", ["history.csv", "scores.csv", "levels.csv"])
def test_a_damaged_table_is_one_clear_error(folder, name):
    whole = (folder / name).read_bytes()
    for damaged in (
        b"",
        b"hello\n",
        whole.partition(b"\n")[0] + b"\n",
        whole[:-9],
        b"\xff\xfe\x00" + whole,
        whole + b'"\n',
        whole + b"1,2,3,4,5,6,7,8,9,9,9,9\n",
    ):
        (folder / name).write_bytes(damaged)
        assert_one_clear_error(folder, name)


def test_a_table_that_lacks_rows_columns_or_numbers_is_one_clear_error(folder):
    path = folder / "scores.csv"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for damaged in (
        "".join(lines[:-1]),  # cut between lines
        "".join(line for line in lines if not line.startswith("mean density")),
        whole.replace("honest_ssim", "honesty"),
        whole.replace("predictor", "oracle"),
        whole.replace(lines[1].split(",")[5], "", 1),
        whole.replace(lines[1].split(",")[5], "high", 1),
    ):
        assert damaged != whole
        path.write_text(damaged)
        assert_one_clear_error(folder, "scores.csv")


def test_a_manifest_that_lacks_something_is_one_clear_error(folder):
    path = folder / "manifest.json"
    whole = json.loads(path.read_text())
    assert Record.read(folder)
    for key in ("history.csv", "scores.csv", "train", "val", "test", "density_source", "split", "data_hash"):
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        assert_one_clear_error(folder, "manifest.json")
    for key in whole["history.csv"].keys() - {"level", "variant"}:
        less = {name: value for name, value in whole["history.csv"].items() if name != key}
        path.write_text(json.dumps({**whole, "history.csv": less}))
        assert_one_clear_error(folder, "manifest.json")
    for text in ("", "[]", "{}", "null", path.read_text()[:-5]):
        path.write_text(text)
        assert_one_clear_error(folder, "manifest.json")


def test_a_damaged_gallery_is_one_clear_error(folder, tmp_path):
    path = folder / "gallery.npz"
    whole = path.read_bytes()
    np.savez(tmp_path / "pickled.npz", **dict.fromkeys(module.GALLERY, np.array([{}], object)))
    np.savez(tmp_path / "less.npz", **dict.fromkeys(module.GALLERY[1:], np.zeros(1)))
    np.save(tmp_path / "array.npy", np.zeros(1))
    others = [(tmp_path / name).read_bytes() for name in ("pickled.npz", "less.npz", "array.npy")]
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-1], *others):
        path.write_bytes(damaged)
        assert_one_clear_error(folder, "gallery.npz")


def test_a_flipped_byte_of_the_gallery_is_seen_or_harmless(folder):
    path, random = folder / "gallery.npz", np.random.default_rng(0)
    whole, gallery = path.read_bytes(), Record.read(folder).gallery
    seen = 0
    for place in random.choice(len(whole), 100, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= random.integers(1, 256)
        path.write_bytes(damaged)
        try:
            read = Record.read(folder).gallery
        except CrystalNetError:
            seen += 1
        else:
            assert all(np.array_equal(read[name], gallery[name]) for name in gallery)
    assert seen > 50


# ------------------------------------------------------------------ the command, and a real run


@pytest.fixture
def command():
    spec = importlib.util.spec_from_file_location("publish", ROOT / "book" / "publish.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("weights", [False, True])
def test_the_command_publishes_and_writes_weights_when_asked(command, folder, monkeypatch, weights, capsys):
    kept = []
    monkeypatch.setattr(command, "Run", lambda params: FakeRun())
    monkeypatch.setattr(command, "publish", lambda run, **how: publish(run, folder.parent, **how))
    monkeypatch.setattr(command, "model_card", lambda name, record: f"{name}: {record.manifest['test']}")
    monkeypatch.setattr(command.library, "write", lambda *what, beside: kept.append(what) or "a file")
    monkeypatch.setattr("sys.argv", ["publish.py", "--profile", "smoke", *["--weights"] * weights])
    command.main()
    assert [(name, card) for name, _, card in kept] == [("cubic-strict", "cubic-strict: 21")] * weights
    assert all(isinstance(model, FakeNetwork) and model.confidence for _, model, _ in kept)
    assert str(folder) in capsys.readouterr().out


def test_the_command_ends_with_one_line_where_something_is_wrong(command, monkeypatch):
    monkeypatch.setattr("sys.argv", ["publish.py", "--profile", "nonsense"])
    with pytest.raises(SystemExit, match=r"^nonsense: There is no params/nonsense.yaml"):
        command.main()


def test_a_real_run_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "n_cores", lambda: 1)  # two would wait for each other
    params = Params.load(
        "smoke",
        data={"crystal_systems": ["cubic"]},
        training={"epochs": 1},
        evaluation={"max_test": 3},
        ablations={
            "levels": ["no_formula"],
            "variants": {"positive sigma": {"model": {"sigma": "positive"}}},
            "max_test": 2,
        },
    )
    run = Run(params, tmp_path / "runs", progress=False)
    place = publish(run, tmp_path / "results" / "smoke")[0]
    record = Record.read(place)
    assert record.manifest["history.csv"] == run.trained("cubic").manifest
    assert record.manifest["levels.csv"]["no_formula"]["training"]["level"] == "no_formula"
    assert record.manifest["variants.csv"]["positive sigma"]["training"]["model"]["sigma"] == "positive"
    assert len(record.history) == 1 and record.scores_dft is None
    assert len(record.scores) == 3 * len(PREDICTORS) and len(record.levels) == len(record.variants) == 2
    assert "1 of 1 epochs" in record.provenance() and "profile smoke" in record.provenance()
    # what is there is not made again, what is asked for newly is added
    more = Params.load(
        "smoke",
        **params.model_dump(include={"data", "training", "evaluation"}),
        ablations={**params.ablations.model_dump(), "levels": ["no_formula", "baseline"]},
    )
    publish(Run(more, tmp_path / "elsewhere", progress=False), place.parent, only_missing=True)
    added = Record.read(place)
    assert list(added.manifest["levels.csv"]) == ["no_formula", "baseline"] and len(added.levels) == 4
    assert added.manifest["variants.csv"] == record.manifest["variants.csv"]
    assert added.scores.equals(record.scores) and added.history.equals(record.history)
    assert not list((tmp_path / "elsewhere").glob("training-*"))
    other = Params.load("smoke", data={"crystal_systems": ["cubic"], "seed": 1})
    with pytest.raises(CrystalNetError, match="of other data, training, evaluation, crystals"):
        publish(Run(other, tmp_path / "elsewhere", progress=False), place.parent, only_missing=True)
    assert Record.read(place).manifest == added.manifest
    for path in place.glob("*[nv]"):  # .json, .csv
        assert str(tmp_path) not in path.read_text()
    # the pictures show what the scores say
    own = record.scores[record.scores["predictor"] == "CrystalNet"].set_index("row")
    gallery = record.gallery
    for row, lattice, *maps in zip(*(gallery[k] for k in ("row", "lattice", "truth", "answer")), strict=True):
        truth, answer = (torch.from_numpy(cmed.astype(np.float32)) for cmed in maps)
        again = honest_score(truth, answer, lattice_operations(lattice))
        assert again["honest_ssim"] == pytest.approx(own["honest_ssim"][row], abs=1e-3)
