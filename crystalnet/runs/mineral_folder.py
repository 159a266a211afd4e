"""A folder of measured minerals: what is known of each, from a list beside the files or from the files alone.

>>> import tempfile
>>> from pymatgen.core import Lattice
>>> salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0, 0]])
>>> with tempfile.TemporaryDirectory() as place:
...     _ = salt.to(f"{place}/NaCl_225.cif"), Path(place, "NaCl_225.xy").write_text("")
...     " ".join(map(str, about_minerals(place).loc["NaCl_225"]))
'NaCl cubic 2 True'
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.structure_types import FILE, TypeFile

INDEX = "index.json"
COLUMNS = ["formula", "system", "n_atoms", "formula_in_shared_structures"]
GROUPS = range(1, 231)


def about_minerals(folder: str | Path) -> pd.DataFrame:
    """COLUMNS of each mineral, by name: those of index.json, or if there is none as the CIFs have them.

    Args:
        folder: <name>.xy and <name>.cif of each mineral. The name ends in its space group, as in NaCl_225.

    Raises:
        CrystalNetError: no pair of files, or a CIF that cannot be read.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file():
        return pd.DataFrame(json.loads((folder / INDEX).read_text())).set_index("name")
    names = sorted(path.stem for path in folder.glob("*.xy") if path.with_suffix(".cif").is_file())
    if not names:
        raise CrystalNetError(
            f"{folder} has no pair of <name>.xy and <name>.cif. Put pattern and structure there.",
            Code.FILE_MISSING,
        )
    types = TypeFile(FILE)
    rows = [_about(folder / f"{name}.cif", types) for name in names]
    return pd.DataFrame(rows, pd.Index(names, name="name"), COLUMNS)


def was_seen(formula: str, types: TypeFile) -> bool:
    """Whether a crystal of that formula, in whatever space group, is among those that types are fitted to.

    >>> was_seen("NaCl", TypeFile(FILE)), was_seen("NaCl17", TypeFile(FILE))
    (True, False)
    """
    compound = frozenset(Knowledge.of_formula(formula).formula.items())
    return any(types.is_fitted_to(compound, group) for group in GROUPS)


def _about(path: Path, types: TypeFile) -> tuple[str, str, int, bool]:
    try:
        cell = SpacegroupAnalyzer(Structure.from_file(path))
        primitive, system = cell.find_primitive(), cell.get_crystal_system()
    except Exception as error:  # pymatgen raises whatever its parsers do
        raise CrystalNetError(
            f"{path.name} can't be read ({error}). Give a CIF.", Code.FILE_UNREADABLE
        ) from None
    formula = primitive.composition.reduced_formula
    return formula, system, len(primitive), was_seen(formula, types)
