"""Many patterns solved one after the other: a table in, a table out, a row each."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NoReturn

import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from tqdm.auto import tqdm

from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.solution import solve

NEEDED = ["file", "formula"]
OPTIONAL = ["wavelength", "crystal_system", "scan", "truth"]
FOUND = ["found", "space group", "a (Å)", "c (Å)", "distance", "probability", "right", "from", "seconds"]


def read_series(path, *, outside: bool = False) -> pd.DataFrame:
    """A CSV of patterns: file, formula, and if known wavelength, crystal_system, scan, and truth, a CIF.

    Instead of a formula there may be elements, "La, B", or nothing. Files are relative to that of the table.
    Columns that are missing are added, empty. Lines that begin with # are remarks.

    Args:
        outside: whether files may lie outside the folder of the table.

    Raises:
        CrystalNetError: no such table, a column is missing or unknown, there are no rows, a row of another
            number of fields, or a file outside the folder.
    """
    columns, rows = _fields(path)
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
    if not outside:
        for name in [*table["file"], *table["truth"]]:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                _refuse(
                    f"{path} names {name!r}, outside its folder. Move it there, or allow it: outside=True."
                )
    return table


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


def solve_series(path, progress: bool = True, *, outside: bool = False, **settings) -> pd.DataFrame:
    """Solve every pattern of a table (see `read_series`); one that fails is a row with its error.

    Args:
        outside: whether files may lie outside the folder of the table.
        settings: for `solve`: catalogue, sources, seconds, seed.

    Returns:
        A row a pattern: file and formula; of the first candidate formula, space group, cell, distance,
        probability of being right, whether it is (StructureMatcher's defaults; empty without a truth) and
        origin; seconds; error ("" if all went well).
    """
    series, folder, rows = read_series(path, outside=outside), Path(path).parent, []
    for given in tqdm(series.to_dict("records"), desc="patterns", unit="pattern", disable=not progress):
        row = {"file": given["file"], "formula": given["formula"], **dict.fromkeys(FOUND), "error": ""}
        try:
            row |= _found(given, folder, settings)
        except CrystalNetError as error:
            row["error"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows)


def _told(formula: str):
    """A formula; elements with commas between them where the ratios are not known; or nothing."""
    return [element.strip() for element in formula.split(",")] if "," in formula else formula or None


def _scan(text: str) -> int | None:
    if text and not text.isdecimal():
        raise CrystalNetError(
            f"There is no scan {text[:20]!r}. Give its number, 1 for the first.", Code.BAD_ARGUMENT
        )
    return int(text) if text else None


def _found(given: dict, folder: Path, settings: dict) -> dict:
    solution = solve(
        folder / given["file"],
        _told(given["formula"]),
        given["wavelength"] or None,
        given["crystal_system"] or None,
        scan=_scan(given["scan"]),
        progress=False,
        **settings,
    )
    best = solution.table().iloc[0] if solution.candidates else {}
    row = {name: best.get(name) for name in ("space group", "a (Å)", "c (Å)", "distance", "from")}
    row |= {"found": best.get("formula"), "probability": solution.confidence, "seconds": solution.seconds}
    if given["truth"] and solution.candidates:
        try:
            truth = Structure.from_file(folder / given["truth"])
        except Exception as error:  # pymatgen raises whatever its parsers do
            raise CrystalNetError(
                f"{given['truth']} can't be read ({error}). Give a CIF.", Code.FILE_UNREADABLE
            ) from None
        row["right"] = bool(StructureMatcher().fit(structure_of(solution.candidates[0].trial.atoms), truth))
    return row
