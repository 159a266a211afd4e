"""Crystals from files: a folder or a single CIF, POSCAR or CHGCAR, a table of CIFs, or JSON lines."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar
from tqdm import tqdm

from crystalnet.data.crystals import CRYSTAL_SYSTEMS, Crystal, crystal_from_structure, crystal_system_of
from crystalnet.errors import CrystalNetError

FORMATS = "*.cif, POSCAR*, CONTCAR*, *.vasp, CHGCAR*, *.csv and *.jsonl, each also with .gz"


class _Record(NamedTuple):
    """A crystal to be: what is known of it before it is read, and how to read it."""

    name: str  # what errors call it
    read: Callable[[], Crystal]  # may raise CrystalNetError
    crystal_system: str | None = None
    split: str | None = None


def read_crystals(
    path: str | Path, crystal_system: str | None = None, limit: int | None = None
) -> list[Crystal]:
    """The crystals of a folder, a file or a table, in its order.

    - CIF, POSCAR and CHGCAR: one file, or a folder with all below it. The material_id is the file's name
      without extension; a bare POSCAR or CHGCAR takes its folder's. The crystal of a CHGCAR keeps the file's
      cell, for the density is given on it, and `chgcar` is the file.
    - CSV with the columns material_id and cif (the text of a CIF), and perhaps e_above_hull in eV/atom.
    - JSON lines, an object each: mp_id or id; spacegroup; lattice (3, 3) in Å; species; frac_coords;
      perhaps e_above_hull; perhaps split, of train_stable, train_unstable, train, val, test; perhaps match,
      where 'ambiguous' leaves the crystal out. The given cell is kept.

    All other crystals are reduced to the standardised primitive cell. A crystal is stable if its split says
    so, or else if it is not known to lie above the hull.

    What can't be used of a folder or table is left out with one warning that counts the reasons.

    Args:
        path: folder or file.
        crystal_system: keep only this one.
        limit: at most so many: the first ones or, where splits are published, every split's share (one
            crystal at least), evenly spaced over the file.

    Raises:
        CrystalNetError: a wrong argument; a single file that can't be used; nothing that can be used.
    """
    path = Path(path).expanduser()
    if crystal_system not in (None, *CRYSTAL_SYSTEMS):
        raise CrystalNetError(
            f"There is no crystal system {crystal_system!r}. Choose one of {', '.join(CRYSTAL_SYSTEMS)}."
        )
    if limit is not None and limit < 1:
        raise CrystalNetError(f"The limit of crystals to read is {limit}. Ask for 1 or more, or for None.")
    records = list(_records(path))
    if crystal_system:
        records = [record for record in records if record.crystal_system in (None, crystal_system)]
    if limit and any(record.split for record in records):
        records = _every_split(records, limit)

    crystals: dict[str, Crystal] = {}
    left_out: Counter[str] = Counter()
    for record in tqdm(records, desc=f"Reading {path.name}", unit=" crystals", delay=2, leave=False):
        if len(crystals) == limit:
            break
        try:
            crystal = record.read()
        except CrystalNetError as error:
            if path.is_file() and _kind(path) in _STRUCTURE_READERS:
                raise
            left_out[str(error).removeprefix(f"{record.name}: ")] += 1
            continue
        if crystal_system not in (None, crystal.crystal_system):
            continue
        if crystals.setdefault(crystal.material_id, crystal) is not crystal:
            left_out["another crystal has its material_id. Rename one."] += 1

    reasons = "".join(f"\n  {count} x {reason}" for reason, count in left_out.most_common())
    if not crystals:
        kind = f"{crystal_system} crystal" if crystal_system else "crystal"
        raise CrystalNetError(f"{path} holds no {kind} that can be used. It reads {FORMATS}.{reasons}")
    if left_out:
        warnings.warn(f"{path}: left out {left_out.total()}:{reasons}", stacklevel=2)
    return list(crystals.values())


def _every_split(records: list[_Record], limit: int) -> list[_Record]:
    """Each split's share of `limit` records, evenly spaced over the file; records without a split train."""
    groups: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        groups.setdefault(record.split or "train", []).append(i)
    if limit < len(groups):
        raise CrystalNetError(f"A limit of {limit} leaves a published split empty. Ask for more crystals.")
    limit = min(limit, len(records))
    shares = {name: max(1, limit * len(group) // len(records)) for name, group in groups.items()}
    largest = max(shares, key=shares.get)
    shares[largest] += limit - sum(shares.values())
    chosen: list[int] = []
    for name, group in groups.items():
        chosen += [group[i * len(group) // shares[name]] for i in range(shares[name])]
    return [records[i] for i in sorted(chosen)]


def _records(path: Path) -> Iterator[_Record]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        yield from (_structure_file(file) for file in files if _kind(file) in _STRUCTURE_READERS)
    elif not path.is_file():
        raise CrystalNetError(f"{path} does not exist. Correct the path.")
    elif (kind := _kind(path)) in _STRUCTURE_READERS:
        yield _structure_file(path)
    elif kind:
        yield from (_csv if kind == "csv" else _json_lines)(path)
    else:
        raise CrystalNetError(f"{path} is of no known format. Name it as one of {FORMATS}.")


def _kind(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, name)), None)


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as file:
            yield from file
    except (OSError, EOFError) as error:  # not a gzip file, cut short, no permission
        raise CrystalNetError(f"{path.name}: it can't be read ({error}). Fetch the file again.") from None


def _structure_file(path: Path) -> _Record:
    kind = _kind(path)
    stem = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    stem = re.sub(r"^(poscar|contcar|chgcar)[._-]?", "", stem, flags=re.IGNORECASE)
    stem = re.sub(r"[._-](poscar|contcar|chgcar|vasp|cif)$", "", stem, flags=re.IGNORECASE)
    material_id = stem or path.resolve().parent.name
    density = {"keep_cell": True, "chgcar": path} if kind == "chgcar" else {}

    def read() -> Crystal:
        structure = _STRUCTURE_READERS[kind](_lines(path), path.name)
        return crystal_from_structure(structure, material_id, name=path.name, source=path.name, **density)

    return _Record(path.name, read)


def _cif_structure(lines: Iterable[str], name: str) -> Structure:
    text = "".join(lines)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structures = CifParser.from_str(text).parse_structures(primitive=False)
        except Exception as error:  # the parser raises whatever its parts do, or warns of it
            cause = " ".join(str(caught[-1].message if caught else error).split())
            raise CrystalNetError(f"{name}: this CIF gives no structure ({cause}). Correct it.") from None
    if len(structures) != 1:
        raise CrystalNetError(f"{name}: the CIF holds {len(structures)} structures. Give each its own file.")
    return structures[0]


def _poscar_structure(lines: Iterable[str], name: str) -> Structure:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Elements in POSCAR", BadPoscarWarning)  # it would make them up
        try:
            return Poscar.from_str("".join(lines)).structure
        except Exception as error:
            raise CrystalNetError(
                f"{name}: its POSCAR part gives no structure ({error}). Write it in VASP 5 format."
            ) from None


def _chgcar_structure(lines: Iterable[str], name: str) -> Structure:
    lines = iter(lines)
    structure = _poscar_structure(takewhile(str.strip, lines), name)
    grid = next(lines, "").split()
    if len(grid) != 3 or not all(n.isdigit() for n in grid):
        raise CrystalNetError(f"{name}: no density follows the structure. Fetch the whole CHGCAR.")
    if np.linalg.det(structure.lattice.matrix) < 0:
        raise CrystalNetError(f"{name}: its cell is left-handed, which VASP refuses. Compute it anew.")
    return structure


def _csv(path: Path) -> Iterator[_Record]:
    try:
        table = pd.read_csv(path, dtype={"material_id": str, "cif": str})
    except (ValueError, OSError, EOFError) as error:
        raise CrystalNetError(f"{path.name}: the table can't be read ({error}). Write it as CSV.") from None
    if missing := {"material_id", "cif"} - set(table.columns):
        raise CrystalNetError(
            f"{path.name}: the table has no column {' and '.join(sorted(missing))}. Give material_id and cif."
        )

    def record(row: dict) -> _Record:
        material_id = str(row["material_id"])
        name = f"{path.name}, {material_id}"

        def read() -> Crystal:
            structure = _cif_structure([str(row["cif"])], name)
            stable = not row.get("e_above_hull", 0.0) > 0
            return crystal_from_structure(structure, material_id, name=name, stable=stable, source=path.name)

        return _Record(name, read)

    yield from map(record, table.to_dict("records"))


def _json_lines(path: Path) -> Iterator[_Record]:
    for number, line in enumerate(_lines(path), start=1):
        name = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
            if "ambiguous" not in (row.get("match") or ""):
                split = (row.get("split") or "").split("_")[0] or None
                read = partial(_json_crystal, row, name, split, path.name)
                yield _Record(name, read, crystal_system_of(row["spacegroup"]), split)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            yield _Record(name, partial(_refuse, name, error))


def _json_crystal(row: dict, name: str, split: str | None, source: str) -> Crystal:
    on_hull = not (row.get("e_above_hull") or 0.0) > 0
    stable = _STABLE_SPLITS.get(row.get("split"), on_hull)
    try:
        structure = Structure(row["lattice"], row["species"], row["frac_coords"])
        material_id = str(row["mp_id"] if "mp_id" in row else row["id"])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        _refuse(name, error)
    return crystal_from_structure(
        structure,
        material_id,
        name=name,
        keep_cell=True,
        space_group=row["spacegroup"],
        stable=stable,
        split=split,
        source=row.get("source") or source,
    )


def _refuse(name: str, error: Exception) -> NoReturn:
    cause = f"there is no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    raise CrystalNetError(f"{name}: {cause}. Correct the line; read_crystals tells what it holds.") from None


_STRUCTURE_READERS = {"cif": _cif_structure, "poscar": _poscar_structure, "chgcar": _chgcar_structure}
_STABLE_SPLITS = {"train_stable": True, "train_unstable": False, "val": True, "test": True}
_KINDS = {  # by file name, the first that fits
    "csv": r"\.csv$",
    "jsonl": r"\.jsonl$",
    "cif": r"\.cif$",
    "chgcar": r"chgcar",
    "poscar": r"poscar|contcar|\.vasp$",
}
