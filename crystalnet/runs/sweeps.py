"""Sweeps: one table over many settings, each run in a process of this machine or on a Dask cluster.

A run that failed is a row with its error, so that the others are not lost; runs that are on disk already are
read, so that a sweep that was broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pandas as pd
import yaml
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.cluster import cluster
from crystalnet.runs.params import Params
from crystalnet.runs.run import Run

COLUMNS = ["run", "system", "predictor"]


def combinations(profiles: Iterable[str], vary: Iterable[str] = ()) -> dict[str, Params]:
    """Settings by name: every profile with every combination of values.

    Args:
        profiles: names of params/<profile>.yaml.
        vary: such as 'model.width=32,64', the values as they would stand in a params file.

    Raises:
        CrystalNetError: an axis that is not 'group.key=values', or settings that cannot be.

    >>> list(combinations(["quick"], ["model.width=32,64"]))
    ['quick model.width=32', 'quick model.width=64']
    """
    axes = [_axis(text) for text in vary]
    settings = {}
    for profile in profiles:
        for choice in product(*(values for *_, values in axes)):
            changes: dict[str, dict] = {}
            for (group, key, _), value in zip(axes, choice, strict=True):
                changes.setdefault(group, {})[key] = value
            words = [f"{g}.{k}={v}" for g, entries in changes.items() for k, v in entries.items()]
            settings[" ".join([profile, *words])] = Params.load(profile, **changes)
    return settings


def sweep(
    settings: Mapping[str, Params],
    folder: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Table 1 of many runs: a row a run, crystal system and predictor.

    Args:
        settings: of each run, by name.
        folder: of results, see `Results`; on a cluster one that every worker sees.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers do it instead.

    Returns:
        Columns run, system, predictor, those of `evaluation.summary`, and error ("" if all went well).

    Raises:
        CrystalNetError: there is nothing to run, or no cluster answers.
    """
    if not settings:
        raise CrystalNetError("There is nothing to run. Name at least one profile.", Code.BAD_ARGUMENT)
    with _backend(scheduler, workers):
        jobs = (delayed(_table)(name, params, folder) for name, params in settings.items())
        done = Parallel(return_as="generator_unordered")(jobs)
        tables = list(tqdm(done, total=len(settings), desc="sweep", unit="run"))
    order = {name: place for place, name in enumerate(settings)}
    tables.sort(key=lambda table: order[table["run"].iloc[0]])
    return pd.concat(tables, ignore_index=True)


def _axis(text: str) -> tuple[str, str, list]:
    place, _, values = text.partition("=")
    group, _, key = place.partition(".")
    try:
        values = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError:
        values = []
    if not (group and key and values):
        raise CrystalNetError(
            f"{text!r} says nothing to vary. Write group.key=values: model.width=32,64.", Code.BAD_ARGUMENT
        )
    return group, key, values


@contextmanager
def _backend(scheduler: str | None, workers: int) -> Iterator[None]:
    if scheduler is None:
        with parallel_config("loky", n_jobs=workers):
            yield
    else:
        with cluster(scheduler), parallel_config("dask", wait_for_workers_timeout=60):
            yield


def _table(name: str, params: Params, folder: str | Path | None) -> pd.DataFrame:
    try:
        table = Run(params, folder, progress=False).table_1().reset_index()
        return table.assign(run=name, error="")[[*COLUMNS, *table.columns.drop(COLUMNS[1:]), "error"]]
    except Exception as error:  # whatever it is, the other runs go on
        kind = "" if isinstance(error, CrystalNetError) else f"{type(error).__name__}: "
        return pd.DataFrame([{"run": name, "system": "", "predictor": "", "error": f"{kind}{error}"}])
