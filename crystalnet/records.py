"""Records: results of long runs, kept small in the repository, so that the book shows what it did not make.

book/results/<profile>/<system>/
  history.csv       training, a row an epoch
  scores.csv        Table 1, a row a predictor and test crystal
  scores_dft.csv    the same against DFT densities, where the profile names some
  levels.csv        Table 2, a row a level of known composition and test crystal
  variants.csv      deviations, a row a variant and test crystal
  gallery.npz       some test crystals with the network's answers
  manifest.json     what made each of these
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath
from textwrap import shorten

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from crystalnet.errors import CrystalNetError
from crystalnet.params import repository_root
from crystalnet.physics.similarity import align
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.provenance import write_text
from crystalnet.results import read_table
from crystalnet.runs import PREDICTORS, Run

# tables of scores: first column, method of a run that makes them, what it takes beside system and case
TABLES = {
    "scores": ("predictor", "evaluation"),
    "scores_dft": ("predictor", "evaluation", "dft"),
    "levels": ("level", "ablation"),
    "variants": ("variant", "variant"),
}
NUMBERS = ["row", "space_group", "paper_ssim", "paper_psnr", "honest_ssim", "honest_psnr", "honest_nmae"]
GALLERY = ("quantile", "row", "lattice", "pattern", "profile", "truth", "answer")
QUANTILES = (0.95, 0.75, 0.5, 0.25, 0.05)  # our choice: the extremes are outliers
DIGITS = "%.5g"  # our choice: finer than a score means, at half the size
REMEDY = "Take the record from the repository again (git checkout) or publish it anew (make results)."


@dataclass(frozen=True, eq=False)
class Record:
    """What a profile gave for one crystal system.

    Attributes:
        manifest: what made each file; numbers of crystals 'train', 'val', 'test'; 'density_source', 'split',
            'data_hash'.
        history: see `train`; scores, scores_dft, levels, variants: see `Run.evaluation`, after a first column
            'predictor', 'level' or 'variant', and None where the profile asks for none.
        gallery: test crystals at quantiles of the network's honest SSIM: quantile (k,), row (k,) of the data
            set, lattice (k, 3, 3) Å, pattern (k, 1024) and profile (k, 768) float32, truth and answer (k, n, n, n) float16, e/Å^3,
            the answer laid onto the truth as the honest protocol does it. None where the file is left out.
    """

    profile: str
    system: str
    manifest: dict
    history: pd.DataFrame
    scores: pd.DataFrame
    scores_dft: pd.DataFrame | None = None
    levels: pd.DataFrame | None = None
    variants: pd.DataFrame | None = None
    gallery: dict[str, np.ndarray] | None = None

    @classmethod
    def read(cls, folder) -> Record:
        """The record in a folder.

        Raises:
            CrystalNetError: a file is missing, damaged, or not of a record; names it.
        """
        folder = Path(folder).resolve()
        with _reading(folder / "manifest.json") as path:
            manifest = json.loads(path.read_text())
            cases = {name: manifest[f"{name}.csv"] for name in TABLES if f"{name}.csv" in manifest}
            cases["scores"] = manifest["scores.csv"]
        history = _read_table(folder / "history.csv")
        tables = {name: _read_table(folder / f"{name}.csv", TABLES[name][0], cases[name]) for name in cases}
        if (folder / "gallery.npz").exists():
            with _reading(folder / "gallery.npz") as path, np.load(path, allow_pickle=False) as arrays:
                tables["gallery"] = {name: arrays[name] for name in GALLERY}
        record = cls(folder.parent.name, folder.name, manifest, history, **tables)
        with _reading(folder / "manifest.json"):
            record.provenance()  # misses what a manifest lacks
        return record

    def provenance(self) -> str:
        """One line under a table: data, split, density, training, protocol sizes, settings, code."""
        facts, training = self.manifest, self.manifest["history.csv"]
        counts = ", ".join(f"{facts[name]:,} {name}" for name in ("train", "val", "test"))
        duration = timedelta(seconds=round(training["training_seconds"]))
        scored = (self.scores["predictor"] == PREDICTORS[0]).sum()
        n_samples = facts["scores.csv"][PREDICTORS[0]]["n_samples"]
        environment, source = training["environment"], Path(training["params"]["data"]["source"]).name
        return (
            f"{self.system}: {source} ({counts}; {facts['split']} split, data {facts['data_hash'][:10]}),"
            f" {facts['density_source']} density; {training['epochs']} epochs on {environment['hardware']} in"
            f" {duration} (h:min:s); {scored:,} test crystals, {n_samples} guesses each; profile"
            f" {self.profile}, commit {environment['commit'] or 'unknown'}"
        )


def records(folder=None) -> list[Record]:
    """All records of a folder of profiles, by default book/results, sorted by profile and system."""
    folder = Path(folder) if folder else repository_root() / "book" / "results"
    return [Record.read(place) for place in sorted(folder.glob("[!.]*/[!.]*/"))]  # a dot: being written


def publish(run: Run, folder=None) -> list[Path]:
    """Make everything of a run and keep it; the folders of the records, one a crystal system.

    One that was broken off goes on where it was; a record stays as it is until the new one is whole.

    Args:
        folder: of the profile, which gives it its name; by default book/results/<profile>.

    Raises:
        CrystalNetError: the folder cannot be made, or an error of the run.
    """
    params = run.params
    folder = Path(folder) if folder else repository_root() / "book" / "results" / params.profile
    try:
        folder.mkdir(parents=True, exist_ok=True)  # an error now, not after the training
    except OSError as error:
        raise CrystalNetError(f"{folder} cannot hold records ({error}). Choose another folder.") from None
    dft = PREDICTORS if params.evaluation.densities else ()
    asked = PREDICTORS, dft, params.ablations.levels, params.ablations.variants
    cases = dict(zip(TABLES, asked, strict=True))
    for name, (_, method, *more) in TABLES.items():
        run.side_by_side(method, [(system, case, *more) for case in cases[name] for system in run.systems])
    total = len(run.systems) * sum(map(len, cases.values()))
    with tqdm(desc=params.profile, total=total, unit="table", disable=not run.progress) as bar:
        for system in run.systems:
            record = _made(run, system, cases, bar)
            with _replaced(folder / system) as new:
                _write(record, new)
    return [folder / system for system in run.systems]


def _made(run: Run, system: str, cases: dict, bar: tqdm) -> Record:
    store, trained = run.store(system), run.trained(system)
    manifest, tables = {"history.csv": trained.manifest}, {}
    for name in filter(cases.get, TABLES):
        column, method, *more = TABLES[name]
        parts, made_by = {}, {}
        for case in cases[name]:
            bar.set_postfix_str(f"{system}, {case}")
            parts[case] = getattr(run, method)(system, case, *more)
            made_by[case] = run.manifest_of(method, system, case, *more)
            if column != "predictor":  # a network of its own
                network = (case,) if column == "level" else ("baseline", case)
                training = run.manifest_of("trained", system, *network)
                made_by[case] = {"training": training, "scores": made_by[case]}
            bar.update()
        tables[name] = pd.concat(parts, names=[column]).reset_index(level=0).reset_index(drop=True)
        manifest[f"{name}.csv"] = made_by
    manifest |= {split: len(store.indices(split)) for split in ("train", "val", "test")}
    manifest |= {"density_source": store.density_source, "split": run.params.data.split}
    manifest["data_hash"] = store.digest
    tables["gallery"] = _gallery(trained.model, store, run.evaluation(system))
    return Record(run.params.profile, system, _portable(manifest), trained.history, **tables)


def _gallery(model, store, scores: pd.DataFrame) -> dict[str, np.ndarray]:
    """Test crystals at `QUANTILES` of the honest SSIM, each once, with the answers of the network."""
    ranked = scores.sort_values("honest_ssim", kind="stable")["row"].tolist()
    chosen = {ranked[round(quantile * (len(ranked) - 1))]: quantile for quantile in QUANTILES}
    rows = list(chosen)
    lattices = np.array([store.crystals[row].atoms.lattice for row in rows])
    truths = torch.from_numpy(store.cmed[rows].astype(np.float32))
    views = getattr(store, model.reads)
    answers = [model.answer(views[row], store.compositions[row], store.n).cpu() for row in rows]
    operations = map(lattice_operations, lattices)
    answers = torch.stack([align(*pair).aligned for pair in zip(truths, answers, operations, strict=True)])
    truth, answer = (maps.numpy().astype(np.float16) for maps in (truths, answers))
    inputs = [array[rows].astype(np.float32) for array in (store.patterns, store.profiles)]
    arrays = np.array(list(chosen.values())), np.array(rows), lattices, *inputs, truth, answer
    return dict(zip(GALLERY, arrays, strict=True))


def _portable(value):
    """A manifest without the paths of this machine: an absolute one becomes its name."""
    if isinstance(value, dict):
        return {key: _portable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(entry) for entry in value]
    if isinstance(value, str):
        paths = PurePosixPath(value), PureWindowsPath(value)
        return next((p.name for p in paths if p.is_absolute() or p.parts[:1] == ("~",)), value)
    return value


def _write(record: Record, folder: Path) -> None:
    for name in ("history", *TABLES):
        if (table := getattr(record, name)) is not None:
            write_text(folder / f"{name}.csv", table.to_csv(index=False, float_format=DIGITS))
    np.savez_compressed(folder / "gallery.npz", **record.gallery)
    write_text(folder / "manifest.json", json.dumps(record.manifest, indent=1))


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` when the block ends well."""
    new, old = (folder.with_name(f".{folder.name}.{state}") for state in ("part", "old"))
    if old.exists() and not folder.exists():  # broken off between the two moves below
        os.replace(old, folder)
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    new.mkdir()
    yield new
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    try:
        yield path
    except FileNotFoundError:
        raise CrystalNetError(f"There is no {path}. {REMEDY}") from None
    except Exception as error:  # a damaged archive fails in a dozen ways
        reason = f"no {error}" if isinstance(error, KeyError) else shorten(str(error), 200)
        raise CrystalNetError(f"{path} is damaged or not of a record ({reason}). {REMEDY}") from None


def _read_table(path: Path, column: str = "epoch", cases=()) -> pd.DataFrame:
    """A table that holds each entry of `column` as often; they are `cases`, if there are some."""
    with _reading(path):
        text = path.read_text()
        if not text.endswith("\n"):
            raise ValueError("it ends within a line")
        table = read_table(io.StringIO(text))
        rows = table[column].value_counts()
        if rows.nunique() != 1 or (cases and set(rows.index) != set(cases)):
            raise ValueError("rows are missing")
        if table[NUMBERS if cases else ["loss"]].astype(float).isna().any(axis=None):
            raise ValueError("a number is missing")
        return table
