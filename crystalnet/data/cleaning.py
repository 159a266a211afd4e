"""Duplicates: the same formula in the same space group."""

from __future__ import annotations

from collections.abc import Iterable

from crystalnet.data.crystals import Crystal


def drop_duplicates(crystals: Iterable[Crystal]) -> tuple[list[Crystal], list[Crystal]]:
    """Kept crystals and duplicates, both in the given order.

    Two crystals are duplicates if they share reduced formula and space-group number (paper: Methods, 'Data');
    the first is kept, over all splits together.

    >>> from dataclasses import replace
    >>> from crystalnet.data.prototypes import prototype_crystals
    >>> one, other = prototype_crystals("cubic", 2)
    >>> kept, duplicates = drop_duplicates([one, other, replace(one, material_id="again")])
    >>> len(kept), duplicates[0].material_id
    (2, 'again')
    """
    kept: dict[tuple[str, int], Crystal] = {}
    duplicates = []
    for crystal in crystals:
        if kept.setdefault(_identity(crystal), crystal) is not crystal:
            duplicates.append(crystal)
    return list(kept.values()), duplicates


def _identity(crystal: Crystal) -> tuple[str, int]:
    return crystal.formula, crystal.space_group
