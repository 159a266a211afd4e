"""The pattern against pymatgen's XRDCalculator, and against what symmetry demands."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.physics import scattering
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.diffraction import (
    MO_K_ALPHA,
    Peaks,
    batch_peaks,
    binned_pattern,
    powder_pattern,
    powder_patterns,
    powder_peaks,
)


def orbit(number, lattice, *sites):
    species, coords = zip(*sites, strict=True)
    return Structure.from_spacegroup(number, lattice, species, coords)


def atoms_at_random(lattice, seed):
    rng = np.random.default_rng(seed)
    return Structure(lattice, ["Si", "O", "Cs", "H"], rng.random((4, 3)))


KNOWN = {
    "NaCl": orbit(225, Lattice.cubic(5.64), ("Na", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])),
    "CsCl": orbit(221, Lattice.cubic(4.12), ("Cs", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])),
    "bcc Fe": orbit(229, Lattice.cubic(2.87), ("Fe", [0, 0, 0])),
    "fcc Al": orbit(225, Lattice.cubic(4.05), ("Al", [0, 0, 0])),
    "ZnS": orbit(216, Lattice.cubic(5.41), ("Zn", [0, 0, 0]), ("S", [0.25, 0.25, 0.25])),
    "CaF2": orbit(225, Lattice.cubic(5.46), ("Ca", [0, 0, 0]), ("F", [0.25, 0.25, 0.25])),
    "SrTiO3": orbit(
        221, Lattice.cubic(3.905), ("Sr", [0, 0, 0]), ("Ti", [0.5, 0.5, 0.5]), ("O", [0.5, 0.5, 0])
    ),
    "pyrite": orbit(205, Lattice.cubic(5.42), ("Fe", [0, 0, 0]), ("S", [0.385, 0.385, 0.385])),
    "FeSi": orbit(198, Lattice.cubic(4.49), ("Fe", [0.137] * 3), ("Si", [0.842] * 3)),
    "Cu3Au": orbit(221, Lattice.cubic(3.75), ("Au", [0, 0, 0]), ("Cu", [0, 0.5, 0.5])),
    "hcp Mg": orbit(194, Lattice.hexagonal(3.21, 5.21), ("Mg", [1 / 3, 2 / 3, 0.25])),
    "wurtzite": orbit(
        186, Lattice.hexagonal(3.25, 5.2), ("Zn", [1 / 3, 2 / 3, 0]), ("O", [1 / 3, 2 / 3, 0.38])
    ),
    "corundum": orbit(167, Lattice.hexagonal(4.76, 12.99), ("Al", [0, 0, 0.352]), ("O", [0.306, 0, 0.25])),
    "quartz": orbit(
        154, Lattice.hexagonal(4.91, 5.4), ("Si", [0.47, 0, 2 / 3]), ("O", [0.413, 0.267, 0.786])
    ),
    "CdI2": orbit(164, Lattice.hexagonal(4.24, 6.84), ("Cd", [0, 0, 0]), ("I", [1 / 3, 2 / 3, 0.25])),
    "rutile": orbit(136, Lattice.tetragonal(4.59, 2.96), ("Ti", [0, 0, 0]), ("O", [0.305, 0.305, 0])),
    "anatase": orbit(141, Lattice.tetragonal(3.78, 9.51), ("Ti", [0, 0, 0]), ("O", [0, 0, 0.208])),
    "white Sn": orbit(141, Lattice.tetragonal(5.83, 3.18), ("Sn", [0, 0, 0])),
    "Fe3C": orbit(
        62, Lattice.orthorhombic(5.09, 6.74, 4.52), ("Fe", [0.186, 0.063, 0.328]), ("C", [0.89, 0.25, 0.45])
    ),
    "marcasite": orbit(58, Lattice.orthorhombic(4.44, 5.41, 3.39), ("Fe", [0, 0, 0]), ("S", [0.2, 0.378, 0])),
    "black P": orbit(64, Lattice.orthorhombic(3.31, 10.48, 4.37), ("P", [0, 0.103, 0.081])),
    "zirconia": orbit(
        14,
        Lattice.monoclinic(5.15, 5.21, 5.32, 99.2),
        ("Zr", [0.275, 0.04, 0.208]),
        ("O", [0.07, 0.332, 0.345]),
        ("O", [0.45, 0.757, 0.479]),
    ),
    "CuO": orbit(
        15, Lattice.monoclinic(4.69, 3.42, 5.13, 99.5), ("Cu", [0.25, 0.25, 0]), ("O", [0, 0.418, 0.25])
    ),
    "Po": Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]]),
    "spinel": orbit(  # 56 atoms
        227, Lattice.cubic(8.08), ("Mg", [0, 0, 0]), ("Al", [0.625] * 3), ("O", [0.387] * 3)
    ),
    "garnet": orbit(  # 160 atoms
        230,
        Lattice.cubic(11.46),
        ("Mg", [0.125, 0, 0.25]),
        ("Al", [0, 0, 0]),
        ("Si", [0.375, 0, 0.25]),
        ("O", [0.033, 0.0503, 0.6534]),
    ),
}
RANDOM = {
    f"{name} at random {seed}": atoms_at_random(lattice, seed)
    for seed, (name, lattice) in enumerate(
        {
            "triclinic": Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107),
            "triclinic, obtuse": Lattice.from_parameters(3.6, 4.4, 7.1, 118, 101, 96),
            "triclinic, acute": Lattice.from_parameters(5.6, 4.4, 5.1, 62, 71, 66),
            "monoclinic": Lattice.monoclinic(5.1, 4.2, 6.6, 111),
            "orthorhombic": Lattice.orthorhombic(3.9, 5.0, 6.2),
            "tetragonal": Lattice.tetragonal(4.2, 6.8),
            "hexagonal": Lattice.hexagonal(4.4, 5.1),
            "rhombohedral": Lattice.rhombohedral(5.3, 49),
            "cubic": Lattice.cubic(4.9),
        }.items()
    )
}
STRUCTURES = KNOWN | RANDOM
assert len(STRUCTURES) >= 30


@pytest.mark.parametrize("name", STRUCTURES)
def test_equals_pymatgen(name):
    structure = STRUCTURES[name]
    expected = XRDCalculator(MO_K_ALPHA).get_pattern(structure, two_theta_range=(0, 180))
    peaks = powder_peaks(structure)
    np.testing.assert_allclose(peaks.two_theta, expected.x, atol=1e-6, rtol=0)
    np.testing.assert_allclose(peaks.intensity, expected.y, atol=1e-6 * 100, rtol=0)
    np.testing.assert_allclose(peaks.d_spacing, expected.d_hkls, rtol=1e-9)


def test_equals_pymatgen_at_another_wavelength_and_range():
    expected = XRDCalculator("CuKa").get_pattern(KNOWN["quartz"], two_theta_range=(20, 90))
    peaks = powder_peaks(KNOWN["quartz"], wavelength=1.54184, two_theta_range=(20, 90))
    np.testing.assert_allclose(peaks.two_theta, expected.x, atol=1e-6)
    np.testing.assert_allclose(peaks.intensity, expected.y, atol=1e-4)


def test_centring_extinctions():
    """bcc shows h + k + l even alone, fcc unmixed indices alone (International Tables A)."""
    for name, allowed in (("bcc Fe", {2, 4, 6, 8, 10}), ("fcc Al", {3, 4, 8, 11, 12})):
        squares = np.round((KNOWN[name].lattice.a / powder_peaks(KNOWN[name]).d_spacing[:5]) ** 2)
        assert set(squares) == allowed


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(0, 1)] * 3), st.sampled_from(sorted(RANDOM)))
def test_origin_and_handedness_do_not_matter(shift, name):
    structure = RANDOM[name]
    moved = Structure(structure.lattice, structure.species, shift - structure.frac_coords)
    np.testing.assert_allclose(powder_pattern(moved), powder_pattern(structure), atol=1e-6)


@pytest.mark.parametrize("name", ["zirconia", "ZnS", "corundum"])
def test_any_cell_of_the_crystal_gives_the_same_pattern(name):
    structure = KNOWN[name]
    expected = powder_peaks(structure)
    for cell in (
        structure.get_primitive_structure(),
        structure.copy().make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]]),
    ):
        peaks = powder_peaks(cell)
        np.testing.assert_allclose(peaks.two_theta, expected.two_theta, atol=1e-6)
        np.testing.assert_allclose(peaks.intensity, expected.intensity, atol=1e-4)


def test_bins_keep_the_higher_of_two_peaks():
    pattern = binned_pattern(
        Peaks(np.array([10.0, 10.1, 179.999]), np.array([50.0, 100.0, 20.0]), np.ones(3))
    )
    assert pattern.shape == (1024,) and pattern.dtype == np.float32
    assert {int(i): round(float(pattern[i]), 6) for i in np.flatnonzero(pattern)} == {
        int(1024 * 10.0 / 180): 0.5,
        int(1024 * 10.1 / 180): 1.0,
        1023: 0.2,
    }


def test_partial_occupancy_is_refused():
    with pytest.raises(CrystalNetError, match="partly occupied"):
        powder_peaks(Structure(Lattice.cubic(3), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]]))


def test_unknown_element_is_named():
    with pytest.raises(CrystalNetError, match="Og"):
        powder_peaks(Structure(Lattice.cubic(3), ["Og"], [[0, 0, 0]]))


def test_a_range_without_reflections_is_refused():
    with pytest.raises(CrystalNetError, match="Widen the range"):
        powder_peaks(KNOWN["NaCl"], two_theta_range=(0, 1))


def test_empty_and_not_finite_structures_are_refused():
    with pytest.raises(CrystalNetError, match="no atoms"):
        powder_peaks(Structure(Lattice.cubic(3), [], []))
    with pytest.raises(CrystalNetError, match="not a finite"):
        powder_peaks(Structure(Lattice.cubic(3), ["Fe"], [[np.nan, 0, 0]]))


MIXED = list(STRUCTURES.values())  # of all seven crystal systems


def peaks_of_a_batch(structures):
    """Peaks of each crystal, in the order given."""
    peaks = [None] * len(structures)
    for rows, rings, intensity in batch_peaks(structures):
        for place, row in enumerate(rows):
            mine = (rings.crystal == place) & (intensity > 0)
            peaks[row] = Peaks(*(x[mine].numpy() for x in (rings.two_theta, intensity, 1 / rings.g)))
    return peaks


@pytest.mark.parametrize("chunk", [1, 2**15, 2**22], ids=["one by one", "some chunks", "one chunk"])
def test_a_batch_gives_each_crystal_its_own_peaks(chunk, monkeypatch):
    """However it is cut: 1 to 160 atoms, one to four elements, seven crystal systems."""
    assert {1, 56, 160} <= {len(structure) for structure in MIXED}
    alone = [powder_peaks(structure) for structure in MIXED]
    monkeypatch.setitem(scattering.CHUNK, "cpu", chunk)
    for mine, peaks in zip(alone, peaks_of_a_batch(MIXED), strict=True):
        np.testing.assert_allclose(peaks.two_theta, mine.two_theta, rtol=1e-12)
        np.testing.assert_allclose(peaks.intensity, mine.intensity, rtol=0, atol=1e-12 * 100)
        np.testing.assert_allclose(peaks.d_spacing, mine.d_spacing, rtol=1e-12)


def test_patterns_of_a_batch_are_the_binned_peaks():
    patterns = powder_patterns(MIXED)
    assert patterns.shape == (len(MIXED), 1024) and patterns.dtype == torch.float32
    for structure, pattern in zip(MIXED, patterns.numpy(), strict=True):
        np.testing.assert_allclose(pattern, binned_pattern(powder_peaks(structure)), atol=1e-6)
    assert torch.equal(patterns, powder_patterns(MIXED))  # the same batch, the same bits
    atoms = [Atoms.of(structure) for structure in MIXED]
    assert torch.equal(patterns, powder_patterns(atoms))


def test_more_small_crystals_than_a_chunk_can_count(monkeypatch):
    monkeypatch.setitem(scattering.CHUNK, "cpu", 2**22)
    patterns = powder_patterns([KNOWN["bcc Fe"]] * 300)
    assert [len(rows) for rows, _, _ in batch_peaks([KNOWN["bcc Fe"]] * 300)] == [119, 119, 62]
    np.testing.assert_allclose(patterns, patterns[:1].expand(300, -1), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 2)] * 2, st.integers(-2, 2)), max_size=4),
    st.sampled_from(sorted(RANDOM)),
)
def test_oblique_cells_give_the_same_pattern(shears, name):
    cell = np.eye(3)
    for i, j, multiple in shears:
        if i != j:
            cell[i] += multiple * cell[j]
    structure = RANDOM[name]
    sheared = Structure(
        cell @ structure.lattice.matrix, structure.species, structure.frac_coords @ np.linalg.inv(cell)
    )
    np.testing.assert_allclose(powder_pattern(sheared), powder_pattern(structure), atol=1e-6)


def test_a_batch_names_the_crystal_that_is_wrong():
    shared = Structure(Lattice.cubic(3), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    unknown = Structure(Lattice.cubic(3), ["Og"], [[0, 0, 0]])
    flat = Atoms(np.diag([3.0, 3, 0]), np.zeros((1, 3)), np.array(["Fe"]))
    tiny = Structure(Lattice.cubic(0.3), ["Fe"], [[0, 0, 0]])
    good = KNOWN["NaCl"]
    for wrong, message in (
        (shared, "partly occupied"),
        (unknown, "Og"),
        (flat, "no volume"),
        (tiny, "No reflection lies"),
    ):
        with pytest.raises(CrystalNetError, match=rf"^Crystal 2 of 4, counted from 0: .*{message}"):
            powder_patterns([good, good, wrong, good])
        with pytest.raises(CrystalNetError, match=rf"^(?!Crystal).*{message}"):
            powder_peaks(wrong)


def test_no_crystals_have_no_patterns():
    assert powder_patterns([]).shape == (0, 1024)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_accelerator_gives_the_same_patterns():
    patterns = powder_patterns(MIXED, device="cuda")
    assert patterns.is_cuda and torch.equal(patterns, powder_patterns(MIXED, device="cuda"))
    np.testing.assert_allclose(patterns.cpu(), powder_patterns(MIXED), atol=1e-6)


def test_patterns_and_densities_need_no_pymatgen():
    program = """
import sys
sys.modules["pymatgen"] = None  # importing it raises
import numpy as np
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import promolecule_cmeds
from crystalnet.physics.density_pattern import density_peaks
from crystalnet.physics.diffraction import powder_patterns
iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
patterns, cmeds = powder_patterns([iron] * 2), promolecule_cmeds([iron] * 2, 12)
print(tuple(patterns.shape), tuple(cmeds.shape), len(density_peaks(cmeds[0], iron.lattice).two_theta) > 5)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout.split("\n")[0] == "(2, 1024) (2, 12, 12, 12) True", ran.stderr
