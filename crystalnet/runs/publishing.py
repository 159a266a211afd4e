"""From a run to records: everything that a profile asks for, made and kept (see `records`)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from crystalnet.data.leakage import swap_neighbours
from crystalnet.data.store import ALTERED, Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.similarity import align
from crystalnet.physics.symmetry import lattice_operations
from crystalnet.runs.params import Params, repository_root
from crystalnet.runs.provenance import write_text
from crystalnet.runs.records import GALLERY, TABLES, Record
from crystalnet.runs.run import PREDICTORS, Run
from crystalnet.settings import NO_NUMBERS

# what makes the rows of each table, of a crystal system and a case in its first column
MAKERS: dict[str, Callable[[Run, str, str], pd.DataFrame]] = {
    "scores": lambda run, system, predictor: run.evaluation(system, predictor),
    "validation": lambda run, system, _: run.validation(system),
    "scores_dft": lambda run, system, predictor: run.evaluation(system, predictor, "dft"),
    "levels": lambda run, system, level: run.ablation(system, level),
    "variants": lambda run, system, name: run.variant(system, name),
    "retrieval": lambda run, system, name: run.retrieval(system, name),
    "spoilt": lambda run, system, patterns: run.spoilt(system, patterns),
    "begun": lambda run, system, patterns: run.spoilt(system, patterns, "begun"),
}
OF_OWN_NETWORKS = ("levels", "variants")  # tables whose cases have a network each
QUANTILES = (0.95, 0.75, 0.5, 0.25, 0.05)  # our choice: the extremes are outliers
ASIDE = {"training": {"precision", *NO_NUMBERS}}  # that may differ within a record: the manifest tells it
DIGITS = "%.5g"  # our choice: finer than a score means, at half the size


def publish(run: Run, folder: str | Path | None = None, only_missing: bool = False) -> list[Path]:
    """Make everything of a run and keep it; the folders of the records, one a crystal system.

    One that was broken off goes on where it was; a record stays as it is until the new one is whole.

    Args:
        folder: of the profile, which gives it its name; by default book/results/<profile>.
        only_missing: what the records hold already is not made again, on whatever machine it was made.

    Raises:
        CrystalNetError: the folder cannot be made, a record to be completed is of other data or settings, or
            an error of the run.
    """
    params = run.params
    folder = Path(folder) if folder else repository_root() / "book" / "results" / params.profile
    try:
        folder.mkdir(parents=True, exist_ok=True)  # an error now, not after the training
    except OSError as error:
        raise CrystalNetError(
            f"{folder} cannot hold records ({error}). Choose another folder.", Code.NOT_WRITTEN
        ) from None
    dft = PREDICTORS if params.evaluation.densities else ()
    variants = params.ablations.variants
    other_splits = tuple(name for name, groups in variants.items() if "split" in groups.get("data", {}))
    spoilt = params.evaluation.spoilt
    begun = spoilt if params.training.begins_with else ()
    asked = (
        *(PREDICTORS, PREDICTORS[:1], dft, params.ablations.levels, tuple(variants), other_splits),
        *(spoilt, begun),
    )
    cases = dict(zip(TABLES, asked, strict=True))
    kept = {}
    if only_missing:
        kept = {system: _completed(run, folder / system) for system in run.systems}
    todo = {
        name: [
            (s, case) for case in cases[name] for s in run.systems if not _has(kept.get(s), run, name, case)
        ]
        for name in TABLES
    }
    for name, make in MAKERS.items():
        run.side_by_side(make, todo[name], name)
    with tqdm(
        desc=params.profile, total=sum(map(len, todo.values())), unit="table", disable=not run.progress
    ) as bar:
        for system in run.systems:
            record = _made(run, system, cases, bar, kept.get(system))
            with _replaced(folder / system) as new:
                _write(record, new)
    return [folder / system for system in run.systems]


def _completed(run: Run, folder: Path) -> Record | None:
    """The record that a run may add to, if there is one.

    Raises:
        CrystalNetError: it is of other data or settings.
    """
    if not (folder / "manifest.json").exists():
        return None
    record = Record.read(folder)
    before = Params(**record.manifest["history.csv"]["params"])
    groups = ("data", "model", "training", "evaluation")
    before, now = (_names(params.model_dump(exclude=ASIDE)) for params in (before, run.params))
    changed = [group for group in groups if before[group] != now[group]]
    crystals = run.store(folder.name).crystals
    scored = record.scores[["row", "material_id"]].drop_duplicates().itertuples(index=False)
    if any(crystals[row].material_id != name for row, name in scored):
        changed.append("crystals")  # their arrays may differ in last bits, from one processor to another
    if changed:
        raise CrystalNetError(
            f"{folder} is of other {', '.join(changed)}: nothing can be added to it. Publish it anew.",
            Code.OTHER_SETTINGS,
        )
    return record


def _has(record: Record | None, run: Run, table: str, case: str) -> bool:
    """Whether the record holds this, made by the protocol that the run asks for."""
    made_by = record.manifest.get(f"{table}.csv", {}).get(case) if record else None
    if not made_by or "scores" not in made_by:
        return bool(made_by)
    now = run.varied(case).params if table == "variants" else run.params
    before = Params(**made_by["scores"]["params"])
    asked = {"levels", "variants"}  # what is made, not how
    return before.ablations.model_dump(exclude=asked) == now.ablations.model_dump(exclude=asked)


def _made(run: Run, system: str, cases: dict, bar: tqdm, kept: Record | None) -> Record:
    store = run.store(system)
    history = kept.history if kept else run.trained(system).history
    manifest = {"history.csv": kept.manifest["history.csv"] if kept else run.trained(system).manifest}
    tables = {}
    for name in filter(cases.get, TABLES):
        parts, made_by = {}, {}
        for case in cases[name]:
            if _has(kept, run, name, case):
                table = kept.tables[name]
                parts[case] = table[table[TABLES[name]] == case].drop(columns=TABLES[name])
                made_by[case] = kept.manifest[f"{name}.csv"][case]
                continue
            bar.set_postfix_str(f"{system}, {case}")
            parts[case] = MAKERS[name](run, system, case)
            made_by[case] = scores = parts[case].attrs["manifest"]
            if name in OF_OWN_NETWORKS:
                made_by[case] = {"training": scores["training"], "scores": scores}
            bar.update()
        tables[name] = pd.concat(parts, names=[TABLES[name]]).reset_index(level=0).reset_index(drop=True)
        manifest[f"{name}.csv"] = made_by
    if "neighbours" not in tables["scores"]:
        tables["scores"]["neighbours"] = _neighbours(store, tables["scores"]["row"])
    manifest |= {split: len(store.indices(split)) for split in ("train", ALTERED, "val", "test")}
    manifest |= {"density_source": store.density_source, "split": run.params.data.split}
    manifest["data_hash"] = kept.manifest["data_hash"] if kept else store.digest  # of the scores
    gallery = kept and kept.gallery
    tables["gallery"] = gallery or gallery_of(run.trained(system).model, store, run.evaluation(system))
    return Record(run.params.profile, system, _portable(manifest), history, **tables)


def _neighbours(store, rows: pd.Series) -> np.ndarray:
    """The number of swap neighbours that test crystals have in training, altered copies aside."""
    crystals = store.crystals
    tested = rows.unique()
    train = [crystals[row] for row in store.indices("train")]
    counts = swap_neighbours({"train": train, "test": [crystals[row] for row in tested]})
    return rows.map(dict(zip(tested.tolist(), counts.tolist(), strict=True))).to_numpy()


def gallery_of(model: DensityNetwork, store: Store, scores: pd.DataFrame) -> dict[str, np.ndarray]:
    """The gallery of a record: test crystals at `QUANTILES` of the honest SSIM, each once, with the answers
    of the network."""
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
    if isinstance(value, str):
        paths = PurePosixPath(value), PureWindowsPath(value)
        return next((p.name for p in paths if p.is_absolute() or p.parts[:1] == ("~",)), value)
    return _each(_portable, value)


def _names(value):
    """Settings without the folders of their paths: the same file may lie in another place."""
    return PurePosixPath(value).name if isinstance(value, str) else _each(_names, value)


def _each(change: Callable, value):
    """A manifest with each of its values changed."""
    if isinstance(value, dict):
        return {key: change(entry) for key, entry in value.items()}
    return [change(entry) for entry in value] if isinstance(value, list | tuple) else value


def _write(record: Record, folder: Path) -> None:
    for name, table in {"history": record.history, **record.tables}.items():
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
