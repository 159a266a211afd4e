"""Altered copies: symmetry by spglib, distances and radii by pymatgen, tensors of the crystal systems."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_prediction.volume_predictor import bond_params
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystalnet.data import variations as module
from crystalnet.data.checks import checked_atoms
from crystalnet.data.chemistry import chemistry_of_elements
from crystalnet.data.crystals import Crystal, crystal_from_structure, symmetry_of
from crystalnet.data.tables import read_crystals
from crystalnet.data.variations import variations


def crystal(name: str, space_group: int, lattice: Lattice, **sites: list[float]) -> Crystal:
    structure = Structure.from_spacegroup(space_group, lattice, list(sites), list(sites.values()))
    return crystal_from_structure(structure, name)


ORIGINALS = {
    c.material_id: c
    for c in [
        crystal("rock salt", 225, Lattice.cubic(5.64), Na=[0, 0, 0], Cl=[0.5, 0.5, 0.5]),
        crystal("pyrite", 205, Lattice.cubic(5.42), Fe=[0, 0, 0], S=[0.385, 0.385, 0.385]),
        crystal("corundum", 167, Lattice.hexagonal(4.76, 12.99), Al=[0, 0, 0.352], O=[0.306, 0, 0.25]),
        crystal("quartz", 152, Lattice.hexagonal(4.91, 5.4), Si=[0.47, 0, 1 / 3], O=[0.41, 0.27, 0.45]),
        crystal("wurtzite", 186, Lattice.hexagonal(3.82, 6.26), Zn=[1 / 3, 2 / 3, 0], S=[1 / 3, 2 / 3, 0.38]),
        crystal("rutile", 136, Lattice.tetragonal(4.59, 2.96), Ti=[0, 0, 0], O=[0.305, 0.305, 0]),
        crystal("marcasite", 58, Lattice.orthorhombic(4.44, 5.42, 3.39), Fe=[0, 0, 0], S=[0.2, 0.378, 0]),
        crystal(
            "zirconia", 14, Lattice.monoclinic(5.15, 5.21, 5.32, 99.2),
            Zr=[0.275, 0.04, 0.208], O=[0.07, 0.33, 0.35], N=[0.45, 0.76, 0.48],
        ),
        crystal(
            "triclinic", 1, Lattice.from_parameters(4, 5, 6, 81, 95, 107), Ca=[0, 0, 0], C=[0.5, 0.4, 0.5]
        ),
    ]
}  # fmt: skip


@pytest.fixture(scope="module")
def copies() -> dict[str, list[Crystal]]:
    return {name: variations([original], 25, seed=3) for name, original in ORIGINALS.items()}


def scale(original: Crystal, copy: Crystal) -> float:
    """Cube root of the ratio of the atoms' spheres, from pymatgen's radii."""
    spheres = [sum(bond_params[s]["r"] ** 3 for s in c.atoms.symbols.tolist()) for c in (copy, original)]
    return (spheres[0] / spheres[1]) ** (1 / 3)


def movement(original: Crystal, copy: Crystal) -> np.ndarray:
    return copy.atoms.frac_coords - original.atoms.frac_coords


def shortest(structure: Structure) -> float:
    return min(site.nn_distance for neighbours in structure.get_all_neighbors(8) for site in neighbours)


@pytest.mark.parametrize("name", ORIGINALS)
def test_spglib_finds_the_same_space_group_at_a_tight_tolerance(name, copies):
    original = ORIGINALS[name]
    assert len(copies[name]) > 18
    for copy in copies[name]:
        symmetry = SpacegroupAnalyzer(copy.structure, symprec=1e-5)
        assert symmetry.get_space_group_number() == original.space_group == copy.space_group
        assert len(symmetry.find_primitive()) == len(original.structure)


def test_a_copy_carries_the_facts_of_its_type_and_no_others(tmp_path):
    known = {
        "structure_type": "C2",
        "split": "test",
        "density_file": tmp_path / "CHGCAR",
        "source": "a mine",
        "note": "mended",
    }
    original = replace(ORIGINALS["pyrite"], **known)
    for copy in variations([original], 3):
        kept = (copy.space_group, copy.crystal_system, copy.structure_type, copy.source)
        assert kept == (205, "cubic", "C2", "a mine")
        assert (copy.split, copy.stable, copy.density_file, copy.note) == (None, False, None, "")


def test_copies_are_named_after_their_originals_and_numbered_in_order():
    found = [copy.material_id for copy in variations([ORIGINALS["rutile"], ORIGINALS["corundum"]], 3, seed=1)]
    assert found == [f"{name}~{k}" for name in ("rutile", "corundum") for k in (1, 2, 3)]


def test_fixed_coordinates_stay(copies):
    for copy in copies["rock salt"]:
        np.testing.assert_allclose(movement(ORIGINALS["rock salt"], copy), 0, atol=1e-15)
    for name, element in (("rutile", "Ti"), ("pyrite", "Fe"), ("marcasite", "Fe")):
        fixed = ORIGINALS[name].atoms.symbols == element
        for copy in copies[name]:
            np.testing.assert_allclose(movement(ORIGINALS[name], copy)[fixed], 0, atol=1e-15)


def test_free_coordinates_move_along_their_free_axes(copies):
    original = ORIGINALS["rutile"]  # oxygen at (x, x, 0) and (1/2 + x, 1/2 - x, 1/2)
    oxygen = original.atoms.symbols == "O"
    for copy in copies["rutile"]:
        x, y, z = movement(original, copy)[oxygen].T
        np.testing.assert_allclose(z, 0, atol=1e-15)
        np.testing.assert_allclose(abs(x), abs(y), atol=1e-15)
        np.testing.assert_allclose(abs(x), abs(x[0]), atol=1e-15)
        assert abs(x[0]) > 1e-6
    for name in set(ORIGINALS) - {"rock salt"}:
        assert all(abs(movement(ORIGINALS[name], copy)).max() > 1e-6 for copy in copies[name])


def test_movements_are_as_large_as_the_average_over_equivalent_atoms():
    """The mean of four independent movements of rutile's oxygens along their free axis."""
    original = ORIGINALS["rutile"]
    moved = [movement(original, copy) @ original.atoms.lattice for copy in variations([original], 300)]
    length = np.linalg.norm(np.array(moved)[:, original.atoms.symbols == "O"], axis=-1)
    assert len(moved) > 80
    assert np.sqrt((length**2).mean()) == pytest.approx(0.05 / np.sqrt(4), rel=0.15)


