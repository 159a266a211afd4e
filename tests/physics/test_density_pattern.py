"""The powder pattern of a density: against analytic atoms, extinctions, and the crystal's own peaks."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.density_pattern import density_pattern, density_peaks
from crystalnet.physics.diffraction import powder_peaks

HEXAGONAL = np.array([[3.0, 0.0, 0.0], [-1.5, 3.0 * 0.75**0.5, 0.0], [0.0, 0.0, 4.2]])


def gaussian_atoms(lattice, sites, electrons: float = 2.0, exponent: float = 4.0, n: int = 32) -> np.ndarray:
    """electrons (exponent / pi)^(3/2) exp(-exponent r^2) around each site and its images, (n, n, n)."""
    axis = np.arange(n) / n
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    rho = np.zeros((n, n, n))
    images = np.stack(np.meshgrid(*[[-2, -1, 0, 1, 2]] * 3, indexing="ij"), -1).reshape(-1, 3)
    for site in sites:
        for image in images:
            rho += np.exp(-exponent * np.sum(((grid - site - image) @ lattice) ** 2, -1))
    return electrons * (exponent / np.pi) ** 1.5 * rho


@pytest.mark.parametrize("lattice", [3.2 * np.eye(3), HEXAGONAL])
def test_single_gaussian_atom_scatters_as_its_fourier_transform(lattice):
    # F(g) = N exp(-pi^2 g^2 / exponent), whatever the site
    peaks = density_peaks(gaussian_atoms(lattice, [[0.1, 0.27, 0.6]]), lattice)
    g = 1 / peaks.d_spacing
    np.testing.assert_allclose(2 * np.degrees(np.arcsin(0.71073 * g / 2)), peaks.two_theta)
    indices = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3, indexing="ij"), -1).reshape(-1, 3)
    lengths = np.linalg.norm(indices @ np.linalg.inv(lattice).T, axis=1)
    multiplicity = np.array([np.sum(np.abs(lengths - length) < 1e-7) for length in g])
    theta = np.radians(peaks.two_theta / 2)
    expected = multiplicity * np.exp(-2 * np.pi**2 * g**2 / 4.0)
    expected *= (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    np.testing.assert_allclose(peaks.intensity, 100 * expected / expected.max(), rtol=1e-6)


CENTRED = {
    "body": ([[0, 0, 0], [0.5, 0.5, 0.5]], lambda h: h.sum() % 2 == 0),
    "face": ([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], lambda h: len(set(h % 2)) == 1),
}


@pytest.mark.parametrize("centring", CENTRED)
def test_centred_cells_extinguish_their_reflections(centring):
    sites, allowed = CENTRED[centring]
    edge = 3.6
    peaks = density_peaks(gaussian_atoms(edge * np.eye(3), np.array(sites) + 0.13), edge * np.eye(3))
    found = set(np.round((edge / peaks.d_spacing) ** 2).astype(int))
    indices = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), -1).reshape(-1, 3)[1:]
    lengths = np.sum(indices**2, 1)
    permitted = {int(length) for h, length in zip(indices, lengths, strict=True) if allowed(h)}
    within = max(found)
    assert found == {length for length in permitted if length <= within} and len(found) > 4


def test_peaks_stand_where_those_of_the_crystal_stand():
    structure = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    primitive = structure.get_primitive_structure()
    conventional, reduced = (
        density_peaks(promolecule_cmed(cell, 48), cell.lattice.matrix) for cell in (structure, primitive)
    )
    few = 8
    np.testing.assert_allclose(reduced.two_theta[:few], conventional.two_theta[:few])
    np.testing.assert_allclose(reduced.intensity[:few], conventional.intensity[:few], rtol=1e-3)
    xray = powder_peaks(structure).two_theta
    assert all(np.abs(xray - angle).min() < 1e-4 for angle in reduced.two_theta)


def test_density_pattern_is_binned_like_the_input():
    pattern = density_pattern(gaussian_atoms(3.2 * np.eye(3), [[0, 0, 0]]), 3.2 * np.eye(3))
    assert pattern.shape == (1024,) and pattern.dtype == np.float32 and pattern.max() == 1
    first = int(1024 * 2 * np.degrees(np.arcsin(0.71073 / 6.4)) / 180)
    assert np.flatnonzero(pattern)[0] == first


@pytest.mark.parametrize(
    ("cmed", "wavelength", "message"),
    [
        (np.ones((8, 8, 8)), 0.71073, "same everywhere"),
        (np.full((8, 8, 8), np.nan), 0.71073, "finite"),
        (np.ones((8, 8)), 0.71073, r"\(n, n, n\)"),
        (np.random.default_rng(0).random((8, 8, 8)), 100.0, "No reflection"),
    ],
)
def test_densities_without_a_pattern_are_named(cmed, wavelength, message):
    with pytest.raises(CrystalNetError, match=message):
        density_peaks(cmed, 3 * np.eye(3), wavelength)
