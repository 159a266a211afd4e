r"""Cells from the whole profile: the strain of a known structure that makes its curve the measured one.

A reciprocal metric that is strained by symmetric tensors E_p moves reflections linearly in their squares,

    s_h^2(u) = g_h^T (1 + \sum_p u_p E_p) g_h / 4,

so that one product of matrices places them all; the height of the sample moves them about as linearly, and
is fitted with them (`patterns.observed.by_height`). Curves are compared as bent roots (`patterns.profile`)
by their cosine, from wide peaks to narrow ones: wide ones pull from far, as in FIDEL (Habermehl et al., Acta
Cryst. B 70, 347, 2014). Many starts go uphill at once; at each width the worse ones end (successive halving).
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
HIGHEST = 0.2  # degrees that the sample's height may shift peaks by, our choice: more is rare
REACH = 3.5  # standard deviations over which a peak is drawn
SPAN = -0.05, 0.065  # relative, of lengths about those of the usual volume: 19 of 20 training crystals
SHEAR = 0.012  # relative, of shapes about the structure's, our choice; starts have a tenth to thrice of it
STARTS = 40, 160  # of a structure, at least and at most, our choice; the fewer structures the more
MOST_STARTS = 2000  # of all structures, our choice: where there are few each has more
FEWEST = 16  # structures that go through all widths if there are as many, our choice
FASTEST = 4096 * 16  # reflections at once, our choice: they stay in a processor's cache
MOMENTUM, SECOND = 0.8, 0.95  # of Adam (Kingma & Ba, arXiv:1412.6980), for some twenty steps; our choice
SLOWER = 0.7  # part of the step that is gone at the end


class Stage(NamedTuple):
    """One width of the search: standard deviation in 1/Å, steps uphill, their size, the strongest reflections
    that are drawn, starts of a structure that go on, and the part of the structures that do."""

    width: float
    steps: int
    size: float
    lines: int
    starts: int
    structures: float


STAGES = (  # our choice, see tests/benchmarks/whole_profile.py
    Stage(0.005, 25, 0.012, 128, 10, 0.6),
    Stage(0.0025, 20, 0.006, 256, 4, 0.5),
    Stage(0.0014, 20, 0.003, 600, 3, 1.0),
    Stage(0.0009, 20, 0.0016, 600, 1, 1.0),
)


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


class Fit(NamedTuple):
    """The best strain (P,) of a structure, the degrees that the sample's height shifts peaks, and the length
    between both curves, each of length 1."""

    strain: np.ndarray
    height: float
    distance: float


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
        self.measured = _tensor(bent / max(np.linalg.norm(bent), 1e-30))
        self.floor = _tensor(floor)
        self.pad = math.ceil(REACH * fine)
        # sharing a line out between two points widens it by a sixth of a squared step, on average
        reach = torch.arange(-self.pad, self.pad + 1) * self.step
        kernel = torch.exp(-0.5 * reach**2 / (whole**2 - self.step**2 / 6))
        self.kernel = (kernel / kernel.sum())[None, None]

    def _smoothed(self, curves: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv1d(curves[:, None], self.kernel, padding=self.pad)[:, 0]

    def __call__(self, lines: _Batch, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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


class _Batch(NamedTuple):
    """Reflections of T structures, padded: (T, H), (T, H, 7), (T, H); the height's slope is the last."""

    squares: torch.Tensor
    slopes: torch.Tensor
    intensity: torch.Tensor

    @classmethod
    def of(cls, structures: Sequence[Lines], most: int) -> _Batch:
        n = min(max(len(one.squares) for one in structures), most)
        size = (len(structures), n)
        batch = np.ones(size), np.zeros((*size, MOST_STRAINS + 1)), np.zeros(size)
        for row, one in enumerate(structures):
            here = slice(0, min(n, len(one.squares)))
            batch[0][row, here], batch[2][row, here] = one.squares[here], one.intensity[here]
            batch[1][row, here, : len(one.strains)] = one.slopes[here, :-1]
            batch[1][row, here, -1] = one.slopes[here, -1]
        return cls(*map(_tensor, batch))


