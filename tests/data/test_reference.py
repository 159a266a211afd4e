"""The reference densities: whole, physical, symmetric and small; and the parts of the script behind them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from crystalnet.data.chgcar import chgcar_cmed, read_chgcar
from crystalnet.data.crystals import CRYSTAL_SYSTEMS, symmetry_of
from crystalnet.data.densities import read_cmed
from crystalnet.data.reference import FOLDER
from crystalnet.data.reference.gpaw_density import other_shells, pseudized, smooth_part, transform
from crystalnet.data.reference.make_densities import SETTINGS, reference_crystals
from crystalnet.physics.density import GRID, density_at, n_electrons, promolecule_cmed
from crystalnet.physics.similarity import nmae
from crystalnet.physics.tables import valence
from crystalnet.physics.tables.radial_atom import radial_grid

INDEX = {entry["file"]: entry for entry in json.loads((FOLDER / "index.json").read_text())}
CRYSTALS = {f"{crystal.material_id}.npz": crystal for crystal in reference_crystals()}


def electrons(symbols) -> float:
    return sum(valence(symbol).n_electrons for symbol in symbols.tolist())


def test_files_index_and_script_name_the_same_crystals():
    files = {path.name for path in FOLDER.glob("*.npz")}
    assert files == set(INDEX) == set(CRYSTALS)
    for file, entry in INDEX.items():
        rho, atoms = read_cmed(FOLDER / file)
        crystal = CRYSTALS[file]
        assert (entry["formula"], entry["space_group"]) == (crystal.formula, crystal.space_group)
        assert entry["electrons_asked"] == electrons(atoms.symbols)
        assert entry["electrons_integrated"] == pytest.approx(
            n_electrons(rho.astype(float), atoms.lattice), rel=1e-4
        )
        assert {key: entry[key] for key in SETTINGS} == SETTINGS


def test_reference_set_is_small_and_spans_all_crystal_systems():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 2_000_000
    systems = [entry["crystal_system"] for entry in INDEX.values()]
    assert set(systems) == set(CRYSTAL_SYSTEMS)
    assert systems.count("cubic") + systems.count("trigonal") > len(systems) / 2


@pytest.mark.parametrize("file", CRYSTALS)
def test_density_lies_on_the_cell_of_its_crystal(file):
    rho, atoms = read_cmed(FOLDER / file)
    ours = CRYSTALS[file].atoms  # the cell that patterns are taken on
    assert rho.shape == (GRID, GRID, GRID) and rho.dtype == np.float16
    assert np.linalg.det(atoms.lattice) > 0
    assert atoms.symbols.tolist() == ours.symbols.tolist()
    np.testing.assert_allclose(atoms.lattice, ours.lattice, atol=1e-9)
    np.testing.assert_allclose(atoms.frac_coords, ours.frac_coords, atol=1e-9)


@pytest.mark.parametrize("file", CRYSTALS)
def test_density_holds_the_valence_electrons_near_the_atoms(file):
    rho, atoms = read_cmed(FOLDER / file)
    rho = rho.astype(float)
    assert n_electrons(rho, atoms.lattice) == pytest.approx(electrons(atoms.symbols), rel=5e-3)
    assert rho.min() > 0
    promolecule = promolecule_cmed(atoms)
    assert nmae(rho, promolecule) < 0.2
    assert nmae(rho, np.roll(promolecule, GRID // 4, axis=(0, 1, 2))) > 1.5 * nmae(rho, promolecule)


@pytest.mark.parametrize("file", CRYSTALS)
def test_density_has_the_symmetry_of_its_crystal(file):
    rho, atoms = read_cmed(FOLDER / file)
    symmetry = symmetry_of(atoms, file)
    assert symmetry.number == INDEX[file]["space_group"]
    points = np.random.default_rng(0).random((300, 3))

    def largest_change(cmed) -> float:
        there = [
            density_at(cmed, np.eye(3), points @ np.transpose(rotation) + translation)
            for rotation, translation in zip(
                symmetry.operations.rotations, symmetry.operations.translations, strict=True
            )
        ]
        return np.abs(np.array(there) - density_at(cmed, np.eye(3), points)).max() / cmed.max()

    rho = rho.astype(float)
    assert largest_change(rho) < 2e-3
    assert largest_change(np.roll(rho, 2, axis=0)) > 0.1  # the origin matters


@pytest.mark.parametrize(
    "name, file",
    [("atomate_PBEsol_Al", "Al-225"), ("atomate_Si_static", "Si-227"), ("heusler_bcc_Fe", "Fe-229")],
)
def test_vasp_gives_the_same_density(shared_data, name, file):
    """The cells are one or two per cent larger there and lie otherwise: all values are compared, in order."""
    chgcar = read_chgcar(shared_data / "data" / "chgcar" / f"{name}.CHGCAR.gz")
    theirs = chgcar_cmed(chgcar)
    rho, atoms = read_cmed(FOLDER / f"{file}.npz")
    ours = rho.astype(float)
    in_order = [
        np.sort(x.ravel()) * volume for x, volume in ((theirs, chgcar.structure.volume), (ours, atoms.volume))
    ]
    assert nmae(*(x.reshape(theirs.shape) for x in in_order)) < 0.04
    distances = [nmae(theirs, promolecule_cmed(chgcar.structure)), nmae(ours, promolecule_cmed(atoms))]
    assert distances[0] == pytest.approx(distances[1], abs=0.015)


R, WEIGHTS = radial_grid(30)


@pytest.mark.parametrize("ell", range(5))
def test_transform_of_a_gaussian_is_the_analytic_one(ell):
    a, q = 0.7, np.linspace(0.1, 5, 40)
    found = transform(R**ell * np.exp(-a * R**2), R, WEIGHTS, ell, q)
    expected = np.sqrt(np.pi) * q**ell / (2 ** (ell + 2) * a ** (ell + 1.5)) * np.exp(-(q**2) / (4 * a))
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("ell", range(5))
def test_pseudized_multipole_is_smooth_and_keeps_its_moment(ell):
    sharp = R**ell * (np.exp(-0.5 * R**2) - 40 * np.exp(-20 * R**2))
    smooth = pseudized(sharp, R, WEIGHTS, 1.5, ell)
    np.testing.assert_array_equal(smooth[R > 1.55], sharp[R > 1.55])
    moments = [WEIGHTS @ (R ** (2 + ell) * n) for n in (sharp, smooth)]
    assert moments[1] == pytest.approx(moments[0], rel=1e-9)
    inside = (R > 0.1) & (R < 1.45)
    polynomial = np.polynomial.Polynomial.fit(R[inside] ** 2, (smooth / R**ell)[inside], 3)
    np.testing.assert_allclose(polynomial(R[inside] ** 2), (smooth / R**ell)[inside], atol=1e-9)
    assert np.abs(smooth[inside] / R[inside] ** ell).max() < 3  # the spike of 40 is gone


@pytest.mark.parametrize("ell", [2, 4])
def test_spike_at_the_nucleus_leaves_no_trace_in_high_multipoles(ell):
    broad, spike = R**ell * np.exp(-0.5 * R**2), R**ell * 4e5 * np.exp(-2000 * R**2)
    with_spike, without = (pseudized(n, R, WEIGHTS, 1.5, ell) for n in (broad + spike, broad))
    np.testing.assert_allclose(with_spike, without, atol=1e-4)


@pytest.mark.parametrize(
    "symbol, theirs, surplus",  # shells (n, l, electrons) as in GPAW's data sets
    [
        ("Si", [(3, 0, 2), (3, 1, 2)], 0),
        ("Mg", [(2, 0, 2), (3, 0, 2), (2, 1, 6), (3, 1, 0)], -2),
        ("Fe", [(4, 0, 2), (4, 1, 0), (3, 2, 6)], 6),
    ],
)
def test_shells_are_swapped_to_the_promolecules_valence(symbol, theirs, surplus):
    n_j, l_j, f_j = zip(*theirs, strict=True)
    density, r, weights = other_shells(SimpleNamespace(symbol=symbol, n_j=n_j, l_j=l_j, f_j=f_j))
    assert 4 * np.pi * weights @ (r**2 * density) == pytest.approx(surplus, abs=2e-3)
    assert sum(f_j) + surplus == valence(symbol).n_electrons


@pytest.mark.parametrize("shape", [(10, 12, 15), (60, 64, 60)])
def test_smooth_part_keeps_plane_waves_on_any_grid(shape):
    x, y, z = np.meshgrid(*[np.arange(size) / size for size in shape], indexing="ij")
    waves = np.cos(2 * np.pi * (x - 2 * y)) + np.sin(2 * np.pi * 3 * z)
    density = SimpleNamespace(nt_sG=[waves + 5], nct_G=2.0)
    x, y, z = np.meshgrid(*[np.arange(20) / 20] * 3, indexing="ij")
    found = np.fft.ifftn(smooth_part(density, 20)) * 20**3
    expected = 3 + np.cos(2 * np.pi * (x - 2 * y)) + np.sin(2 * np.pi * 3 * z)
    np.testing.assert_allclose(found, expected, atol=1e-12)
