"""One pattern of a series: what was found, as a row, whatever goes wrong.

>>> given = dict.fromkeys(["formula", "wavelength", "crystal_system", "scan", "truth"], "")
>>> solved_row({**given, "file": "no-such-file.xy"}, Path("."), {})["code"]
'FILE_MISSING'
>>> died_row({"file": "a.xy", "formula": "NaCl"})["code"]
'PROCESS_DIED'
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymatgen.analysis.structure_matcher import FrameworkComparator, StructureMatcher
from pymatgen.core import Structure

from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.solution import solve

TOLD = ["file", "formula"]
BEST = [
    "space group",
    "a (Å)",
    "c (Å)",
    "distance",
    "from",
]  # of the first candidate, as the solution's table
FOUND = ["found", *BEST[:-1], "probability", "verdict", "right", "framework", "from", "seconds"]
WRONG = ["code", "error"]
COLUMNS = [*TOLD, *FOUND, *WRONG]


def solved_row(given: Mapping[str, str], folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The row (COLUMNS) of a pattern that a table names; an error of any kind is in it.

    Args:
        given: file, formula, wavelength, crystal_system, scan, truth; "" for what nobody said.
        folder: that files are relative to.
        settings: for `solve`.
    """
    row = {**dict.fromkeys(COLUMNS), **{name: given[name] for name in TOLD}, "code": "", "error": ""}
    try:
        return row | _found(given, folder, settings)
    except CrystalNetError as error:
        return row | {"code": error.code.name, "error": str(error)}
    except Exception as error:  # whatever it is, the other patterns go on
        return row | {"code": "", "error": f"{type(error).__name__}: {error}"}


def died_row(given: Mapping[str, str]) -> dict[str, Any]:
    """The row of a pattern whose process died twice."""
    error = f"{given['file']}: its process died twice, often for want of memory. Use fewer workers."
    row = {**dict.fromkeys(COLUMNS), **{name: given[name] for name in TOLD}}
    return row | {"code": Code.PROCESS_DIED.name, "error": error}


def _found(given: Mapping[str, str], folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    solution = solve(
        folder / given["file"],
        given["formula"] or None,
        given["wavelength"] or None,
        given["crystal_system"] or None,
        scan=_scan(given["scan"]),
        progress=False,
        **settings,
    )
    best = solution.table().iloc[0] if solution.candidates else {}
    row = {name: best.get(name) for name in BEST}
    row |= {"found": best.get("formula"), "probability": solution.confidence, "seconds": solution.seconds}
    row["verdict"] = solution.verdict.name
    if given["truth"] and solution.candidates:
        pair = structure_of(solution.candidates[0].trial.atoms), _truth(folder / given["truth"])
        row["right"] = bool(StructureMatcher().fit(*pair))
        # type and cell are right, whatever elements have changed places
        row["framework"] = bool(StructureMatcher(comparator=FrameworkComparator()).fit(*pair))
    return row


def _scan(text: str) -> int | None:
    if text and not text.isdecimal():
        raise CrystalNetError(
            f"There is no scan {text[:20]!r}. Give its number, 1 for the first.", Code.BAD_ARGUMENT
        )
    return int(text) if text else None


def _truth(path: Path) -> Structure:
    try:
        return Structure.from_file(path)
    except Exception as error:  # pymatgen raises whatever its parsers do
        raise CrystalNetError(
            f"{path.name} can't be read ({error}). Give a CIF.", Code.FILE_UNREADABLE
        ) from None
