r"""The Cartesian mapped electron density (CMED): valence density in e/Å^3 on an n x n x n grid of fractional
coordinates i / n of the primitive cell (paper, Methods, 'Charge Density').

Two sources give it: the promolecule (spherical atoms superposed) and a VASP CHGCAR. Given a lattice, the
CMED maps back to real space without loss: the value stays, the point moves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import valence

GRID = 50  # the paper's voxels an axis
BOHR = 0.529177210903  # Å, CODATA 2018


def promolecule_cmed(structure, n: int = GRID) -> np.ndarray:
    r"""Superposed spherical valence densities of the free atoms.

        rho(x) = 1/V \sum_G \sum_j f_j(|G|) exp(2 pi i G . (x - x_j)),    |G_i| < n / 2

    The Fourier series of the crystal, cut where the grid ends, so that the mean times the volume is the
    electron count exactly. At the paper's grid the cut is far out: NaCl keeps its symmetry to 1e-7 of
    its maximum; coarse grids keep less. Sharp atoms in large cells may leave slightly negative ripples, as
    on any truncated grid, VASP's included.

    Args:
        structure: an ordered pymatgen Structure, or Atoms.
        n: voxels an axis.

    Returns:
        (n, n, n) float64, e/Å^3.

    Raises:
        CrystalNetError: a disordered or empty structure, or an element outside H-Pu.
    """
    atoms = Atoms.of(structure)
    reciprocal = 2 * np.pi * BOHR * np.linalg.inv(atoms.lattice).T  # 1/Bohr, rows
    full, half = np.fft.fftfreq(n, 1 / n), np.arange(n // 2 + 1.0)
    hkl = np.stack(np.meshgrid(full, full, half, indexing="ij"), -1)  # (n, n, n/2+1, 3)
    q_squared = np.einsum("...i,ij,...j->...", hkl, reciprocal @ reciprocal.T, hkl, optimize=True)
    coefficients = np.zeros(q_squared.shape, complex)
    for symbol in dict.fromkeys(atoms.symbols):
        first, second, third = (
            np.exp(-2j * np.pi * np.outer(x, axis))
            for axis, x in zip((full, full, half), atoms.frac_coords[atoms.symbols == symbol].T, strict=True)
        )
        plane = (first[:, :, None] * second[:, None, :]).reshape(len(first), -1)
        coefficients += (plane.T @ third).reshape(q_squared.shape) * _valence_form_factor(symbol, q_squared)
    if n % 2 == 0:  # the Nyquist planes hold one of each +-n/2 pair only: leaving them out keeps the symmetry
        coefficients[n // 2], coefficients[:, n // 2], coefficients[:, :, n // 2] = 0, 0, 0
    return np.fft.irfftn(coefficients, s=(n, n, n), axes=(0, 1, 2)) * (n**3 / atoms.volume)


def _valence_form_factor(symbol: str, q_squared: np.ndarray) -> np.ndarray:
    """Fourier transform of the spherical valence density, in electrons, at q^2 in 1/Bohr^2."""
    atom = valence(symbol)
    weights = atom.coefficients * (np.pi / atom.exponents) ** 1.5  # electrons in each Gaussian
    total = np.zeros_like(q_squared)
    for weight, exponent in zip(weights, atom.exponents, strict=True):
        total += weight * np.exp(q_squared * (-0.25 / exponent))
    return total


def chgcar_cmed(chgcar, n: int = GRID, method: str = "fourier") -> np.ndarray:
    """CMED of a VASP CHGCAR through mp-pyrho.

    Args:
        chgcar: a path (.gz allowed) or a pymatgen Chgcar.
        n: voxels an axis.
        method: 'fourier' interpolates by Fourier series, as the paper says: exact for a band-limited
            density and in the electron count. 'paper' does what its released code does: up-sampling by
            Fourier, 50 // min(grid) + 1 times, then linear interpolation, which loses or gains electrons
            where a density has spikes.

    Returns:
        (n, n, n) float64, e/Å^3.

    Raises:
        CrystalNetError: a file that is not a whole CHGCAR, or an unknown method.
    """
    from pyrho.charge_density import ChargeDensity
    from pyrho.utils import interpolate_fourier

    charge = ChargeDensity.from_pmg(read_chgcar(chgcar) if isinstance(chgcar, str | Path) else chgcar)
    if method == "fourier":
        return np.real(interpolate_fourier(charge.normalized_data["total"], [n, n, n]))
    if method == "paper":
        up_sample = n // min(charge.grid_shape) + 1
        return charge.get_transformed(np.eye(3), [n, n, n], up_sample=up_sample).normalized_data["total"]
    raise CrystalNetError(f"Unknown CHGCAR method {method!r}. Choose 'paper' or 'fourier'.")


def read_chgcar(path):
    """A pymatgen Chgcar from a file; anything but a whole, finite CHGCAR is one clear error."""
    from pymatgen.io.vasp import Chgcar

    try:
        chgcar = Chgcar.from_file(str(path))
    except FileNotFoundError:
        raise CrystalNetError(f"There is no file {path}. Check the path.") from None
    except Exception as error:  # the parser fails in many ways on a cut or foreign file
        raise CrystalNetError(
            f"{path} is not a whole CHGCAR ({type(error).__name__}: {error}). Fetch or write it again."
        ) from None
    if not np.isfinite(chgcar.data["total"]).all():
        raise CrystalNetError(f"{path} holds values that are not finite numbers. Fetch or write it again.")
    return chgcar


def n_electrons(cmed: np.ndarray, lattice) -> float:
    """Integral of the density over the cell: mean (e/Å^3) times volume (Å^3)."""
    return float(np.mean(cmed)) * abs(float(np.linalg.det(np.asarray(lattice, float))))


def density_in_cell(cmed: np.ndarray, lattice) -> tuple[np.ndarray, np.ndarray]:
    """The inverse mapping of the paper: voxel (i, j, k) sits at (i, j, k) / n @ lattice.

    Returns:
        cart_coords (n, n, n, 3) in Å and rho (n, n, n) in e/Å^3: the CMED's own values, undistorted.
    """
    axes = [np.arange(n) / n for n in cmed.shape]
    frac_coords = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    return frac_coords @ np.asarray(lattice, float), np.asarray(cmed)


def density_at(cmed: np.ndarray, lattice, cart_coords: np.ndarray) -> np.ndarray:
    """Density (e/Å^3) at Cartesian points (..., 3) in Å, in any cell, by periodic cubic splines."""
    from scipy.ndimage import map_coordinates

    frac_coords = np.asarray(cart_coords, float) @ np.linalg.inv(np.asarray(lattice, float))
    voxels = frac_coords.reshape(-1, 3).T * np.array(cmed.shape)[:, None]
    rho = map_coordinates(np.asarray(cmed, float), voxels, order=3, mode="grid-wrap")
    return rho.reshape(frac_coords.shape[:-1])
