"""CMEDs against analytic densities and what symmetry demands."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.physics import scattering
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import (
    BOHR,
    density_at,
    density_in_cell,
    n_electrons,
    promolecule_cmed,
    promolecule_cmeds,
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


def atoms_at_random(lattice, n_atoms):
    rng = np.random.default_rng(n_atoms)
    symbols = rng.choice(["Si", "O", "Cs", "H", "Fe"], n_atoms)
    return Atoms(lattice.matrix, rng.random((n_atoms, 3)), symbols)


CRYSTALS = {
    "triclinic": atoms_at_random(TRICLINIC, 4),
    "monoclinic": atoms_at_random(Lattice.monoclinic(5.1, 4.2, 6.6, 111), 7),
    "orthorhombic": atoms_at_random(Lattice.orthorhombic(3.9, 5.0, 6.2), 3),
    "tetragonal": atoms_at_random(Lattice.tetragonal(4.2, 6.8), 1),
    "tetragonal, a unique": atoms_at_random(Lattice.orthorhombic(6.8, 4.2, 4.2), 2),
    "trigonal": atoms_at_random(Lattice.rhombohedral(5.3, 49), 12),
    "trigonal, obtuse": atoms_at_random(Lattice.rhombohedral(5.3, 112), 5),
    "hexagonal": atoms_at_random(Lattice.hexagonal(4.4, 5.1), 30),
    "hexagonal, 60 degrees": atoms_at_random(Lattice.from_parameters(4.4, 4.4, 5.1, 90, 90, 60), 6),
    "cubic": atoms_at_random(Lattice.cubic(11.5), 160),
    "face-centred cubic": atoms_at_random(Lattice.rhombohedral(3.8, 60), 2),
    "body-centred cubic": atoms_at_random(Lattice.from_parameters(4, 4, 4, *[109.4712206344907] * 3), 4),
} | {  # |G| that are equal by symmetry to so many digits alone
    f"trigonal, {digits} decimals": Atoms(
        np.round(Lattice.rhombohedral(5.3, 49).matrix, digits), np.array([[0.1, 0.2, 0.3]]), np.array(["O"])
    )
    for digits in (6, 3)
}


def fourier_series(atoms, n):
    """The series written out: every G with |G_i| < n / 2, atom by atom and Gaussian by Gaussian."""
    axis = np.fft.fftfreq(n, 1 / n)
    hkl = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    q = np.linalg.norm(hkl @ np.linalg.inv(atoms.lattice).T, axis=-1) * 2 * np.pi * BOHR
    coefficients = np.zeros((n, n, n), complex)
    for symbol, x in zip(atoms.symbols, atoms.frac_coords, strict=True):
        atom = valence(symbol)
        f = sum(
            c * (np.pi / a) ** 1.5 * np.exp(-(q**2) / (4 * a))
            for c, a in zip(atom.coefficients, atom.exponents, strict=True)
        )
        coefficients += f * np.exp(-2j * np.pi * hkl @ x)
    coefficients[(2 * np.abs(hkl) >= n).any(-1)] = 0
    return np.fft.ifftn(coefficients).real * n**3 / atoms.volume


@pytest.mark.parametrize("n", [11, 12])
def test_a_batch_is_the_fourier_series_of_each_crystal(n):
    cmeds = promolecule_cmeds(list(CRYSTALS.values()), n)
    assert cmeds.shape == (len(CRYSTALS), n, n, n) and cmeds.dtype == torch.float64
    for atoms, cmed in zip(CRYSTALS.values(), cmeds.numpy(), strict=True):
        expected = fourier_series(atoms, n)
        np.testing.assert_allclose(cmed, expected, rtol=0, atol=1e-12 * expected.max())


@pytest.mark.parametrize("chunk", [1, 2**11, 2**22], ids=["one by one", "some chunks", "one chunk"])
def test_a_batch_gives_what_each_crystal_alone_gives(chunk, monkeypatch):
    alone = np.stack([promolecule_cmed(atoms, 12) for atoms in CRYSTALS.values()])
    monkeypatch.setitem(scattering.CHUNK, "cpu", chunk)
    together = promolecule_cmeds(list(CRYSTALS.values()), 12).numpy()
    highest = alone.max((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(together / highest, alone / highest, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(together, promolecule_cmeds(list(CRYSTALS.values()), 12))  # each time


def test_single_precision_is_within_its_promise():
    exact = promolecule_cmeds(list(CRYSTALS.values()), 50)
    single = promolecule_cmeds(list(CRYSTALS.values()), 50, dtype=torch.float32)
    assert single.dtype == torch.float32
    off = (single - exact).abs().amax((1, 2, 3)) / exact.amax((1, 2, 3))
    assert off.max() < 1e-5


def test_a_batch_names_the_crystal_that_is_wrong():
    unknown = Structure(Lattice.cubic(3), ["Og"], [[0, 0, 0]])
    with pytest.raises(CrystalNetError, match=r"^Crystal 1 of 2, counted from 0: .*Og"):
        promolecule_cmeds([CRYSTALS["cubic"], unknown], 8)
    with pytest.raises(CrystalNetError, match=r"float16.*float32"):
        promolecule_cmeds([CRYSTALS["cubic"]], 8, dtype=torch.float16)


def test_no_crystals_have_no_densities():
    assert promolecule_cmeds([], 8).shape == (0, 8, 8, 8)


def test_nothing_stays_behind_on_the_processor():
    """The meta device stands for an accelerator: it computes nothing, and refuses a tensor of the CPU."""
    assert promolecule_cmeds(list(CRYSTALS.values()), 8, device="meta").shape == (len(CRYSTALS), 8, 8, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_accelerator_gives_the_same_densities():
    crystals = list(CRYSTALS.values())
    exact = promolecule_cmeds(crystals)
    for dtype, digits in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        cmeds = promolecule_cmeds(crystals, device="cuda", dtype=dtype)
        assert cmeds.is_cuda and torch.equal(cmeds, promolecule_cmeds(crystals, device="cuda", dtype=dtype))
        off = (cmeds.cpu() - exact).abs().amax((1, 2, 3)) / exact.amax((1, 2, 3))
        assert off.max() < digits
