"""Crystals into three sets: by the paper's rule, as published, or so that no relative of the test trains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from crystalnet.data.crystals import Crystal
from crystalnet.data.leakage import reduced_formula, structure_type, swaps
from crystalnet.errors import Code, CrystalNetError

SPLITS = ("train", "val", "test")
LEFT_OUT = "left_out"


class Split(NamedTuple):
    """Crystals in 'train', 'val' and 'test', and those in none of them, each in the given order."""

    sets: dict[str, list[Crystal]]
    left_out: list[Crystal]


def split(
    crystals: Sequence[Crystal],
    how: str = "random",
    seed: int = 0,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    max_val: int = 250,
    max_test: int = 500,
) -> Split:
    """Every crystal into 'train', 'val' or 'test', or left out because it is near to validation or test.

    'random': the paper's rule. Of the stable crystals, a tenth is drawn for validation, at most 250, and a
    tenth for the test, at most 500; every other crystal, stable or not, trains.
    'published': `Crystal.split` decides. Crystals without one train, so they can't change what is measured.

    Three hard rules hold out as many stable crystals, or a few less, and leave out of training what is too
    near to them. Validation and test may stand near each other, but for the types:

    'no_swap_neighbour': no crystal of the same formula and no swap neighbour of a held-out crystal trains.
    'held_out_types': structure types (see `leakage.structure_type`) drawn at random, each whole in either
    validation or test. Types with more stable crystals than there is room for are passed over, and train.
    'held_out_pairs': pairs of elements drawn at random. No crystal that contains both elements trains.

    Args:
        crystals: without duplicates; else one may sit in two sets.
        how: one of RULES.
        seed: of the draw.
        val_fraction, test_fraction: of the stable crystals, rounded to whole ones.
        max_val, max_test: caps.

    Raises:
        CrystalNetError: unknown `how`, impossible fractions, an unknown published split, or an empty set.

    >>> from crystalnet.data.prototypes import prototype_crystals
    >>> sets, left_out = split(prototype_crystals("cubic", 40), how="random")
    >>> {name: len(crystals) for name, crystals in sets.items()}, len(left_out)
    ({'train': 32, 'val': 4, 'test': 4}, 0)
    """
    if how not in RULES:
        raise CrystalNetError(
            f"There is no split {how!r}. Choose one of {', '.join(RULES)}.", Code.BAD_ARGUMENT
        )
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise CrystalNetError(
            "Fractions below 0, or nothing left to train. Give smaller fractions.", Code.BAD_ARGUMENT
        )
    rng = np.random.default_rng(seed)
    stable = rng.permutation([i for i, crystal in enumerate(crystals) if crystal.stable])
    sizes = {
        "test": min(round(test_fraction * len(stable)), max_test),
        "val": min(round(val_fraction * len(stable)), max_val),
    }
    assigned = RULES[how](crystals, stable, sizes, rng)

    members: dict[str, list[Crystal]] = {name: [] for name in (*SPLITS, LEFT_OUT)}
    for crystal, name in zip(crystals, assigned, strict=True):
        members[name].append(crystal)
    left_out = members.pop(LEFT_OUT)
    if empty := [name for name in SPLITS if not members[name]]:
        raise CrystalNetError(
            f"The {how} split leaves nothing for {' and '.join(empty)}. Read more crystals, "
            + ("raise the fractions." if how == "random" else "or choose the random split."),
            Code.NOTHING_LEFT,
        )
    return Split(members, left_out)


def _random(crystals, stable, sizes, rng) -> list[str]:
    assigned = ["train"] * len(crystals)
    for i, name in zip(stable, _names(sizes), strict=False):
        assigned[i] = name
    return assigned


def _published(crystals, stable, sizes, rng) -> list[str]:
    assigned = [crystal.split or "train" for crystal in crystals]
    if unknown := set(assigned) - set(SPLITS):
        raise CrystalNetError(
            f"Unknown published split {sorted(unknown)}. Use train, val and test.", Code.BAD_ARGUMENT
        )
    return assigned


def _no_swap_neighbour(crystals, stable, sizes, rng) -> list[str]:
    """Draw as at random, then let another stable crystal of the same structure type stand in for each one
    drawn: the one with the smallest share of its relatives still in training.

    So the held-out crystals share relatives. Of the paper's 13,156 different cubic crystals that are at hand,
    2,300 are left out, against 6,800 when the drawn ones are kept. The held-out crystals have the structure
    types of the draw, and as many relatives as other crystals. Those with fewest relatives would cost half
    as much, but they are the odd ones.
    """
    relatives = _relatives(crystals)
    n_relatives = np.array([len(indices) for indices in relatives])
    n_training = n_relatives.copy()  # those of them that still train
    trains = np.ones(len(crystals), dtype=bool)
    types = [structure_type(crystal) for crystal in crystals]
    candidates = defaultdict(list)
    for i in stable:
        candidates[types[i]].append(i)
    held_out = {}
    # Names in mixed order: the first of a type is a free choice, the others stand near it.
    for drawn, name in zip(stable, rng.permutation(_names(sizes)).tolist(), strict=False):
        group = candidates[types[drawn]]
        i = group.pop((n_training[group] / n_relatives[group]).argmin())
        held_out[i] = name
        for gone in relatives[i][trains[relatives[i]]]:
            n_training[relatives[gone]] -= 1
        trains[relatives[i]] = False
    return [held_out.get(i, "train" if trains[i] else LEFT_OUT) for i in range(len(crystals))]


def _relatives(crystals: Sequence[Crystal]) -> list[np.ndarray]:
    """For each crystal the indices of its formula's crystals, itself included, and of its swap neighbours."""
    places = [swaps(reduced_formula(crystal)) for crystal in crystals]
    at_place = defaultdict(list)
    for i, places_of_one in enumerate(places):
        for place in places_of_one:
            at_place[place].append(i)
    return [np.unique(np.concatenate([at_place[place] for place in one])) for one in places]


