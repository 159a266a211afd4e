"""Files of structure types: statistics of fitted types, read by anonymised formula without reading the rest.

A safetensors file, its types sorted by the amounts of their formula, so that those of a formula are a range:

    amounts (F, W), first_type (F + 1)                                      formulas, padded with 0
    space_group, cell (6), strain_spread (6), n_compounds,
    first_site, first_element (N + 1)                                       types; cells as lower triangles
    site_role, site_letter, site_place (3), site_spread                     sites; places in 1/65520, Å
    element_role, element_number, element_count                             elements in the roles of types
    fitted_to                                                               hashes of compound and space group
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from crystalnet.data.crystals import crystal_system_of
from crystalnet.data.leakage import ENANTIOMORPHS, Formula
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS
from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.templates import FAMILIES, Template

FILE = Path(__file__).with_suffix(".safetensors")  # those of the package; `python book/types.py` makes it
CARD = FILE.with_suffix(".md")
VERSION = "1"
PLACES = 65520  # of a coordinate: 1/24, 1/16, 1/7 and 1/5 are exact, and it fits into 16 bits
_LOWER = np.tril_indices(3)


class TypeFile:
    """The structure types of a file, as templates.

    Args:
        path: stays open; only what is asked for is read.

    Raises:
        CrystalNetError: no such file, or none that holds types.

    >>> types = TypeFile(FILE)
    >>> types.formulas[0], len(types.sizes) == len(types)
    ((1,), True)
    >>> types.is_fitted_to(frozenset({("Na", 1), ("Cl", 1)}), 225)
    True
    >>> salt = next(one for one in types.templates((1, 1), "cubic") if one.space_group == 225)
    >>> salt.name, salt.n_compounds in types.sizes, len(types.names) > 0
    ('rock salt type', True, True)
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise CrystalNetError(f"{path} is no file. Correct the path.", Code.FILE_MISSING)
        try:
            self._file = safe_open(self.path, framework="numpy")
            self.about: dict = json.loads((self._file.metadata() or {}).get("about", "{}"))
            amounts, self._first_type = (self._file.get_tensor(name) for name in ("amounts", "first_type"))
        except (OSError, SafetensorError, ValueError) as error:
            raise CrystalNetError(
                f"{path} holds no structure types ({error}). Make it anew.", Code.DAMAGED
            ) from None
        if self.about.get("version") != VERSION:
            raise CrystalNetError(f"{path} is of another version. Make it anew.", Code.DAMAGED)
        self._place = {tuple(row[row > 0].tolist()): place for place, row in enumerate(amounts)}

    def __reduce__(self):
        return type(self), (self.path,)

    def __len__(self) -> int:
        return int(self._first_type[-1])

    @property
    def sizes(self) -> np.ndarray:
        """(N,) compounds of each type."""
        return self._file.get_tensor("n_compounds")

    @property
    def formulas(self) -> list[tuple[int, ...]]:
        """Amounts of the anonymised formulas that there are types of, each rising."""
        return list(self._place)

    def templates(self, amounts: tuple[int, ...], family: str | None = None) -> list[Template]:
        """The types of an anonymised formula, the most frequent first, of one family if given."""
        if (place := self._place.get(tuple(amounts))) is None:
            return []
        start, end = (int(number) for number in self._first_type[place : place + 2])
        types = {name: self._rows(name, start, end) for name in _TYPES}
        firsts = {name: self._rows(name, start, end + 1) for name in ("first_site", "first_element")}
        ranges = [(int(first[0]), int(first[-1])) for first in firsts.values()]
        sites = {name: self._rows(name, *ranges[0]) for name in _SITES}
        elements = {name: self._rows(name, *ranges[1]) for name in _ELEMENTS}
        found = []
        for row in range(end - start):
            space_group = int(types["space_group"][row])
            if family in (None, FAMILIES[crystal_system_of(space_group)]):
                (of_site, of_element) = (
                    slice(*(int(first[row + step] - first[0]) for step in (0, 1)))
                    for first in firsts.values()
                )
                one = _fitted(
                    tuple(amounts),
                    {name: rows[row] for name, rows in types.items()},
                    {name: rows[of_site] for name, rows in sites.items()},
                    {name: rows[of_element] for name, rows in elements.items()},
                )
                found.append(one.template(self.names.get(str(start + row), "")))
        return found

    def is_fitted_to(self, compound: Formula, space_group: int) -> bool:
        """Whether a crystal of that formula and space group is among those that types are fitted to."""
        place = np.searchsorted(self._fitted_to, one := _hash(compound, space_group))
        return bool(place < len(self._fitted_to) and self._fitted_to[place] == one)

    @cached_property
    def _fitted_to(self) -> np.ndarray:
        return self._file.get_tensor("fitted_to")

    @property
    def names(self) -> dict[str, str]:
        """Names of types that have one, by place."""
        return self.about["names"]

    def _rows(self, name: str, start: int, end: int) -> np.ndarray:
        return self._file.get_slice(name)[start:end]


