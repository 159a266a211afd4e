"""Crystals of low symmetry solved from simulated patterns, with relatives as the only templates."""

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.simulation import simulated
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.evidence import CLUES
from crystalnet.solving.ranking import CONFIDENT
from crystalnet.solving.report import report
from crystalnet.solving.solution import solve


def olivine(a, b, c, metal, cation, shift=0.0) -> Structure:
    coords = [[0, 0, 0], [0.277, 0.25, 0.991], [0.094, 0.25, 0.426], [0.091, 0.25, 0.766],
              [0.447, 0.25, 0.221], [0.163 + shift, 0.033, 0.277]]  # fmt: skip
    return Structure.from_spacegroup(
        62, Lattice.orthorhombic(a, b, c), [metal, metal, cation, "O", "O", "O"], coords
    )


def baddeleyite(a, b, c, beta, metal) -> Structure:
    coords = [[0.275, 0.040, 0.208], [0.07, 0.332, 0.345], [0.45, 0.757, 0.479]]
    return Structure.from_spacegroup(14, Lattice.monoclinic(a, b, c, beta), [metal, "O", "O"], coords)


FORSTERITE = olivine(10.19, 5.98, 4.76, "Mg", "Si")
ZIRCONIA = baddeleyite(5.15, 5.21, 5.32, 99.2, "Zr")
SPINEL = Structure.from_spacegroup(
    227, Lattice.cubic(8.08), ["Si", "Mg", "O"], [[0] * 3, [0.625] * 3, [0.3875] * 3]
)
FLUORITE = Structure.from_spacegroup(225, Lattice.cubic(5.4), ["Ce", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]])


@pytest.fixture(scope="module")
def relatives() -> Catalogue:
    kinds = {
        "fayalite": olivine(10.48, 6.09, 4.82, "Fe", "Si", 0.006),
        "hafnia": baddeleyite(5.11, 5.17, 5.29, 99.3, "Hf"),
        "a spinel": SPINEL,
        "fluorite": FLUORITE,
    }
    return Catalogue([crystal_from_structure(structure, name) for name, structure in kinds.items()])


@pytest.mark.parametrize(
    ("truth", "formula", "group"), [(FORSTERITE, "Mg2SiO4", 62), (ZIRCONIA, "ZrO2", 14)], ids=["62", "14"]
)
def test_low_symmetry_is_solved_from_a_measured_pattern(truth, formula, group, relatives):
    measured = simulated(truth, "CuKa1", (12, 90), counts=1e4, k_alpha_2=True)
    solution = solve(measured, formula, catalogue=relatives, sources=["profile"], progress=False)
    assert StructureMatcher().fit(solution.structure, truth)
    row = solution.table().iloc[0]
    assert row["space group"] == group and row["from"].startswith("profile of")
    known = sorted(truth.lattice.abc)
    assert sorted(row[["a (Å)", "b (Å)", "c (Å)"]]) == pytest.approx(known, rel=2e-3)
    assert solution.confidence >= CONFIDENT and set(solution.evidence) == set(CLUES)
    assert formula in report(solution)


def test_a_crystal_system_narrows_the_search_and_peaks_alone_will_do(relatives):
    observed = Observed.of_structure(FORSTERITE, 1.5406, (10, 90))
    solution = solve(observed, "Mg2SiO4", None, "orthorhombic", catalogue=relatives, progress=False)
    assert solution.cells == [] and StructureMatcher().fit(solution.structure, FORSTERITE)
    assert {one.trial.template.family for one in solution.candidates} == {"orthorhombic"}


def test_peaks_of_something_else_do_no_harm(relatives):
    measured = simulated(FORSTERITE, "CuKa1", (12, 90), counts=1e4)
    dirt = simulated(Structure(Lattice.cubic(4.05), ["Al"], [[0, 0, 0]]), "CuKa1", (12, 90), counts=5e2)
    mixed = type(measured)(
        measured.two_theta, measured.counts + dirt.counts, None, measured.wavelength, "with dirt"
    )
    solution = solve(mixed, "Mg2SiO4", catalogue=relatives, sources=["profile"], progress=False)
    assert StructureMatcher().fit(solution.structure, FORSTERITE)
    assert np.all([np.isfinite(one.score) for one in solution.candidates])


@pytest.mark.parametrize(
    ("truth", "formula", "cell", "group"),
    [
        (FORSTERITE, "Mg2SiO4", (4.76, 10.19, 5.98, 90, 90, 90), None),  # Pbnm, as mineralogists have it
        (ZIRCONIA, "ZrO2", (5.15, 5.21, 5.32, 90, 99.2, 90), "P2_1/c"),
        (FLUORITE, "CeO2", (5.4 / 2**0.5,) * 3 + (60,) * 3, None),  # primitive
    ],
    ids=["other axes", "with its group", "primitive"],
)
def test_a_given_cell_needs_no_indexing(truth, formula, cell, group, relatives):
    measured = simulated(truth, "CuKa1", (12, 90), counts=1e4)
    solution = solve(
        measured,
        formula,
        cell=cell,
        space_group=group,
        catalogue=relatives,
        sources=["profile"],
        progress=False,
    )
    assert StructureMatcher().fit(solution.structure, truth)
    assert solution.candidates[0].origin.startswith("given cell")
    if group:
        assert {one.trial.template.space_group for one in solution.candidates} == {14}


def test_a_wrong_cell_gives_no_candidate(relatives):
    observed = Observed.of_structure(FORSTERITE, 1.5406, (10, 90))
    solution = solve(
        observed,
        "Mg2SiO4",
        cell=(3, 14, 9, 90, 100, 90),
        catalogue=relatives,
        sources="profile",
        progress=False,
    )
    assert not solution.candidates


@pytest.mark.parametrize(
    "said",
    [
        {"cell": (5, 5, 5, 90, 90)},
        {"cell": (5, 5, "x", 90, 90, 90)},
        {"cell": (5, 5, 0, 90, 90, 90)},
        {"cell": (5, 5, 5, 60, 60, 121)},
        {"cell": 5.0},
        {"cell": (5, 5, 5, 90, 90, 90), "space_group": 231},
        {"cell": (5, 5, 5, 90, 90, 90), "space_group": "Q2"},
        {"space_group": 14},
    ],
    ids=str,
)
def test_a_cell_that_cannot_be_is_refused_at_the_door(said):
    observed = Observed.of_structure(FLUORITE, 1.5406, (10, 90))
    with pytest.raises(CrystalNetError) as refused:
        solve(observed, "CeO2", progress=False, **said)
    assert refused.value.code is Code.BAD_ARGUMENT


def test_two_elements_may_share_a_role():
    """Iron and magnesium on the two sites of one metal in olivine."""
    observed = Observed.of_structure(FORSTERITE, 1.5406, (10, 90))
    olivine_of_two = Catalogue([crystal_from_structure(FORSTERITE, "forsterite")])
    found = solve(observed, "MgFeSiO4", catalogue=olivine_of_two, sources="profile", progress=False)
    ways = {tuple(sorted(set(one.trial.symbols))) for one in found.candidates}
    assert ways == {("Fe", "Mg", "O", "Si")}
