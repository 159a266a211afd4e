r"""From a structure to its powder pattern: reflections -> peaks -> the 1024 bins that the network reads.

    F(hkl) = \sum_j f_j(s) exp(2 pi i g . r_j),      s = sin(theta) / lambda = |g| / 2
    I      = |F|^2 (1 + cos^2 2 theta) / (sin^2 theta cos theta)

De Graef & McHenry, Structure of Materials, chapters 11-12. There is no Python loop over reflections: the
phase factor of a reflection splits into one factor an axis, so that the sum over the atoms of an element
is a matrix product over the whole box of Miller indices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import form_factor

MO_K_ALPHA = 0.71073  # Å, the paper's radiation (Methods, 'X-Ray Diffraction Patterns')
N_BINS = 1024  # the paper's pattern length
TWO_THETA_TOLERANCE = 1e-5  # degrees; reflections nearer than this are one peak (pymatgen's constant)
INTENSITY_TOLERANCE = 1e-3  # per cent of the highest peak; weaker peaks are dropped (pymatgen's constant)


class Peaks(NamedTuple):
    """Powder peaks by rising angle, (P,) each: degrees, highest intensity 100, and Å."""

    two_theta: np.ndarray
    intensity: np.ndarray
    d_spacing: np.ndarray


def powder_peaks(structure, wavelength: float = MO_K_ALPHA, two_theta_range=(0, 180)) -> Peaks:
    """Peaks of the ideal powder pattern, equal to pymatgen's XRDCalculator.

    Args:
        structure: an ordered pymatgen Structure, or Atoms; any cell of the crystal gives the same peaks.
        wavelength: Å.
        two_theta_range: lowest and highest angle, degrees, within [0, 180].

    Raises:
        CrystalNetError: a disordered or empty structure, an element without form factor, a range or
            wavelength that leaves no reflection.
    """
    atoms = Atoms.of(structure)
    low, high = (2 * np.sin(np.radians(float(t) / 2)) / wavelength for t in two_theta_range)
    axes, inside, g = _reciprocal_half_sphere(atoms.lattice, low, high)
    if not len(g):
        raise CrystalNetError(
            f"No reflection lies between two_theta {two_theta_range[0]} and {two_theta_range[1]} degrees at"
            f" wavelength {wavelength} Å. Widen the range or shorten the wavelength."
        )
    order = np.argsort(g, kind="stable")
    g = g[order]
    starts = _peak_starts(_two_theta(g, wavelength))
    peak_of = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(g)))
    amplitude = np.zeros(len(g), complex)
    for symbol in dict.fromkeys(atoms.symbols):
        phases = _phase_sums(axes, atoms.frac_coords[atoms.symbols == symbol])[inside][order]
        # within a peak |g| is one number to 1e-7, so that its form factor is computed once
        amplitude += _scattering(symbol, g[starts] / 2)[peak_of] * phases
    return merged_peaks(g, np.abs(amplitude) ** 2, wavelength)


def merged_peaks(g: np.ndarray, squared_amplitude: np.ndarray, wavelength: float) -> Peaks:
    """Reflections to peaks: Lorentz-polarisation factor, equal angles added, weak peaks dropped.

    Args:
        g: (M,) rising, 1/Å.
        squared_amplitude: (M,) |F|^2.
        wavelength: Å.
    """
    two_theta = _two_theta(g, wavelength)
    theta = np.radians(two_theta / 2)
    lorentz_polarisation = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    starts = _peak_starts(two_theta)
    intensity = np.add.reduceat(squared_amplitude * lorentz_polarisation, starts)
    intensity *= 100 / intensity.max()
    kept = intensity > INTENSITY_TOLERANCE
    return Peaks(two_theta[starts][kept], intensity[kept], 1 / g[starts][kept])


def binned_pattern(peaks: Peaks, n_bins: int = N_BINS) -> np.ndarray:
    """The network's input: (n_bins,) float32 over two_theta 0-180 degrees, highest bin 1.

    Bin = int(n_bins * two_theta / 180); where two peaks meet the higher stays (paper, Methods).
    """
    pattern = np.zeros(n_bins, np.float32)
    bins = np.minimum((n_bins * peaks.two_theta / 180).astype(int), n_bins - 1)
    np.maximum.at(pattern, bins, (peaks.intensity / peaks.intensity.max()).astype(np.float32))
    return pattern


def powder_pattern(structure, n_bins: int = N_BINS) -> np.ndarray:
    """Structure to the paper's 1024-bin pattern in one step."""
    return binned_pattern(powder_peaks(structure), n_bins)


def _two_theta(g: np.ndarray, wavelength: float) -> np.ndarray:
    """Bragg: sin(theta) = lambda |g| / 2; degrees."""
    return np.degrees(2 * np.arcsin(np.minimum(wavelength * g / 2, 1.0)))


def _peak_starts(two_theta: np.ndarray) -> np.ndarray:
    """Index of the first reflection of each peak: one peak a multiple of the tolerance, as in pymatgen."""
    return np.flatnonzero(np.diff(np.round(two_theta / TWO_THETA_TOLERANCE), prepend=-1.0))


def _scattering(symbol: str, s: np.ndarray) -> np.ndarray:
    """Atomic form factor f(s) in electrons at s = sin(theta) / lambda in 1/Å (De Graef & McHenry)."""
    atom = form_factor(symbol)
    return atom.z - 41.78214 * s**2 * (atom.a @ np.exp(-np.outer(atom.b, s**2)))


def _reciprocal_half_sphere(lattice: np.ndarray, low: float, high: float):
    """Miller indices with low <= |g| <= high, one of each Friedel pair (|F| is the same for both).

    Returns the three index axes of the enclosing box, the mask of the box, and |g| (1/Å) inside it.
    """
    reciprocal = np.linalg.inv(lattice).T
    reach = np.floor(high * np.linalg.norm(lattice, axis=1) + 1e-8).astype(int)
    h, k, l = np.arange(reach[0] + 1), np.arange(-reach[1], reach[1] + 1), np.arange(-reach[2], reach[2] + 1)  # noqa: E741
    metric = reciprocal @ reciprocal.T
    g_squared = (
        (metric[0, 0] * h**2)[:, None, None]
        + (metric[1, 1] * k**2)[None, :, None]
        + (metric[2, 2] * l**2)[None, None, :]
        + 2 * metric[0, 1] * h[:, None, None] * k[None, :, None]
        + 2 * metric[0, 2] * h[:, None, None] * l[None, None, :]
        + 2 * metric[1, 2] * k[None, :, None] * l[None, None, :]
    )
    inside = (g_squared <= (high + 1e-8) ** 2) & (g_squared >= low**2)
    inside[0, : reach[1]] = False  # h = 0: the half with k < 0 is the Friedel mate of k > 0
    inside[0, reach[1], : reach[2] + 1] = False  # h = k = 0: likewise l < 0, and the origin
    return (h, k, l), inside, np.sqrt(g_squared[inside])


def _phase_sums(axes, frac_coords: np.ndarray) -> np.ndarray:
    """sum_j exp(2 pi i (h x_j + k y_j + l z_j)) on the box of `axes`, complex (H, K, L)."""
    first, second, third = (
        np.exp(2j * np.pi * np.outer(axis, x)) for axis, x in zip(axes, frac_coords.T, strict=True)
    )
    plane = (second[:, None, :] * third[None, :, :]).reshape(-1, len(frac_coords))
    return (first @ plane.T).reshape([len(axis) for axis in axes])
