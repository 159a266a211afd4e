"""Known elements to fillings, catalogues, analogues, ranking: small crystals whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import CrystalNetError
from crystalnet.lattice.lattice import find_cells
from crystalnet.patterns.observed import Observed
from crystalnet.solving.analogues import analogues
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.frames import Frames
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.ranking import distinct, facts, features, fitted, lead, probability, structure_of
from crystalnet.solving.refinement import Trial
from crystalnet.solving.templates import Template


def crystal(number, lattice, symbols, coords, name):
    return crystal_from_structure(Structure.from_spacegroup(number, lattice, symbols, coords), name)


def perovskite(a, *symbols):
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    return crystal(221, Lattice.cubic(a), symbols, sites, "".join(symbols))


def corundum(a, c, z, x, *symbols):
    return crystal(167, Lattice.hexagonal(a, c), symbols, [[0, 0, z], [x, 0, 0.25]], "".join(symbols))


CRYSTALS = [
    perovskite(3.905, "Sr", "Ti", "O"),
    crystal(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]], "NaCl"),
    crystal(221, Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]], "CsCl"),
    crystal(216, Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]], "ZnS"),
    corundum(4.76, 12.99, 0.352, 0.306, "Al", "O"),
    crystal(
        166,
        Lattice.hexagonal(4.38, 30.5),
        ["Bi", "Te", "Te"],
        [[0, 0, 0.4], [0, 0, 0], [0, 0, 0.21]],
        "Bi2Te3",
    ),
]


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(CRYSTALS)


def answers(truth, catalogue, knowledge, family):
    observed = Observed.of_structure(truth.symmetrized)
    frames = Frames(observed)
    found = distinct(analogues(frames, knowledge, find_cells(observed, family), catalogue))
    return found, StructureMatcher().fit(structure_of(found[0].trial.atoms), truth.structure), observed


@pytest.mark.parametrize(
    ("truth", "family"),
    [
        (perovskite(4.01, "Ba", "Ti", "O"), "cubic"),
        (crystal(225, Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]], "MgO"), "cubic"),
        (crystal(216, Lattice.cubic(5.65), ["Ga", "As"], [[0, 0, 0], [0.25] * 3], "GaAs"), "cubic"),
        (corundum(5.04, 13.75, 0.355, 0.307, "Fe", "O"), "hexagonal"),
        (
            crystal(
                166,
                Lattice.hexagonal(4.14, 28.6),
                ["Bi", "Se", "Se"],
                [[0, 0, 0.4], [0, 0, 0], [0, 0, 0.206]],
                "Bi2Se3",
            ),
            "hexagonal",
        ),
    ],
    ids=["BaTiO3", "MgO", "GaAs", "Fe2O3", "Bi2Se3"],
)
def test_an_analogue_with_other_elements_cell_and_coordinates_is_found(catalogue, truth, family):
    found, right, _ = answers(truth, catalogue, Knowledge.of_formula(truth.formula), family)
    assert right and found[0].distance < 0.02 and found[0].origin.startswith("analogue of")
    assert lead(found) >= 1 and features(**facts(found)).shape == (8,)
    without_ratios = Knowledge.of_elements(sorted(set(truth.atoms.symbols.tolist())))
    assert answers(truth, catalogue, without_ratios, family)[1]


def test_a_missing_element_is_found(catalogue):
    truth = perovskite(4.0, "Ba", "Ti", "O")
    found, right, _ = answers(truth, catalogue, Knowledge.of_elements(["Ba", "?", "O"]), "cubic")
    assert right and "Ti" in found[0].trial.symbols


def test_what_is_withheld_is_not_found(catalogue):
    truth = perovskite(4.0, "Ba", "Ti", "O")
    less = catalogue.without(lambda template: template.space_group == 221)
    assert len(less) == len(catalogue) - 2
    observed = Observed.of_structure(truth.symmetrized)
    cells = find_cells(observed, "cubic")
    assert analogues(Frames(observed), Knowledge.of_formula("BaTiO3"), cells, less) == []


@pytest.mark.parametrize(
    ("formula", "elements", "amounts"),
    [
        ("Mg2Si", ("Mg", "Si"), (2, 1)),
        ("Fe0.5S", ("Fe", "S"), (1, 2)),
        ("O6Al4", ("O", "Al"), (3, 2)),
        ("Ca(OH)2", ("Ca", "H", "O"), (1, 2, 2)),
    ],
)
def test_formulas(formula, elements, amounts):
    known = Knowledge.of_formula(formula)
    assert known.formula == dict(zip(elements, amounts, strict=True)) and known.is_complete


@pytest.mark.parametrize("formula", ["", "Xx2O", "12", "Mg2Si?", "No2O3", None])
def test_formulas_that_are_none_are_one_clear_error(formula):
    with pytest.raises(CrystalNetError, match="Mg2Si'"):
        Knowledge.of_formula(formula)


@pytest.mark.parametrize("elements", [["Xx", "O"], [], ["Mg", ""]])
def test_lists_of_elements_that_are_none_are_one_clear_error(elements):
    with pytest.raises(CrystalNetError, match=r"List symbols|Name some"):
        Knowledge.of_elements(elements)


def test_fillings_are_most_alike_first(catalogue):
    template = next(catalogue.templates(Knowledge.of_formula("BaTiO3")))
    fillings = Knowledge.of_formula("BaTiO3").fillings(template)
    assert fillings[0][1] == {"Sr": "Ba", "Ti": "Ti", "O": "O"} and len(fillings) == 2
    assert [unlike for unlike, _ in fillings] == sorted(unlike for unlike, _ in fillings)
    assert Knowledge.of_formula("NaCl").fillings(template) == []
    assert len(Knowledge.of_elements(["Ba", "Ti", "O"]).fillings(template)) == 6
    assert Knowledge.nothing().fillings(template) == [(0.0, dict.fromkeys(("Sr", "Ti", "O")))]
    hidden = Knowledge.of_elements(["Ba", "?", "O"]).fillings(template)
    assert hidden[0][1] == {"Sr": "Ba", "Ti": None, "O": "O"} and len(hidden) == 6


def test_probabilities_are_those_that_made_the_data():
    rng = np.random.default_rng(0)
    x = np.stack([np.ones(4000), *rng.normal(size=(3, 4000))], 1)
    true = np.array([0.5, -2, 1, -0.5])
    right = rng.random(4000) < probability(x, true)
    assert np.allclose(fitted(x, right), true, atol=0.2)


def test_parameters_have_a_price(catalogue):
    truth = perovskite(4.0, "Ba", "Ti", "O")
    frames = Frames(Observed.of_structure(truth.symmetrized))
    template = Template.of(truth.atoms)
    trial = Trial(template, template.lattice, tuple(template.symbols.tolist()), template.frac_coords)
    right = Candidate.of(trial, "truth", frames)
    assert (trial.n_free, trial.n_parameters) == (0, 4) and right.n_peaks == len(frames.observed.s)
    freer = replace(trial, template=replace(template, sites=np.arange(5)))
    one, other = (replace(right, distance=0.05, distance_wide=0.05, trial=each) for each in (trial, freer))
    assert one.score < other.score  # explains as well with fewer sites
    much_better = replace(other, distance=0.01, distance_wide=0.01)
    assert much_better.score < one.score
    equal = replace(right, distance=1e-5, distance_wide=1e-5), replace(right, distance=1e-4, distance_wide=0)
    assert equal[0].score == equal[1].score  # both are exact
