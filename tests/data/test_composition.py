"""The four levels of known composition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystalnet.data.composition import LEVELS, known_composition
from crystalnet.errors import CrystalNetError


def fractions(*counts: dict[int, int]) -> np.ndarray:
    """(N, 118) of crystals given as {index: atoms}."""
    vectors = np.zeros((len(counts), 118), np.float32)
    for vector, atoms in zip(vectors, counts, strict=True):
        vector[list(atoms)] = list(atoms.values())
    return vectors / vectors.sum(1, keepdims=True)


COUNTS = [{10: 1, 16: 1}, {37: 1, 21: 1, 7: 3}, {25: 1}, {11: 2, 12: 3, 13: 3, 7: 12}]
NAMES = ["salt", "perovskite", "iron", "garnet"]
compositions = st.lists(
    st.dictionaries(st.integers(0, 117), st.integers(1, 24), min_size=1, max_size=6), min_size=1, max_size=6
)


@pytest.mark.parametrize("level", ["baseline", "no_formula"])
def test_everything_is_left_as_it_is(level):
    np.testing.assert_array_equal(known_composition(fractions(*COUNTS), NAMES, level), fractions(*COUNTS))


def test_no_ratios_are_equal_shares_of_the_elements_present():
    expected = fractions(*[dict.fromkeys(atoms, 1) for atoms in COUNTS])
    known = known_composition(fractions(*COUNTS), NAMES, "no_ratios")
    assert known.dtype == np.float32
    np.testing.assert_allclose(known, expected, rtol=1e-6)


@settings(deadline=None)
@given(compositions, st.integers(0, 100))
def test_one_element_is_hidden_but_never_the_last(counts, seed):
    names = [f"crystal {i}" for i in range(len(counts))]
    known = known_composition(fractions(*counts), names, "drop_element", seed)
    for row, atoms in zip(known, counts, strict=True):
        present = set(np.flatnonzero(row))
        assert present <= set(atoms) and len(present) == max(len(atoms) - 1, 1)
        np.testing.assert_allclose(row[sorted(present)], 1 / len(present), rtol=1e-6)


@settings(deadline=None)
@given(st.permutations(range(4)), st.integers(0, 5))
def test_the_hidden_element_depends_on_material_and_seed_alone(order, seed):
    together = known_composition(fractions(*COUNTS), NAMES, "drop_element", seed)
    shuffled = known_composition(
        fractions(*[COUNTS[i] for i in order]), [NAMES[i] for i in order], "drop_element", seed
    )
    np.testing.assert_array_equal(shuffled, together[list(order)])


def test_every_element_is_hidden_somewhere():
    """Over many materials each of four elements is hidden about equally often; another seed hides others."""
    n = 2000
    names = [f"mp-{i}" for i in range(n)]
    first, other = (
        known_composition(fractions(*[COUNTS[3]] * n), names, "drop_element", seed) for seed in (0, 1)
    )
    hidden = (first[:, sorted(COUNTS[3])] == 0).sum(0)
    assert hidden.sum() == n and abs(hidden - n / 4).max() < 5 * (n * 0.25 * 0.75) ** 0.5
    assert ((first != other).any(1)).mean() == pytest.approx(0.75, abs=0.05)


def test_given_compositions_are_not_changed():
    given_fractions = fractions(*COUNTS)
    for level in LEVELS:
        known_composition(given_fractions, NAMES, level)
    np.testing.assert_array_equal(given_fractions, fractions(*COUNTS))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", LEVELS)
def test_a_crystal_that_could_not_be_computed_has_no_elements(level):
    assert not known_composition(np.zeros((1, 118), np.float32), ["lost"], level).any()


def test_an_unknown_level_is_named():
    with pytest.raises(CrystalNetError, match=r"'no_idea'.* baseline, no_ratios, drop_element, no_formula"):
        known_composition(fractions(*COUNTS), NAMES, "no_idea")
