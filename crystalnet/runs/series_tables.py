"""Tables and folders of patterns that are to be solved."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pandas as pd

from crystalnet.errors import Code, CrystalNetError

NEEDED = ["file", "formula"]
OPTIONAL = ["wavelength", "crystal_system", "scan", "truth"]


def read_series(
    path: str | Path, told: Mapping[str, str] | None = None, *, outside: bool = False
) -> pd.DataFrame:
    r"""Patterns to solve: a CSV of them, or a folder whose files are all patterns.

    A table has the columns file and formula, and if known wavelength, crystal_system, scan, and truth, a CIF.
    Instead of a formula there may be elements, "La, B", or nothing. Files are relative to the folder. Columns
    that are missing are added, empty. Lines that begin with # are remarks.

    Args:
        told: values of those columns for all patterns of which the table does not say them.
        outside: whether files may lie outside the folder of the table.

    Raises:
        CrystalNetError: no such table, a column is missing or unknown, there are no rows, a row of another
            number of fields, or a file outside the folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "table.csv"
    ...     _ = path.write_text("file,formula\na.xy,NaCl\n")
    ...     read_series(path, {"wavelength": "CuKa"}).iloc[0].to_dict()
    {'file': 'a.xy', 'formula': 'NaCl', 'wavelength': 'CuKa', 'crystal_system': '', 'scan': '', 'truth': ''}
    """
    path = Path(path)
    columns, rows = _files(path) if path.is_dir() else _fields(path)
    missing, unknown = set(NEEDED) - set(columns), set(columns) - {*NEEDED, *OPTIONAL}
    wrong = f"has unknown columns {', '.join(sorted(unknown))}" if unknown else ""
    wrong = wrong or (f"lacks {', '.join(sorted(missing))}" if missing else "")
    wrong = wrong or (
        "names a column twice" if len(set(columns)) < len(columns) else "" if rows else "has no rows"
    )
    if wrong:
        _refuse(f"{path} {wrong}. Its columns are {', '.join([*NEEDED, *OPTIONAL])}.")
    for number, row in rows:
        if len(row) != len(columns):
            _refuse(
                f"{path}: line {number} has {len(row)} fields, not {len(columns)}. Quote those with commas."
            )
    table = pd.DataFrame([row for _, row in rows], columns=columns, dtype=str)
    table = table.reindex(columns=[*NEEDED, *OPTIONAL], fill_value="")
    for name, value in (told or {}).items():
        table[name] = table[name].replace("", value)
    if not outside:
        for name in [*table["file"], *table["truth"]]:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                _refuse(
                    f"{path} names {name!r}, outside its folder. Move it there, or allow it: outside=True."
                )
    return table


def _files(folder: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """A folder as if it were a table."""
    files = sorted(file.name for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return NEEDED, [(number, [name, ""]) for number, name in enumerate(files, 1)]


def _fields(path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of columns, and the rows with the numbers of their lines."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
        separator = ";" if lines and ";" in lines[0][1] and "," not in lines[0][1] else ","
        numbers = [i for i, _ in lines]
        rows = list(
            csv.reader([line for _, line in lines], delimiter=separator, skipinitialspace=True, strict=True)
        )
    except (OSError, ValueError, TypeError, csv.Error) as error:
        _refuse(f"{path} can't be read as a table of patterns ({error}). Give a CSV.")
    if not rows or "\0" in text:
        _refuse(f"{path} can't be read as a table of patterns: it is empty or binary. Give a CSV.")
    if len(rows) != len(numbers):
        _refuse(f"{path} can't be read as a table of patterns: a field holds an end of line. Give a CSV.")
    rows = [[field.strip() for field in row] for row in rows]
    return rows[0], list(zip(numbers[1:], rows[1:], strict=True))


def _refuse(message: str) -> NoReturn:
    raise CrystalNetError(message, Code.BAD_TABLE) from None
