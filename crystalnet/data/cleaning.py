"""From crystals to the three sets: no duplicates, a split, and a count of what still leaks between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from crystalnet.data.crystals import Crystal
from crystalnet.errors import CrystalNetError

SPLITS = ("train", "val", "test")


def drop_duplicates(crystals: Iterable[Crystal]) -> tuple[list[Crystal], list[Crystal]]:
    """Kept crystals and duplicates, both in the given order.

    Two crystals are duplicates if they share reduced formula and space-group number (paper: Methods, 'Data');
    the first is kept, over all splits together.
    """
    kept: dict[tuple[str, int], Crystal] = {}
    duplicates = []
    for crystal in crystals:
        if kept.setdefault(_identity(crystal), crystal) is not crystal:
            duplicates.append(crystal)
    return list(kept.values()), duplicates


def split(
    crystals: Sequence[Crystal],
    how: str = "random",
    seed: int = 0,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    max_val: int = 250,
    max_test: int = 500,
) -> dict[str, list[Crystal]]:
    """Crystals in 'train', 'val' and 'test', each in the given order.

    'random': the paper's rule. Of the stable crystals, a tenth is drawn for validation, at most 250, and a
    tenth for the test, at most 500; every other crystal, stable or not, trains.
    'published': `Crystal.split` decides. Crystals without one train, so they can't change what is measured;
    `leakage` tells whether they stand too near to the test.

    Args:
        crystals: without duplicates; else one may sit in two sets.
        how: 'random' or 'published'.
        seed: of the random draw.
        val_fraction, test_fraction: of the stable crystals, rounded to whole ones.
        max_val, max_test: caps.

    Raises:
        CrystalNetError: unknown `how`, impossible fractions, an unknown published split, or an empty set.
    """
    if how == "published":
        assigned = [crystal.split or "train" for crystal in crystals]
        if unknown := set(assigned) - set(SPLITS):
            raise CrystalNetError(f"Unknown published split {sorted(unknown)}. Use train, val and test.")
    elif how == "random":
        if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
            raise CrystalNetError("Fractions below 0, or nothing left to train. Give smaller fractions.")
        stable = np.random.default_rng(seed).permutation([i for i, c in enumerate(crystals) if c.stable])
        n_test = min(round(test_fraction * len(stable)), max_test)
        n_val = min(round(val_fraction * len(stable)), max_val)
        assigned = ["train"] * len(crystals)
        for i in stable[:n_test]:
            assigned[i] = "test"
        for i in stable[n_test : n_test + n_val]:
            assigned[i] = "val"
    else:
        raise CrystalNetError(f"There is no split {how!r}. Choose 'random' or 'published'.")

    sets: dict[str, list[Crystal]] = {name: [] for name in SPLITS}
    for crystal, name in zip(crystals, assigned, strict=True):
        sets[name].append(crystal)
    if empty := [name for name in SPLITS if not sets[name]]:
        raise CrystalNetError(
            f"The {how} split leaves nothing for {' and '.join(empty)}. Read more crystals"
            + (", or choose the random split." if how == "published" else ", or raise the fractions.")
        )
    return sets


def leakage(splits: dict[str, list[Crystal]]) -> dict[str, int]:
    """How near the test stands to the training set.

    Returns:
        'test': number of test crystals, and how many of them find in training
        'same_formula_and_space_group': a duplicate;
        'same_formula': any polymorph;
        'swap_neighbour': a crystal whose formula differs in one element alone, as SrTiO3 and BaTiO3.
    """
    train, test = splits["train"], splits["test"]
    identities = {_identity(crystal) for crystal in train}
    formulas = {crystal.formula for crystal in train}
    neighbours: dict[tuple, set[tuple[str, float]]] = {}  # formula without one element -> such elements
    for crystal in train:
        for rest, share in _swaps(crystal):
            neighbours.setdefault(rest, set()).add(share)
    return {
        "test": len(test),
        "same_formula_and_space_group": sum(_identity(crystal) in identities for crystal in test),
        "same_formula": sum(crystal.formula in formulas for crystal in test),
        "swap_neighbour": sum(
            any(neighbours.get(rest, set()) - {share} for rest, share in _swaps(crystal)) for crystal in test
        ),
    }


def _identity(crystal: Crystal) -> tuple[str, int]:
    return crystal.formula, crystal.space_group


def _swaps(crystal: Crystal) -> list[tuple[tuple, tuple[str, float]]]:
    """Each way to leave out one element: what identifies the rest, and the element with its share."""
    formula = crystal.structure.composition.reduced_composition
    shares = frozenset((element.symbol, amount) for element, amount in formula.items())
    return [((formula.anonymized_formula, shares - {share}), share) for share in sorted(shares)]
