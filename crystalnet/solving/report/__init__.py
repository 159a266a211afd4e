"""A solution on disk: what a person would file, and the files that other programs read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.ranking import structure_of
from crystalnet.solving.report import html, markdown
from crystalnet.solving.report.facts import MOST, Facts
from crystalnet.solving.report.files import cif, write_density
from crystalnet.solving.rietveld.result import Refined
from crystalnet.solving.solution import Solution


def write_report(
    solution: Solution,
    folder: str | Path,
    refined: Refined | None = None,
    *,
    remarks: Sequence[str] = (),
    most: int = MOST,
) -> Path:
    """report.html and report.md, CIFs of the best candidates, the density of the first as CHGCAR and cube,
    tables of candidates and reflections, and what a refinement leaves for other programs.

    The folder is written whole or not at all; one that exists already is left as it is.

    Args:
        folder: must not exist.
        refined: the refinement of the first candidate, as `rietveld.refined_or_why` gives it.
        remarks: on the refinement, such as why there is none.
        most: candidates that get a CIF.

    Returns:
        The folder.

    Raises:
        CrystalNetError: there is no candidate, the folder exists, or it cannot be written.
    """
    folder = absent(folder)
    if not solution.candidates:
        raise CrystalNetError(
            f"{solution.name}: there is no candidate to report. Check formula and wavelength first.",
            Code.NO_CANDIDATE,
        )
    part = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        for rank, candidate in enumerate(solution.candidates[:most], 1):
            formula = structure_of(candidate.trial.atoms).composition.reduced_formula
            name = f"{rank}-{formula}-{candidate.trial.template.space_group}"
            (part / f"{name}.cif").write_text(cif(candidate), encoding="utf-8")
        write_density(solution.candidates[0].trial.atoms, part / "1-density")
        facts = Facts.of(solution, refined, remarks)
        solution.table().to_csv(part / "candidates.csv", index=False)
        facts.reflections.to_csv(part / "reflections.csv", index=False)
        for end, text in (refined.files if refined else {}).items():
            (part / f"refined{end}").write_text(text, encoding="utf-8")
        (part / "report.md").write_text(markdown.page(facts), encoding="utf-8")
        (part / "report.html").write_text(html.page(facts, solution, refined), encoding="utf-8")
        os.chmod(part, 0o755)
        os.replace(part, folder)
    except OSError as error:
        raise CrystalNetError(
            f"{folder} could not be written ({error}). Free disk space, or choose another folder.",
            Code.NOT_WRITTEN,
        ) from None
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def absent(folder: str | Path) -> Path:
    """A folder that is not there yet. Raises CrystalNetError if it is.

    >>> absent("nowhere yet").name
    'nowhere yet'
    """
    folder = Path(folder)
    if folder.exists():
        raise CrystalNetError(
            f"{folder} exists already. Name another folder, or remove it first.", Code.NOT_WRITTEN
        )
    return folder


def report(solution: Solution, refined: Refined | None = None) -> str:
    """One page of Markdown: what was given, what was found, and how far it may be trusted."""
    return markdown.page(Facts.of(solution, refined))
