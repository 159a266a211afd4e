"""Types that crystals confirm without hydrogen, or with two like elements as one, and what they solve."""

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from crystalnet.data.crystals import crystal_from_structure
from crystalnet.data.leakage import reduced_formula
from crystalnet.lattice.volumes import usual_volume
from crystalnet.patterns.simulation import simulated
from crystalnet.physics.atoms import Atoms
from crystalnet.solving.catalogue import Catalogue
from crystalnet.solving.clusters import fitted_types
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.profile_search import without_hydrogen
from crystalnet.solving.relatives import bare, merged
from crystalnet.solving.solution import solve

BRUCITE = Structure.from_spacegroup(
    164, Lattice.hexagonal(3.142, 4.766), ["Mg", "O", "H"],
    [[0, 0, 0], [1 / 3, 2 / 3, 0.2203], [1 / 3, 2 / 3, 0.4130]],
)  # fmt: skip
WITHOUT = Structure.from_spacegroup(
    164, Lattice.hexagonal(3.81, 6.26), ["Mg", "Br"], [[0, 0, 0], [1 / 3, 2 / 3, 0.24]]
)


def layered(a: float, c: float, *symbols: str) -> Atoms:
    """Three layers in the order of cadmium iodide, the metals of three cells along c named."""
    places = [[0, 0, k / 3] for k in range(3)]
    anions = [
        [x, y, (k + z) / 3] for k in range(3) for x, y, z in ((1 / 3, 2 / 3, 0.22), (2 / 3, 1 / 3, 0.78))
    ]
    lattice = Lattice.hexagonal(a, 3 * c).matrix
    return Atoms(lattice, np.array(places + anions), np.array([*symbols, *["O"] * 6]))


def test_hydroxides_make_a_type_without_their_hydrogen():
    heavy = bare(Atoms.of(BRUCITE))
    crystals = [("MgBr2", Atoms.of(WITHOUT)), ("Mg(OH)2", heavy, reduced_formula("Mg(OH)2"))]
    (one,) = fitted_types(crystals)
    assert one.n_compounds == 2 and one.amounts == (1, 2)
    assert bare(Atoms.of(WITHOUT)) is None


def test_a_crystal_s_own_two_descriptions_confirm_nothing():
    """The same compound with its hydrogen placed and without it is one compound."""
    heavy, whole = bare(Atoms.of(BRUCITE)), reduced_formula("Mg(OH)2")
    assert not fitted_types([("first", heavy, whole), ("again", heavy, whole)])


def test_a_relative_confirms_what_is_otherwise_alone():
    pure = ("MgO2", layered(3.1, 4.7, "Mg", "Mg", "Mg"))
    ordered = layered(3.2, 4.8, "Mg", "Mg", "Zn")
    (relative,) = [one for one in merged(ordered) if set(one.symbols) == {"Mg", "O"}]
    assert not fitted_types([pure])
    (one,) = fitted_types([pure], [("Mg2ZnO6", relative, frozenset({("Mg", 2), ("Zn", 1), ("O", 6)}))])
    assert one.n_compounds == 2
    assert not fitted_types([], [pure])  # no type begins with a relative


def test_a_hydroxide_is_solved_from_a_type_without_hydrogen():
    catalogue = Catalogue([crystal_from_structure(WITHOUT, "MgBr2")])
    knowledge = Knowledge.of("Mg(OH)2")
    (filled,) = without_hydrogen(knowledge, catalogue, None)
    assert filled.n_absent == 2 and sorted(filled.symbols) == ["Mg", "O", "O"]
    pattern = simulated(BRUCITE, "CuKa1", (12, 90), counts=1e4, k_alpha_2=True)
    solution = solve(pattern, "Mg(OH)2", catalogue=catalogue, sources=("profile",), progress=False)
    best, truth = solution.candidates[0], BRUCITE.copy()
    assert best.origin.endswith("without hydrogen") and best.contents == {"Mg": 1, "O": 2, "H": 2}
    truth.remove_species(["H"])
    assert StructureMatcher().fit(solution.structure, truth)
    volume = solution.structure.volume / usual_volume(Composition("Mg(OH)2").get_el_amt_dict())
    assert solution.evidence["volume"] == volume
