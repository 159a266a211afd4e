"""`crystalnet refine`: a structure fitted to a measured pattern.

>>> from click.testing import CliRunner
>>> CliRunner().invoke(refine, ["--help"]).output.splitlines()[0]
'Usage: refine [OPTIONS] PATTERN STRUCTURE'
"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("pattern", type=click.Path(path_type=Path))
@click.argument("structure", type=click.Path(path_type=Path))
@click.option("-w", "--wavelength", help="Å, or a name such as CuKa, where the file does not say it")
@click.option("--scan", type=int, help="which one of a file of several, 1 for the first")
@click.option(
    "--with",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    help="a further phase of the sample (CIF, POSCAR), of which cell and amount are refined; may be repeated",
)
@click.option("--cell-only", is_flag=True, help="keep the atoms where they are")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="folder of CIF, sites, profile and page")
@click.option("--json", "as_json", is_flag=True, help="print the answer as JSON")
def refine(
    pattern: Path,
    structure: Path,
    *,
    wavelength: str | None,
    scan: int | None,
    others: tuple[Path, ...],
    cell_only: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Rietveld refinement of STRUCTURE (CIF, POSCAR) against PATTERN: cell, sites and R factors."""
    from crystalnet.data.tables import read_crystals
    from crystalnet.patterns.measured import read_pattern
    from crystalnet.solving.report import absent
    from crystalnet.solving.rietveld import refined
    from crystalnet.solving.rietveld.files import refinement_page, write_refined

    if out:
        absent(out)
    phase, *more = (read_crystals(path).crystals[0].structure for path in (structure, *others))
    measured = read_pattern(pattern, wavelength, scan=scan)
    answer = refined(measured, phase, wavelength, free_atoms=not cell_only, others=more)
    folder = write_refined(answer, out, pattern.name) if out else None
    if as_json:
        cell = {axis: str(quantity) for axis, quantity in answer.cell.items()}
        told = {"cell": cell, **answer.factors, "before": answer.before, "seconds": answer.seconds}
        told["shares"] = {name: share.value for name, share in answer.shares.items()}
        click.echo(json.dumps({**told, "folder": str(folder) if folder else None}))
    else:
        click.echo(refinement_page(answer, pattern.name))
