"""The authors' own split: the lists of material ids in their repository, given as a folder of JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from crystalnet.data.crystals import Crystal
from crystalnet.errors import Code, CrystalNetError

LISTS = ("train_stable", "train_unstable", "val", "test")


class Missing(NamedTuple):
    """A crystal of the lists that is not at hand."""

    material_id: str
    formula: str
    list_name: str


class Labelled(NamedTuple):
    """Crystals with the authors' split, the listed ones that are missing, and how many others were given."""

    crystals: list[Crystal]
    missing: list[Missing]
    n_unlisted: int


@dataclass(frozen=True)
class PublishedSplit:
    """The lists of one crystal system: `lists` of LISTS, each a formula by material_id.

    >>> lists = dict.fromkeys(LISTS, {}) | {"val": {"mp-22862": "NaCl"}, "test": {"mp-1265": "MgO"}}
    >>> published = PublishedSplit("cubic", lists)
    >>> published.counts(), published.formulas()["test"]
    ({'train_stable': 0, 'train_unstable': 0, 'val': 1, 'test': 1}, ['MgO'])
    >>> published.label([]).missing[0]
    Missing(material_id='mp-22862', formula='NaCl', list_name='val')
    """

    crystal_system: str
    lists: dict[str, dict[str, str]]

    def counts(self) -> dict[str, int]:
        """Crystals in each list; the first two together are the paper's training set (Table 3)."""
        return {name: len(formulas) for name, formulas in self.lists.items()}

    def formulas(self) -> dict[str, list[str]]:
        """Formulas of 'train', 'val' and 'test', for `leakage`."""
        sets: dict[str, list[str]] = {}
        for name, formulas in self.lists.items():
            sets.setdefault(_set_of(name), []).extend(formulas.values())
        return sets

    def label(self, crystals: Iterable[Crystal]) -> Labelled:
        """The listed crystals with `split` and `stable` as published, in the given order.

        Only the same material_id counts. The Materials Project merges and renames entries over the years; one
        that it now has under another id is missing here.
        """
        list_of = {material_id: name for name, formulas in self.lists.items() for material_id in formulas}
        crystals = list(crystals)
        labelled = [
            replace(crystal, split=_set_of(name), stable=name != "train_unstable")
            for crystal in crystals
            if (name := list_of.get(crystal.material_id))
        ]
        found = {crystal.material_id for crystal in labelled}
        missing = [
            Missing(material_id, formula, name)
            for name, formulas in self.lists.items()
            for material_id, formula in formulas.items()
            if material_id not in found
        ]
        return Labelled(labelled, missing, len(crystals) - len(labelled))


def read_id_lists(folder: str | Path, crystal_system: str) -> PublishedSplit:
    """The authors' lists of a crystal system.

    Args:
        folder: holds <crystal_system>_train_stable.json, ..._train_unstable.json, ..._val.json and
            ..._test.json, each an object of formulas by material_id.
        crystal_system: 'cubic' or 'trigonal', as the files are named.

    Raises:
        CrystalNetError: a list that is missing, is not such an object, or shares an id with another.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in LISTS:
    ...         _ = (Path(folder) / f"cubic_{name}.json").write_text(f'{{"{name}-1": "NaCl"}}')
    ...     read_id_lists(folder, "cubic").counts()
    {'train_stable': 1, 'train_unstable': 1, 'val': 1, 'test': 1}
    """
    folder = Path(folder).expanduser()
    lists = {name: _read(folder / f"{crystal_system}_{name}.json") for name in LISTS}
    for one, other in combinations(LISTS, 2):
        if shared := sorted(lists[one].keys() & lists[other].keys()):
            raise CrystalNetError(
                f"{folder}: the {crystal_system} lists {one} and {other} share {len(shared)} ids, among them"
                f" {shared[0]}. Fetch the lists again.",
                Code.CONTRADICTION,
            )
    return PublishedSplit(crystal_system, lists)


def _read(path: Path) -> dict[str, str]:
    try:
        formulas = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CrystalNetError(
            f"{path} can't be read ({error.strerror}). Give the folder of the authors' lists, named like"
            " cubic_train_stable.json.",
            Code.FILE_MISSING,
        ) from None
    except (ValueError, RecursionError) as error:  # neither text nor JSON
        raise CrystalNetError(
            f"{path} is not JSON ({error}). Fetch the file again.", Code.FILE_UNREADABLE
        ) from None
    if not isinstance(formulas, dict) or not all(isinstance(formula, str) for formula in formulas.values()):
        raise CrystalNetError(
            f'{path} is not a list of formulas by id, as in {{"mp-5229": "SrTiO3"}}.'
            " Give the authors' file.",
            Code.FILE_UNREADABLE,
        )
    return formulas


def _set_of(list_name: str) -> str:
    return list_name.split("_")[0]
