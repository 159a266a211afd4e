"""Smallest cells against pymatgen's primitive ones, and against what may not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from crystalnet.physics.cells import smallest_cells
from crystalnet.physics.scattering import sites_by_element

CENTRED = {
    "F": Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0.0, 0, 0], [0.5, 0.5, 0.5]]),
    "F, two of an element": Structure.from_spacegroup(227, Lattice.cubic(5.43), ["Si"], [[0, 0, 0]]),
    "I": Structure.from_spacegroup(
        136 + 5, Lattice.tetragonal(3.78, 9.51), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.208]]
    ),
    "C": Structure.from_spacegroup(64, Lattice.orthorhombic(3.31, 10.48, 4.37), ["P"], [[0, 0.103, 0.081]]),
    "R": Structure.from_spacegroup(
        167, Lattice.hexagonal(4.76, 12.99), ["Al", "O"], [[0, 0, 0.352], [0.306, 0, 0.25]]
    ),
    "P": Structure(Lattice.hexagonal(3.21, 5.21), ["Mg"] * 2, [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]),
}


def table(symbol):
    return np.array([ord(letter) for letter in f"{symbol:2}"])


def smallest_cell(structure):
    (cell,) = smallest_cells(sites_by_element([structure], table))
    return cell


def as_structure(cell):
    species, coords = [], []
    for entry, sites in cell.elements:
        species += ["".join(map(chr, entry)).strip()] * len(sites)
        coords += sites.tolist()
    return Structure(cell.lattice, species, coords)


@pytest.mark.parametrize("name", CENTRED)
def test_centrings_are_taken_out(name):
    structure, primitive = CENTRED[name], CENTRED[name].get_primitive_structure()
    cell = as_structure(smallest_cell(structure))
    assert cell.volume == pytest.approx(primitive.volume)
    assert cell.composition == primitive.composition
    assert cell.get_primitive_structure().matches(primitive) and cell.matches(structure)


def test_a_reverse_rhombohedral_setting_and_a_doubled_cell_too():
    obverse = CENTRED["R"]
    reverse = Structure(obverse.lattice, obverse.species, obverse.frac_coords * (-1, -1, 1))
    doubled = CENTRED["P"].make_supercell([2, 1, 2], in_place=False)
    for structure, n_times in ((reverse, 3), (doubled, 4)):
        assert len(as_structure(smallest_cell(structure))) == len(structure) / n_times


def test_an_atom_moved_a_little_keeps_the_cell():
    structure = CENTRED["F"].copy()
    structure.translate_sites([0], [1e-6, 0, 0], to_unit_cell=False)
    assert len(as_structure(smallest_cell(structure))) == len(structure)


def test_another_element_on_one_site_keeps_the_cell():
    structure = CENTRED["F, two of an element"].copy()
    structure.replace(0, "Ge")
    structure.replace(1, "Ge")
    assert 2 < len(as_structure(smallest_cell(structure))) <= 8
    assert as_structure(smallest_cell(structure)).matches(structure)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-3, 3)), max_size=5))
def test_shears_are_undone(shears):
    """The vectors of a sheared cell come back as short as they were, the longest first, and no atom moves."""
    lattice = Lattice.from_parameters(4, 5, 6, 85, 95, 100)
    cell = np.eye(3)
    for i, j, multiple in shears:
        if i != j:
            cell[i] += multiple * cell[j]
    coords = np.random.default_rng(0).random((3, 3))
    sheared = Structure(cell @ lattice.matrix, ["Fe", "O", "O"], coords @ np.linalg.inv(cell))
    found = smallest_cell(sheared)
    np.testing.assert_allclose(np.linalg.norm(found.lattice, axis=1), [6, 5, 4], rtol=1e-9)
    back = np.concatenate([sites for _, sites in found.elements]) @ found.lattice @ lattice.inv_matrix
    apart = back - coords[[1, 2, 0]]
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-9)
