"""Rows of solved crystals, kept in the repository: book/solved/<profile>.csv, what made them in .json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.params import repository_root
from crystalnet.runs.provenance import write_text
from crystalnet.runs.results import read_table
from crystalnet.runs.solvings import Solvings
from crystalnet.scoring.challenges import CHALLENGES, challenge_of


def publish_challenges(
    run: Solvings,
    names: Iterable[str] = (),
    splits: Iterable[str] = ("val", "test"),
    folder: str | Path | None = None,
) -> Path:
    """Keep the rows of challenges in the repository: book/solved/<profile>.csv and .json.

    Args:
        names: of challenges, by default all that the settings name. What is kept of others stays as it is.

    Raises:
        CrystalNetError: an error of the run, or what is kept is damaged.
    """
    folder = Path(folder) if folder else repository_root() / "book" / "solved"
    path = folder / f"{run.params.profile}.csv"
    names = tuple(names) or run.params.solving.challenges
    for name in names:
        challenge_of(name)  # an error now, not after the others
    rows, manifest = _read_kept(path) if path.exists() else (pd.DataFrame(), {})
    parts = {key: rows[_case(rows) == key] for key in manifest}
    for split in splits:
        for (system, name), table in run.challenges(names, split).items():
            key = f"{split}, {system}, {name}"
            parts[key] = table.assign(system=system, challenge=name, split=split)
            manifest[key] = table.attrs["manifest"]
    _write_kept(path, parts, manifest)
    return path


def _case(rows: pd.DataFrame) -> pd.Series:
    """What a manifest calls each row's challenge."""
    return rows["split"] + ", " + rows["system"] + ", " + rows["challenge"]


def read_challenges(folder: str | Path | None = None) -> tuple[pd.DataFrame, dict]:
    """All rows that are kept, of every profile, and what made them.

    Raises:
        CrystalNetError: a file is damaged; names it.

    >>> rows, manifest = read_challenges()
    >>> sorted(rows["split"].unique()), len(manifest) == _case(rows).nunique()
    (['test', 'val'], True)
    """
    folder = Path(folder) if folder else repository_root() / "book" / "solved"
    tables, manifest = [], {}
    for path in sorted(folder.glob("*.csv")):
        table, made_by = _read_kept(path)
        tables.append(table)
        manifest |= made_by
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), manifest


def _write_kept(path: Path, parts: dict[str, pd.DataFrame], manifest: dict) -> None:
    """Both files, with splits, systems and challenges in one order."""
    names = list(CHALLENGES)

    def place(key: str) -> tuple:
        split, system, name = key.split(", ", 2)
        return split, system, names.index(name) if name in names else len(names)

    keys = sorted(parts, key=place)
    write_text(path, pd.concat([parts[key] for key in keys]).to_csv(index=False, float_format="%.5g"))
    write_text(path.with_suffix(".json"), json.dumps({key: manifest[key] for key in keys}, indent=1))


def _read_kept(path: Path) -> tuple[pd.DataFrame, dict]:
    try:
        table = read_table(path)
        manifest = json.loads(path.with_suffix(".json").read_text())
        if set(_case(table)) != set(manifest):
            raise ValueError("their challenges differ")
    except (OSError, ValueError, KeyError) as error:
        raise CrystalNetError(
            f"{path} or its .json is damaged ({error}). Take both from the repository again.",
            Code.DAMAGED,
        ) from None
    return table, manifest
