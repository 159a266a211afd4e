"""Duplicates: properties over random crystals."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from crystalnet.data.cleaning import drop_duplicates
from crystalnet.data.crystals import Crystal


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