_TYPES = ("space_group", "cell", "strain_spread", "n_compounds")
_SITES = ("site_role", "site_letter", "site_place", "site_spread")
_ELEMENTS = ("element_role", "element_number", "element_count")
_DTYPES = {
    "space_group": np.uint8,
    "cell": np.float32,
    "strain_spread": np.float16,
    "n_compounds": np.uint32,
    "site_role": np.uint8,
    "site_letter": np.uint8,
    "site_place": np.uint16,
    "site_spread": np.float16,
    "element_role": np.uint8,
    "element_number": np.uint8,
    "element_count": np.uint32,
}


def write(
    path: Path,
    types: Iterable[FittedType],
    names: Mapping[int, str] | None = None,
    fitted_to: Iterable[tuple[Formula, int]] = (),
    **about: str,
) -> None:
    """Keep types, the whole file or nothing.

    Args:
        types: by rising amounts, those of a formula with the most frequent first. They are taken one by one,
            and 200 bytes or so of each stay in memory.
        names: of some of them, by their place.
        fitted_to: formula and space group of the crystals.
        about: texts of the file's header: source, licence.

    Raises:
        CrystalNetError: the file cannot be written.
    """
    columns = {name: bytearray() for name in _DTYPES}
    counted: Counter[tuple[int, ...]] = Counter()
    firsts = {"first_site": [0], "first_element": [0]}
    for one in types:
        counted[one.amounts] += 1
        elements = [
            (role, ATOMIC_NUMBERS[symbol], count)
            for role, counts in enumerate(one.elements)
            for symbol, count in counts.most_common()
        ]
        firsts["first_site"].append(firsts["first_site"][-1] + len(one.roles))
        firsts["first_element"].append(firsts["first_element"][-1] + len(elements))
        rows = {
            "space_group": one.space_group,
            "cell": one.lattice[_LOWER],
            "strain_spread": one.strain_spread,
            "n_compounds": one.n_compounds,
            "site_role": one.roles,
            "site_letter": list(map(ord, one.letters)),
            "site_place": np.round(one.coords * PLACES).astype(int) % PLACES,
            "site_spread": one.spread,
            **dict(zip(_ELEMENTS, zip(*elements, strict=True), strict=True)),
        }
        for name, values in rows.items():
            columns[name] += np.asarray(values, _DTYPES[name]).tobytes()
    if list(counted) != sorted(counted):
        raise ValueError("types are written by rising amounts")
    padded = np.zeros((len(counted), max(map(len, counted), default=1)), np.uint16)
    for row, amounts in zip(padded, counted, strict=True):
        row[: len(amounts)] = amounts
    arrays = {
        "amounts": padded,
        "first_type": np.cumsum([0, *counted.values()], dtype=np.int64),
        **{name: np.array(first, np.int64) for name, first in firsts.items()},
        **{name: np.frombuffer(columns[name], dtype) for name, dtype in _DTYPES.items()},
        "fitted_to": np.unique(np.array([_hash(*one) for one in fitted_to], np.uint64)),
    }
    for name, width in {"cell": 6, "strain_spread": 6, "site_place": 3}.items():
        arrays[name] = arrays[name].reshape(-1, width)
    header = {
        "about": json.dumps({"version": VERSION, "names": names or {}, **about})
    }  # one: their order varies
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, part, header)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space, or choose another folder.",
            Code.NOT_WRITTEN,
        ) from None


def in_order(types: Iterable[FittedType]) -> list[FittedType]:
    """As `write` takes them."""
    return sorted(types, key=lambda one: (one.amounts, -one.n_compounds))


def _hash(compound: Formula, space_group: int) -> np.uint64:
    text = f"{sorted(compound)} {ENANTIOMORPHS.get(space_group, space_group)}"
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))


def _fitted(amounts: tuple[int, ...], kind: dict, sites: dict, elements: dict) -> FittedType:
    lattice = np.zeros((3, 3))
    lattice[_LOWER] = kind["cell"]
    counts = tuple(Counter() for _ in amounts)
    for role, number, count in zip(*(elements[name].tolist() for name in _ELEMENTS), strict=True):
        counts[role][SYMBOLS[number - 1]] = count
    return FittedType(
        amounts,
        int(kind["space_group"]),
        lattice,
        kind["strain_spread"].astype(float),
        sites["site_place"] / PLACES,
        sites["site_spread"].astype(float),
        sites["site_role"].astype(int),
        tuple(map(chr, sites["site_letter"])),
        counts,
        int(kind["n_compounds"]),
    )
