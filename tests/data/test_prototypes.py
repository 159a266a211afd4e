"""The embedded crystals: symmetry by spglib, volumes by pymatgen and by experiment, sensible chemistry."""

import gzip
import json
from collections import Counter

import numpy as np
import pytest
from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor
from pymatgen.core import Composition, Element
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystalnet.data.checks import checked_atoms
from crystalnet.data.chemistry import chemistry_of_elements
from crystalnet.data.prototypes import (
    MAX_ATOMS,
    _filled,
    prototype_crystals,
    structure_types,
    substitutions,
)
from crystalnet.errors import CrystalNetError

SYSTEMS = ["cubic", "trigonal"]


def the_type(name: str):
    return next(t for s in SYSTEMS for t in structure_types(s) if t.crystal.structure_type == name)


def fillings(name: str) -> dict:
    """Reduced formula to crystal, for every substitution of a type."""
    structure_type = the_type(name)
    crystals = [_filled(structure_type, elements, "x") for elements in substitutions(structure_type)]
    return {crystal.formula: crystal for crystal in crystals}


@pytest.fixture(scope="module", params=SYSTEMS)
def crystals(request):
    return prototype_crystals(request.param, 300, seed=1)


def test_the_sequence_depends_on_the_seed_alone(crystals):
    system = crystals[0].crystal_system
    again = prototype_crystals(system, 40, seed=1)
    assert [c.as_dict() for c in again] == [c.as_dict() for c in crystals[:40]]
    other = prototype_crystals(system, 40, seed=2)
    assert {c.formula for c in other} != {c.formula for c in crystals[:40]}


def test_no_two_share_formula_and_space_group_or_id(crystals):
    assert len({(c.formula, c.space_group) for c in crystals}) == len(crystals)
    assert crystals[17].material_id == f"proto-{crystals[0].crystal_system}-00017"


def test_spglib_finds_the_stated_symmetry_in_a_primitive_cell(crystals):
    for crystal in {c.structure_type: c for c in crystals}.values():
        symmetry = SpacegroupAnalyzer(crystal.structure)
        assert symmetry.get_space_group_number() == crystal.space_group, crystal.structure_type
        assert symmetry.get_crystal_system() == crystal.crystal_system
        assert len(symmetry.find_primitive()) == len(crystal.structure) <= MAX_ATOMS


def test_every_crystal_passes_the_checks(crystals):
    for crystal in crystals:
        atoms = checked_atoms(crystal.atoms, crystal.material_id)
        assert (atoms.lattice == crystal.atoms.lattice).all()  # right-handed already
        assert not any(element.is_radioactive or element.is_noble_gas for element in crystal.composition)


def test_no_type_dominates(crystals):
    counts = Counter(crystal.structure_type for crystal in crystals)
    assert max(counts.values()) < 0.1 * len(crystals)
    assert len(counts) > 20


def test_crystals_of_a_type_lie_alike(crystals):
    groups: dict = {}
    for crystal in crystals:
        groups.setdefault(crystal.structure_type, []).append(crystal)
    for first, *others in groups.values():
        for other in others:
            np.testing.assert_array_equal(other.structure.frac_coords, first.structure.frac_coords)
            scale = (other.structure.volume / first.structure.volume) ** (1 / 3)
            lattice = first.structure.lattice.matrix * scale
            np.testing.assert_allclose(other.structure.lattice.matrix, lattice, atol=1e-9)


def test_volumes_follow_pymatgens_predictor(crystals):
    """Our vectorised scaling of a type's cell against pymatgen's loop over neighbours."""
    predictor = DLSVolumePredictor(min_scaling=None, max_scaling=None)
    one_each = {c.structure_type: c for c in crystals if len(c.structure) < 11}
    assert len(one_each) > 15
    for name, crystal in one_each.items():
        library = the_type(name).crystal.structure
        ratio = predictor.predict(crystal.structure) / predictor.predict(library)
        assert crystal.structure.volume / library.volume == pytest.approx(ratio, rel=1e-6), name


@pytest.mark.parametrize(
    "name, formula, a, atoms",  # measured cubic lattice constants in Å; atoms in the cubic cell
    [
        ("NaCl AB_cF8_225_a_b", "KBr", 6.600, 8),
        ("NaCl AB_cF8_225_a_b", "LiF", 4.026, 8),
        ("ZnS AB_cF8_216_c_a", "GaAs", 5.653, 8),
        ("ZnS AB_cF8_216_c_a", "CdTe", 6.482, 8),
        ("CaTiO3 AB3C_cP5_221_a_c_b", "KNbO3", 4.007, 5),
        ("MgAl2O4 A2BC4_cF56_227_d_a_e", "MgGa2O4", 8.286, 56),
        ("Cu A_cF4_225_a", "Ag", 4.086, 4),
    ],
)
def test_lattice_constants_are_near_the_measured_ones(name, formula, a, atoms):
    structure = fillings(name)[Composition(formula).reduced_formula].structure
    assert (structure.volume / len(structure) * atoms) ** (1 / 3) == pytest.approx(a, rel=0.06)


def test_ionic_types_stay_charge_balanced():
    rock_salt = set(fillings("NaCl AB_cF8_225_a_b"))
    assert {"LiF", "KCl", "NaBr"} <= rock_salt
    assert not {"NaO", "NaS", "CaCl", "SrBr"} & rock_salt
    for formula in list(fillings("CaTiO3 AB3C_cP5_221_a_c_b"))[::5]:
        assert Composition(formula).oxi_state_guesses(), formula


def test_electropositive_elements_stay_so():
    structure_type = the_type("CaTiO3 AB3C_cP5_221_a_c_b")
    own = [Element(chemistry_of_elements().symbols[e]).X for e in structure_type.elements]
    for elements in substitutions(structure_type):
        new = [Element(chemistry_of_elements().symbols[e]).X for e in elements]
        assert np.argsort(new).tolist() == np.argsort(own).tolist()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_pool_is_large(system):
    assert sum(len(substitutions(t)) for t in structure_types(system)) > 3000


def test_more_than_there_are_is_an_error():
    with pytest.raises(CrystalNetError, match=r"Only \d+ cubic .*not 5000.*Ask for fewer"):
        prototype_crystals("cubic", 5000, max_atoms=2)


def test_an_unknown_crystal_system_is_an_error():
    with pytest.raises(CrystalNetError, match="no cubical prototypes"):
        prototype_crystals("cubical", 1)


def test_volumes_are_unbiased_against_real_crystals(shared_data):
    real = {}
    with gzip.open(shared_data / "data/structures/paper_split.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            volume = abs(np.linalg.det(row["lattice"])) / len(row["species"])
            real[row["formula"], row["spacegroup"]] = volume
    log_ratio = []
    for system in SYSTEMS:
        for crystal in prototype_crystals(system, 1500):
            volume = real.get((crystal.formula, crystal.space_group))
            if volume:
                log_ratio.append(np.log(crystal.structure.volume / len(crystal.structure) / volume))
    assert len(log_ratio) > 100
    assert abs(np.median(log_ratio)) < 0.05
    assert np.median(np.abs(log_ratio)) < 0.15
