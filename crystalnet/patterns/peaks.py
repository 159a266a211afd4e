r"""Peaks of a measured pattern: background, places, and a least-squares fit.

    y(2 theta) = background + \sum_k A_k V(2 theta - 2 theta_k; w_k, eta_k)

Where the pattern shows the K-alpha doublet, every peak is two curves, of one sin(theta) / lambda: which of
the two models fits better decides.

>>> from crystalnet.patterns.simulation import simulated
>>> from crystalnet.physics.atoms import Atoms
>>> rock_salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> pattern = simulated(rock_salt, "CuKa1", (20, 60))
>>> fit = fit_peaks(pattern)
>>> fit.peaks.centre.round(1), round(fit.spread, 4)
(array([27.4, 31.7, 45.4, 53.9, 56.5]), 0.0002)
>>> bool(np.array_equal(fit.observed().s, observed(pattern).s))
True
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured, checked
from crystalnet.patterns.observed import GAUSSIAN, RESOLVED, SHARP, STEP, Observed
from crystalnet.patterns.peak_search import (
    K_ALPHA_2,
    POINTS,
    STANDS_OUT,
    background_of,
    doublet_of,
    noise_of,
    places_of,
    stripped,
    usual_width,
)
from crystalnet.patterns.peak_shapes import Lines, Shapes, curve_of, fitted
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.diffraction import INTENSITY_TOLERANCE, Peaks

CLEARLY = 0.85  # misfit without over that with K-alpha-2 below which there is none, our choice by simulations
SURE = 8.0  # standard deviations of its area from which on a peak is hardly missed, our choice
SAME = 0.4  # full widths, our choice: nearer peaks can't be told apart
HIDES = 0.8  # full widths beside a peak within which a weaker one hides, our choice
MOST = 20  # points at equal steps over those measured, our choice: more are made up
_TOO_FEW = "{}: fewer than two peaks stand out of the noise. Measure for longer, or over more angles."


@dataclass(frozen=True, eq=False)
class PeakFit:
    """A pattern taken apart.

    Attributes:
        pattern: what was fitted, (N,) points.
        wavelength: Å, that the angles of the peaks belong to.
        background: (N,) counts.
        fitted: (N,) counts, background and peaks.
        peaks: by rising angle.
        doublet: K-alpha-1 and -2 over the wavelength where the pattern shows both, else None.
        weakest: area over the highest one's from which on a peak is seen.
    """

    pattern: Measured
    wavelength: float
    background: np.ndarray
    fitted: np.ndarray
    peaks: Shapes
    doublet: tuple[float, float] | None
    weakest: float

    @property
    def spread(self) -> float:
        """Usual standard deviation of the peaks, 1/Å of s."""
        peaks = self.peaks
        spread = np.radians(peaks.width / GAUSSIAN) * np.cos(np.radians(peaks.centre / 2))
        spread /= 2 * self.wavelength
        # the median over the curves that are compared, which are roots of intensities
        order, share = np.argsort(spread), np.sqrt(peaks.area)
        middle = np.searchsorted(share[order].cumsum(), share.sum() / 2)
        return float(spread[order][middle])

    def observed(self) -> Observed:
        """The peaks as the solvers take them."""
        peaks, measured, width = self.peaks, self.pattern.two_theta, self.spread
        return Observed.of_peaks(
            Peaks(peaks.centre, peaks.area, self.wavelength / (2 * np.sin(np.radians(peaks.centre / 2)))),
            self.wavelength,
            (float(measured[0]), float(measured[-1])),
            weakest=self.weakest,
            width=max(SHARP * STEP, width),
            resolved=max(RESOLVED, HIDES * GAUSSIAN * width),
        )


def observed(
    pattern: Measured, wavelength: float | str | None = None, k_alpha_2: bool | None = None
) -> Observed:
    """The peaks of a measured pattern, for the solvers; see `fit_peaks`."""
    return fit_peaks(pattern, wavelength, k_alpha_2).observed()


def fit_peaks(
    pattern: Measured, wavelength: float | str | None = None, k_alpha_2: bool | None = None
) -> PeakFit:
    """Background and peaks of a measured pattern.

    Args:
        pattern: any, from sharp peaks to those of crystallites of 2 nm.
        wavelength: Å or a name, unless the pattern has it.
        k_alpha_2: whether the pattern holds the doublet of the wavelength's element; None lets it tell. Where
            peaks are too broad for that, it is taken to, as those of most laboratories do.

    Raises:
        CrystalNetError: no wavelength; a pattern in which fewer than two peaks stand out; see `checked`.
    """
    wavelength = wavelength_of(wavelength) or wavelength_of(pattern.wavelength)
    if wavelength is None:
        raise CrystalNetError(
            f"{pattern.name}: the wavelength is not known. Give it, in Å or as 'CuKa'.", Code.NO_WAVELENGTH
        )
    pattern = _cropped(checked(pattern))
    x, counts, noise, width = _even(pattern, wavelength)
    points = width / (x[1] - x[0])
    background = background_of(counts, points)

    def found(doublet) -> Shapes:
        net = counts - background
        alone = stripped(x, net, doublet, K_ALPHA_2) if doublet else net
        places = places_of(alone, noise, points)
        if len(places) < 2:
            raise CrystalNetError(_TOO_FEW.format(pattern.name), Code.NO_PEAKS)
        return _start(x, alone, places, width)

    doublet, lines = doublet_of(wavelength), ((1.0, 1.0),)
    if doublet:
        both = tuple(zip(doublet, (1 / (1 + K_ALPHA_2), K_ALPHA_2 / (1 + K_ALPHA_2)), strict=True))
        peaks = found(doublet)
        misfits = [fitted(x, counts - background, noise, peaks, kind)[1] for kind in (lines, both)]
        shown = misfits[0] > CLEARLY * misfits[1] if k_alpha_2 is None else k_alpha_2
        doublet, lines = (doublet, both) if shown else (None, lines)
    peaks = found(doublet)
    for clear in (0, STANDS_OUT):  # the second time with what the first one told of widths and background
        peaks = _told_apart(fitted(x, counts - background, noise, peaks, lines)[0], clear, pattern)
        peaks = peaks._replace(expected=_smooth_widths(peaks))
        background = background_of(
            _uncovered(x, counts, peaks, lines, background=background, noise=noise), points
        )
    around = np.interp(pattern.two_theta, x, background)
    faintest = noise * np.sqrt(2 * np.sqrt(np.pi) * width / GAUSSIAN * (x[1] - x[0]))
    weakest = SURE * np.quantile(faintest, 0.9) / peaks.area.max()
    return PeakFit(
        pattern,
        wavelength,
        around,
        around + curve_of(pattern.two_theta, peaks, lines),
        peaks,
        doublet,
        float(np.clip(weakest, INTENSITY_TOLERANCE / 100, 0.5)),
    )


def _cropped(pattern: Measured) -> Measured:
    """Without the empty ends that a beam stop or the detector's rim leave."""
    filled = np.flatnonzero(pattern.counts > 0)
    kept = slice(filled[0], filled[-1] + 1)
    sigma = None if pattern.sigma is None else pattern.sigma[kept]
    return replace(pattern, two_theta=pattern.two_theta[kept], counts=pattern.counts[kept], sigma=sigma)


