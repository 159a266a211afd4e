"""Canonical cells: the same for every disguise of a crystal, and alike for analogous crystals."""

import gzip
import itertools
import json
from functools import cache

import moyopy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

from crystalnet.data.canonical import canonical
from crystalnet.data.crystals import CRYSTAL_SYSTEMS, crystal_system_of, symmetry_of
from crystalnet.data.normalisers import normaliser_of
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.diffraction import powder_pattern

NOISE = 1e-5  # Å
SEEDS = st.integers(0, 2**32 - 1)
STRUCTURES = {
    "P-1": (2, (4.1, 5.2, 6.3, 81, 77, 68), {"Na": [0, 0, 0], "Cl": [0.31, 0.22, 0.43]}),
    "P1": (
        1,
        (4.1, 5.2, 6.3, 81, 77, 98),
        {"Na": [0.1, 0, 0], "Cl": [0.31, 0.22, 0.43], "O": [0.7, 0.6, 0.8]},
    ),
    "baddeleyite": (
        14,
        (5.15, 5.21, 5.31, 90, 99.2, 90),
        {"Zr": [0.276, 0.041, 0.208], "O": [0.07, 0.332, 0.345], "S": [0.45, 0.757, 0.479]},
    ),
    "base-centred Cm": (8, (7.1, 5.2, 4.3, 90, 103, 90), {"Pb": [0.1, 0, 0.2], "Ti": [0.6, 0, 0.7]}),
    "P2_12_12_1": (19, (4.1, 5.2, 6.3, 90, 90, 90), {"Na": [0.13, 0.21, 0.34], "Cl": [0.4, 0.1, 0.77]}),
    "perovskite Pnma": (
        62,
        (5.44, 7.64, 5.38, 90, 90, 90),
        {
            "Ca": [0.036, 0.25, 0.993],
            "Ti": [0, 0, 0.5],
            "O": [0.484, 0.25, 0.071],
            "S": [0.289, 0.037, 0.711],
        },
    ),
    "rutile": (136, (4.59, 4.59, 2.96, 90, 90, 90), {"Ti": [0, 0, 0], "O": [0.305, 0.305, 0]}),
    "cristobalite P4_32_12": (
        96,
        (4.97, 4.97, 6.92, 90, 90, 90),
        {"Si": [0.3, 0.3, 0], "O": [0.24, 0.1, 0.179]},
    ),
    "quartz": (154, (4.91, 4.91, 5.4, 90, 90, 120), {"Si": [0.47, 0, 2 / 3], "O": [0.413, 0.267, 0.786]}),
    "lithium niobate": (
        161,
        (5.15, 5.15, 13.86, 90, 90, 120),
        {"Li": [0, 0, 0.28], "Nb": [0, 0, 0], "O": [0.048, 0.343, 0.063]},
    ),
    "corundum": (167, (4.76, 4.76, 12.99, 90, 90, 120), {"Al": [0, 0, 0.352], "O": [0.306, 0, 0.25]}),
    "wurtzite": (186, (3.81, 3.81, 6.26, 90, 90, 120), {"Zn": [1 / 3, 2 / 3, 0], "S": [1 / 3, 2 / 3, 0.375]}),
    "pyrite": (205, (5.42, 5.42, 5.42, 90, 90, 90), {"Fe": [0, 0, 0], "S": [0.385, 0.385, 0.385]}),
    "spinel": (227, (8.08, 8.08, 8.08, 90, 90, 90), {"Mg": [0, 0, 0], "Al": [5 / 8] * 3, "O": [0.387] * 3}),
}


space_group = cache(SpaceGroup.from_int_number)


def symmetric(number: int, parameters, sites: dict) -> Atoms:
    """As Structure.from_spacegroup, which makes the group anew at each call and takes its time."""
    orbits = [
        (symbol, point) for symbol, site in sites.items() for point in space_group(number).get_orbit(site)
    ]
    symbols, frac_coords = map(np.array, zip(*orbits, strict=True))
    return Atoms(Lattice.from_parameters(*parameters).matrix, frac_coords, symbols)


