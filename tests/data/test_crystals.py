"""Crystals: checks, primitive cells and compositions, against pymatgen and spglib."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.groups import SpaceGroup

from crystalnet.data.checks import ISOLATION, MIN_DISTANCE, checked_atoms, supported_elements
from crystalnet.data.crystals import (
    Crystal,
    composition_vector,
    crystal_from_structure,
    crystal_system_of,
)
from crystalnet.errors import CrystalNetError
from crystalnet.physics.diffraction import powder_pattern, powder_peaks

CONVENTIONAL = {  # space group: (structure, atoms in the primitive cell)
    225: (Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3]), 2),
    216: (Structure.from_spacegroup(216, Lattice.cubic(5.41), ["Zn", "S"], [[0] * 3, [0.25] * 3]), 2),
    229: (Structure.from_spacegroup(229, Lattice.cubic(2.87), ["Fe"], [[0] * 3]), 1),
    166: (Structure.from_spacegroup(166, Lattice.hexagonal(4.31, 11.26), ["As"], [[0, 0, 0.228]]), 2),
    164: (
        Structure.from_spacegroup(
            164, Lattice.hexagonal(4.24, 6.86), ["Cd", "I"], [[0] * 3, [1 / 3, 2 / 3, 0.25]]
        ),
        3,
    ),
    152: (
        Structure.from_spacegroup(
            152,
            Lattice.hexagonal(4.913, 5.405),
            ["Si", "O"],
            [[0.47, 0, 1 / 3], [0.414, 0.267, 0.119 + 1 / 3]],
        ),
        9,
    ),
}
coordinates = st.lists(st.floats(-1, 2), min_size=3, max_size=3)


@pytest.mark.parametrize("number", CONVENTIONAL)
@pytest.mark.parametrize("cell", ["conventional", "supercell", "left-handed", "shifted"])
def test_any_cell_becomes_the_same_primitive_cell(number, cell):
    structure, n_atoms = CONVENTIONAL[number]
    volume = structure.volume * n_atoms / len(structure)
    expected = crystal_from_structure(structure, "x").structure.lattice
    if cell == "supercell":
        structure = structure.make_supercell([[2, 0, 0], [1, 1, 0], [0, 0, 1]], in_place=False)
    elif cell == "left-handed":
        swap = [1, 0, 2]
        vectors, frac_coords = structure.lattice.matrix[swap], structure.frac_coords[:, swap]
        structure = Structure(vectors, structure.species, frac_coords)
    elif cell == "shifted":
        structure = structure.copy().translate_sites(range(len(structure)), [0.13, 0.27, 0.41])
    crystal = crystal_from_structure(structure, "x")
    assert crystal.space_group == number == SpacegroupAnalyzer(structure).get_space_group_number()
    assert len(crystal.structure) == n_atoms
    lattice = crystal.structure.lattice.matrix
    assert np.linalg.det(lattice) == pytest.approx(volume, rel=1e-6)  # so it is right-handed too
    np.testing.assert_allclose(lattice, expected.matrix, atol=1e-6)
    again = SpacegroupAnalyzer(crystal.structure)
    assert again.get_space_group_number() == number
    assert len(again.find_primitive()) == n_atoms


def test_a_kept_cell_is_kept():
    structure, _ = CONVENTIONAL[225]
    crystal = crystal_from_structure(structure, "x", keep_cell=True)
    assert crystal.structure == structure and crystal.space_group == 225
    assert crystal_from_structure(structure, "x", keep_cell=True, space_group=221).space_group == 221


@given(st.lists(st.floats(-8, 8), min_size=9, max_size=9), st.lists(coordinates, min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_making_a_cell_right_handed_moves_no_atom(vectors, frac_coords):
    structure = Structure(np.reshape(vectors, (3, 3)), ["C"] * len(frac_coords), frac_coords)
    try:
        checked = checked_atoms(structure, "x")
    except CrystalNetError:
        return
    assert np.linalg.det(checked.lattice) > 0
    np.testing.assert_allclose(checked.frac_coords @ checked.lattice, structure.cart_coords, atol=1e-9)


def test_oxidation_states_and_site_properties_are_stripped():
    structure = Structure(
        Lattice.cubic(4.2), ["Mg2+", "O2-"], [[0] * 3, [0.5] * 3], site_properties={"magmom": [1.0, 0.0]}
    )
    checked = checked_atoms(structure, "x")
    assert checked.symbols.tolist() == ["Mg", "O"]


def test_deuterium_counts_as_hydrogen():
    structure = Structure(Lattice.cubic(4), ["D", "Li"], [[0] * 3, [0.5] * 3])
    assert checked_atoms(structure, "x").symbols.tolist() == ["H", "Li"]
    assert composition_vector(structure)[0] == 0.5


@pytest.mark.parametrize(
    "structure, cause",
    [
        (Structure(Lattice.cubic(4), [], []), "no atoms"),
        (Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0] * 3]), "partly occupied"),
        (Structure(Lattice.cubic(4), [{"Fe": 0.9}], [[0] * 3]), "partly occupied"),
        (Structure(Lattice.cubic(4), ["Cm"], [[0] * 3]), "for Cm"),
        (Structure(Lattice.cubic(4), ["X0+"], [[0] * 3]), "not an element"),
        (Structure(Lattice.cubic(4), ["Fe"], [[0, np.nan, 0]]), "not a number"),
        (Structure(np.diag([4, 4, 0]), ["Fe"], [[0] * 3]), "no volume"),
        (Structure(Lattice.cubic(4), ["Fe", "Ni"], [[0] * 3, [0.99, 0, 0]]), "closer than"),
        (Structure(np.diag([40, 40, 0.3]), ["Fe"], [[0] * 3]), "closer than"),
        (Structure(Lattice.cubic(12), ["Xe"], [[0] * 3]), "no neighbour within"),
        (
            Structure(Lattice.cubic(15), ["Fe", "Ni", "C"], [[0] * 3, [0.1, 0.1, 0], [0.5] * 3]),
            "no neighbour",
        ),
        (Structure(Lattice.cubic(4, pbc=(True, True, False)), ["Fe"], [[0] * 3]), "not repeat"),
        (Structure(Lattice.cubic(20), ["Fe"] * 201, np.arange(603).reshape(-1, 3) / 603), "more than 200"),
    ],
)
def test_unusable_structures_are_refused_by_name_and_cause(structure, cause):
    with pytest.raises(CrystalNetError, match=f"^my crystal: .*{cause}"):
        checked_atoms(structure, "my crystal")


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_nearest_distances_are_pymatgens(seed):
    """In skewed cells too, where the nearest image is several cells away."""
    rng = np.random.default_rng(seed)
    structure = Structure(rng.normal(size=(3, 3)) * 6, ["Fe"] * 4, rng.random((4, 3)))
    distances = [
        min((n.nn_distance for n in structure.get_neighbors(s, ISOLATION)), default=99) for s in structure
    ]
    try:
        checked_atoms(structure, "x")
        found = "fine"
    except CrystalNetError as error:
        found = "close" if "closer" in str(error) else "alone" if "no neighbour" in str(error) else "other"
    expected = "close" if min(distances) < MIN_DISTANCE else "alone" if 99 in distances else "fine"
    assert found in (expected, "other")


def test_elements_from_hydrogen_to_plutonium_are_supported():
    assert len(supported_elements()) == 94 and {"H", "He", "Pu"} <= supported_elements()


@given(st.dictionaries(st.sampled_from(["H", "Li", "O", "Fe", "Og"]), st.integers(1, 9), min_size=1))
def test_composition_vector_holds_the_atomic_fractions(amounts):
    composition = Composition(amounts)
    vector = composition_vector(composition)
    assert vector.shape == (118,) and vector.dtype == np.float32
    assert vector.sum() == pytest.approx(1, abs=1e-6)
    assert np.count_nonzero(vector) == len(amounts)
    for element in composition:
        assert vector[element.Z - 1] == pytest.approx(composition.get_atomic_fraction(element))


@pytest.mark.parametrize("number", [1, 2, 3, 15, 16, 74, 75, 142, 143, 155, 167, 168, 194, 195, 230])
def test_crystal_system_of_a_space_group(number):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert crystal_system_of(number) == SpaceGroup.from_int_number(number).crystal_system


@pytest.mark.parametrize("number", [0, 231, -1])
def test_space_groups_end_at_230(number):
    with pytest.raises(CrystalNetError, match="1 to 230"):
        crystal_system_of(number)


def test_a_crystal_survives_json():
    structure, _ = CONVENTIONAL[166]
    facts = {"stable": False, "split": "val", "structure_type": "A7", "source": "here"}
    crystal = crystal_from_structure(structure, "mp-11", density_file=Path("a/CHGCAR"), **facts)
    again = Crystal.from_dict(json.loads(json.dumps(crystal.as_dict())))
    assert again.as_dict() == crystal.as_dict()
    for ours, theirs in zip(again.atoms, crystal.atoms, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.formula == "As" and again.density_file == Path("a/CHGCAR")


def test_symmetrized_cell_heals_coarse_coordinates():
    """Corundum with coordinates of three digits: its split reflections merge again."""
    exact = Structure.from_spacegroup(
        167, Lattice.hexagonal(4.76, 12.99), ["Al", "O"], [[0, 0, 0.35219], [0.30624, 0, 0.25]]
    ).get_primitive_structure()
    lattice = Lattice(exact.lattice.matrix.round(3))
    coarse = crystal_from_structure(
        Structure(lattice, exact.species, exact.frac_coords.round(3)), "corundum", keep_cell=True
    )
    assert coarse.space_group == 167
    expected = len(powder_peaks(exact).two_theta)
    assert len(powder_peaks(coarse.structure).two_theta) > 1.3 * expected
    assert len(powder_peaks(coarse.symmetrized).two_theta) == pytest.approx(expected, rel=0.02)
    assert np.linalg.norm(powder_pattern(coarse.symmetrized) - powder_pattern(exact)) < 0.1
