"""Modules that code imports, and the links to them."""

from pathlib import Path

from crystalnet.show.modules import PACKAGE, first_line, linked, modules_of

CODE = """
import numpy as np
from crystalnet.physics.density import promolecule_cmed
from crystalnet.errors import CrystalNetError

def later():
    from crystalnet.physics.density import GRID
    from crystalnet.data.materials_project import listing
    from pathlib import Path
"""


def test_modules_are_named_once_and_ours_alone():
    names = ["crystalnet.physics.density", "crystalnet.errors", "crystalnet.data.materials_project"]
    assert modules_of(CODE) == names
    for name in names:
        target = linked(name).split('"')[1]
        assert target.startswith("_sources/crystalnet/")
        assert (PACKAGE.parent / Path(target).relative_to("_sources")).exists()
        assert first_line(name)[0].isupper()
    assert modules_of("x = 1") == []