def random_crystal(number: int, rng: np.random.Generator) -> Atoms:
    """Special, coincident and general positions; axes of equal length where the group does not ask for them.

    Values have two digits at most, so that none lies on the border of the symmetry's tolerance.
    """
    a, b, c = rng.choice([4, 4.1, 5, 6.3, 7.2], 3)
    angles = rng.choice([60, 75, 90, 98, 110, 120], 3) if number <= 2 else np.full(3, 90)
    system = crystal_system_of(number)
    if system == "monoclinic":
        angles[1] = rng.choice([70, 90, 95, 120, 140])
    elif system in ("trigonal", "hexagonal"):
        b, angles[2] = a, 120
    elif system in ("tetragonal", "cubic"):
        b, c = a, a if system == "cubic" else c
    sites = {}
    for symbol in rng.choice(["Na", "Cl", "Fe", "O"], rng.integers(1, 4), replace=False).tolist():
        special, shared, general = rng.choice(24, 3) / 24, rng.choice(100) / 100, rng.choice(100, 3) / 100
        sites[symbol] = np.choose(rng.choice(3, 3, p=[0.5, 0.2, 0.3]), [special, shared, general])
    return symmetric(number, (a, b, c, *angles), sites)


def too_close(atoms: Atoms) -> bool:
    distances = Lattice(atoms.lattice).get_all_distances(atoms.frac_coords, atoms.frac_coords)
    return (distances + 9 * np.eye(len(distances))).min() < 0.3


