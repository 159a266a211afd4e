r"""What a powder measurement says of a crystal, without wavelength, optics and scale.

    |F|^2 multiplicity = I / LP,    at s = sin(theta) / lambda = 1 / (2 d)

Patterns are compared as curves over s in which every peak is a Gaussian of one width, so that a position that
is off by a part of a width costs a part of the agreement; and as square roots, so that weak peaks count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from pymatgen.core import Structure
from scipy.sparse import csr_array

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.diffraction import (
    INTENSITY_TOLERANCE,
    MO_K_ALPHA,
    Peaks,
    lorentz_polarisation,
    powder_peaks,
)

STEP = 1 / 1456  # 1/Å of s, our choice: 2048 points up to the highest s of Mo K-alpha
RESOLVED = 0.35 * STEP  # two peaks of a list, our choice: 0.04 degrees of two_theta with Cu at 40
REACH = 3.5  # standard deviations over which a peak is drawn
TAILS = 8.0  # the same of one with a Lorentzian part, our choice: a fiftieth of its height is left
GAUSSIAN = 2 * math.sqrt(2 * math.log(2))  # full width at half maximum of a Gaussian over its deviation
EDGE = 1e-9  # 1/Å, rounding: a peak on the border counts
SHARP = 1.2  # standard deviation of a peak in steps, our choice: 0.14 degrees of two_theta with Cu at 40


@dataclass(frozen=True, eq=False)
class Observed:
    """Peaks of one crystal, measured or calculated.

    Attributes:
        s: (P,) sin(theta) / lambda, 1/Å, rising.
        intensity: (P,) without Lorentz-polarisation factor, on any scale.
        low, high: what was measured, 1/Å of s.
        wavelength: Å.
        weakest: intensity, as a part of the strongest peak's and with the Lorentz-polarisation factor, below
            which a peak was not seen.
        width: standard deviation of the peaks that curves are compared with, 1/Å of s.
        resolved: how far two peaks must be apart to be seen as two, 1/Å of s.
        exact: positions and intensities are calculated, so that there is no error to allow for.

    >>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
    >>> observed = Observed.of_structure(salt, 1.5406, (10, 60))
    >>> observed.peaks.two_theta.round(1), observed.ideal, observed.n_told, observed.is_shifted
    (array([27.4, 31.7, 45.4, 53.9, 56.5]), True, 5, False)
    >>> observed.amplitude.shape == observed.floor.shape == (observed.n_steps(),)
    True
    >>> observed.has_peak(observed.s[:1] + [0, 0.01]), observed.smearing(observed.s, 300).shape
    (array([ True, False]), (300, 5))
    >>> Observed.of_peaks(observed.peaks, 1.5406, (10, 60)).intensity.argmax()
    np.int64(2)
    """

    s: np.ndarray
    intensity: np.ndarray
    low: float
    high: float
    wavelength: float = MO_K_ALPHA
    weakest: float = INTENSITY_TOLERANCE / 100
    width: float = SHARP * STEP
    resolved: float = RESOLVED
    exact: bool = False

    @classmethod
    def of_peaks(
        cls,
        peaks: Peaks,
        wavelength: float = MO_K_ALPHA,
        two_theta_range: tuple[float, float] = (0.0, 180.0),
        **facts: float,
    ) -> Observed:
        """Peaks with their angles in degrees and intensities as measured.

        Raises:
            CrystalNetError: fewer than two peaks, one outside the range, or a number that cannot be.
        """
        two_theta, intensity = (np.asarray(part, float) for part in peaks[:2])
        if two_theta.ndim != 1 or two_theta.shape != intensity.shape or len(two_theta) < 2:
            raise CrystalNetError(
                "At least two peaks are needed, each with an angle and an intensity.", Code.BAD_PEAKS
            )
        low, high = two_theta_range
        if not (0 < wavelength < np.inf and 0 <= low < high <= 180):
            raise CrystalNetError(
                f"A wavelength of {wavelength} Å and angles from {low} to {high} degrees can't be. Give a"
                " wavelength in Å, such as 1.5406, and two_theta within 0 to 180 degrees.",
                Code.BAD_ARGUMENT,
            )
        if not (np.isfinite(two_theta).all() and np.isfinite(intensity).all() and (intensity >= 0).all()):
            raise CrystalNetError(
                "A peak holds NaN, infinite or negative values. Clean the list of peaks.", Code.BAD_PEAKS
            )
        if two_theta.min() < low or two_theta.max() > high or two_theta.min() <= 0:
            raise CrystalNetError(
                f"A peak lies outside {low} to {high} degrees, or at 0. Correct the range.", Code.BAD_PEAKS
            )
        order = np.argsort(two_theta, kind="stable")
        two_theta, intensity = two_theta[order], intensity[order]
        s = np.sin(np.radians(two_theta / 2)) / wavelength
        free = intensity / lp_factor(s, wavelength)
        if not free.max() > 0:
            raise CrystalNetError(
                "No peak has an intensity above 0. Give the heights or areas of the peaks.", Code.BAD_PEAKS
            )
        ends = [float(np.sin(np.radians(angle / 2)) / wavelength) for angle in two_theta_range]
        return cls(s, free / free.max(), *ends, wavelength, **facts)

    @classmethod
    def of_structure(
        cls,
        structure: Structure | Atoms,
        wavelength: float = MO_K_ALPHA,
        two_theta_range: tuple[float, float] = (0, 180),
    ) -> Observed:
        """The ideal pattern of a structure; errors as in `powder_peaks`."""
        peaks = powder_peaks(structure, wavelength, two_theta_range)
        return cls.of_peaks(peaks, wavelength, two_theta_range, exact=True)

    @property
    def ideal(self) -> bool:
        """Whether nothing is wrong and nothing missing: calculated peaks, none of them lost."""
        return self.exact and self.weakest <= INTENSITY_TOLERANCE / 100

    @property
    def peaks(self) -> Peaks:
        """Degrees, intensity with the Lorentz-polarisation factor, highest 100, and d in Å."""
        intensity = self.intensity * lp_factor(self.s, self.wavelength)
        two_theta = 2 * np.degrees(np.arcsin(np.minimum(self.s * self.wavelength, 1)))
        return Peaks(two_theta, 100 * intensity / intensity.max(), 1 / (2 * self.s))

    @cached_property
    def amplitude(self) -> np.ndarray:
        """Square root of the curve of all peaks, (N,)."""
        return np.sqrt(self.smearing(self.s, self.n_steps()) @ self.intensity)

    @property
    def floor(self) -> np.ndarray:
        """Intensity (N,) of the curve below which roots are bent straight: none."""
        return np.zeros(self.n_steps())

    @property
    def lorentzian(self) -> float:
        """The Lorentzian part of the peaks that curves are compared with: none.

        >>> Observed(np.array([0.2, 0.3]), np.array([1.0, 2.0]), low=0.1, high=0.4).lorentzian
        0.0
        """
        return 0.0

    @property
    def is_shifted(self) -> bool:
        """Whether the sample's height may have shifted the peaks: cells of positions come without shifts."""
        return False

    @property
    def n_told(self) -> int:
        """How many independent numbers the measurement tells: its peaks."""
        return len(self.s)

    def n_steps(self, highest: float = np.inf) -> int:
        """Points of a curve that ends at s = highest, or where the measurement does."""
        return int(min(highest, self.high) / STEP)

    def smearing(self, s: np.ndarray, n: int, order: int = 0) -> csr_array:
        """The matrix (n, P) that turns intensities (P,) of peaks at s into a curve (n,) of pseudo-Voigts.

        Args:
            s: (P,) 1/Å; peaks outside of what was measured are left out.
            n: points of the curve, the first at s = 0.
            order: 1 for the derivative of the curve by the peaks' s.
        """
        width = self.width / STEP
        reach = math.ceil((TAILS if self.lorentzian else REACH) * width)
        place = np.asarray(s) / STEP
        steps = np.floor(place).astype(int)[:, None] + np.arange(-reach + 1, reach + 1)
        apart = (steps - place[:, None]) / width
        height = (1 - self.lorentzian) * np.exp(-0.5 * apart**2) / (width * math.sqrt(2 * math.pi))
        slope = height * apart / self.width if order else None
        if self.lorentzian:
            fall = 1 + (2 * apart / GAUSSIAN) ** 2
            tailed = self.lorentzian * 2 / (math.pi * GAUSSIAN * width) / fall
            height = height + tailed
            if order:
                slope = slope + tailed * 8 * apart / (GAUSSIAN**2 * fall * self.width)
        height = slope if order else height
        inside = (s >= self.low - EDGE) & (s <= self.high + EDGE)
        kept = inside[:, None] & (steps >= 0) & (steps < n)
        columns = np.broadcast_to(np.arange(len(place))[:, None], steps.shape)
        return csr_array((height[kept], (steps[kept], columns[kept])), shape=(n, len(place)))

    def has_peak(self, s: np.ndarray) -> np.ndarray:
        """Whether a peak was measured at each s (P,), 1/Å, or one that it could not be told from."""
        after = np.searchsorted(self.s, s).clip(1, len(self.s) - 1)
        apart = np.minimum(np.abs(self.s[after - 1] - s), np.abs(self.s[after] - s))
        return apart < self.resolved


