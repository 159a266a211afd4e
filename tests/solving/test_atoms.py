"""Atoms from maps: what was put in must come out."""

from collections import Counter

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from some_crystals import rock_salt

from crystalnet.errors import CrystalNetError
from crystalnet.patterns.observed import Observed
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import promolecule_cmed
from crystalnet.solving.assignment import Orbits, assignments
from crystalnet.solving.atoms import _electrons_within, _symmetric_forms, atoms_from_density, pattern_distance

PEROVSKITE = Structure(
    Lattice.cubic(3.905), ["Sr", "Ti", "O", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
)  # fmt: skip
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)


def counts_of(structure) -> dict[str, int]:
    return dict(Counter(Atoms.of(structure).symbols.tolist()))


def same(atoms: Atoms, structure: Structure) -> bool:
    return bool(StructureMatcher().fit(Structure(atoms.lattice, atoms.symbols, atoms.frac_coords), structure))


@pytest.mark.parametrize("structure", [PEROVSKITE, RUTILE, rock_salt("Na", "Cl", 5.64).structure])
@pytest.mark.parametrize("shift", [0, 7])
def test_promolecule_gives_its_atoms_back_wherever_the_origin(structure, shift):
    cmed = np.roll(promolecule_cmed(structure), (shift, -shift, 2 * shift), (0, 1, 2))
    found = atoms_from_density(cmed, structure.lattice.matrix, counts_of(structure))
    assert same(found[0], structure)
    mirrored = atoms_from_density(np.flip(cmed, (0, 1, 2)), structure.lattice.matrix, counts_of(structure))
    assert same(mirrored[0], structure)


def test_sharpened_map_ranks_elements_by_number():
    axis = np.arange(36) / 36
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    density = np.zeros((36, 36, 36))
    for site in PEROVSKITE:
        apart = points - site.frac_coords
        apart = (apart - np.round(apart)) * 3.905
        density += site.specie.Z * np.exp(-((apart / 0.25) ** 2).sum(-1))
    (first, *_) = atoms_from_density(
        density, PEROVSKITE.lattice.matrix, counts_of(PEROVSKITE), sharpened=True
    )
    assert same(first, PEROVSKITE)


def test_assignment_is_the_least_of_all_by_brute_force():
    rng = np.random.default_rng(0)
    weights = np.sort(rng.uniform(1, 10, 5))[::-1]
    found = Orbits([np.zeros((size, 3)) for size in (1, 2, 1, 1, 2)], weights)
    expected, counts = {"A": 8.0, "B": 3.0}, {"A": 2, "B": 3}
    best = np.inf
    for code in range(3**5):
        labels = [("A", "B", None)[code // 3**i % 3] for i in range(5)]
        number = Counter(x for x, coords in zip(labels, found.coords, strict=True) for _ in coords)
        if number["A"] == 2 and number["B"] == 3:
            misfit = [
                len(c) * (w - expected.get(x, 0)) ** 2
                for x, c, w in zip(labels, found.coords, weights, strict=True)
            ]
            if sum(misfit) < best:
                best, answer = sum(misfit), tuple(labels)
    assert assignments(found, counts, expected, most=4, scaled=False, complete=True)[0] == answer


def test_electrons_within_a_large_ball_are_all_of_them():
    assert _electrons_within("Cl", 10) == pytest.approx(7, abs=1e-6)


def test_symmetry_is_made_exact():
    rng = np.random.default_rng(1)
    atoms = Atoms.of(PEROVSKITE)
    shaken = atoms._replace(frac_coords=atoms.frac_coords + rng.normal(0, 0.005, (5, 3)))
    exact = Observed.of_structure(PEROVSKITE)
    distances = [pattern_distance(form, exact, 1.0) for form in _symmetric_forms(shaken)]
    assert min(distances) < 1e-3 < pattern_distance(shaken, exact, 1.0)


def test_pattern_distance_is_zero_for_the_truth_alone():
    exact = Observed.of_structure(PEROVSKITE)
    swapped = PEROVSKITE.copy()
    swapped.replace_species({"Sr": "Ti", "Ti": "Sr"})
    assert pattern_distance(Atoms.of(PEROVSKITE), exact) < 1e-3
    assert pattern_distance(Atoms.of(swapped), exact) > 0.01


@pytest.mark.parametrize(
    ("density", "lattice", "counts", "cause"),
    [
        (np.full((8, 8, 8), np.nan), np.eye(3) * 4, {"Na": 1}, "finite"),
        (np.ones((8, 8)), np.eye(3) * 4, {"Na": 1}, "map must be"),
        (np.ones((8, 8, 8)), np.zeros((3, 3)), {"Na": 1}, "lattice"),
        (np.ones((8, 8, 8)), np.eye(3) * 4, {}, "content"),
        (np.ones((8, 8, 8)), np.eye(3) * 4, {"Na": 0.5}, "content"),
        (np.ones((8, 8, 8)), np.eye(3) * 4, {"Xx": 1}, "not an element"),
    ],
)
def test_bad_input_names_its_cause(density, lattice, counts, cause):
    with pytest.raises(CrystalNetError, match=cause):
        atoms_from_density(density, lattice, counts)


def test_a_flat_map_shows_no_atoms():
    assert atoms_from_density(np.ones((8, 8, 8)), np.eye(3) * 4, {"Na": 1}) == []
