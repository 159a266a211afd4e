r"""The powder pattern of a density itself, at a known lattice: what changes in it when the density changes.

    F(hkl) = V / n^3 \sum_x rho(x) exp(2 pi i hkl . x),      I = |F|^2 (1 + cos^2 2 theta) / (sin^2 theta cos theta)

One FFT gives every F, in electrons. A CMED holds the valence electrons alone, without the cores that scatter
most X-rays to high angles: its pattern has the peak positions of the X-ray pattern, not its intensities.
"""

from __future__ import annotations

import numpy as np

from crystalnet.errors import CrystalNetError
from crystalnet.physics.diffraction import (
    INTENSITY_TOLERANCE,
    MO_K_ALPHA,
    N_BINS,
    TWO_THETA_TOLERANCE,
    Peaks,
    binned_pattern,
)


def density_peaks(cmed, lattice, wavelength: float = MO_K_ALPHA) -> Peaks:
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
        raise CrystalNetError("The density must be (n, n, n) finite values. Pass one crystal's CMED.")
    axis = np.fft.fftfreq(n, 1 / n)
    hkl = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    g = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=-1)
    inside = (
        (g > 0) & (g * wavelength / 2 < 1) & (2 * np.abs(hkl) < n).all(-1)
    )  # without 000 and Nyquist planes
    if not inside.any():
        raise CrystalNetError(f"No reflection lies in reach of wavelength {wavelength} Å. Shorten it.")
    structure_factor = np.fft.fftn(cmed)[inside] * abs(np.linalg.det(lattice)) / n**3
    theta = np.arcsin(g[inside] * wavelength / 2)
    two_theta = np.degrees(2 * theta)
    lorentz_polarisation = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    order = np.argsort(two_theta, kind="stable")
    starts = np.flatnonzero(np.diff(np.round(two_theta[order] / TWO_THETA_TOLERANCE), prepend=-1.0))
    intensity = np.add.reduceat((np.abs(structure_factor) ** 2 * lorentz_polarisation)[order], starts)
    if np.ptp(cmed) <= 1e-9 * np.abs(cmed).max():  # only rounding would be left to scatter
        raise CrystalNetError(
            "The density is the same everywhere and scatters nothing. Pass a crystal's CMED."
        )
    intensity *= 100 / intensity.max()
    kept = intensity > INTENSITY_TOLERANCE
    return Peaks(two_theta[order][starts][kept], intensity[kept], 1 / g[inside][order][starts][kept])


def density_pattern(cmed, lattice, n_bins: int = N_BINS) -> np.ndarray:
    """A density's pattern binned as the network's input is, (n_bins,) float32, highest bin 1."""
    return binned_pattern(density_peaks(cmed, lattice), n_bins)
