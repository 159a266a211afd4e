"""Rows of tables, each a crystal to be: of CSV with the texts of CIFs, or of JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from crystalnet.data.checks import dense_as_a_crystal
from crystalnet.data.cif import MOST, cif_structure
from crystalnet.data.crystals import Crystal, crystal_from_structure, crystal_system_of
from crystalnet.data.text_files import lines_of
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms


class Record(NamedTuple):
    """A crystal to be: what is known of it before it is read, and how to read it."""

    name: str  # what errors call it
    read: Callable[[], Crystal]  # may raise CrystalNetError
    crystal_system: str | None = None
    split: str | None = None


def csv_records(path: Path) -> Iterator[Record]:
    """The rows of a table with the columns material_id and cif, all of them text.

    Raises:
        CrystalNetError: no such table; a row that is none is refused when it is read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.csv"
    ...     _ = path.write_text("material_id,cif\\nmp-1,data_\\nmp-2,data_\\n")
    ...     [record.name for record in csv_records(path)]
    ['two.csv, mp-1', 'two.csv, mp-2']
    """
    csv.field_size_limit(MOST)
    reader = csv.reader(lines_of(path), strict=True)
    header = [column.strip() for column in _parsed(reader, path, most=1)[0]]
    if missing := {"material_id", "cif"} - set(header):
        raise CrystalNetError(
            f"{path.name}: the table has no column {' and '.join(sorted(missing))}."
            " Give material_id and cif.",
            Code.BAD_TABLE,
        )
    if len(set(header)) < len(header):
        raise CrystalNetError(
            f"{path.name}: two columns have one name, in {', '.join(header)}. Rename one.", Code.BAD_TABLE
        )

    def record(number: int, fields: list[str]) -> Record:
        row = dict(zip(header, fields, strict=False))
        material_id = row.get("material_id", "").strip()
        name = f"{path.name}, {material_id or f'row {number}'}"

        def read() -> Crystal:
            try:
                if len(fields) != len(header):
                    raise ValueError(f"it has {len(fields)} fields, the table {len(header)} columns")
                _check_id(material_id)
                stable = not _above_hull(row.get("e_above_hull"))
            except ValueError as error:
                _refuse(name, error)
            structure = cif_structure([row["cif"]], name)
            dense_as_a_crystal(structure, name)
            return crystal_from_structure(structure, material_id, name=name, stable=stable, source=path.name)

        return Record(name, read)

    rows = enumerate(_parsed(reader, path), start=1)
    yield from (record(number, fields) for number, fields in rows if fields)


def _parsed(reader: Iterator[list[str]], path: Path, most: int | None = None) -> list[list[str]]:
    """The next rows of a table, a header at least."""
    try:
        return list(islice(reader, most)) or ([[]] if most else [])
    except csv.Error as error:
        raise CrystalNetError(
            f"{path.name}: the table can't be read ({error}). Write it as CSV.", Code.BAD_TABLE
        ) from None


def json_records(path: Path) -> Iterator[Record]:
    """The lines of a file of JSON objects.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "one.jsonl"
    ...     row = {"id": "po", "spacegroup": 221, "lattice": [[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]]}
    ...     _ = path.write_text(json.dumps(row | {"species": ["Po"], "frac_coords": [[0, 0, 0]]}))
    ...     [(record.crystal_system, record.read().formula) for record in json_records(path)]
    [('cubic', 'Po')]
    """
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        name = f"{path.name}, line {number}"
        try:
            row = _row(line)
            if "ambiguous" not in (row.get("match") or ""):
                if (split := row.get("split") or None) not in (None, *LABELS):
                    raise ValueError(f"there is no split {split!r}, but {', '.join(LABELS)}")
                split = split and split.split("_")[0]
                read = partial(_json_crystal, line, name, split, path.name)  # text is smaller than objects
                yield Record(name, read, crystal_system_of(_whole(row["spacegroup"])), split)
        except _WRONG as error:
            yield Record(name, partial(_refuse, name, error))


def _json_crystal(line: str, name: str, split: str | None, source: str) -> Crystal:
    row = _row(line)
    try:
        if isinstance(row.get("e_above_hull"), str):
            raise ValueError(f"e_above_hull is the text {row['e_above_hull']!r}, no number of eV/atom")
        stable = _STABLE_SPLITS.get(row.get("split"), not _above_hull(row.get("e_above_hull")))
        lattice, frac_coords = np.array(row["lattice"], float), np.array(row["frac_coords"], float)
        if not isinstance(row["species"], list):
            raise ValueError("species must be a list of symbols")
        if lattice.shape != (3, 3) or frac_coords.shape != (len(row["species"]), 3):
            raise ValueError("lattice must be 3 x 3, with three coordinates for each of the species")
        atoms = Atoms(lattice, frac_coords, np.array(row["species"], str))
        material_id = row["mp_id"] if "mp_id" in row else row["id"]
        material_id = _check_id(material_id if isinstance(material_id, str) else str(_whole(material_id)))
        if not isinstance(source := row.get("source") or source, str):
            raise ValueError(f"source is {source!r}, no text")
    except _WRONG as error:
        _refuse(name, error)
    dense_as_a_crystal(atoms, name)
    return crystal_from_structure(
        atoms,
        material_id,
        name=name,
        keep_cell=True,
        space_group=row["spacegroup"],
        stable=stable,
        split=split,
        source=source,
    )


def _row(line: str) -> dict:
    """One line of JSON; a key that stands twice would have its last value."""

    def once(pairs: list) -> dict:
        row = dict(pairs)
        if len(row) < len(pairs):
            raise ValueError("a key stands there twice")
        return row

    return json.loads(line, object_pairs_hook=once)


def _above_hull(energy: str | float | None) -> bool:
    """Whether an energy above the hull in eV/atom is positive; a missing one is not known to be."""
    if energy is None or energy in ("", "NaN", "nan") or energy != energy:
        return False
    try:
        value = np.nan if isinstance(energy, bool) else float(energy)
    except (TypeError, ValueError, OverflowError):
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"e_above_hull is {energy!r}, no number of eV/atom")
    return value > 0


def _whole(value: int) -> int:
    if type(value) is not int:  # True and 225.0 are none
        raise ValueError(f"{value!r} is no whole number")
    return value


def _check_id(material_id: str) -> str:
    if not material_id:
        raise ValueError("its material_id is empty")
    return material_id


def _refuse(name: str, error: Exception) -> NoReturn:
    cause = f"there is no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    raise CrystalNetError(
        f"{name}: {cause}. Correct the line; read_crystals tells what it holds.", Code.BAD_TABLE
    ) from None


_WRONG = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
_STABLE_SPLITS = {"train_stable": True, "train_unstable": False, "val": True, "test": True}
LABELS = ("train", *_STABLE_SPLITS)
