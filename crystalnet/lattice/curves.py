"""Curves of many structures at once, and how near each comes to the measured one.

>>> profile = Profile(0.1, np.ones(1000), np.zeros(1000), 0.003, 1.54)
>>> lines = Lines.of(0.4 * np.eye(3), np.ones(3), np.eye(3)[None], 10, profile)
>>> strain = lines.strains[0, 0, 0] * 0.1  # of the reciprocal metric, all axes alike
>>> edge = lines.strained(5 * np.eye(3), np.array([0.1]))[0, 0]
>>> lines.squares.round(3).tolist(), bool(np.isclose(edge, 5 / np.sqrt(1 + strain)))
([0.04, 0.04, 0.04], True)
>>> batch = Batch.of([lines, lines], most=2)
>>> batch.squares.shape, tensor(np.ones(2)).dtype  # single precision: half the memory, twice the speed
(torch.Size([2, 2]), torch.float32)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from crystalnet.patterns.observed import by_height
from crystalnet.patterns.profile import Profile

MOST_STRAINS = 6
REACH = 3.5  # standard deviations over which a peak is drawn


@dataclass(frozen=True, eq=False)
class Lines:
    """Reflections of one structure, the strongest first.

    Attributes:
        squares: (H,) s^2, 1/Å^2.
        slopes: (H, P + 1) derivatives of the squares by each strain of the reciprocal metric and, last, by
            the degrees that the sample's height shifts peaks.
        intensity: (H,) multiplicity |F|^2.
        strains: (P, 3, 3) symmetric tensors that the symmetry allows, of norm 1, orthogonal.
    """

    squares: np.ndarray
    slopes: np.ndarray
    intensity: np.ndarray
    strains: np.ndarray

    @classmethod
    def of(
        cls, vectors: np.ndarray, intensity: np.ndarray, strains: np.ndarray, most: int, profile: Profile
    ) -> Lines:
        """Of reciprocal vectors (H, 3), 1/Å Cartesian, and a basis of strains (P, 3, 3)."""
        order = np.argsort(-intensity, kind="stable")[:most]
        vectors, intensity = vectors[order], intensity[order]
        basis = np.linalg.qr(strains.reshape(len(strains), 9).T)[0].T.reshape(-1, 3, 3)
        squares = (vectors**2).sum(1) / 4
        s = np.sqrt(squares)
        height = 2 * s * by_height(s, profile.wavelength) * profile.is_shifted
        slopes = np.column_stack([np.einsum("hi,pij,hj->hp", vectors, basis, vectors) / 4, height])
        return cls(squares, slopes, intensity / max(intensity.max(initial=0), 1e-30), basis)

    def strained(self, lattice: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Rows (3, 3) of the lattice after a strain (P,) of its reciprocal metric."""
        squares, axes = np.linalg.eigh(np.eye(3) + np.tensordot(u, self.strains, 1))
        return lattice @ (axes / np.sqrt(squares)) @ axes.T


class Comparison:
    """The measured curve at one width, and how near calculated ones are to it.

    Args:
        width: standard deviation that a line is given beside the profile's own, 1/Å.
        fine: points a standard deviation.

    >>> Comparison(Profile(0.1, np.ones(1000), np.zeros(1000), 0.003, 1.54), 0.004).step
    0.0025
    """

    def __init__(self, profile: Profile, width: float, fine: float = 2.0):
        whole = math.hypot(width, profile.width)
        self.step, self.low = whole / fine, profile.low
        self.n = max(int((profile.high - profile.low) / self.step) + 1, 3)
        y, floor = profile.curve(whole, profile.low + self.step * np.arange(self.n))
        bent = np.sqrt(np.maximum(y, -0.9 * floor) + floor) - np.sqrt(floor)
        self.measured = tensor(bent / max(np.linalg.norm(bent), 1e-30))
        self.floor = tensor(floor)
        self.pad = math.ceil(REACH * fine)
        # sharing a line out between two points widens it by a sixth of a squared step, on average
        reach = torch.arange(-self.pad, self.pad + 1) * self.step
        kernel = torch.exp(-0.5 * reach**2 / (whole**2 - self.step**2 / 6))
        self.kernel = (kernel / kernel.sum())[None, None]

    def _smoothed(self, curves: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv1d(curves[:, None], self.kernel, padding=self.pad)[:, 0]

    def __call__(self, lines: Batch, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines (T, S) of structures strained by u (T, S, 7), and their gradients (T, S, 7)."""
        shape = (*u.shape[:2], lines.squares.shape[1])
        s = (lines.squares[:, None] + u @ lines.slopes.mT).clamp_min(1e-6).sqrt()
        outside = self.pad + 0.5
        place = ((s - self.low) / self.step).clamp(-outside, self.n + outside) + self.pad + 1
        before = place.floor()
        intensity = lines.intensity[:, None].expand(shape)
        after = (intensity * (place - before)).flatten(0, 1)
        before = before.long().flatten(0, 1)
        curves = torch.zeros(len(before), self.n + 2 * self.pad + 3)
        curves.scatter_add_(1, before, intensity.flatten(0, 1) - after).scatter_add_(1, before + 1, after)
        inside = slice(self.pad + 1, self.pad + 1 + self.n)
        curves = self._smoothed(curves)[:, inside]
        scale = 1 / curves.sum(1, keepdim=True).clamp_min(1e-9)
        root = (scale * curves + self.floor).sqrt()
        bent = root - self.floor.sqrt()
        norm = bent.norm(dim=1, keepdim=True).clamp_min(1e-12)
        cosine = (bent @ self.measured)[:, None] / norm
        by_curve = (self.measured - cosine * bent / norm) / norm * scale / (2 * root)
        by_curve = self._smoothed(torch.nn.functional.pad(by_curve, (self.pad + 1, self.pad + 2)))
        by_s = (by_curve.gather(1, before + 1) - by_curve.gather(1, before)).view(shape) / self.step
        return cosine.view(shape[:2]), (by_s * intensity / (2 * s)) @ lines.slopes


class Batch(NamedTuple):
    """Reflections of T structures, padded: (T, H), (T, H, 7), (T, H); the height's slope is the last."""

    squares: torch.Tensor
    slopes: torch.Tensor
    intensity: torch.Tensor

    @classmethod
    def of(cls, structures: Sequence[Lines], most: int) -> Batch:
        n = min(max(len(one.squares) for one in structures), most)
        size = (len(structures), n)
        batch = np.ones(size), np.zeros((*size, MOST_STRAINS + 1)), np.zeros(size)
        for row, one in enumerate(structures):
            here = slice(0, min(n, len(one.squares)))
            batch[0][row, here], batch[2][row, here] = one.squares[here], one.intensity[here]
            batch[1][row, here, : len(one.strains)] = one.slopes[here, :-1]
            batch[1][row, here, -1] = one.slopes[here, -1]
        return cls(*map(tensor, batch))


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)