def fitted(
    profile: Profile, structures: Sequence[Lines], stages: Sequence[Stage] = STAGES, seed: int = 0
) -> dict[int, Fit]:
    """The best strain of each structure that gets through all widths, by its place among `structures`.

    >>> from crystalnet.patterns.observed import Observed
    >>> hkl, intensity = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 0, 0]]), np.array([9.0, 4, 2, 3])
    >>> s = np.linalg.norm(hkl, axis=1) / (2 * 4.04)  # a = 4.04 Å
    >>> profile = Profile.of_peaks(Observed(s, intensity, 0.1, 0.45, 1.54, exact=True))
    >>> lines = Lines.of(hkl / 4.0, intensity, np.eye(3)[None], 10, profile)
    >>> found = fitted(profile, [lines])[0]
    >>> f"a = {lines.strained(4.0 * np.eye(3), found.strain)[0, 0]:.2f} Å"
    'a = 4.04 Å'
    """
    rng = np.random.default_rng(seed)
    n = int(np.clip(MOST_STARTS // max(len(structures), 1), *STARTS))
    going = {place: _tensor(_starts(one, rng, n)) for place, one in enumerate(structures) if len(one.squares)}
    found: dict[int, Fit] = {}
    for stage in stages:
        comparison = Comparison(profile, stage.width)
        cosines: dict[int, torch.Tensor] = {}
        for part in _parts(structures, going, stage.lines):
            lines = _Batch.of([structures[place] for place in part], stage.lines)
            u = _uphill(comparison, lines, torch.stack([going[place] for place in part]), stage)
            value, order = comparison(lines, u)[0].topk(min(stage.starts, u.shape[1]), dim=1)
            u = u.gather(1, order[..., None].expand(-1, -1, MOST_STRAINS + 1))
            going |= dict(zip(part, u, strict=True))
            cosines |= dict(zip(part, value[:, 0], strict=True))
        ranked = sorted(cosines, key=lambda place: -float(cosines[place]))
        ranked = ranked[: max(math.ceil(stage.structures * len(ranked)), FEWEST)]
        going = {place: going[place] for place in ranked}
    for place in going:
        *strain, height = going[place][0].tolist()
        strain = np.array(strain[: len(structures[place].strains)])
        found[place] = Fit(strain, height, math.sqrt(max(2 - 2 * float(cosines[place]), 0.0)))
    return found


def _starts(structure: Lines, rng: np.random.Generator, n: int) -> np.ndarray:
    """Strains (n, 7) to begin with: lengths over SPAN, shapes about the structure's own, no shift."""
    identity = np.trace(structure.strains, axis1=1, axis2=2)
    shape = rng.normal(size=(n, len(identity))) * (SHEAR * 10 ** rng.uniform(-1, 0.5, n))[:, None]
    shape -= np.outer(shape @ identity, identity) / 3
    u = np.zeros((n, MOST_STRAINS + 1))
    u[:, : len(identity)] = 2 * (shape - np.linspace(*SPAN, n)[:, None] * identity)
    return u


def _uphill(comparison: Comparison, lines: _Batch, u: torch.Tensor, stage: Stage) -> torch.Tensor:
    """The strains (T, S, 7) after Adam's steps."""
    first, second = torch.zeros_like(u), torch.zeros_like(u)
    for step in range(1, stage.steps + 1):
        gradient = comparison(lines, u)[1]
        first = MOMENTUM * first + (1 - MOMENTUM) * gradient
        second = SECOND * second + (1 - SECOND) * gradient**2
        size = stage.size * (1 - SLOWER * step / stage.steps)
        root = (second / (1 - SECOND**step)).sqrt()
        u = u + size * first / (1 - MOMENTUM**step) / root.clamp_min(1e-12)
        u[..., -1].clamp_(-HIGHEST, HIGHEST)
    return u


def _parts(structures: Sequence[Lines], going: dict[int, torch.Tensor], most: int) -> list[list[int]]:
    """Structures that are fitted at once: those with about as many reflections."""
    parts, size = [], 0
    for place in sorted(going, key=lambda place: len(structures[place].squares)):
        own = min(len(structures[place].squares), most) * len(going[place])
        if not parts or size + own > FASTEST:
            parts, size = [*parts, []], 0
        parts[-1].append(place)
        size += own
    return parts


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)