def _held_out_types(crystals, stable, sizes, rng) -> list[str]:
    groups = defaultdict(list)
    for i, crystal in enumerate(crystals):
        groups[structure_type(crystal)].append(i)
    return _hold_out(list(groups.values()), crystals, sizes, rng)


def _held_out_pairs(crystals, stable, sizes, rng) -> list[str]:
    groups = defaultdict(list)
    for i, crystal in enumerate(crystals):
        for pair in combinations(sorted(set(crystal.atoms.symbols.tolist())), 2):
            groups[pair].append(i)
    return _hold_out(list(groups.values()), crystals, sizes, rng)


def _names(sizes: dict[str, int]) -> list[str]:
    return [name for name, size in sizes.items() for _ in range(size)]


def _hold_out(groups: list[list[int]], crystals, sizes, rng) -> list[str]:
    """Draw whole groups; the stable crystals of each go where they fit and the larger share is free."""
    assigned = ["train"] * len(crystals)
    room = dict(sizes)
    for k in rng.permutation(len(groups)):
        group = [i for i in groups[k] if assigned[i] == "train"]
        n = sum(crystals[i].stable for i in group)
        if n and (fitting := [name for name in room if n <= room[name]]):
            name = max(fitting, key=lambda name: room[name] / sizes[name])
            room[name] -= n
            for i in group:
                assigned[i] = name if crystals[i].stable else LEFT_OUT
    return assigned


RULES: dict[str, Callable[..., Iterable[str]]] = {
    "random": _random,
    "published": _published,
    "no_swap_neighbour": _no_swap_neighbour,
    "held_out_types": _held_out_types,
    "held_out_pairs": _held_out_pairs,
}
"""Rules by name: of (crystals, indices of the stable ones in random order, sizes, rng) a set each."""