def disguised(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The same crystal or its mirror image: other origin, axes, orientation and order, and a little noise."""
    lattice, frac_coords, symbols = atoms
    change = np.eye(3)
    for _ in range(rng.integers(1, 6)):
        shear = np.eye(3)
        shear[tuple(rng.choice(3, 2, replace=False))] = rng.integers(-1, 2)
        change = shear @ change
    change = change[rng.permutation(3)] * rng.choice([1, -1], 3)[:, None]
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    cart_coords = (frac_coords + rng.random(3)) @ lattice * rng.choice([1, -1])
    cart_coords = (cart_coords + NOISE * rng.normal(size=cart_coords.shape)) @ rotation
    lattice = change @ lattice @ rotation
    order = rng.permutation(len(symbols))
    return Atoms(lattice, (cart_coords @ np.linalg.inv(lattice))[order], symbols[order])


def assert_same(found: Atoms, expected: Atoms, tolerance: float = 1e-3):
    assert found.symbols.tolist() == expected.symbols.tolist()
    np.testing.assert_allclose(found.frac_coords, expected.frac_coords, atol=tolerance)
    found, expected = Lattice(found.lattice), Lattice(expected.lattice)
    np.testing.assert_allclose(found.lengths, expected.lengths, atol=tolerance)
    np.testing.assert_allclose(found.angles, expected.angles, atol=np.degrees(tolerance))
    np.testing.assert_allclose(found.matrix, expected.matrix, atol=10 * tolerance)


@pytest.mark.parametrize("system", CRYSTAL_SYSTEMS)
@given(data=st.data(), seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_disguises_of_a_crystal_have_one_canonical_cell(system, data, seed):
    last = CRYSTAL_SYSTEMS[system]
    first = max((other for other in CRYSTAL_SYSTEMS.values() if other < last), default=0) + 1
    number = data.draw(st.integers(first, last))
    rng = np.random.default_rng(seed)
    atoms = random_crystal(number, rng)
    flat = abs(np.linalg.det(atoms.lattice)) < 0.3 * np.linalg.norm(atoms.lattice, axis=1).prod()
    assume(len(atoms.symbols) <= 200 and not flat and not too_close(atoms))
    expected = canonical(atoms)
    assert_same(canonical(disguised(atoms, rng)), expected)
    assert_same(canonical(expected), expected, 1e-8)


@pytest.mark.parametrize("name", STRUCTURES)
def test_known_structures_in_disguise(name):
    rng = np.random.default_rng(len(name))
    atoms = symmetric(*STRUCTURES[name])
    expected = canonical(atoms)
    for _ in range(5):
        assert_same(canonical(disguised(atoms, rng)), expected)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_canonical_cell_is_the_same_crystal(name):
    atoms = symmetric(*STRUCTURES[name])
    found = canonical(atoms)
    np.testing.assert_allclose(powder_pattern(found), powder_pattern(atoms), atol=2e-3)
    given, ours = (Structure(a.lattice, a.symbols, a.frac_coords) for a in (atoms, found))
    mirrored = Structure(found.lattice, found.symbols, -found.frac_coords)
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, scale=False)
    assert matcher.fit(given, ours) or matcher.fit(given, mirrored)
    assert np.linalg.det(found.lattice) == pytest.approx(given.get_primitive_structure().volume, rel=1e-6)


@pytest.mark.parametrize(
    "number, sites, formulas",
    [
        (221, [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]], ["Sr Ti O", "Ba Zr O", "Cs Pb I", "K Mg F"]),
        (225, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Na Cl", "Mg O", "La Sb"]),
        (221, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Cs Cl", "Al Ni"]),
        (216, [[0, 0, 0], [0.25, 0.25, 0.25]], ["Zn S", "Ga As", "B N"]),
        (225, [[0, 0, 0], [0.25, 0.25, 0.25]], ["Ca F", "Zr O", "O Li", "S Na"]),  # fluorite, antifluorite
        (225, [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]], ["Ti Al Ni", "Mn Sn Co", "Hf Sn Rh"]),
        (227, [[0, 0, 0], [0.625, 0.625, 0.625]], ["Ca Al", "Mg Zn"]),  # Laves phases
    ],
)
def test_analogous_crystals_lie_alike_whatever_their_origin(number, sites, formulas):
    first = None
    for (i, formula), shift in itertools.product(enumerate(formulas), ([0, 0, 0], [0.5, 0.5, 0.5])):
        sites_of = {symbol: np.add(site, shift) for symbol, site in zip(formula.split(), sites, strict=True)}
        found = canonical(symmetric(number, (5 + i, 5 + i, 5 + i, 90, 90, 90), sites_of))
        assert list(dict.fromkeys(found.symbols.tolist())) == formula.split()
        first = first or found
        np.testing.assert_allclose(found.frac_coords, first.frac_coords, atol=1e-9)
    if number != 227:  # its origin is a centre of inversion, where these have no atom
        np.testing.assert_allclose(first.frac_coords[0], 0, atol=1e-9)


def test_the_lattice_is_the_standard_one():
    """Where the metric leaves no choice: moyo's, the conventional a along x and b in the xy plane."""
    for name in ("rutile", "quartz", "lithium niobate", "corundum", "wurtzite", "pyrite", "spinel"):
        atoms = symmetric(*STRUCTURES[name])
        standard = symmetry_of(atoms, name).prim_std_cell.basis
        np.testing.assert_allclose(canonical(atoms).lattice, standard, atol=1e-6)


def test_axes_are_sorted_where_the_group_leaves_their_order_free():
    sites = {"Na": [0, 0, 0], "Cl": [0.21, 0.32, 0.43]}
    for lengths in itertools.permutations((4.1, 5.2, 6.3)):
        found = canonical(symmetric(16, (*lengths, 90, 90, 90), sites))
        np.testing.assert_allclose(found.lattice, np.diag([4.1, 5.2, 6.3]), atol=1e-6)
    for angles in ((70, 80, 85), (110, 100, 85), (110, 95, 93)):
        lattice = canonical(symmetric(2, (6, 4, 5, *angles), sites)).lattice
        assert moyopy.is_niggli_reduced(lattice.tolist())


def test_enantiomorphs_become_one():
    one = symmetric(*STRUCTURES["quartz"])
    other = one._replace(frac_coords=-one.frac_coords)
    assert {symmetry_of(atoms, "").number for atoms in (one, other)} == {152, 154}
    assert symmetry_of(canonical(one), "").number == 152
    assert_same(canonical(one), canonical(other), 1e-8)


def test_polar_cells_start_at_an_atom_of_the_first_element():
    assert canonical(symmetric(*STRUCTURES["wurtzite"])).frac_coords[0, 2] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(canonical(symmetric(*STRUCTURES["P1"])).frac_coords[0], 0, atol=1e-12)


@pytest.fixture(scope="module")
def normalisers() -> dict:
    """That of every space group, in its first setting."""
    halls = {moyopy.HallSymbolEntry(hall).number: hall for hall in range(530, 0, -1)}
    return {number: (normaliser_of(hall), hall) for number, hall in halls.items()}


def test_normalisers_have_the_indices_of_the_international_tables(normalisers):
    """Table 3.5.2.4: order of the Euclidean normaliser over that of the group, up to free shifts."""
    indices = {225: 2, 216: 8, 221: 2, 229: 1, 227: 2, 230: 1, 198: 8, 200: 4, 212: 2, 166: 2, 160: 2}
    indices |= {194: 2, 191: 2, 186: 2, 187: 12, 164: 4, 150: 8, 149: 24, 123: 4, 136: 4, 62: 8}
    for number, index in indices.items():
        shifts = normalisers[number][0].shifts
        assert shifts.shape[0] * shifts.shape[1] == index, number
    assert normalisers[2][0].shifts.shape[1] == 8


def test_enantiomorphic_and_polar_groups_are_the_known_ones(normalisers):
    chiral = {number for number, (normaliser, _) in normalisers.items() if not normaliser.mirrors}
    pairs = "76 78 91 92 95 96 144 145 151 152 153 154 169 170 171 172 178 179 180 181 212 213"
    assert chiral == set(map(int, pairs.split()))
    polar = {number for number, (normaliser, _) in normalisers.items() if normaliser.free.any()}
    ranges = [(1, 1), (3, 9), (25, 46), (75, 80), (99, 110), (143, 146), (156, 161), (168, 173), (183, 186)]
    assert polar == {number for first, last in ranges for number in range(first, last + 1)}


def test_every_map_of_a_normaliser_keeps_the_group(normalisers):
    rng = np.random.default_rng(0)
    for number, (normaliser, hall) in normalisers.items():
        setting = moyopy.Setting.hall_number(hall)
        operations = moyopy.operations_from_number(number, setting=setting, primitive=True)
        group = {key(r, v) for r, v in zip(operations.rotations, operations.translations, strict=True)}
        for _ in range(4):
            i, j = rng.integers(normaliser.shifts.shape[:2])
            w, t = normaliser.linear[i], normaliser.shifts[i, j] + normaliser.free @ rng.random(3)
            conjugates = set()
            for r, v in zip(operations.rotations, operations.translations, strict=True):
                turned = w @ r @ np.linalg.inv(w)
                conjugates.add(key(turned, w @ v + t - turned @ t))
            assert conjugates == group, number


def key(rotation, translation) -> bytes:
    whole = np.round(24 * np.asarray(translation)) % 24
    np.testing.assert_allclose(
        24 * np.asarray(translation), np.round(24 * np.asarray(translation)), atol=1e-6
    )
    return np.concatenate([np.round(rotation).ravel(), whole]).astype(np.int8).tobytes()


@pytest.mark.parametrize("number", [2, 14, 19, 24, 62, 88, 98, 122, 149, 166, 187, 198, 216, 225, 227])
def test_origin_shifts_are_all_there_are(normalisers, number):
    """Against every shift by multiples of 1/24; the identity stands for its coset."""
    normaliser, hall = normalisers[number]
    rotations = moyopy.operations_from_number(
        number, setting=moyopy.Setting.hall_number(hall), primitive=True
    ).rotations
    grid = np.stack(np.meshgrid(*[np.arange(24)] * 3), -1).reshape(-1, 3)
    for rotation in rotations:
        grid = grid[((grid @ (np.array(rotation) - np.eye(3, dtype=int)).T) % 24 == 0).all(1)]
    # the shifts of one W differ by those of the identity
    ours = np.round(24 * (normaliser.shifts[0] - normaliser.shifts[0, 0])).astype(int) % 24
    assert set(map(tuple, ours.tolist())) == set(map(tuple, grid.tolist()))


def test_a_crystal_without_symmetry_search_is_one_clear_error():
    atoms = Atoms(np.eye(3) * 3, np.zeros((2, 3)), np.array(["Fe", "Fe"]))
    with pytest.raises(CrystalNetError, match=r"^my crystal: its symmetry"):
        canonical(atoms, "my crystal")


def test_noble_gases_have_a_place(recwarn):
    found = canonical(symmetric(225, (5.3, 5.3, 5.3, 90, 90, 90), {"He": [0, 0, 0], "Na": [0.5, 0.5, 0.5]}))
    assert found.symbols.tolist() == ["Na", "He"] and not recwarn


def test_real_crystals_in_disguise(shared_data):
    path = shared_data / "data/structures/paper_split.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    with gzip.open(path, "rt") as lines:
        records = list(lines)
    rng = np.random.default_rng(0)
    for line in records[:: len(records) // 60]:
        record = json.loads(line)
        atoms = Atoms(*(np.array(record[field]) for field in ("lattice", "frac_coords", "species")))
        assert_same(canonical(disguised(atoms, rng)), canonical(atoms))
