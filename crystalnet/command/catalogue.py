"""`crystalnet catalogue`: structure types of crystals, for `crystalnet solve --catalogue`.

>>> from click.testing import CliRunner
>>> told = CliRunner().invoke(catalogue, ["no-such-folder"])
>>> told.exception.code.name
'FILE_MISSING'
"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="file; by default in your cache folder")
@click.option("--fewest", type=click.IntRange(1), default=1, show_default=True, help="compounds of a type")
@click.option("--json", "as_json", is_flag=True, help="print file and number of types as JSON")
@click.option("--quiet", is_flag=True, help="no progress bar")
def catalogue(source: Path, *, out: Path | None, fewest: int, as_json: bool, quiet: bool) -> None:
    """Structure types of SOURCE: a folder of CIFs and POSCARs, a file of them, or a table.

    What was interrupted goes on where it was.
    """
    from crystalnet.runs.catalogues import catalogue as made
    from crystalnet.solving.structure_types import TypeFile

    file = made(source, out, fewest=fewest, progress=not quiet)
    n_types = len(TypeFile(file))
    told = {"file": str(file), "types": n_types}
    click.echo(json.dumps(told) if as_json else f"{n_types} types in {file}")
