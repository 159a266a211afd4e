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
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from crystalnet.data.crystals import crystal_system_of
from crystalnet.data.leakage import ENANTIOMORPHS, Formula
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.tables import SYMBOLS
from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.templates import FAMILIES, Template

FILE = Path(__file__).with_suffix(".safetensors")  # those of the package; `python book/types.py` makes it
CARD = FILE.with_suffix(".md")
VERSION = "1"
PLACES = 65520  # of a coordinate: 1/24, 1/16, 1/7 and 1/5 are exact, and it fits into 16 bits
LOWER = np.tril_indices(3)


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
    >>> types.named()[0].name, types.space_groups[:2]  # of the elements, the densest first
    ('Heusler type', array([225, 229], dtype=uint8))
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
    def space_groups(self) -> np.ndarray:
        """(N,) number of each type's."""
        return self._file.get_tensor("space_group")

    @property
    def formulas(self) -> list[tuple[int, ...]]:
        """Amounts of the anonymised formulas that there are types of, each rising."""
        return list(self._place)

    def templates(self, amounts: tuple[int, ...], family: str | None = None) -> list[Template]:
        """The types of an anonymised formula, the most frequent first, of one family if given."""
        if (place := self._place.get(tuple(amounts))) is None:
            return []
        start, end = (int(number) for number in self._first_type[place : place + 2])
        types = {name: self._rows(name, start, end) for name in TYPES}
        firsts = {name: self._rows(name, start, end + 1) for name in ("first_site", "first_element")}
        ranges = [(int(first[0]), int(first[-1])) for first in firsts.values()]
        sites = {name: self._rows(name, *ranges[0]) for name in SITES}
        elements = {name: self._rows(name, *ranges[1]) for name in ELEMENTS}
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

    def named(self) -> list[Template]:
        """The types that have a name, the most frequent first."""
        places = np.array([int(place) for place in self.names])
        formulas = set(np.searchsorted(self._first_type, places, side="right") - 1)
        found = [one for place in formulas for one in self.templates(self.formulas[place])]
        known = {f"{name} type" for name in self.names.values()}
        return sorted((one for one in found if one.name in known), key=lambda one: -one.n_compounds)

    def is_fitted_to(self, compound: Formula, space_group: int) -> bool:
        """Whether a crystal of that formula and space group is among those that types are fitted to."""
        place = np.searchsorted(self._fitted_to, one := fingerprint(compound, space_group))
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


TYPES = ("space_group", "cell", "strain_spread", "n_compounds")
SITES = ("site_role", "site_letter", "site_place", "site_spread")
ELEMENTS = ("element_role", "element_number", "element_count")


def fingerprint(compound: Formula, space_group: int) -> np.uint64:
    """Of a formula and a space group, mirror images alike.

    >>> quartz = frozenset({("Si", 1), ("O", 2)})
    >>> fingerprint(quartz, 152) == fingerprint(quartz, 154)
    np.True_
    """
    text = f"{sorted(compound)} {ENANTIOMORPHS.get(space_group, space_group)}"
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))


def _fitted(amounts: tuple[int, ...], kind: dict, sites: dict, elements: dict) -> FittedType:
    lattice = np.zeros((3, 3))
    lattice[LOWER] = kind["cell"]
    counts = tuple(Counter() for _ in amounts)
    for role, number, count in zip(*(elements[name].tolist() for name in ELEMENTS), strict=True):
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
