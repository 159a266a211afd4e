r"""The whole measured curve over s = sin(theta) / lambda, as structures are compared with it without peaks.

    y(s) = (counts - background) / LP  d(2 theta) / ds,    on equal steps of s

The background is the curve's lower envelope (SNIP: Ryan et al., Nucl. Instrum. Methods B 34, 396, 1988), so
that humps of many weak lines stay. Curves are compared as roots, bent straight where noise rules:

    sqrt(y + nu) - sqrt(nu),    nu(s) = FLOOR noise(s) + LEAST max(y)

which goes with y where y is far below nu, so that noise averages out, and with sqrt(y) above.

>>> from crystalnet.patterns.peaks import fit_peaks
>>> from crystalnet.patterns.simulation import simulated
>>> from crystalnet.physics.atoms import Atoms
>>> rock_salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> fit = fit_peaks(simulated(rock_salt, "CuKa1", (20, 60)))
>>> profile = Profile.of(fit)
>>> round(profile.low, 3), round(profile.high, 3)
(0.113, 0.324)
>>> Profile.of_peaks(fit.observed()).width == fit.observed().width
True
>>> y, nu = profile.curve(0.002, np.array([0.1, 0.177]))  # the peak 200 at 0.177 / Å
>>> bool(y[1] > 100 * y[0])
True
>>> curve = profile.observed(fit.observed())
>>> curve.amplitude.shape == curve.floor.shape, curve.is_shifted, curve.n_told
(True, True, 29)
>>> curve.has_peak(np.array([0.1]))
array([ True])
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from pybaselines import Baseline
from scipy.ndimage import gaussian_filter1d

from crystalnet.patterns.observed import GAUSSIAN, SHARP, STEP, Observed, lp_factor
from crystalnet.patterns.peak_search import K_ALPHA_2, stripped
from crystalnet.patterns.peaks import PeakFit

FINE = 2e-4  # 1/Å, the curve's step, our choice: a fifth of the narrowest curves that are compared
HIGHEST = 0.55  # 1/Å, our choice: beyond 115 degrees with Cu lines of unknown cells overlap
ENVELOPE = 0.6  # degrees, half of the window that the background passes under, our choice: some ten widths
FLOOR = 2.0  # standard deviations of the noise at which the root is bent, our choice
MEDIAN = 1.4826 / math.sqrt(2)  # standard deviation over the median difference of two normal deviates
CLEAR = 1.2  # width of curves over that of the measured peaks, our choice: smoothing that noise needs
LEAST = 1e-3  # of the highest, our choice: the same where there is no noise


@dataclass(frozen=True, eq=False)
class Profile:
    """A curve without background, optics and scale.

    Attributes:
        low: s of the first point, 1/Å.
        intensity: (N,) at steps of FINE, on any scale.
        variance: (N,) of the noise of an integral over 1 / Å.
        width: standard deviation of the peaks that it was measured with, 1/Å.
        wavelength: Å.
        is_shifted: whether the sample's height may have shifted the peaks.
        lorentzian: part of the peaks that is Lorentzian, 0 to 1.
    """

    low: float
    intensity: np.ndarray
    variance: np.ndarray
    width: float
    wavelength: float
    is_shifted: bool = True
    lorentzian: float = 0.0

    @classmethod
    def of(cls, fit: PeakFit) -> Profile:
        """Of a measured pattern; K-alpha-2 is taken out where its fit shows the doublet."""
        two_theta, counts = fit.pattern.two_theta, fit.pattern.counts
        half_window = max(int(ENVELOPE / np.median(np.diff(two_theta))), 2)
        options = {"max_half_window": half_window, "decreasing": True, "smooth_half_window": 3}
        net = counts - Baseline(two_theta).snip(counts, **options)[0]
        if fit.doublet:
            net = stripped(two_theta, net, fit.doublet, K_ALPHA_2)
        s = np.sin(np.radians(two_theta / 2)) / fit.wavelength
        free = np.gradient(two_theta, s) / lp_factor(s, fit.wavelength)
        noise = MEDIAN * np.median(np.abs(np.diff(counts)))
        low, high = float(s[0]), min(float(s[-1]), HIGHEST)
        edges = low + FINE * np.arange(int((high - low) / FINE) + 1)
        steps, density = np.diff(s), net * free
        integral = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * steps)])
        middle = (edges[1:] + edges[:-1]) / 2
        variance = np.interp(middle, s, (noise * free) ** 2 * np.gradient(s))
        intensity = np.diff(np.interp(edges, s, integral)) / FINE
        tails = float(np.average(fit.peaks.lorentzian, weights=fit.peaks.area))
        return cls(float(middle[0]), intensity, variance, fit.spread, fit.wavelength, lorentzian=tails)

    @classmethod
    def of_peaks(cls, observed: Observed) -> Profile:
        """Of a list of peaks, drawn as narrow as the steps allow where they are exact."""
        low, high = observed.low, min(observed.high, HIGHEST)
        n = int((high - low) / FINE) + 1
        place, share = np.divmod((observed.s[observed.s < high] - low) / FINE, 1)
        area = observed.intensity[observed.s < high]
        lines = sum(
            np.bincount(place.astype(int) + after, part * area, n + 1)[:n]
            for after, part in ((0, 1 - share), (1, share))
        )
        width = max(FINE, 0.0 if observed.exact else observed.width)
        drawn = gaussian_filter1d(lines, width / FINE)
        return cls(low, drawn, np.zeros(n), width, observed.wavelength, observed.is_shifted)

    @property
    def high(self) -> float:
        """s of the last point, 1/Å."""
        return self.low + FINE * (len(self.intensity) - 1)

    def curve(self, width: float, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The curve and its nu at s (n,), smoothed to peaks of `width`, as parts of the curve's sum.

        Args:
            width: standard deviation that peaks have then, 1/Å; not below their own.
        """
        at = self.low + FINE * np.arange(len(self.intensity))
        smoothing = math.sqrt(max(width**2 - self.width**2, FINE**2))
        smooth = gaussian_filter1d(self.intensity, smoothing / FINE, mode="constant")
        noise = np.sqrt(self.variance / (2 * math.sqrt(math.pi) * smoothing))
        y, noise = (np.interp(s, at, part, left=0, right=0) for part in (smooth, noise))
        total = max(y.sum(), 1e-30)
        return y / total, (FLOOR * noise + LEAST * y.max()) / total

    def observed(self, peaks: Observed) -> ObservedCurve:
        """The curve as refinement takes it, beside the peaks that were found in it."""
        width = max(SHARP * STEP, CLEAR * self.width)
        y, floor = self.curve(width, STEP * np.arange(int(self.high / STEP)))
        facts = {field.name: getattr(peaks, field.name) for field in fields(Observed)}
        facts |= {"low": self.low, "high": self.high, "width": width, "exact": False}
        return ObservedCurve(**facts, curve=y, nu=floor, tails=self.lorentzian)