def _even(pattern: Measured, wavelength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Angles at equal steps, counts and their noise (N,), points put together where peaks are wide; and the
    usual full width of a peak in degrees."""
    step = float(np.median(np.diff(pattern.two_theta)))
    n = int(np.ptp(pattern.two_theta) / step + 1.5)
    if n > MOST * len(pattern.two_theta):
        raise CrystalNetError(
            f"{pattern.name}: most angles are missing. Give one range of equal steps.", Code.NOT_A_PATTERN
        )
    x = np.linspace(pattern.two_theta[0], pattern.two_theta[-1], n)
    counts = np.interp(x, pattern.two_theta, pattern.counts)

    def noise(counts, width, together):
        if pattern.sigma is None:
            return noise_of(counts, width)
        sigma = np.interp(x, pattern.two_theta, pattern.sigma)
        return _together(sigma, together) / np.sqrt(together)

    width = usual_width(np.sin(np.radians(x / 2)) / wavelength, counts, noise(counts, POINTS, 1))
    step, together = x[1] - x[0], max(int(width / POINTS), 1)
    counts = _together(counts, together)
    return _together(x, together), counts, noise(counts, width / together, together), width * step


def _together(values: np.ndarray, n: int) -> np.ndarray:
    """Means of n neighbours each."""
    return values[: len(values) // n * n].reshape(-1, n).mean(1)


def _uncovered(x, counts, peaks: Shapes, lines: Lines, *, background, noise) -> np.ndarray:
    """The counts (N,) without peaks; below a peak, where it may fit badly, near the former background."""
    curve, spread = curve_of(x, peaks, lines), np.median(noise)
    near = np.clip(counts - curve, background - spread, background + spread)
    return np.where(curve > spread, near, counts - curve)


def _start(x: np.ndarray, net: np.ndarray, places: np.ndarray, width: float) -> Shapes:
    """Peaks as first guessed from the curve's heights."""
    size = np.maximum(net[places], 1e-3 * net.max())
    shape = np.full(len(places), width)
    none = np.zeros(len(places))
    return Shapes(x[places], size * shape, shape, shape, none + 0.5, none, none)


def _told_apart(peaks: Shapes, clear: float, pattern: Measured) -> Shapes:
    """Those that stand out by `clear` standard deviations, the stronger one of any two that lie together."""
    first, last = pattern.two_theta[[0, -1]]
    inside = (peaks.centre > first) & (peaks.centre < last)
    peaks = peaks.of(inside & (peaks.area > clear * peaks.area_error))
    kept: list[int] = []
    for k in np.argsort(-peaks.area):
        if all(abs(peaks.centre[k] - peaks.centre[j]) > SAME * peaks.width[j] for j in kept):
            kept.append(k)
    if len(kept) < 2:
        raise CrystalNetError(_TOO_FEW.format(pattern.name), Code.NO_PEAKS)
    return peaks.of(np.sort(kept))


def _smooth_widths(peaks: Shapes) -> np.ndarray:
    """The widths (P,) as a smooth function of the angle, strong peaks counting more."""
    strength = np.minimum(peaks.area / np.maximum(peaks.area_error, 1e-12 * peaks.area), 50)
    known = strength > 3 * STANDS_OUT
    if known.sum() < 3:
        return np.full(len(peaks.width), np.average(peaks.width, weights=strength))
    logs, weight = np.log(peaks.width), np.where(known, strength, 0)
    degree = 2 if known.sum() >= 9 else 1
    for _ in range(3):
        curve = np.polynomial.Polynomial.fit(peaks.centre, logs, degree, w=np.sqrt(weight))(peaks.centre)
        # peaks that are two in one are wide, and shouldn't tell
        weight = np.where(known, strength, 0) / (1 + ((logs - curve) / 0.1) ** 2)
    return np.exp(np.clip(curve, logs[known].min(), logs[known].max()))
