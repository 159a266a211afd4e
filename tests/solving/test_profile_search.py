"""Crystals of low symmetry solved from simulated patterns, with relatives as the only templates."""

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.patterns.observed import Observed
from crystalnet.patterns.simulation import simulated
from crystalnet.solving.catalogue import Catalogue
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
    assert solution.confidence < CONFIDENT  # the profile alone is not calibrated yet
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
