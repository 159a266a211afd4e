"""Crystals from files: a folder or a single structure file, a table of CIFs, or JSON lines."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from tqdm.auto import tqdm

from crystalnet.data.crystals import CRYSTAL_SYSTEMS, Crystal, crystal_from_structure, crystal_system_of
from crystalnet.data.structure_files import cif_structure, lines_of, read_structure, structure_kind
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms

FORMATS = "*.cif, POSCAR*, CONTCAR*, *.vasp, CHGCAR*, *.npz, *.csv and *.jsonl, all but .npz also with .gz"


class Reading(NamedTuple):
    """What a source gave: its crystals, and how many were left out, by reason."""

    crystals: list[Crystal]
    left_out: Counter[str]


class _Record(NamedTuple):
    """A crystal to be: what is known of it before it is read, and how to read it."""

    name: str  # what errors call it
    read: Callable[[], Crystal]  # may raise CrystalNetError
    crystal_system: str | None = None
    split: str | None = None


def read_crystals(
    path: str | Path, crystal_system: str | None = None, limit: int | None = None, progress: bool = True
) -> Reading:
    """The crystals of a folder, a file or a table, in its order.

    - CIF, POSCAR, CHGCAR, .npz: one file, or a folder with all below it; see `read_structure`.
    - CSV with the columns material_id and cif (the text of a CIF), and perhaps e_above_hull in eV/atom.
    - JSON lines, an object each: mp_id or id; spacegroup; lattice (3, 3) in Å; species; frac_coords;
      perhaps e_above_hull; perhaps split, of train_stable, train_unstable, train, val, test; perhaps match,
      where 'ambiguous' leaves the crystal out. The given cell is kept.

    Cells that are not kept are reduced to the standardised primitive cell. A crystal is stable if its split
    says so, or else if it is not known to lie above the hull.

    What can't be used of a folder or table is left out, counted by reason, and warned of once.

    Args:
        path: folder or file.
        crystal_system: keep only this one.
        limit: at most so many: the first ones or, where splits are published, every split's share (one
            crystal at least), evenly spaced over the file.
        progress: show a progress bar when it takes long.

    Raises:
        CrystalNetError: a wrong argument; a single file that can't be used; nothing that can be used.
    """
    path = Path(path).expanduser()
    if crystal_system not in (None, *CRYSTAL_SYSTEMS):
        raise CrystalNetError(
            f"There is no crystal system {crystal_system!r}. Choose one of {', '.join(CRYSTAL_SYSTEMS)}.",
            Code.BAD_ARGUMENT,
        )
    if limit is not None and limit < 1:
        raise CrystalNetError(
            f"The limit of crystals to read is {limit}. Ask for 1 or more, or for None.", Code.BAD_ARGUMENT
        )
    records = [
        r for r in _records(path) if crystal_system in (None, r.crystal_system) or not r.crystal_system
    ]
    if limit and any(record.split for record in records):
        records = _every_split(records, limit)

    crystals: dict[str, Crystal] = {}
    left_out: Counter[str] = Counter()
    bar = tqdm(records, f"Reading {path.name}", unit=" crystals", delay=2, leave=False, disable=not progress)
    for record in bar:
        if len(crystals) == limit:
            break
        try:
            crystal = record.read()
        except CrystalNetError as error:
            if path.is_file() and structure_kind(path):
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
        raise CrystalNetError(
            f"{path} holds no {kind} that can be used. It reads {FORMATS}.{reasons}", Code.NOTHING_LEFT
        )
    if left_out:
        warnings.warn(f"{path}: left out {left_out.total()}:{reasons}", stacklevel=2)
    return Reading(list(crystals.values()), left_out)


def _every_split(records: list[_Record], limit: int) -> list[_Record]:
    """Each split's share of `limit` records, evenly spaced over the file; records without a split train."""
    groups: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        groups.setdefault(record.split or "train", []).append(i)
    if limit < len(groups):
        raise CrystalNetError(
            f"A limit of {limit} leaves a published split empty. Ask for more crystals.", Code.NOTHING_LEFT
        )
    limit = min(limit, len(records))
    shares = {name: max(1, limit * len(group) // len(records)) for name, group in groups.items()}
    largest = max(shares, key=shares.get)
    shares[largest] += limit - sum(shares.values())
    chosen: list[int] = []
    for name, group in groups.items():
        chosen += [group[i * len(group) // shares[name]] for i in range(shares[name])]
    return [records[i] for i in sorted(chosen)]


def _records(path: Path) -> Iterator[_Record]:
    name = path.name.lower()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and structure_kind(file))
        yield from (_Record(file.name, partial(read_structure, file)) for file in files)
    elif not path.is_file():
        raise CrystalNetError(f"{path} does not exist. Correct the path.", Code.FILE_MISSING)
    elif re.search(r"\.csv(\.gz)?$", name):
        yield from _csv(path)
    elif re.search(r"\.jsonl(\.gz)?$", name):
        yield from _json_lines(path)
    elif structure_kind(path):
        yield _Record(path.name, partial(read_structure, path))
    else:
        raise CrystalNetError(
            f"{path} is of no known format. Name it as one of {FORMATS}.", Code.UNKNOWN_FORMAT
        )


def _csv(path: Path) -> Iterator[_Record]:
    import pandas as pd  # 70 MB that other sources do without

    try:
        table = pd.read_csv(path, dtype={"material_id": str, "cif": str})
    except (ValueError, OSError, EOFError) as error:
        raise CrystalNetError(
            f"{path.name}: the table can't be read ({error}). Write it as CSV.", Code.BAD_TABLE
        ) from None
    if missing := {"material_id", "cif"} - set(table.columns):
        raise CrystalNetError(
            f"{path.name}: the table has no column {' and '.join(sorted(missing))}."
            " Give material_id and cif.",
            Code.BAD_TABLE,
        )

    def record(row: dict) -> _Record:
        material_id = str(row["material_id"])
        name = f"{path.name}, {material_id}"

        def read() -> Crystal:
            structure = cif_structure([str(row["cif"])], name)
            stable = not row.get("e_above_hull", 0.0) > 0
            return crystal_from_structure(structure, material_id, name=name, stable=stable, source=path.name)

        return _Record(name, read)

    yield from map(record, table.to_dict("records"))


def _json_lines(path: Path) -> Iterator[_Record]:
    for number, line in enumerate(lines_of(path), start=1):
        name = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
            if "ambiguous" not in (row.get("match") or ""):
                split = (row.get("split") or "").split("_")[0] or None
                read = partial(_json_crystal, line, name, split, path.name)  # text is smaller than objects
                yield _Record(name, read, crystal_system_of(row["spacegroup"]), split)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            yield _Record(name, partial(_refuse, name, error))


def _json_crystal(line: str, name: str, split: str | None, source: str) -> Crystal:
    row = json.loads(line)
    on_hull = not (row.get("e_above_hull") or 0.0) > 0
    stable = _STABLE_SPLITS.get(row.get("split"), on_hull)
    try:
        lattice, frac_coords = np.array(row["lattice"], float), np.array(row["frac_coords"], float)
        if lattice.shape != (3, 3) or frac_coords.shape != (len(row["species"]), 3):
            raise ValueError("lattice must be 3 x 3, with three coordinates for each of the species")
        atoms = Atoms(lattice, frac_coords, np.array(row["species"], str))
        material_id = str(row["mp_id"] if "mp_id" in row else row["id"])
    except (ValueError, TypeError, KeyError) as error:
        _refuse(name, error)
    return crystal_from_structure(
        atoms,
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
    raise CrystalNetError(
        f"{name}: {cause}. Correct the line; read_crystals tells what it holds.", Code.BAD_TABLE
    ) from None


_STABLE_SPLITS = {"train_stable": True, "train_unstable": False, "val": True, "test": True}