def test_a_cubic_cell_stays_cubic(copies):
    for name in ("rock salt", "pyrite"):
        for copy in copies[name]:
            ratio = (copy.atoms.volume / ORIGINALS[name].atoms.volume) ** (1 / 3)
            np.testing.assert_allclose(copy.atoms.lattice, ratio * ORIGINALS[name].atoms.lattice, atol=1e-12)


@pytest.mark.parametrize("name", ["corundum", "quartz", "wurtzite", "rutile"])
def test_the_axial_ratio_of_a_uniaxial_cell_varies(name, copies):
    ratios = []
    for c in [ORIGINALS[name], *copies[name]]:
        cell = SpacegroupAnalyzer(c.structure, symprec=1e-5).get_conventional_standard_structure().lattice
        assert cell.a == pytest.approx(cell.b, rel=1e-9)
        ratios.append(cell.c / cell.a)
    changes = np.array(ratios[1:]) / ratios[0] - 1
    assert len(set(np.round(changes, 6))) == len(changes)
    assert 0.005 < changes.std() < 0.05


def test_the_cell_follows_the_radii_but_for_the_strain(copies):
    for name, original in ORIGINALS.items():
        for copy in copies[name]:
            ratio = (copy.atoms.volume / original.atoms.volume) ** (1 / 3)
            assert ratio == pytest.approx(scale(original, copy), rel=0.05), copy.formula
    ratios = [scale(ORIGINALS["rock salt"], copy) for copy in copies["rock salt"]]
    assert max(ratios) > 1.1 * min(ratios)  # else the comparison says nothing


