"""Splits: what defines each rule, checked over every pair of crystals, and what each keeps."""

import os
import subprocess
import sys
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from crystalnet.data.crystals import Crystal
from crystalnet.data.prototypes import prototype_crystals
from crystalnet.data.splits import RULES, Split, split
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms

HARD = ("no_swap_neighbour", "held_out_types", "held_out_pairs")


def crystal(formula: str, space_group: int = 225, material_id: str = "x", **facts) -> Crystal:
    """A crystal of some formula whose atoms lie anywhere, so that its cell is primitive."""
    symbols = [str(element) for element, amount in Composition(formula).items() for _ in range(int(amount))]
    places = np.random.default_rng(0).random((len(symbols), 3))
    return Crystal(
        material_id, Atoms(9 * np.eye(3), places, np.array(symbols)), space_group, "cubic", **facts
    )


# ------------------------------------------------------------------ the paper's rules


@pytest.mark.parametrize(
    "n_stable, n_unstable, n_val, n_test",
    # both caps work: the paper's cubic crystals (4997 + 250 + 500 stable; 11381 unstable)
    [(5747, 11381, 250, 500), (2600, 100, 250, 260), (1000, 0, 100, 100), (20, 5, 2, 2)],
)
def test_random_split_draws_a_capped_tenth_of_the_stable(n_stable, n_unstable, n_val, n_test):
    atoms = crystal("NaCl").atoms
    everything = [
        Crystal(str(i), atoms, 225, "cubic", stable=i < n_stable) for i in range(n_stable + n_unstable)
    ]
    sets, left_out = split(everything, seed=3)
    assert {name: len(members) for name, members in sets.items()} == {
        "train": n_stable + n_unstable - n_val - n_test,
        "val": n_val,
        "test": n_test,
    }
    assert left_out == []
    assert all(c.stable for c in sets["val"] + sets["test"])
    for members in sets.values():
        ids = [int(c.material_id) for c in members]
        assert ids == sorted(ids)
    assert {c for members in sets.values() for c in members} == set(everything)
    assert split(everything, seed=3) == (sets, [])
    assert split(everything, seed=4).sets["test"] != sets["test"]


def test_published_split_is_followed_and_the_rest_trains():
    a, b, c, d = (crystal("NaCl", split=where) for where in ("test", None, "train", "val"))
    assert split([a, b, c, d], how="published") == Split({"train": [b, c], "val": [d], "test": [a]}, [])


@pytest.mark.parametrize(
    "how, options, message",
    [
        ("published", {}, "nothing for val and test.*random split"),
        ("random", {"test_fraction": 0.9, "val_fraction": 0.2}, "nothing left to train"),
        ("random", {"test_fraction": -0.1}, "Fractions below 0"),
        ("random", {"val_fraction": 0.0}, "nothing for val.*raise the fractions"),
        ("no_swap_neighbour", {}, "nothing for train.*random split"),
        ("held_out_types", {}, "nothing for val and test.*random split"),
        ("held_out_pairs", {}, "nothing for val and test.*random split"),
        ("hard", {}, "no split 'hard'.*random, published, no_swap_neighbour, held_out_types, held_out_pairs"),
    ],
)
def test_impossible_splits_are_refused(how, options, message):
    with pytest.raises(CrystalNetError, match=message):
        split([crystal("NaCl")] * 20, how=how, **options)


def test_unknown_published_split_is_refused():
    with pytest.raises(CrystalNetError, match="'holdout'"):
        split([crystal("NaCl", split="holdout")], how="published")


# ------------------------------------------------------------------ the hard rules


def related(a: Crystal, b: Crystal) -> bool:
    """Same formula, or one element renamed: what is left of both formulas is one element, equally often."""
    mine, theirs = (dict(c.composition.reduced_composition.get_el_amt_dict()) for c in (a, b))
    for element in set(mine) & set(theirs):
        if mine[element] == theirs[element]:
            del mine[element], theirs[element]
    return mine == theirs == {} or (
        len(mine) == len(theirs) == 1
        and set(mine) != set(theirs)
        and list(mine.values()) == list(theirs.values())
    )


def kind(c: Crystal) -> tuple:
    return c.composition.anonymized_formula, c.space_group, len(c.atoms.symbols)


def pairs(c: Crystal) -> set:
    return set(combinations(sorted(c.composition.get_el_amt_dict()), 2))


def assert_keeps_its_rule(how: str, sets: dict[str, list[Crystal]]) -> None:
    held_out = sets["val"] + sets["test"]
    if how == "no_swap_neighbour":
        assert not any(related(a, b) for a in held_out for b in sets["train"])
    elif how == "held_out_types":
        kinds = {name: {kind(c) for c in members} for name, members in sets.items()}
        assert not any(kinds[a] & kinds[b] for a, b in combinations(kinds, 2))
    else:
        trained = set().union(*(pairs(c) for c in sets["train"]))
        assert all(pairs(c) - trained for c in held_out)


def assert_nothing_lost(crystals: list[Crystal], found: Split, most: dict[str, int]) -> None:
    members = [*found.sets["train"], *found.sets["val"], *found.sets["test"], *found.left_out]
    assert Counter(c.material_id for c in members) == Counter(c.material_id for c in crystals)
    for part in (*found.sets.values(), found.left_out):
        places = [int(c.material_id) for c in part]
        assert places == sorted(places)
    for name in ("val", "test"):
        assert 0 < len(found.sets[name]) <= most[name]
        assert all(c.stable for c in found.sets[name])


