"""Crystals from files: a folder or a single structure file, a table of CIFs, or JSON lines."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from crystalnet.data.crystals import CRYSTAL_SYSTEMS, Crystal
from crystalnet.data.rows import Record, csv_records, json_records
from crystalnet.data.structure_files import read_structure, structure_kind
from crystalnet.errors import Code, CrystalNetError

FORMATS = "*.cif, POSCAR*, CONTCAR*, *.vasp, CHGCAR*, *.npz, *.csv and *.jsonl, all but .npz also with .gz"


class Reading(NamedTuple):
    """What a source gave: its crystals, and how many were left out, by reason."""

    crystals: list[Crystal]
    left_out: Counter[str]


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

    >>> import tempfile
    >>> from pymatgen.core import Lattice, Structure
    >>> iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = iron.to(f"{folder}/iron.cif", fmt="cif")
    ...     crystals, left_out = read_crystals(folder, progress=False)
    >>> crystals[0].material_id, crystals[0].space_group, sum(left_out.values())
    ('iron', 229, 0)
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


def each_crystal(path: str | Path) -> Iterator[tuple[str, Callable[[], Crystal]]]:
    """Crystals of a folder, file or table one after the other, for more of them than fit into memory.

    Yields:
        what errors call a crystal, and a function that reads it or raises a CrystalNetError.

    Raises:
        CrystalNetError: no such path, of no known format, or a table without its columns.

    >>> import tempfile
    >>> from pymatgen.core import Lattice, Structure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]]).to(f"{folder}/po.cif")
    ...     [(name, read().formula) for name, read in each_crystal(folder)]
    [('po.cif', 'Po')]
    """
    for record in _records(Path(path).expanduser()):
        yield record.name, record.read


def _every_split(records: list[Record], limit: int) -> list[Record]:
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


def _records(path: Path) -> Iterator[Record]:
    name = path.name.lower()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and structure_kind(file))
        yield from (Record(file.name, partial(read_structure, file)) for file in files)
    elif not path.is_file():
        raise CrystalNetError(f"{path} does not exist. Correct the path.", Code.FILE_MISSING)
    elif re.search(r"\.csv(\.gz)?$", name):
        yield from csv_records(path)
    elif re.search(r"\.jsonl(\.gz)?$", name):
        yield from json_records(path)
    elif structure_kind(path):
        yield Record(path.name, partial(read_structure, path))
    else:
        raise CrystalNetError(
            f"{path} is of no known format. Name it as one of {FORMATS}.", Code.UNKNOWN_FORMAT
        )
