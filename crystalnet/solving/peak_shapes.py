r"""Peaks as curves, and their least-squares fit to counts, group by group.

    V(x; w, eta) = eta 2 / (pi w) / (1 + 4 x^2 / w^2) + (1 - eta) 2 / w sqrt(ln 2 / pi) 2^(-4 x^2 / w^2)

The pseudo-Voigt of area 1, w its full width at half maximum, eta its Lorentzian part. A peak is one such
curve for each line of the radiation, all of one sin(theta) / lambda.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

ALONE = 4.0  # full widths between peaks that are fitted apart, our choice
TOGETHER = 16  # peaks fitted at once, at most: time grows with the cube
FLANK = 3.0  # full widths beside a peak that take part in its fit
REACH = 30.0  # full widths over which a curve is drawn
WIDTH_SCATTER = 0.15  # of the logarithms of widths about the expected one, our choice: strain, faults
LORENTZIAN_SCATTER = 0.2  # likewise, of the Lorentzian part

Lines = tuple[
    tuple[float, float], ...
]  # of the radiation: wavelength over that in use, part of the intensity


class Shapes(NamedTuple):
    """Peaks, (P,) each: centre in degrees, area, full width in degrees, the width expected of it, Lorentzian
    part, and the standard deviations of centre and area."""

    centre: np.ndarray
    area: np.ndarray
    width: np.ndarray
    expected: np.ndarray
    lorentzian: np.ndarray
    centre_error: np.ndarray
    area_error: np.ndarray

    def of(self, which) -> Shapes:
        """Some of the peaks."""
        return Shapes(*(column[which] for column in self))


def pseudo_voigt(x: np.ndarray, width, lorentzian) -> np.ndarray:
    """The curve of area 1 at a distance x from its centre, in the unit of x and width."""
    return _with_slopes(x, width, lorentzian)[0]


def _with_slopes(x, width, lorentzian) -> tuple[np.ndarray, ...]:
    """The curve, and its derivatives by the centre, the width's logarithm and the Lorentzian part."""
    u = x / width
    bell = 2 / width * math.sqrt(math.log(2) / math.pi) * np.exp2(-4 * u**2)
    tailed = 2 / (math.pi * width) / (1 + 4 * u**2)
    fall_bell, fall_tailed = 8 * math.log(2) * u, 8 * u / (1 + 4 * u**2)
    bells, tails = (1 - lorentzian) * bell, lorentzian * tailed
    by_centre = (bells * fall_bell + tails * fall_tailed) / width
    by_width = bells * (fall_bell * u - 1) + tails * (fall_tailed * u - 1)
    return bells + tails, by_centre, by_width, tailed - bell