ELEMENTS = st.permutations(["Na", "K", "Ca", "Sr", "Ti", "Zr", "O", "S", "Cl", "F"])
TEMPLATES = ["{}", "{}{}", "{}{}2", "{}2{}2", "{}{}{}3", "{}{}2{}4", "{}2{}{}{}6"]
recipes = st.tuples(st.sampled_from(TEMPLATES), ELEMENTS, st.sampled_from([221, 225]), st.booleans())


@pytest.mark.parametrize("how", HARD)
@given(st.lists(recipes, min_size=20, max_size=50), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_hard_splits_keep_their_rules_on_any_crystals(how, given_recipes, seed):
    crystals = [
        crystal(template.format(*elements), space_group, str(i), stable=stable)
        for i, (template, elements, space_group, stable) in enumerate(given_recipes)
    ]
    n = round(0.2 * sum(c.stable for c in crystals))
    most = {"val": min(n, 3), "test": n}
    try:
        found = split(crystals, how, seed, val_fraction=0.2, test_fraction=0.2, max_val=3)
    except CrystalNetError as error:
        event("refused")
        assert "leaves nothing for" in str(error)
        return
    assert_keeps_its_rule(how, found.sets)
    assert_nothing_lost(crystals, found, most)
    assert split(crystals, how, seed, val_fraction=0.2, test_fraction=0.2, max_val=3) == found
    if how == "no_swap_neighbour":
        assert {name: len(found.sets[name]) for name in most} == most
    if how == "held_out_types":  # no type that trains would have fitted
        room = max(most[name] - len(found.sets[name]) for name in most)
        trained = Counter(kind(c) for c in found.sets["train"] if c.stable)
        assert all(n > room for n in trained.values())
        assert not any(c.stable for c in found.left_out)
    if how == "held_out_pairs":
        assert not any(c.stable for c in found.left_out)


@pytest.fixture(scope="module")
def prototypes() -> list[Crystal]:
    crystals = prototype_crystals("cubic", 400, 0, max_atoms=5)
    return [
        Crystal(str(i), c.atoms, c.space_group, c.crystal_system, stable=i % 3 > 0)
        for i, c in enumerate(crystals)
    ]


@pytest.mark.parametrize("how", HARD)
@pytest.mark.parametrize("seed", [0, 1])
def test_embedded_crystals_can_be_split_hard(prototypes, how, seed):
    found = split(prototypes, how, seed)
    assert_keeps_its_rule(how, found.sets)
    assert_nothing_lost(prototypes, found, {"val": 27, "test": 27})  # a tenth of the 266 stable ones
    least = 18 if how == "held_out_types" else 27  # the 15 types need not fill the room
    assert all(len(found.sets[name]) >= least for name in ("val", "test"))
    assert split(prototypes, how, seed + 2).sets["test"] != found.sets["test"]


def test_without_swap_neighbours_the_test_keeps_the_types_of_a_random_draw_and_costs_less(prototypes):
    for seed in range(3):
        plain, found = split(prototypes, "random", seed).sets, split(prototypes, "no_swap_neighbour", seed)
        drawn = plain["val"] + plain["test"]
        assert Counter(map(kind, drawn)) == Counter(map(kind, found.sets["val"] + found.sets["test"]))
        cost = sum(any(related(a, b) for b in drawn) for a in plain["train"])
        assert len(found.left_out) < 0.8 * cost


def test_types_too_large_for_the_room_train():
    kinds = ["AlNi"] * 12 + ["AlNi3"] * 2 + ["AlNi2"] * 2 + ["Al3Ni5"] * 4
    crystals = [crystal(formula, material_id=str(i)) for i, formula in enumerate(kinds)]
    for seed in range(20):
        sets, left_out = split(crystals, "held_out_types", seed)  # room for 2 and 2
        held_out = {c.formula for c in sets["val"]}, {c.formula for c in sets["test"]}
        assert sorted(map(sorted, held_out)) == [["AlNi2"], ["AlNi3"]]
        assert left_out == []


def test_unstable_crystals_of_a_held_out_group_are_left_out():
    train = [crystal("NaCl", material_id=str(i)) for i in range(16)]
    rare = [crystal(f, material_id="stable") for f in ("CaF2", "CaF2", "SrTiO3", "SrTiO3")]
    unstable = [crystal("CaF2", stable=False), crystal("SrTiO3", stable=False)]
    for how in ("held_out_types", "held_out_pairs"):
        sets, left_out = split(train + rare + unstable, how)
        assert sets["train"] == train
        assert left_out == unstable


PROGRAM = """
import numpy as np
from crystalnet.data.crystals import Crystal
from crystalnet.data.splits import RULES, split
from crystalnet.physics.atoms import Atoms
rng = np.random.default_rng(0)
crystals = []
for i in range(200):
    symbols = rng.choice(["Na", "K", "Ca", "Sr", "Ti", "Zr", "O", "S", "Cl", "F"], rng.integers(2, 5))
    atoms = Atoms(9 * np.eye(3), rng.random((len(symbols), 3)), symbols)
    crystals.append(Crystal(str(i), atoms, 221, "cubic", split=("test", "val", "train")[i % 3]))
for how in RULES:
    print(how, *(c.material_id for part in split(crystals, how, 1).sets.values() for c in part))
"""


def test_splits_do_not_depend_on_the_order_of_sets():
    """Python orders sets of text anew in every process, unless told otherwise."""
    printed = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for hash_seed in ("1", "2")
    ]
    assert len(printed[0]) == len(RULES)
    assert printed[0] == printed[1]