@dataclass(frozen=True, eq=False)
class ObservedCurve(Observed):
    """Peaks with the whole curve that they were found in: structures are compared with the curve.

    Attributes:
        curve: (N,) parts of its sum, at steps of STEP.
        nu: (N,) below which roots are bent straight.
        tails: the Lorentzian part of its peaks.

    >>> peaks = Observed(np.array([0.2, 0.3]), np.array([1.0, 2.0]), low=0.1, high=0.4)
    >>> Profile.of_peaks(peaks).observed(peaks).lorentzian
    0.0
    """

    curve: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nu: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tails: float = 0.0

    @cached_property
    def amplitude(self) -> np.ndarray:
        return np.sqrt(np.maximum(self.curve, 0))

    @property
    def floor(self) -> np.ndarray:
        return self.nu

    @property
    def lorentzian(self) -> float:
        return self.tails

    @property
    def is_shifted(self) -> bool:
        return True

    @cached_property
    def n_told(self) -> int:
        """Two a full width of what shows intensity, counted as its participation: (sum a)^2 / sum a^2."""
        bent = np.sqrt(np.maximum(self.curve, 0) + self.nu) - np.sqrt(self.nu)
        share = bent.sum() ** 2 / max((bent**2).sum(), 1e-30)
        return max(round(2 * share * STEP / (GAUSSIAN * self.width)), 3)

    def has_peak(self, s: np.ndarray) -> np.ndarray:
        """Everywhere: what the curve does not show is held against a structure."""
        return np.ones(len(s), bool)
