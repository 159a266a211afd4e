"""Many patterns solved one after the other: a table in, a table out, a row each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from tqdm.auto import tqdm

from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.solution import solve

NEEDED = ["file", "formula"]
OPTIONAL = ["wavelength", "crystal_system", "truth"]
FOUND = ["found", "space group", "a (Å)", "c (Å)", "distance", "probability", "right", "from", "seconds"]


def read_series(path) -> pd.DataFrame:
    """A CSV of patterns: file, formula, and if known wavelength, crystal_system, and truth, a CIF.

    Instead of a formula there may be elements, "La, B", or nothing. Files are relative to that of the table.
    Columns that are missing are added, empty.

    Raises:
        CrystalNetError: no such table, a column is missing or unknown, or there are no rows.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, comment="#", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise CrystalNetError(
            f"{path} can't be read as a table of patterns ({error}). Give a CSV.", Code.BAD_TABLE
        ) from None
    missing, unknown = set(NEEDED) - set(table), set(table) - {*NEEDED, *OPTIONAL}
    if missing or unknown or not len(table):
        wrong = f"lacks {', '.join(sorted(missing))}" if missing else "has no rows"
        wrong = f"has unknown columns {', '.join(sorted(unknown))}" if unknown else wrong
        raise CrystalNetError(
            f"{path} {wrong}. Its columns are {', '.join([*NEEDED, *OPTIONAL])}.", Code.BAD_TABLE
        )
    return table.reindex(columns=[*NEEDED, *OPTIONAL], fill_value="")


def solve_series(path, progress: bool = True, **settings) -> pd.DataFrame:
    """Solve every pattern of a table (see `read_series`); one that fails is a row with its error.

    Args:
        settings: for `solve`: catalogue, sources, seconds, seed.

    Returns:
        A row a pattern: file and formula; of the first candidate formula, space group, cell, distance,
        probability of being right, whether it is (StructureMatcher's defaults; empty without a truth) and
        origin; seconds; error ("" if all went well).
    """
    series, folder, rows = read_series(path), Path(path).parent, []
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


def _found(given: dict, folder: Path, settings: dict) -> dict:
    solution = solve(
        folder / given["file"],
        _told(given["formula"]),
        given["wavelength"] or None,
        given["crystal_system"] or None,
        progress=False,
        **settings,
    )
    best = solution.table().iloc[0] if solution.candidates else {}
    row = {name: best.get(name) for name in ("space group", "a (Å)", "c (Å)", "distance", "from")}
    row |= {"found": best.get("formula"), "probability": solution.confidence, "seconds": solution.seconds}
    if given["truth"] and solution.candidates:
        try:
            truth = Structure.from_file(folder / given["truth"])
        except (OSError, ValueError) as error:
            raise CrystalNetError(
                f"{given['truth']} can't be read ({error}). Give a CIF.", Code.FILE_UNREADABLE
            ) from None
        row["right"] = bool(StructureMatcher().fit(structure_of(solution.candidates[0].trial.atoms), truth))
    return row
