r"""The powder pattern of a density itself, at a known lattice: what changes in it when the density changes.

    F(hkl) = V / n^3 \sum_x rho(x) exp(2 pi i hkl . x)
    I      = |F|^2 (1 + cos^2 2 theta) / (sin^2 theta cos theta)

One FFT gives every F, in electrons. A CMED holds the valence electrons alone, without the cores that scatter
most X-rays to high angles: its pattern has the peak positions of the X-ray pattern, not its intensities.

>>> from crystalnet.physics.atoms import Atoms
>>> from crystalnet.physics.density import promolecule_cmed
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> cmed = promolecule_cmed(nacl, n=16)
>>> density_peaks(cmed, nacl.lattice, wavelength=1.5406).two_theta[:3].round(2)  # 111, 200, 220
array([27.37, 31.7 , 45.45])
>>> density_pattern(cmed, nacl.lattice).shape
(1024,)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.diffraction import MO_K_ALPHA, N_BINS, Peaks, binned_pattern, merged_peaks


def density_peaks(cmed: ArrayLike, lattice: ArrayLike, wavelength: float = MO_K_ALPHA) -> Peaks:
    """Powder peaks of a density; weak ones are dropped as in `powder_peaks`.

    Args:
        cmed: (n, n, n), e/Å^3. Miller indices reach (n - 1) / 2: beyond that the grid holds no information.
        lattice: (3, 3) rows, Å.
        wavelength: Å.

    Raises:
        CrystalNetError: a density that is not finite or the same everywhere, or no reflection in reach.
    """
    cmed, lattice = np.asarray(cmed, float), np.asarray(lattice, float)
    n = len(cmed)
    if cmed.shape != (n, n, n) or not np.isfinite(cmed).all():
        raise CrystalNetError(
            "The density must be (n, n, n) finite values. Pass one crystal's CMED.", Code.BAD_DENSITY
        )
    if np.ptp(cmed) <= 1e-9 * np.abs(cmed).max():  # only rounding would be left to scatter
        raise CrystalNetError(
            "The density is the same everywhere: nothing scatters. Pass a crystal's CMED.", Code.BAD_DENSITY
        )
    axis = np.fft.fftfreq(n, 1 / n)
    hkl = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    g = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=-1)
    inside = (g > 0) & (g * wavelength / 2 < 1) & (2 * np.abs(hkl) < n).all(-1)  # not 000, no Nyquist plane
    if not inside.any():
        raise CrystalNetError(
            f"No reflection lies in reach of wavelength {wavelength} Å. Shorten it.", Code.BAD_WAVELENGTH
        )
    structure_factor = np.fft.fftn(cmed)[inside] * abs(np.linalg.det(lattice)) / n**3
    return merged_peaks(g[inside], np.abs(structure_factor) ** 2, wavelength)


def density_pattern(cmed: ArrayLike, lattice: ArrayLike, n_bins: int = N_BINS) -> np.ndarray:
    """A density's pattern binned as the network's input is, (n_bins,) float32, highest bin 1."""
    return binned_pattern(density_peaks(cmed, lattice), n_bins)
