"""Many patterns, a row each: kept as soon as it is there, so that nothing is lost and nothing done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, as_completed
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from tqdm.auto import tqdm

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.cluster import cluster
from crystalnet.runs.pattern_row import COLUMNS, died_row, solved_row
from crystalnet.runs.provenance import SCIENCE, code_digest, environment, write_text
from crystalnet.runs.series_tables import read_series
from crystalnet.solving.catalogue import Catalogue

WORDS = ["file", "formula", "found", "verdict", "from", "code", "error"]  # columns of text
KEY = "made from"  # hash of pattern, settings and code: a row of the same is not made again


def solve_series(
    path: str | Path,
    out: str | Path | None = None,
    *,
    told: Mapping[str, str] | None = None,
    outside: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> pd.DataFrame:
    r"""Solve every pattern of a table or folder (see `read_series`); one that fails is a row with its error.

    Args:
        out: a CSV that is written anew after every pattern. What it holds of the same patterns, settings and
            code is not computed again. A .json beside it says what made it.
        told, outside: see `read_series`.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers do it instead; they see the files.
        progress: show a progress bar.
        settings: for `solve`: catalogue, sources, seconds, seed.

    Returns:
        A row a pattern, in the order of the table: file and formula; of the first candidate formula, space
        group, cell, distance, probability of being right, whether it is (StructureMatcher's defaults; empty
        without a truth) and origin; seconds; code and text of an error ("" if all went well); a key of what
        the row is made from.

    Raises:
        CrystalNetError: no table, no cluster, or `out` cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "table.csv"
    ...     _ = path.write_text("file,formula\nmissing.xy,NaCl\n")
    ...     solve_series(path, progress=False)["code"].tolist()
    ['FILE_MISSING']
    """
    if workers < 1:
        raise CrystalNetError(f"{workers} workers solve nothing. Give 1 or more.", Code.BAD_ARGUMENT)
    _check_out(out, Path(path))
    given = read_series(path, told, outside=outside).to_dict("records")
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    keys = [_key(row, folder, settings) for row in given]
    kept = _kept(out)
    rows = {place: kept[key] for place, key in enumerate(keys) if key in kept}
    left = [place for place in range(len(given)) if place not in rows]
    solve_one = partial(solved_row, folder=folder, settings=settings)
    with tqdm(
        total=len(given), initial=len(rows), desc="patterns", unit="pattern", disable=not progress
    ) as bar:
        for place, row in _solved({k: given[k] for k in left}, solve_one, workers, scheduler):
            rows[place] = _as_text({**row, KEY: keys[place]})
            _keep(rows, out)
            bar.update()
    _keep(rows, out)
    if out is not None:
        plain = {name: value for name, value in settings.items() if not isinstance(value, Catalogue)}
        made_by = {**plain, "environment": environment()}
        write_text(Path(out).with_suffix(".json"), json.dumps(made_by, indent=1))
    return pd.read_csv(
        StringIO(_text(rows)),
        dtype=dict.fromkeys(WORDS, str),
        keep_default_na=False,
        na_values={name: [""] for name in {*COLUMNS} - {*WORDS}},
    )


def _check_out(out: str | Path | None, path: Path) -> None:
    """Refuse a place where rows would be read as a pattern, or their .json take that of something else."""
    if out is None:
        return
    if path.is_dir() and Path(out).resolve().parent == path.resolve():
        raise CrystalNetError(
            f"{out} lies among the patterns and would be read as one of them. Name a place outside {path}.",
            Code.NOT_WRITTEN,
        )
    beside = Path(out).with_suffix(".json")
    if not beside.exists():
        return
    try:
        ours = "environment" in json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise CrystalNetError(
            f"{beside} is there and does not tell of a series. Name another file, or remove it.",
            Code.NOT_WRITTEN,
        )


def _solved(given: Mapping[int, dict], solve_one, workers: int, scheduler: str | None) -> Iterator[tuple]:
    """Places and rows as they are done. Whoever was at work when a process died is tried once more, alone."""
    if scheduler is None and workers == 1:
        for place, row in given.items():
            yield place, solve_one(row)
        return
    waiting = dict(given)
    with _executor(workers, scheduler) as executor:
        for place, row in _those_that_end(executor, waiting, solve_one):
            del waiting[place]
            yield place, row
    for place, row in waiting.items():
        with _executor(1, scheduler) as executor:
            ends = list(_those_that_end(executor, {place: row}, solve_one))
        yield ends[0] if ends else (place, died_row(row))


def _those_that_end(executor: Executor, given: Mapping[int, dict], solve_one) -> Iterator[tuple]:
    jobs = {executor.submit(solve_one, row): place for place, row in given.items()}
    for job in as_completed(jobs):
        try:
            yield jobs[job], job.result()
        except BrokenExecutor:
            continue


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    if scheduler is not None:
        with cluster(scheduler) as client:
            yield client.get_executor(pure=False, retries=1)
        return
    from loky import ProcessPoolExecutor  # unlike the standard one it works from notebooks and scripts

    with ProcessPoolExecutor(workers) as pool:
        yield pool


def _key(given: Mapping[str, str], folder: Path, settings: Mapping[str, Any]) -> str:
    """What a row depends on: what the table says, the files that it names, settings, code."""
    digest = sha256(repr((sorted(given.items()), code_digest(*SCIENCE), joblib.hash(settings))).encode())
    for name in ("file", "truth"):
        path = folder / given[name]
        if given[name] and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(out: str | Path | None) -> dict[str, dict[str, str]]:
    """Rows that are there, by key; those whose process died, or that no rule foresaw, are tried again."""
    if out is None or not Path(out).exists():
        return {}
    try:
        table = pd.read_csv(out, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        table = pd.DataFrame()
    if list(table) != [*COLUMNS, KEY]:
        raise CrystalNetError(
            f"{out} is there and holds no rows of a series. Name another file, or remove it.",
            Code.NOT_WRITTEN,
        )
    again = (table["error"] != "") & table["code"].isin(["", Code.PROCESS_DIED.name])
    return {row[KEY]: row for row in table[~again].to_dict("records")}


def _as_text(row: Mapping[str, Any]) -> dict[str, str]:
    """As the file has it, so that rows are the same whether they were computed now or before."""
    told = {name: value for name, value in row.items() if value is not None}
    return {name: f"{value:.5g}" if isinstance(value, float) else str(value) for name, value in told.items()}


def _text(rows: Mapping[int, Mapping[str, str]]) -> str:
    ordered = [rows[place] for place in sorted(rows)]
    return pd.DataFrame(ordered, columns=[*COLUMNS, KEY]).to_csv(index=False)


def _keep(rows: Mapping[int, Mapping[str, str]], out: str | Path | None) -> None:
    if out is None:
        return
    try:
        write_text(Path(out), _text(rows))
    except OSError as error:
        raise CrystalNetError(
            f"{out} could not be written ({error}). Free disk space, or name another file.", Code.NOT_WRITTEN
        ) from None
