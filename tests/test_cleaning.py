"""Duplicates, splits and leakage: properties over random crystals, and the published split's own numbers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from crystalnet.data.cleaning import drop_duplicates, leakage, split
from crystalnet.data.crystals import Crystal
from crystalnet.errors import CrystalNetError


def crystal(formula: str, space_group: int = 225, material_id: str = "x", **facts) -> Crystal:
    """A crystal of some formula; cleaning looks at no coordinates."""
    species = [element for element, amount in Composition(formula).items() for _ in range(int(amount))]
    structure = Structure(Lattice.cubic(9), species, np.zeros((len(species), 3)))
    return Crystal(material_id, structure, space_group, "cubic", **facts)


FORMULAS = ["NaCl", "KCl", "KBr", "Na2Cl2", "CaF2", "SrF2", "SrTiO3", "BaTiO3", "BaZrO3", "Sr3TiO", "Fe"]
crystals = st.lists(
    st.builds(
        crystal,
        st.sampled_from(FORMULAS),
        st.sampled_from([221, 225]),
        stable=st.booleans(),
        split=st.sampled_from(["train", "val", "test", None]),
    ),
    max_size=30,
)


@given(crystals)
@settings(deadline=None)
def test_the_first_of_each_formula_and_space_group_is_kept(given_crystals):
    kept, duplicates = drop_duplicates(given_crystals)
    seen, expected = set(), []
    for c in given_crystals:
        key = c.structure.composition.reduced_composition, c.space_group
        if key not in seen:
            expected.append(c)
        seen.add(key)
    assert [id(c) for c in kept] == [id(c) for c in expected]
    assert len(kept) + len(duplicates) == len(given_crystals)


def test_supercells_are_duplicates_and_polymorphs_are_not():
    a, b, c = crystal("NaCl"), crystal("Na2Cl2"), crystal("NaCl", 221)
    assert drop_duplicates([a, b, c]) == ([a, c], [b])


@pytest.mark.parametrize(
    "n_stable, n_unstable, n_val, n_test",
    # both caps work: the paper's cubic crystals (4997 + 250 + 500 stable; 11381 unstable)
    [(5747, 11381, 250, 500), (2600, 100, 250, 260), (1000, 0, 100, 100), (20, 5, 2, 2)],
)
def test_random_split_draws_a_capped_tenth_of_the_stable(n_stable, n_unstable, n_val, n_test):
    one = crystal("NaCl").structure
    everything = [
        Crystal(str(i), one, 225, "cubic", stable=i % (n_stable + n_unstable) < n_stable)
        for i in range(n_stable + n_unstable)
    ]
    sets = split(everything, seed=3)
    assert {name: len(members) for name, members in sets.items()} == {
        "train": n_stable + n_unstable - n_val - n_test,
        "val": n_val,
        "test": n_test,
    }
    assert all(c.stable for c in sets["val"] + sets["test"])
    ids = [c.material_id for members in sets.values() for c in members]
    assert sorted(ids, key=int) == [c.material_id for c in everything]
    assert split(everything, seed=3) == sets
    assert split(everything, seed=4)["test"] != sets["test"]


def test_published_split_is_followed_and_the_rest_trains():
    a, b, c, d = (crystal("NaCl", split=where) for where in ("test", None, "train", "val"))
    sets = split([a, b, c, d], how="published")
    assert [id(x) for x in sets["train"]] == [id(b), id(c)]
    assert sets["test"][0] is a and sets["val"][0] is d


@pytest.mark.parametrize(
    "how, options, message",
    [
        ("published", {}, "nothing for val and test.*random split"),
        ("random", {"test_fraction": 0.9, "val_fraction": 0.2}, "nothing left to train"),
        ("random", {"val_fraction": 0.0}, "nothing for val"),
        ("hard", {}, "'random' or 'published'"),
    ],
)
def test_impossible_splits_are_refused(how, options, message):
    with pytest.raises(CrystalNetError, match=message):
        split([crystal("NaCl")] * 20, how=how, **options)


def test_unknown_published_split_is_refused():
    with pytest.raises(CrystalNetError, match="'holdout'"):
        split([crystal("NaCl", split="holdout")], how="published")


@given(crystals, crystals)
@settings(deadline=None)
def test_leakage_equals_comparing_every_pair(train, test):
    def swapped(a, b):
        """Whether b is a with one element renamed, by trying all renamings."""
        mine, theirs = (c.structure.composition.reduced_composition.get_el_amt_dict() for c in (a, b))
        gone, come = set(mine) - set(theirs), set(theirs) - set(mine)
        return len(gone) == len(come) == 1 and theirs == {
            (min(come) if element in gone else element): amount for element, amount in mine.items()
        }

    def same(a, b):
        return a.structure.composition.reduced_composition == b.structure.composition.reduced_composition

    assert leakage({"train": train, "val": [], "test": test}) == {
        "test": len(test),
        "same_formula_and_space_group": sum(
            any(same(a, b) and a.space_group == b.space_group for b in train) for a in test
        ),
        "same_formula": sum(any(same(a, b) for b in train) for a in test),
        "swap_neighbour": sum(any(swapped(a, b) for b in train) for a in test),
    }


def test_leakage_of_the_published_trigonal_split(shared_data):
    """The share of its test crystals with a swap neighbour, as first measured on the published lists."""
    lists = {
        name: json.loads((shared_data / f"reference/splits/trigonal_{name}.json").read_text())
        for name in ("train_stable", "train_unstable", "test")
    }
    made = {name: [crystal(f, 166) for f in ids.values()] for name, ids in lists.items()}
    found = leakage({"train": made["train_stable"] + made["train_unstable"], "val": [], "test": made["test"]})
    assert round(100 * found["swap_neighbour"] / found["test"], 1) == 88.2
