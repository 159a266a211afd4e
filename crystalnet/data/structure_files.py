"""Crystals from single files: CIF, POSCAR, CHGCAR, and the .npz files that hold a density."""

from __future__ import annotations

import gzip
import re
import warnings
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from crystalnet.data.crystals import Crystal, crystal_from_structure
from crystalnet.data.densities import read_cmed
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms


def structure_kind(path: Path) -> str | None:
    """'cif', 'chgcar', 'npz' or 'poscar', by the file's name; None for any other file."""
    name = path.name.lower().removesuffix(".gz")
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, name)), None)


def read_structure(path: Path) -> Crystal:
    """The crystal of one file.

    The material_id is the file's name without extension; a bare POSCAR or CHGCAR takes its folder's. A file
    with a density keeps its cell, for the density is given on it, and becomes the crystal's `density_file`.
    Any other is reduced to the standardised primitive cell.

    Raises:
        CrystalNetError: a file that can't be read or whose structure can't be used.
    """
    kind = structure_kind(path)
    stem = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    stem = re.sub(r"^(poscar|contcar|chgcar)[._-]?", "", stem, flags=re.IGNORECASE)
    stem = re.sub(r"[._-](poscar|contcar|chgcar|vasp|cif|npz)$", "", stem, flags=re.IGNORECASE)
    material_id = stem or path.resolve().parent.name
    density = {"keep_cell": True, "density_file": path} if kind in ("chgcar", "npz") else {}
    structure = _READERS[kind](path)
    return crystal_from_structure(structure, material_id, name=path.name, source=path.name, **density)


def lines_of(path: Path) -> Iterator[str]:
    """Lines of a text file, gzipped or not; what can't be read is one clear error."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as file:
            yield from file
    except (OSError, EOFError) as error:  # not a gzip file, cut short, no permission
        raise CrystalNetError(
            f"{path.name}: it can't be read ({error}). Fetch the file again.", Code.FILE_UNREADABLE
        ) from None


def cif_structure(lines: Iterable[str], name: str) -> Structure:
    """The one structure of a CIF; `name` is for the error."""
    from pymatgen.io.cif import CifParser  # 80 MB and seconds that other sources do without

    text = "".join(lines)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structures = CifParser.from_str(text).parse_structures(primitive=False)
        except Exception as error:  # the parser raises whatever its parts do, or warns of it
            cause = " ".join(str(caught[-1].message if caught else error).split())
            raise CrystalNetError(
                f"{name}: this CIF gives no structure ({cause}). Correct it.", Code.FILE_UNREADABLE
            ) from None
    if len(structures) != 1:
        raise CrystalNetError(
            f"{name}: the CIF holds {len(structures)} structures. Give each its own file.",
            Code.FILE_UNREADABLE,
        )
    return structures[0]


def _poscar(lines: Iterable[str], name: str) -> Structure:
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Elements in POSCAR", BadPoscarWarning)  # it would make them up
        try:
            return Poscar.from_str("".join(lines)).structure
        except Exception as error:
            raise CrystalNetError(
                f"{name}: its POSCAR part gives no structure ({error}). Write it in VASP 5 format.",
                Code.FILE_UNREADABLE,
            ) from None


def _chgcar(lines: Iterable[str], name: str) -> Structure:
    lines = iter(lines)
    structure = _poscar(takewhile(str.strip, lines), name)
    grid = next(lines, "").split()
    if len(grid) != 3 or not all(n.isdigit() for n in grid):
        raise CrystalNetError(
            f"{name}: no density follows the structure. Fetch the whole CHGCAR.", Code.BAD_DENSITY
        )
    if np.linalg.det(structure.lattice.matrix) < 0:
        raise CrystalNetError(
            f"{name}: its cell is left-handed, which VASP refuses. Compute it anew.", Code.BAD_STRUCTURE
        )
    return structure


def _npz(path: Path) -> Atoms:
    return read_cmed(path)[1]


_READERS = {
    "cif": lambda path: cif_structure(lines_of(path), path.name),
    "chgcar": lambda path: _chgcar(lines_of(path), path.name),
    "npz": _npz,
    "poscar": lambda path: _poscar(lines_of(path), path.name),
}
_KINDS = {  # by file name, the first that fits
    "cif": r"\.cif$",
    "npz": r"\.npz$",
    "chgcar": r"chgcar",
    "poscar": r"poscar|contcar|\.vasp$",
}