def about_z(strain: np.ndarray) -> np.ndarray:
    across = (strain[0, 0] + strain[1, 1]) / 2
    return np.diag([across, across, strain[2, 2]])


@pytest.mark.parametrize(
    "name, averaged",  # on the axes of the standard cell: z unique, but y in monoclinic crystals
    [
        ("pyrite", lambda s: np.eye(3) * np.trace(s) / 3),
        ("corundum", about_z),
        ("quartz", about_z),
        ("wurtzite", about_z),
        ("rutile", about_z),
        ("marcasite", lambda s: np.diag(np.diag(s))),
        ("zirconia", lambda s: s * [[1, 0, 1], [0, 1, 0], [1, 0, 1]]),
        ("triclinic", lambda s: s),
    ],
)
def test_the_averaged_strain_has_the_tensor_of_the_crystal_system(name, averaged):
    atoms = ORIGINALS[name].atoms
    group = module._group(atoms, symmetry_of(atoms, name))
    strain = np.random.default_rng(5).normal(size=(3, 3))
    strain += strain.T
    np.testing.assert_allclose(module._averaged_strain(strain, group), averaged(strain), atol=1e-9)


elements = st.sampled_from(chemistry_of_elements().symbols)


@given(st.lists(elements, min_size=1, max_size=9), st.integers(0, 2**32))
def test_an_exchange_keeps_elements_apart_and_takes_neighbours_on_the_scale(symbols, seed):
    places = chemistry_of_elements().symbols
    new = module._exchanged(np.array(symbols), np.random.default_rng(seed)).tolist()
    pairs = set(zip(symbols, new, strict=True))
    assert len(pairs) == len(set(symbols)) == len(set(new))
    assert new != symbols
    for old, substitute in pairs:
        assert abs(places.index(old) - places.index(substitute)) <= 6
        assert old == substitute or substitute not in symbols


def test_atoms_without_a_neighbour_on_the_scale_stay():
    places = list(chemistry_of_elements().symbols)
    symbols = np.array([*places[:7], "Xe"])  # all that stand near the first
    for seed in range(20):
        new = module._exchanged(symbols, np.random.default_rng(seed))
        assert (new[0], new[-1]) == (places[0], "Xe")
        assert (new != symbols).any()


def test_every_element_is_exchanged_now_and_then(copies):
    for name, original in ORIGINALS.items():
        exchanged = [copy.atoms.symbols != original.atoms.symbols for copy in copies[name]]
        assert all(some.any() for some in exchanged)
        assert (np.mean(exchanged, axis=0) > 0.5).all()


def test_a_crystal_of_noble_gas_alone_has_no_copies():
    xenon = crystal("xenon", 225, Lattice.cubic(6.2), Xe=[0, 0, 0])
    assert variations([xenon], 3) == []


def test_the_draw_depends_on_seed_name_and_number_alone():
    together = variations([ORIGINALS[name] for name in ("pyrite", "corundum", "rutile")], 5, seed=7)
    alone = variations([ORIGINALS["corundum"]], 9, seed=7)
    assert [c.as_dict() for c in together[5:10]] == [c.as_dict() for c in alone[:5]]
    other_seed = variations([ORIGINALS["corundum"]], 5, seed=8)
    other_name = variations([replace(ORIGINALS["corundum"], material_id="sapphire")], 5, seed=7)
    first = alone[0].atoms.frac_coords
    assert abs(other_seed[0].atoms.frac_coords - first).max() > 1e-6
    assert abs(other_name[0].atoms.frac_coords - first).max() > 1e-6
    assert abs(alone[1].atoms.frac_coords - first).max() > 1e-6


def keys(crystals) -> list[tuple[str, int]]:
    return [(c.formula, c.space_group) for c in crystals]


