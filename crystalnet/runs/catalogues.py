"""Catalogues of your own: structure types fitted to a folder or table of crystals, of any number.

What is read and fitted is kept in a database beside the file to be, so that an interrupted catalogue goes on
where it was. In memory are the crystals of one anonymised formula.
"""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from crystalnet.data.leakage import Formula, reduced_formula
from crystalnet.data.tables import each_crystal
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.runs.provenance import fingerprint
from crystalnet.solving.clusters import fitted_types
from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.type_writing import write

BETWEEN_COMMITS = 200  # crystals, our choice: so many are read again after an interruption
_TABLES = """
create table if not exists source (fingerprint text);
create table if not exists crystals
    (number integer primary key, name text, amounts text, formula text, space_group integer, atoms blob,
    left_out text);
create index if not exists by_amounts on crystals (amounts);
create table if not exists fitted (amounts text primary key, types blob);
"""


def catalogue(
    source: str | Path, file: str | Path | None = None, *, fewest: int = 1, progress: bool = True
) -> Path:
    """Structure types of crystals, in a file that `crystalnet.solve(catalogue=...)` takes.

    Args:
        source: folder, file or table of crystals, see `data.tables.read_crystals`; what can't be used is left
            out, counted and warned of.
        file: to write; by default in the user's cache folder, under the source's name.
        fewest: compounds that a type must be fitted to.
        progress: show progress bars.

    Returns:
        the file. It holds mean cells and coordinates: of a type of one compound, those of the compound.

    Raises:
        CrystalNetError: no such source, nothing in it that can be used, or no room to write.

    >>> import tempfile
    >>> from pymatgen.core import Lattice, Structure
    >>> places = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], places)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = salt.to(f"{folder}/salt.cif")
    ...     catalogue(f"{folder}/salt.cif", f"{folder}/types.safetensors", progress=False).name
    'types.safetensors'
    """
    source = Path(source).expanduser()
    file = Path(file).expanduser() if file else _user_folder() / f"{source.name.split('.')[0]}.safetensors"
    work = file.with_name(file.name + ".work")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(_opened(work, source, fewest)) as database:
            _read(database, source, progress)
            _fit(database, fewest, progress)
            types = _fitted(database)
            write(file, types, fitted_to=_compounds(database), source=str(source.name))
    except (OSError, sqlite3.Error) as error:
        raise CrystalNetError(
            f"{work} could not be written ({error}). Free disk space, or choose another file.",
            Code.NOT_WRITTEN,
        ) from None
    work.unlink()
    return file


def _user_folder() -> Path:
    """Where catalogues are kept unless another place is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crystalnet" / "catalogues"


def _opened(work: Path, source: Path, fewest: int) -> sqlite3.Connection:
    """The database of a source; a new one if the source has changed, or the fewest compounds asked for."""
    if not source.exists():
        raise CrystalNetError(f"{source} does not exist. Correct the path.", Code.FILE_MISSING)
    now = json.dumps([fewest, fingerprint(source)])
    if work.exists():
        with closing(sqlite3.connect(work)) as database:
            database.executescript(_TABLES)
            kept = database.execute("select fingerprint from source").fetchone()
        if kept != (now,):
            work.unlink()
    database = sqlite3.connect(work)
    database.executescript(_TABLES)
    with database:
        database.execute("delete from source")
        database.execute("insert into source values (?)", (now,))
    return database


def _read(database: sqlite3.Connection, source: Path, progress: bool) -> None:
    """Every crystal of the source that the database lacks."""
    (done,) = database.execute("select count(*) from crystals").fetchone()
    bar = tqdm(each_crystal(source), f"Reading {source.name}", unit=" crystals", disable=not progress)
    for number, (name, read) in enumerate(bar):
        if number < done:
            continue
        try:
            crystal = read()
            formula = sorted(reduced_formula(crystal))
            amounts = json.dumps(sorted(amount for _, amount in formula))
            facts = amounts, json.dumps(formula), crystal.space_group, _packed(crystal.atoms), None
        except CrystalNetError as error:
            facts = None, None, None, None, str(error).removeprefix(f"{name}: ")
        database.execute("insert into crystals values (?, ?, ?, ?, ?, ?, ?)", (number, name, *facts))
        if number % BETWEEN_COMMITS == 0:
            database.commit()
    database.commit()
    reasons = database.execute("select left_out, count(*) from crystals group by left_out").fetchall()
    left_out = "".join(f"\n  {count} x {reason}" for reason, count in reasons if reason)
    if not any(reason is None for reason, _ in reasons):
        raise CrystalNetError(f"{source} holds no crystal that can be used.{left_out}", Code.NOTHING_LEFT)
    if left_out:
        warnings.warn(f"{source}: left out:{left_out}", stacklevel=3)


def _fit(database: sqlite3.Connection, fewest: int, progress: bool) -> None:
    """The types of every formula that the database lacks."""
    counts = dict(
        database.execute("select amounts, count(*) from crystals where atoms is not null group by amounts")
    )
    done = {amounts for (amounts,) in database.execute("select amounts from fitted")}
    with tqdm(total=sum(counts.values()), desc="Types", unit=" crystals", disable=not progress) as bar:
        for amounts, count in counts.items():
            if amounts not in done:
                rows = database.execute("select name, atoms from crystals where amounts = ?", (amounts,))
                types = fitted_types(((name, _unpacked(atoms)) for name, atoms in rows), fewest=fewest)
                packed = zlib.compress(json.dumps([one.as_dict() for one in types]).encode())
                with database:
                    database.execute("insert into fitted values (?, ?)", (amounts, packed))
            bar.update(count)


def _fitted(database: sqlite3.Connection) -> Iterator[FittedType]:
    """All types, by rising amounts."""
    formulas = [amounts for (amounts,) in database.execute("select amounts from fitted")]
    for amounts in sorted(formulas, key=json.loads):
        (packed,) = database.execute("select types from fitted where amounts = ?", (amounts,)).fetchone()
        yield from map(FittedType.from_dict, json.loads(zlib.decompress(packed)))


def _compounds(database: sqlite3.Connection) -> Iterator[tuple[Formula, int]]:
    """Formula and space group of every crystal."""
    for formula, group in database.execute("select distinct formula, space_group from crystals"):
        if formula:
            yield frozenset(map(tuple, json.loads(formula))), group


def _packed(atoms: Atoms) -> bytes:
    return zlib.compress(json.dumps([part.tolist() for part in atoms]).encode())


def _unpacked(packed: bytes) -> Atoms:
    return Atoms(*map(np.array, json.loads(zlib.decompress(packed))))