def places_of_line(centre: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a line of `ratio` times the wavelength puts peaks (degrees), and the slope by their centres."""
    half = np.radians(centre / 2)
    sine = np.minimum(np.sin(half) * ratio, 1 - 1e-9)
    return 2 * np.degrees(np.arcsin(sine)), ratio * np.cos(half) / np.sqrt(1 - sine**2)


def curve_of(x: np.ndarray, peaks: Shapes, lines: Lines) -> np.ndarray:
    """The sum (N,) of all peaks at the angles x (N,), rising."""
    curve = np.zeros_like(x)
    for ratio, part in lines:
        places = places_of_line(peaks.centre, ratio)[0]
        reach = REACH * peaks.width
        firsts, lasts = np.searchsorted(x, places - reach), np.searchsorted(x, places + reach)
        for place, size, width, share, first, last in zip(
            places, part * peaks.area, peaks.width, peaks.lorentzian, firsts, lasts, strict=True
        ):
            curve[first:last] += size * pseudo_voigt(x[first:last] - place, width, share)
    return curve


def fitted(
    x: np.ndarray, net: np.ndarray, noise: np.ndarray, peaks: Shapes, lines: Lines
) -> tuple[Shapes, float]:
    """The peaks that fit best, and the sum of squares that they leave.

    Args:
        x, net, noise: (N,) degrees at equal steps, counts above the background, their standard deviation.
        peaks: where to start, by rising centre.
        lines: of the radiation.
    """
    rest = net - curve_of(x, peaks, lines)
    parts, misfit = [], 0.0
    for group in _groups(peaks):
        start = peaks.of(group)
        flank = FLANK * start.width
        ends = [places_of_line(start.centre, ratio)[0] for ratio, _ in lines]
        first, last = np.searchsorted(x, (np.min(ends[0] - flank), np.max(ends[-1] + flank)))
        here = slice(max(first, 0), max(last, first + 3 * len(group)))
        part, cost = _fitted_group(
            x[here], rest[here] + curve_of(x[here], start, lines), noise[here], start, lines
        )
        parts.append(part)
        misfit += cost
    best = Shapes(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return best.of(np.argsort(best.centre)), misfit


def _groups(peaks: Shapes) -> list[np.ndarray]:
    apart = np.diff(peaks.centre) > ALONE * np.maximum(peaks.width[1:], peaks.width[:-1])
    near = np.split(np.arange(len(peaks.centre)), np.flatnonzero(apart) + 1)
    return [part for group in near for part in np.array_split(group, math.ceil(len(group) / TOGETHER))]


def _fitted_group(x, net, noise, start: Shapes, lines: Lines) -> tuple[Shapes, float]:
    n = len(start.centre)
    scale = np.maximum(start.area, 1e-3 * start.area.max())
    middle, span = x.mean(), max(np.ptp(x), 1e-9)
    share = float(np.average(start.lorentzian, weights=scale))
    level = float(np.median(noise))

    def unpacked(p):
        return (
            p[:n] * scale,
            start.centre + p[n : 2 * n] * start.width,
            start.expected * np.exp(p[2 * n : 3 * n]),
        )

    def model(p):
        area, centre, width = unpacked(p)
        value = np.zeros((len(x), n))
        slopes = np.zeros((3, len(x), n))
        for ratio, part in lines:
            place, moved = places_of_line(centre, ratio)
            shape, by_centre, by_width, by_share = _with_slopes(x[:, None] - place, width, p[3 * n])
            value += part * shape
            slopes += part * np.stack([by_centre * moved, by_width, by_share])
        return value, slopes, area

    def residuals(p):
        value, _, area = model(p)
        base = level * (p[3 * n + 1] + p[3 * n + 2] * (x - middle) / span)
        return np.concatenate(
            [
                (value @ area + base - net) / noise,
                p[2 * n : 3 * n] / WIDTH_SCATTER,
                [(p[3 * n] - share) / LORENTZIAN_SCATTER],
            ]
        )

    def jacobian(p):
        value, (by_centre, by_width, by_share), area = model(p)
        slopes = np.zeros((len(x) + n + 1, 3 * n + 3))
        slopes[: len(x)] = (
            np.column_stack(
                [
                    value * scale,
                    by_centre * area * start.width,
                    by_width * area,
                    by_share @ area,
                    np.full(len(x), level),
                    level * (x - middle) / span,
                ]
            )
            / noise[:, None]
        )
        slopes[len(x) : len(x) + n, 2 * n : 3 * n] = np.eye(n) / WIDTH_SCATTER
        slopes[-1, 3 * n] = 1 / LORENTZIAN_SCATTER
        return slopes

    wide = math.log(3)  # the first guess of the usual width may be off by this, our choice
    p = np.concatenate(
        [
            start.area / scale,
            np.zeros(n),
            np.clip(np.log(start.width / start.expected), -wide, wide),
            [np.clip(share, 0.02, 0.98), 0, 0],
        ]
    )
    low = np.concatenate([np.zeros(n), np.full(n, -1), np.full(n, -wide), [0, -np.inf, -np.inf]])
    high = np.concatenate([np.full(n, np.inf), np.full(n, 1), np.full(n, wide), [1, np.inf, np.inf]])
    p[:n] = np.maximum(p[:n], 1e-6)
    found = least_squares(residuals, p, jacobian, (low, high), xtol=1e-5, ftol=1e-4, max_nfev=25)
    area, centre, width = unpacked(found.x)
    variance = np.maximum(np.diag(np.linalg.pinv(found.jac.T @ found.jac)), 0)
    # no peak is quite a pseudo-Voigt: errors grow by what the fit leaves at the peak itself
    squares = found.fun[: len(x), None] ** 2
    near = np.abs(x[:, None] - centre) < width
    left = np.sqrt(np.maximum((squares * near).sum(0) / np.maximum(near.sum(0), 1), 1))
    centre_error = left * np.sqrt(variance[n : 2 * n]) * start.width
    area_error = left * np.sqrt(variance[:n]) * scale
    shapes = Shapes(
        centre,
        area,
        width,
        start.expected,
        np.full(n, found.x[3 * n]),
        centre_error,
        area_error,
    )
    return shapes, 2 * found.cost