def by_height(s: np.ndarray, wavelength: float) -> np.ndarray:
    r"""Shift of peaks at s (1/Å) a degree of d, where a sample's height shifts angles 2 theta by d cos(theta)
    (Klug & Alexander, X-ray Diffraction Procedures, 1974): cos^2(theta) / (2 lambda).

    >>> by_height(np.array([0.1, 0.6]), 1.5406).round(4)
    array([0.0055, 0.0008])
    """
    sine = np.minimum(np.asarray(s, float) * wavelength, 1)
    return np.radians(1) * (1 - sine**2) / (2 * wavelength)


def lp_factor(s: np.ndarray, wavelength: float) -> np.ndarray:
    """Lorentz-polarisation factor at s (1/Å); where no angle reaches s, that of the largest angle.

    >>> lp_factor(np.array([0.1, 0.4]), 1.5406).round(1)
    array([81.3,  3.5])
    """
    two_theta = 2 * np.degrees(np.arcsin(np.clip(np.asarray(s, float) * wavelength, 1e-9, 1 - 1e-9)))
    return lorentz_polarisation(torch.from_numpy(two_theta)).numpy()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """sqrt(1 - cos^2) of the angle between two amplitudes: 0 for equal curves, 1 where no peak is shared.

    >>> round(distance(np.array([1.0, 1.0]), np.array([2.0, 2.0])), 3)
    0.0
    >>> distance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    1.0
    """
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = float(a @ b) / norm if norm > 0 else 0.0
    return float(np.sqrt(max(0.0, 1 - cosine**2)))
