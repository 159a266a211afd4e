"""CMEDs against analytic densities and what symmetry demands."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import (
    BOHR,
    density_at,
    density_in_cell,
    n_electrons,
    promolecule_cmed,
)
from crystalnet.physics.tables import valence

TRICLINIC = Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107)


def test_promolecule_has_every_electron():
    structure = Structure(TRICLINIC, ["Fe", "O", "Cs"], [[0, 0.1, 0.2], [0.5, 0.4, 0.6], [0.1, 0.8, 0.5]])
    expected = sum(valence(symbol).n_electrons for symbol in ("Fe", "O", "Cs"))
    for n in (25, 50):
        assert n_electrons(promolecule_cmed(structure, n), TRICLINIC.matrix) == pytest.approx(
            expected, rel=1e-9
        )


def test_promolecule_is_the_superposed_atoms():
    """Against a plain real-space sum over the Gaussians of every atom and its periodic images."""
    structure = Structure(TRICLINIC, ["Cs", "Na"], [[0.1, 0.2, 0.3], [0.6, 0.7, 0.5]])
    cart_coords, rho = density_in_cell(promolecule_cmed(structure, 50), TRICLINIC.matrix)
    points = cart_coords.reshape(-1, 3)[::997]
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    expected = np.zeros(len(points))
    for site in structure:
        atom = valence(site.specie.symbol)
        centres = (site.frac_coords + images) @ TRICLINIC.matrix
        squared = ((points[:, None] - centres) ** 2).sum(-1) / BOHR**2
        for exponent, coefficient in zip(atom.exponents, atom.coefficients, strict=True):
            expected += coefficient * np.exp(-exponent * squared).sum(1) / BOHR**3
    # what is left is the Fourier series' cut at the grid
    np.testing.assert_allclose(rho.reshape(-1)[::997], expected, atol=2e-3 * rho.max())


def test_promolecule_keeps_inversion():
    structure = Structure(TRICLINIC, ["Si", "Si"], [[0.13, 0.21, 0.37], [-0.13, -0.21, -0.37]])
    cmed = promolecule_cmed(structure)
    inverted = np.roll(cmed[::-1, ::-1, ::-1], 1, (0, 1, 2))
    np.testing.assert_allclose(cmed, inverted, atol=1e-9)


def test_inverse_mapping_gives_the_density_back():
    x, y, z = np.meshgrid(*[np.arange(50) / 50] * 3, indexing="ij")
    cmed = 3 + np.cos(2 * np.pi * (x - 2 * z)) + np.sin(6 * np.pi * y)
    cart_coords, rho = density_in_cell(cmed, TRICLINIC.matrix)
    corner = cart_coords[7, 11, 30] + TRICLINIC.matrix[1] - 2 * TRICLINIC.matrix[2]
    assert density_at(cmed, TRICLINIC.matrix, corner) == pytest.approx(rho[7, 11, 30], abs=1e-9)
    frac = np.array([0.123, 0.456, 0.789])
    expected = 3 + np.cos(2 * np.pi * (frac[0] - 2 * frac[2])) + np.sin(6 * np.pi * frac[1])
    assert density_at(cmed, TRICLINIC.matrix, frac @ TRICLINIC.matrix) == pytest.approx(expected, abs=1e-3)


def test_unknown_element_is_named():
    with pytest.raises(CrystalNetError, match="Og"):
        promolecule_cmed(Structure(Lattice.cubic(3), ["Og"], [[0, 0, 0]]))