def test_no_two_copies_and_no_copy_and_original_share_formula_and_space_group():
    salts = [replace(ORIGINALS["rock salt"], material_id=name) for name in ("a", "b", "c")]
    salts += [replace(c, material_id=f"salt {c.formula}") for c in variations(salts[:1], 5, seed=99)]
    found = variations(salts, 60)
    assert len(found) < 60 * len(salts)  # some fell together
    assert len(set(keys(found))) == len(found)
    assert not set(keys(found)) & set(keys(salts))
    assert len({c.material_id for c in found}) == len(found)


@settings(deadline=None, max_examples=15)
@given(st.sets(st.integers(0, 23)))
def test_exactly_the_copies_that_share_formula_and_space_group_with_a_held_out_crystal_are_left_out(chosen):
    originals = [ORIGINALS[name] for name in ("rock salt", "corundum")]
    found = variations(originals, 12)
    held_out = [replace(found[i % len(found)], material_id=f"held out {i}", split="test") for i in chosen]
    expected = [c.as_dict() for c in found if (c.formula, c.space_group) not in keys(held_out)]
    assert [c.as_dict() for c in variations(originals, 12, held_out=iter(held_out))] == expected


@pytest.mark.parametrize("space_group, copies", [(152, 0), (154, 0), (169, 1)])
def test_a_mirror_image_is_held_out_too_but_another_polymorph_is_not(space_group, copies):
    (copy,) = variations([ORIGINALS["quartz"]], 1)
    held_out = replace(copy, space_group=space_group)
    assert len(variations([ORIGINALS["quartz"]], 1, held_out=[held_out])) == copies


def test_nearest_distances_are_pymatgens():
    silver = crystal("silver", 225, Lattice.cubic(4.09), Ag=[0, 0, 0])  # its neighbours are its own images
    oblique = crystal("oblique", 166, Lattice.hexagonal(3.1, 21), Bi=[0, 0, 0.4], Te=[0, 0, 0])
    for each in (silver, oblique, *ORIGINALS.values()):
        expected = [min(site.nn_distance for site in near) for near in each.structure.get_all_neighbors(8)]
        np.testing.assert_allclose(module._nearest(each.atoms), expected, rtol=1e-9)


def test_no_distance_falls_below_the_bound_however_far_atoms_move(monkeypatch):
    monkeypatch.setattr(module, "MOVEMENT", 1.0)
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    original = ORIGINALS["zirconia"]
    found = variations([original], 60)
    assert 5 < len(found) < 50  # the bound did refuse some
    for copy in found:
        bound = 0.75 * scale(original, copy) * shortest(original.structure)
        assert shortest(copy.structure) >= bound, copy.formula


def test_a_copy_that_fails_is_tried_three_times(monkeypatch):
    tried = []
    monkeypatch.setattr(module, "_sound", lambda atoms, *bounds: tried.append(atoms))
    assert variations([ORIGINALS["rutile"]], 2) == []
    assert len(tried) == 6
    assert len({atoms.frac_coords.tobytes() for atoms in tried}) == 6  # anew each time


def test_a_copy_of_other_symmetry_is_refused():
    atoms = ORIGINALS["rutile"].atoms
    assert module._sound(atoms, 1.0, 136)
    assert not module._sound(atoms, 1.0, 12)
    assert not module._sound(atoms._replace(lattice=4 * atoms.lattice), 1.0, 136)  # each atom is alone


def test_copies_of_real_crystals_pass_the_checks(shared_data):
    path = shared_data / "data/structures/paper_split.jsonl.gz"
    originals = read_crystals(path, "trigonal", 40, progress=False).crystals
    found = variations(originals, 2)
    assert len(found) > 75
    numbers = {c.material_id: c.space_group for c in originals}
    for copy in found:
        atoms = checked_atoms(copy.atoms, copy.material_id)
        assert (atoms.lattice == copy.atoms.lattice).all()  # right-handed still
        assert symmetry_of(atoms, copy.material_id).number == numbers[copy.material_id.split("~")[0]]
