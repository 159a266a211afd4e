"""Reflections sorted into the rings of a powder pattern: those at one angle are one peak."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import pad

TWO_THETA_TOLERANCE = 1e-5  # degrees; reflections nearer than this are one peak (pymatgen's constant)

_STEPS = 2 + round(180 / TWO_THETA_TOLERANCE)  # more than the multiples of the tolerance up to 180 degrees
MOST_CRYSTALS = 2**31 // _STEPS  # crystals a chunk: as many times _STEPS as an int32 holds
_RADIX = 2**13, 2**15  # torch sorts integers by radix from the second number on; padding pays from the first


class Rings(NamedTuple):
    """Where the peaks of several crystals are, by crystal and rising angle, (P,) each: the crystal (int32),
    the smallest |g| (1/Å) of the peak's reflections, its two_theta in degrees, the number of reflections."""

    crystal: torch.Tensor
    g: torch.Tensor
    two_theta: torch.Tensor
    n_reflections: torch.Tensor


def merged(
    g: torch.Tensor, crystal: torch.Tensor, wavelength: float
) -> tuple[torch.Tensor, torch.Tensor, Rings]:
    """Sort reflections into peaks: one peak a multiple of the tolerance, as in pymatgen.

    Args:
        g: (M,) 1/Å.
        crystal: (M,) int32, the crystal that has the reflection.
        wavelength: Å.

    Returns:
        The order (M,) by crystal and peak, the peak of each reflection in that order, and the peaks.

    >>> g = torch.tensor([0.50, 0.25, 0.25, 0.25])  # 1/Å: 200 and the three of 100, a cubic cell of 4 Å
    >>> _, _, rings = merged(g, torch.zeros(4, dtype=torch.int32), wavelength=1.5406)
    >>> rings.two_theta.round(decimals=2), rings.n_reflections
    (tensor([22.2100, 45.3100]), tensor([3, 1]))
    """
    key = (_two_theta(g, wavelength) / TWO_THETA_TOLERANCE).round_().int().add_(crystal, alpha=_STEPS)
    padding = _RADIX[1] - len(g) if _RADIX[0] < len(g) < _RADIX[1] else 0
    key, order = (x[: len(g)] for x in pad(key, (0, padding), value=2**31 - 1).sort(stable=True))
    key, ring, n_merged = key.unique_consecutive(return_inverse=True, return_counts=True)
    smallest = torch.segment_reduce(g.index_select(0, order), "min", lengths=n_merged, unsafe=True)
    return order, ring, Rings(key // _STEPS, smallest, _two_theta(smallest, wavelength), n_merged)


def _two_theta(g: torch.Tensor, wavelength: float) -> torch.Tensor:
    """Bragg: sin(theta) = lambda |g| / 2; degrees."""
    return (g * (wavelength / 2)).clamp_(max=1).asin_().mul_(2).rad2deg_()
