"""The command and how it ends: 0, or the number of the kind of error that it names.

>>> from click.testing import CliRunner
>>> CliRunner().invoke(main, ["pattern", "no-such-file.cif"]).exit_code > 0  # `Explained.invoke` says why
True
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from crystalnet import __version__
from crystalnet.command.catalogue import catalogue
from crystalnet.command.doctor import doctor, formats
from crystalnet.command.pattern import pattern
from crystalnet.command.refine import refine
from crystalnet.command.solve import solve
from crystalnet.errors import CrystalNetError


class Explained(click.Group):
    """A group of commands whose errors are one line, or JSON where the command was asked for it."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CrystalNetError as error:
            if "--json" in sys.argv:
                click.echo(json.dumps({"error": error.code.name, "message": str(error)}))
            else:
                click.echo(f"{error.code.name}: {error}", err=True)
            context.exit(error.code.status)


@click.group(cls=Explained, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Crystal structures from powder diffraction.

    An error ends a command with a number of its own; the book's page of errors lists them all.
    """


for command in (solve, refine, catalogue, pattern, formats, doctor):
    main.add_command(command)
