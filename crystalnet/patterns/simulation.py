r"""Powder patterns as a laboratory instrument would measure them: for tests, and to see what noise does.

    FWHM_instrument^2 = U tan^2 theta + V tan theta + W,    FWHM_size = K lambda / (L cos theta)

Caglioti (Nucl. Instrum. 3, 223, 1958) for the instrument, Scherrer for crystallites of size L. Preferred
orientation is left out: peaks of equal d are one here, and its factor differs among their reflections.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pymatgen.core import Structure

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured, checked
from crystalnet.patterns.peak_search import K_ALPHA_2, doublet_of
from crystalnet.patterns.peak_shapes import pseudo_voigt
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.diffraction import powder_peaks

SCHERRER = 0.9  # K of the full width at half maximum, spherical crystallites
LABORATORY = (0.004, -0.002, 0.005)  # U, V, W in degrees^2, our choice: 0.07 degrees at 40, as LaB6 shows
REACH = 30  # full widths over which a peak is drawn


def simulated(
    structure: Structure | Atoms,
    wavelength: float | str = "CuKa1",
    two_theta_range: tuple[float, float] = (10.0, 100.0),
    *,
    step: float = 0.02,
    crystallite_nm: float = 100.0,
    counts: float = 10_000.0,
    background: float = 0.02,
    seed: int | None = 0,
    caglioti: tuple[float, float, float] = LABORATORY,
    lorentzian: float = 0.5,
    k_alpha_2: bool = False,
    zero_shift: float = 0.0,
    b_factor: float = 0.5,
    intensity_scatter: float = 0.0,
) -> Measured:
    """A pattern as measured, from the structure's ideal peaks.

    Args:
        structure: an ordered pymatgen Structure, or Atoms.
        wavelength: Å or a name; of K-alpha-1, or the doublet's mean, where `k_alpha_2` is drawn.
        two_theta_range: first and last angle, degrees.
        step: degrees.
        crystallite_nm: size of the crystallites, nm.
        counts: height of the highest peak above the background; noise follows from it.
        background: its height at the first angle as a part of `counts`; it falls to half over the range.
        seed: of the Poisson noise and the scatter; None for a pattern without noise.
        caglioti: U, V and W of the instrument's full width at half maximum, degrees^2.
        lorentzian: the Lorentzian part of the pseudo-Voigt, 0 to 1.
        k_alpha_2: draw the doublet of the wavelength's element.
        zero_shift: degrees that all angles are read too high.
        b_factor: overall Debye-Waller factor B, Å^2.
        intensity_scatter: standard deviation of the logarithm of a peak's intensity, for coarse grains.

    Raises:
        CrystalNetError: as in `powder_peaks`; a number out of its range; `k_alpha_2` without known doublet.

    >>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
    >>> pattern = simulated(salt, "CuKa1", (20, 60))
    >>> pattern.two_theta[pattern.counts.argmax()].round(1)
    np.float64(31.7)
    """
    wavelength = wavelength_of(wavelength)
    low, high = two_theta_range
    if not (0 < low < high < 180 and step > 0 and crystallite_nm > 0 and counts > 0 and background >= 0):
        raise CrystalNetError(
            "A pattern needs angles within 0 to 180 degrees and a step, size and counts above 0.",
            Code.BAD_ARGUMENT,
        )
    if not 0 <= lorentzian <= 1:
        raise CrystalNetError(
            f"A Lorentzian part of {lorentzian} can't be. Choose one from 0 to 1.", Code.BAD_ARGUMENT
        )
    lines = [(1.0, 1.0)]
    if k_alpha_2:
        doublet = doublet_of(wavelength)
        if doublet is None:
            raise CrystalNetError(
                f"No doublet is known at {wavelength} Å. Name one, such as 'CuKa1'.", Code.BAD_ARGUMENT
            )
        lines = [(doublet[0], 1 / (1 + K_ALPHA_2)), (doublet[1], K_ALPHA_2 / (1 + K_ALPHA_2))]
    two_theta = np.arange(low, high + step / 2, step)
    rng = np.random.default_rng(seed)
    # peaks from beyond the ends reach in with their flanks
    peaks = powder_peaks(structure, wavelength, (max(low - 5, 0), min(high + 5, 180)))
    s = 1 / (2 * peaks.d_spacing)
    area = peaks.intensity * np.exp(-2 * b_factor * s**2)
    area *= np.exp(intensity_scatter * rng.standard_normal(len(area)))
    curve = np.zeros_like(two_theta)
    for ratio, part in lines:
        sine = s * wavelength * ratio
        place = 2 * np.degrees(np.arcsin(sine[sine < 1]))
        width = full_width(place, wavelength, crystallite_nm, caglioti)
        for centre, fwhm, size in zip(place + zero_shift, width, part * area, strict=False):
            first, last = np.searchsorted(two_theta, (centre - REACH * fwhm, centre + REACH * fwhm))
            curve[first:last] += size * pseudo_voigt(two_theta[first:last] - centre, fwhm, lorentzian)
    fall = np.exp2(-(two_theta - low) / (high - low))
    expected = counts * (curve / curve.max() + background * fall)
    measured = expected if seed is None else rng.poisson(expected).astype(float)
    return checked(Measured(two_theta, measured, None, wavelength, "simulated pattern"))


def full_width(
    two_theta: np.ndarray, wavelength: float, crystallite_nm: float, caglioti: Sequence[float]
) -> np.ndarray:
    """Full widths at half maximum at two_theta, both in degrees: instrument and size, as Gaussians add.

    >>> full_width(np.array([40.0]), 1.5406, crystallite_nm=20.0, caglioti=LABORATORY).round(2)
    array([0.43])
    """
    theta = np.radians(two_theta / 2)
    u, v, w = caglioti
    instrument = np.maximum(u * np.tan(theta) ** 2 + v * np.tan(theta) + w, 0)
    size = np.degrees(SCHERRER * wavelength / (10 * crystallite_nm * np.cos(theta)))
    return np.sqrt(instrument + size**2)
