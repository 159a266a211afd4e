"""`crystalnet formats` and `crystalnet doctor`: what can be read, and whether this machine is well.

>>> from click.testing import CliRunner
>>> CliRunner().invoke(formats).output.startswith("Patterns: columns of text")
True
>>> doctor.name
'doctor'
"""

from __future__ import annotations

import click


@click.command()
def formats() -> None:
    """Files of patterns and structures that are read."""
    from crystalnet.data import tables
    from crystalnet.patterns import formats as patterns

    click.echo(f"Patterns: {patterns.FORMATS}\nStructures: {tables.FORMATS}")


@click.command()
def doctor() -> None:
    """Versions, hardware, and whether every network of the package is whole."""
    from crystalnet.model import library
    from crystalnet.runs.provenance import environment

    for name, value in environment().items():
        click.echo(f"{name:12} {value}")
    for name in library.available():
        library.load(name)
        click.echo(f"{'network':12} {name}: whole")
