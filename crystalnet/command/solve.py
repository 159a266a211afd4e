"""`crystalnet solve`: a pattern, a folder of patterns, or a table of them.

>>> from click.testing import CliRunner
>>> told = CliRunner().invoke(solve, ["no-such-file.xy", "--formula", "NaCl"])
>>> told.exception.code.name
'FILE_MISSING'
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click

MOST_SHOWN = 10  # candidates on the screen, our choice


@click.command()
@click.argument("pattern", type=click.Path(path_type=Path))
@click.option(
    "-f", "--formula", help="such as Mg2Si; 'Mg,Si' where the ratios are not known, '?' for an unknown one"
)
@click.option("-w", "--wavelength", help="Å, or a name such as CuKa, where the file does not say it")
@click.option("--scan", type=int, help="which one of a file of several, 1 for the first")
@click.option("-s", "--system", help="the crystal system, if it is known")
@click.option("--cell", nargs=6, type=float, metavar="A B C ALPHA BETA GAMMA", help="Å and degrees, if known")
@click.option("--space-group", help="number or symbol, if it is known with the cell")
@click.option(
    "--catalogue", type=click.Path(path_type=Path), help="structure types that `crystalnet catalogue` made"
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="folder of the report, or table of many patterns"
)
@click.option("--refine/--no-refine", default=True, help="the answer that the report shows")
@click.option("--seed", type=int, default=0, show_default=True, help="of everything drawn")
@click.option("--workers", type=int, default=1, show_default=True, help="processes, for many patterns")
@click.option("--dask", metavar="ADDRESS", help="of a Dask scheduler, for many patterns")
@click.option("--json", "as_json", is_flag=True, help="print the answer as JSON")
@click.option("--quiet", is_flag=True, help="no progress bar")
def solve(
    pattern: Path,
    *,
    formula: str | None,
    wavelength: str | None,
    scan: int | None,
    system: str | None,
    cell: tuple[float, ...],
    space_group: str | None,
    catalogue: Path | None,
    out: Path | None,
    refine: bool,
    seed: int,
    workers: int,
    dask: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Structures that explain PATTERN, ranked, with a probability.

    PATTERN is a file of one pattern, a folder of them, or a table: a CSV with the columns file, formula and,
    if known, wavelength, crystal_system and truth. What a table's --out holds is not computed again.
    """
    if pattern.is_dir() or _is_table(pattern):
        from crystalnet.runs.series import solve_series

        if cell or space_group:
            raise click.UsageError("--cell and --space-group are for one pattern, not for many.")
        out = out or pattern.with_name(f"{pattern.stem}-solved.csv")
        told = {"formula": formula, "wavelength": wavelength, "crystal_system": system, "scan": scan}
        told = {name: str(value) for name, value in told.items() if value}
        rows = solve_series(
            pattern,
            out,
            told=told,
            workers=workers,
            scheduler=dask,
            progress=not quiet,
            seed=seed,
            **({"catalogue": catalogue} if catalogue else {}),
        )
        click.echo(rows.to_json(orient="records") if as_json else rows.to_string(index=False))
        click.echo(f"Kept in {out}", err=True)
        return
    from crystalnet.solving.report import absent, write_report
    from crystalnet.solving.rietveld import refined_or_why
    from crystalnet.solving.solution import solve as solved

    if out:
        absent(out)  # before minutes of work
    told = {"cell": cell or None, "space_group": space_group, "scan": scan, "catalogue": catalogue}
    solution = solved(pattern, formula, wavelength, system, **told, progress=not quiet, seed=seed)
    folder = None
    if out:
        answer, why = None, ("Not refined: --no-refine.",)
        if refine and solution.candidates:
            answer, why = refined_or_why(solution.fit, solution.structure)
        folder = write_report(solution, out, answer, remarks=why)
    click.echo(json.dumps(_facts(solution, folder)) if as_json else _words(solution, folder))


def _is_table(path: Path) -> bool:
    """Whether a CSV names patterns rather than being one."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open(newline="", encoding="utf-8", errors="replace") as lines:
        head = next(csv.reader(line for line in lines if not line.startswith("#")), [])
    return {"file", "formula"} <= {name.strip() for name in head}


def _words(solution, folder: Path | None) -> str:
    lines = [f"{solution.name}: probability {solution.confidence:.2f}, {solution.seconds:.1f} s"]
    lines += [f"{solution.verdict.name}: {solution.verdict.value}"]
    lines += [solution.table().head(MOST_SHOWN).to_string(index=False)]
    return "\n".join(lines + [f"Report in {folder}"] * bool(folder))


def _facts(solution, folder: Path | None) -> dict[str, Any]:
    return {
        "pattern": solution.name,
        "verdict": solution.verdict.name,
        "probability": round(solution.confidence, 4),
        "seconds": solution.seconds,
        "candidates": json.loads(solution.table().to_json(orient="records")),
        "report": str(folder) if folder else None,
    }
