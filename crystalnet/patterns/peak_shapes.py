r"""Peaks as curves, and their least-squares fit to counts, group by group.

    V(x; w, eta) = eta 2 / (pi w) / (1 + 4 x^2 / w^2) + (1 - eta) 2 / w sqrt(ln 2 / pi) 2^(-4 x^2 / w^2)

The pseudo-Voigt of area 1, w its full width at half maximum, eta its Lorentzian part. A peak is one such
curve for each line of the radiation, all of one sin(theta) / lambda.

>>> x = np.linspace(29, 31, 201)
>>> one = np.ones(1)
>>> start = Shapes(30.05 * one, 80.0 * one, 0.2 * one, 0.2 * one, 0.5 * one, 0 * one, 0 * one)
>>> curve = 100 * pseudo_voigt(x - 30, 0.2, 0.5)
>>> peaks, misfit = fitted(x, curve, np.ones(201), start, ((1.0, 1.0),))
>>> peaks.centre.round(3), peaks.area.round(), peaks.of(slice(0, 0)).area.size
(array([30.]), array([100.]), 0)
>>> curve_of(x, peaks, ((1.0, 1.0),)).argmax()
np.int64(100)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crystalnet.physics.descent import descended

ALONE = 4.0  # full widths between peaks that are fitted apart, our choice
TOGETHER = 16  # peaks fitted at once, at most: time grows with the cube
FLANK = 3.0  # full widths beside a peak that take part in its fit
REACH = 30.0  # full widths over which a curve is drawn
WIDTH_SCATTER = 0.15  # of the logarithms of widths about the expected one, our choice: strain, faults
LORENTZIAN_SCATTER = 0.2  # likewise, of the Lorentzian part
STEPS = 25  # of a fit, at most
ENOUGH = 1e-4  # relative gain at which a fit ends, our choice

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

    def of(self, which: np.ndarray | slice) -> Shapes:
        """Some of the peaks."""
        return Shapes(*(column[which] for column in self))


def pseudo_voigt(x: np.ndarray, width: float | np.ndarray, lorentzian: float | np.ndarray) -> np.ndarray:
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


def _places_of_line(centre: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a line of `ratio` times the wavelength puts peaks (degrees), and the slope by their centres."""
    half = np.radians(centre / 2)
    sine = np.minimum(np.sin(half) * ratio, 1 - 1e-9)
    return 2 * np.degrees(np.arcsin(sine)), ratio * np.cos(half) / np.sqrt(1 - sine**2)


def curve_of(x: np.ndarray, peaks: Shapes, lines: Lines) -> np.ndarray:
    """The sum (N,) of all peaks at the angles x (N,), rising."""
    curve = np.zeros_like(x)
    for ratio, part in lines:
        places = _places_of_line(peaks.centre, ratio)[0]
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
        ends = [_places_of_line(start.centre, ratio)[0] for ratio, _ in lines]
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

    ratio, part = (column[:, None] for column in np.array(lines).T)

    def together(curves, part=part):
        return (part[:, None] * curves).sum(0)

    def left(p):
        area, centre, width = unpacked(p)
        place, moved = _places_of_line(centre, ratio)
        # (L, N, P) each
        value, *by_shape = _with_slopes(x[:, None] - place[:, None], width, p[3 * n])
        value = together(value)
        base = level * (p[3 * n + 1] + p[3 * n + 2] * (x - middle) / span)
        residual = np.concatenate(
            [
                (value @ area + base - net) / noise,
                p[2 * n : 3 * n] / WIDTH_SCATTER,
                [(p[3 * n] - share) / LORENTZIAN_SCATTER],
            ]
        )

        def slopes():
            by_centre, by_width, by_share = by_shape
            by = np.zeros((len(x) + n + 1, 3 * n + 3))
            by[: len(x), :n] = value * scale
            by[: len(x), n : 2 * n] = together(by_centre, part * moved) * (area * start.width)
            by[: len(x), 2 * n : 3 * n] = together(by_width) * area
            by[: len(x), 3 * n] = together(by_share) @ area
            by[: len(x), 3 * n + 1] = level
            by[: len(x), 3 * n + 2] = level * (x - middle) / span
            by[: len(x)] /= noise[:, None]
            by[len(x) : len(x) + n, 2 * n : 3 * n] = np.eye(n) / WIDTH_SCATTER
            by[-1, 3 * n] = 1 / LORENTZIAN_SCATTER
            return by

        def free():  # parameters that press against their bounds are constants to the others
            by = slopes()
            uphill = residual @ by
            return by * ~(((p <= low) & (uphill > 0)) | ((p >= high) & (uphill < 0)))

        return residual, free

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
    p = descended(p, left, lambda p, step: np.clip(p + step, low, high), n_steps=STEPS, enough=ENOUGH)
    residual, slopes = left(p)
    by = slopes()
    area, centre, width = unpacked(p)
    variance = np.maximum(np.diag(np.linalg.pinv(by.T @ by)), 0)
    # no peak is quite a pseudo-Voigt: errors grow by what the fit leaves at the peak itself
    squares = residual[: len(x), None] ** 2
    near = np.abs(x[:, None] - centre) < width
    misfit = np.sqrt(np.maximum((squares * near).sum(0) / np.maximum(near.sum(0), 1), 1))
    centre_error = misfit * np.sqrt(variance[n : 2 * n]) * start.width
    area_error = misfit * np.sqrt(variance[:n]) * scale
    shapes = Shapes(
        centre,
        area,
        width,
        start.expected,
        np.full(n, p[3 * n]),
        centre_error,
        area_error,
    )
    return shapes, float(residual @ residual)
