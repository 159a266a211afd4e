"""Relations between crystals, against comparing every pair, other programs, and the published lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

from crystalnet.data import leakage as module
from crystalnet.data.crystals import Crystal, crystal_from_structure, symmetry_of
from crystalnet.data.leakage import (
    ENANTIOMORPHS,
    leakage,
    nearest_by_pattern,
    reduced_formula,
    structure_type,
    swap_neighbours,
)
from crystalnet.data.published import read_id_lists
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms


def crystal(formula: str, space_group: int = 225) -> Crystal:
    """A crystal of some formula whose atoms lie anywhere, so that its cell is primitive."""
    symbols = [element for element, amount in Composition(formula).items() for _ in range(int(amount))]
    places = np.random.default_rng(0).random((len(symbols), 3))
    return Crystal("x", Atoms(9 * np.eye(3), places, np.array(list(map(str, symbols)))), space_group, "cubic")


FORMULAS = ["NaCl", "KCl", "KBr", "Na2Cl2", "NaCl2", "CaF2", "SrF2", "SrTiO3", "BaTiO3", "BaZrO3", "Sr3TiO"]
FORMULAS += ["Fe", "Fe2", "Al", "Ti2SrO3", "SrTi2O3"]
crystals = st.lists(st.builds(crystal, st.sampled_from(FORMULAS), st.sampled_from([221, 225])), max_size=30)


def same(a: Crystal, b: Crystal) -> bool:
    return a.composition.reduced_composition.almost_equals(b.composition.reduced_composition)


def swapped(a: Crystal, b: Crystal) -> bool:
    """Whether b is a with one element renamed, by trying all renamings."""
    mine, theirs = (c.composition.reduced_composition.get_el_amt_dict() for c in (a, b))
    gone, come = set(mine) - set(theirs), set(theirs) - set(mine)
    return len(gone) == len(come) == 1 and theirs == {
        (min(come) if element in gone else element): amount for element, amount in mine.items()
    }


def same_type(a: Crystal, b: Crystal) -> bool:
    first, second = (
        (c.composition.anonymized_formula, c.space_group, c.composition.num_atoms) for c in (a, b)
    )
    return first == second


@given(crystals, crystals)
@settings(deadline=None)
def test_leakage_equals_comparing_every_pair(train, test):
    def counted(related) -> int:
        return sum(any(related(a, b) for b in train) for a in test)

    assert leakage({"train": train, "val": [], "test": test}) == {
        "test": len(test),
        "same_formula_and_space_group": counted(lambda a, b: same(a, b) and a.space_group == b.space_group),
        "same_formula": counted(same),
        "swap_neighbour": counted(swapped),
        "same_element_set": counted(
            lambda a, b: a.composition.chemical_system == b.composition.chemical_system
        ),
        "same_structure_type": counted(same_type),
    }


@given(crystals, crystals)
@settings(deadline=None)
def test_swap_neighbours_are_counted_over_every_pair(train, test):
    numbers = swap_neighbours({"train": train, "test": test})
    assert numbers.dtype == int
    assert numbers.tolist() == [sum(swapped(a, b) for b in train) for a in test]


@given(crystals, crystals)
@settings(deadline=None)
def test_bare_formulas_give_what_formulas_can_tell(train, test):
    splits = {"train": [c.formula for c in train], "test": [c.formula for c in test]}
    found = leakage(splits)
    if train or test:
        assert set(found) == {"test", "same_formula", "swap_neighbour", "same_element_set"}
    whole = leakage({"train": train, "test": test})
    assert found == {name: whole[name] for name in found}


@pytest.mark.parametrize("formula", ["", "hello", "12", "Na0.5Cl", "Na(Cl"])
def test_what_is_no_formula_is_one_clear_error(formula):
    with pytest.raises(CrystalNetError, match=r"no formula of whole numbers.*TiO2"):
        leakage({"train": ["NaCl"], "test": [formula]})


@pytest.mark.parametrize("formula", ["Li3Fe2(PO4)3", "Na2Cl2", "O2", "CaTiO3", "Mg6Ni16As7", "Fe"])
def test_the_reduced_formula_is_that_of_its_smallest_whole_numbers(formula):
    reduced = reduced_formula(formula)
    assert reduced == reduced_formula(crystal(formula))
    amounts = np.array([amount for _, amount in reduced])
    assert np.gcd.reduce(amounts) == 1
    fractions = Composition(formula).fractional_composition
    assert {e: n / amounts.sum() for e, n in reduced} == pytest.approx(fractions.get_el_amt_dict())


@pytest.mark.parametrize("system, share", [("trigonal", 88.2), ("cubic", 98.0)])
def test_leakage_of_the_published_split(shared_data, system, share):
    """The share of test crystals with a swap neighbour, as first measured on the published lists."""
    found = leakage(read_id_lists(shared_data / "reference" / "splits", system).formulas())
    assert round(100 * found["swap_neighbour"] / found["test"], 1) == share


# ------------------------------------------------------------------ structure types

PEROVSKITE = Structure.from_spacegroup(
    221, Lattice.cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
)
FLUORITE = Structure.from_spacegroup(225, Lattice.cubic(5.5), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]])
DIAMOND = Structure.from_spacegroup(227, Lattice.cubic(3.57), ["C"], [[0.25, 0.25, 0.25]])


@pytest.mark.parametrize(
    "structure, expected",
    [(PEROVSKITE, ("ABC3", 221, 5)), (FLUORITE, ("AB2", 225, 3)), (DIAMOND, ("A", 227, 2))],
)
@given(scale=st.permutations([1, 1, 2]), shift=st.tuples(*[st.floats(-2, 2)] * 3))
@settings(deadline=None, max_examples=15)
def test_the_type_is_that_of_the_primitive_cell_whatever_cell_is_given(structure, expected, scale, shift):
    given_cell = structure.make_supercell(scale, in_place=False)
    given_cell.translate_sites(range(len(given_cell)), shift, to_unit_cell=True)
    kept = crystal_from_structure(given_cell, "x", keep_cell=True)
    assert len(kept.atoms.symbols) == len(given_cell)
    assert structure_type(kept) == structure_type(crystal_from_structure(given_cell, "x")) == expected


def test_near_misses_and_atoms_of_another_element_are_no_translation():
    doubled = FLUORITE.make_supercell([2, 1, 1], in_place=False)
    moved = doubled.copy()
    moved.translate_sites([0], [0.02, 0, 0])
    chain = [[x, 0, 0] for x in (0, 0.25, 0.5, 0.75)]  # one step takes Al to Al, and the next to Ni
    chain = Structure(Lattice.orthorhombic(12, 3, 3), ["Al", "Al", "Ni", "Ni"], chain)
    crystals = [crystal_from_structure(s, "x", keep_cell=True) for s in (doubled, moved, chain)]
    assert [structure_type(c)[2] for c in crystals] == [3, 24, 4]


@pytest.mark.parametrize("formula", ["NaCl", "SrTiO3", "Mg6Ni16As7", "Fe", "AgAuCuZnCdHgTlPbBiPo"])
def test_types_are_anonymised_as_pymatgen_does(formula):
    assert structure_type(crystal(formula))[0] == Composition(formula).anonymized_formula


def mirrored(space_group: int) -> int:
    """The space group of the mirror image of a crystal of this group, by symmetry search."""
    group = SpaceGroup.from_int_number(space_group)
    c = 8.0 if group.crystal_system == "cubic" else 11.0
    angle = 120 if group.crystal_system in ("trigonal", "hexagonal") else 90
    lattice = Lattice.from_parameters(8, 8, c, 90, 90, angle)
    places = [[0.11, 0.23, 0.37], [0.43, 0.17, 0.09]]
    structure = Structure.from_spacegroup(group.symbol, lattice, ["Na", "Cl"], places)
    assert symmetry_of(Atoms.of(structure), "x").number == space_group
    return symmetry_of(Atoms.of(Structure(lattice, structure.species, -structure.frac_coords)), "x").number


def test_mirror_images_are_one_type():
    assert len(ENANTIOMORPHS) == 11  # International Tables A: 11 pairs
    for second, first in ENANTIOMORPHS.items():
        assert (mirrored(first), mirrored(second)) == (second, first)
        assert structure_type(crystal("SiO2", first)) == structure_type(crystal("SiO2", second))


# ------------------------------------------------------------------ patterns


def patterns(n: int, seed: int) -> np.ndarray:
    """Sparse peaks, as powder patterns are."""
    rng = np.random.default_rng(seed)
    return (rng.random((n, 64)) * (rng.random((n, 64)) < 0.2)).astype(np.float32)


@given(st.integers(1, 40), st.integers(0, 12), st.integers(0, 99), st.sampled_from([1, 100, 700, 10**6]))
@settings(deadline=None)
def test_the_nearest_pattern_is_the_best_of_all_in_pieces_of_any_size(n_train, n_test, seed, chunk):
    train, test = patterns(n_train, seed), patterns(n_test, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        row, cosine = nearest_by_pattern(train, test)
    assert row.shape == cosine.shape == (n_test,)
    for i, one in enumerate(test):
        lengths = [float(np.linalg.norm(one) * np.linalg.norm(other)) for other in train]
        cosines = [
            float(one @ other) / length if length else 0.0
            for other, length in zip(train, lengths, strict=True)
        ]
        assert cosine[i] == pytest.approx(max(cosines), abs=1e-6)
        assert cosines[row[i]] == pytest.approx(max(cosines), abs=1e-6)


def test_a_pattern_finds_itself_at_any_height_and_an_empty_one_finds_nothing():
    train = patterns(30, 0)
    row, cosine = nearest_by_pattern(train, np.concatenate([3 * train[7:9], np.zeros((1, 64))]))
    assert row[:2].tolist() == [7, 8]
    np.testing.assert_allclose(cosine, [1, 1, 0], atol=1e-12)


def test_a_long_memory_map_is_read_in_pieces(tmp_path, monkeypatch):
    train = patterns(50, 0)
    np.save(tmp_path / "train.npy", train)
    mapped, pieces = np.load(tmp_path / "train.npy", mmap_mode="r"), []

    class Recorder:
        shape = mapped.shape

        def __len__(self):
            return len(mapped)

        def __getitem__(self, rows):
            pieces.append(len(mapped[rows]))
            return mapped[rows]

    monkeypatch.setattr(module, "CHUNK", 64 * 8)
    row, _ = nearest_by_pattern(Recorder(), train[::5])
    assert row.tolist() == list(range(0, 50, 5))
    assert pieces == [8] * 6 + [2]


@pytest.mark.parametrize("train", [np.zeros((0, 64)), np.zeros((3, 63))])
def test_patterns_that_cannot_be_compared_are_refused(train):
    with pytest.raises(CrystalNetError, match="can't be compared"):
        nearest_by_pattern(train, patterns(2, 0))
