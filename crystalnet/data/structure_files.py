"""Crystals from single files: CIF, POSCAR, CHGCAR, and the .npz files that hold a density.

>>> structure_kind(Path("NaCl.cif")), structure_kind(Path("CHGCAR.gz")), structure_kind(Path("notes.md"))
('cif', 'chgcar', None)
>>> import tempfile
>>> from pymatgen.core import Lattice
>>> cell = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "salt.cif"
...     _ = cell.to(str(path))
...     crystal, read = read_structure(path), cif_structure(lines_of(path), "salt")
>>> crystal.material_id, round(read.volume / crystal.atoms.volume)  # the primitive cell is a quarter
('salt', 4)
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from crystalnet.data.checks import MAX_ATOMS, dense_as_a_crystal
from crystalnet.data.chgcar import chgcar_grid, chgcar_head
from crystalnet.data.cif import MOST, cif_structure
from crystalnet.data.crystals import Crystal, crystal_from_structure
from crystalnet.data.densities import read_cmed
from crystalnet.data.text_files import lines_of
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
    dense_as_a_crystal(structure, path.name)
    return crystal_from_structure(structure, material_id, name=path.name, source=path.name, **density)


def _poscar(lines: Iterable[str], name: str) -> Structure:
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

    lines = list(lines)
    _check_counts(lines, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Elements in POSCAR", BadPoscarWarning)  # it would make them up
        try:
            return Poscar.from_str("".join(lines)).structure
        except Exception as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            raise CrystalNetError(
                f"{name}: its POSCAR part gives no structure ({cause}). Write it in VASP 5 format.",
                Code.FILE_UNREADABLE,
            ) from None


def _check_counts(lines: list[str], name: str) -> None:
    """The numbers of atoms: as many as a crystal may have, one for each symbol, as many lines after them."""
    integers = [bool(line.split()) and all(map(_INTEGER.fullmatch, line.split())) for line in lines]
    start = next((i for i in range(5, min(27, len(lines))) if integers[i]), None)  # symbols may fill lines
    if start is None:
        return  # no VASP file: the parser says so
    end = next(i for i in range(start, len(lines) + 1) if i == len(lines) or not integers[i])
    counts = [int(word[:20]) for line in lines[start:end] for word in line.split()]
    if min(counts) < 0 or sum(counts) > MAX_ATOMS:
        raise CrystalNetError(
            f"{name}: its counts of atoms are {' '.join(map(str, counts))[:60]}, {sum(counts)} in all. From 1"
            f" to {MAX_ATOMS} atoms are read: give the primitive cell.",
            Code.TOO_LARGE if sum(counts) > MAX_ATOMS else Code.BAD_STRUCTURE,
        )
    symbols = [word for line in lines[5:start] for word in line.split()]
    if symbols and len(symbols) != len(counts):
        raise CrystalNetError(
            f"{name}: it names {len(symbols)} elements and gives {len(counts)} counts of atoms. Correct the"
            " file.",
            Code.CONTRADICTION,
        )
    sites = list(takewhile(str.strip, lines[end:]))
    sites = sites[1 + sites[0].lstrip().lower().startswith("s") :] if sites else []  # selective dynamics
    numeric = sum(bool(_COORDINATES.match(line)) for line in sites)
    if numeric > sum(counts):
        raise CrystalNetError(
            f"{name}: it counts {sum(counts)} atoms and lists {numeric}. Correct the file.",
            Code.CONTRADICTION,
        )


def _chgcar(lines: Iterable[str], name: str) -> Structure:
    lines = iter(lines)
    structure = _poscar(chgcar_head(lines), name)
    chgcar_grid(lines, name)
    if np.linalg.det(structure.lattice.matrix) < 0:
        raise CrystalNetError(
            f"{name}: its cell is left-handed, which VASP refuses. Compute it anew.", Code.BAD_STRUCTURE
        )
    return structure


def _npz(path: Path) -> Atoms:
    return read_cmed(path)[1]


_INTEGER = re.compile(r"[+-]?\d+")
_COORDINATES = re.compile(r"\s*(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?(?:\s+|$)){3}")
_READERS = {
    "cif": lambda path: cif_structure(lines_of(path, MOST, "replace"), path.name),
    "chgcar": lambda path: _chgcar(lines_of(path, errors="replace"), path.name),
    "npz": _npz,
    "poscar": lambda path: _poscar(lines_of(path, MOST, "replace"), path.name),
}
_KINDS = {  # by file name, the first that fits
    "cif": r"\.cif$",
    "npz": r"\.npz$",
    "chgcar": r"chgcar",
    "poscar": r"poscar|contcar|\.vasp$",
}
