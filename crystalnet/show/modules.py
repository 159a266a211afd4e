"""Which modules of the package some code imports, as links to their source in the built book.

>>> modules_of("from crystalnet.physics.atoms import Atoms")
['crystalnet.physics.atoms']
>>> first_line("crystalnet.physics.atoms")
'Atoms in a periodic cell, as the bare arrays that physics needs.'
>>> linked("crystalnet.physics.atoms")
'<a href="_sources/crystalnet/physics/atoms.py">crystalnet.physics.atoms</a>'
"""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def modules_of(code: str) -> list[str]:
    """Names of the package's modules that code imports from, in that order, each once."""
    found = [node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    return [name for name in dict.fromkeys(found) if name and name.split(".")[0] == PACKAGE.name]


def linked(module: str) -> str:
    """A module's name as an HTML link to its source, relative to a page of the book."""
    return f'<a href="_sources/{_path(module).relative_to(PACKAGE.parent)}">{module}</a>'


def first_line(module: str) -> str:
    """What a module says of itself."""
    return ast.get_docstring(ast.parse(_path(module).read_text())).split("\n")[0]


def _path(module: str) -> Path:
    path = PACKAGE.parent / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
