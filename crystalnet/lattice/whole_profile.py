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
from typing import NamedTuple

import numpy as np
import torch

from crystalnet.lattice.curves import MOST_STRAINS, Batch, Comparison, Lines, tensor
from crystalnet.patterns.profile import Profile

HIGHEST = 0.2  # degrees that the sample's height may shift peaks by, our choice: more is rare
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


class Fit(NamedTuple):
    """The best strain (P,) of a structure, the degrees that the sample's height shifts peaks, and the length
    between both curves, each of length 1."""

    strain: np.ndarray
    height: float
    distance: float


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
    going = {place: tensor(_starts(one, rng, n)) for place, one in enumerate(structures) if len(one.squares)}
    found: dict[int, Fit] = {}
    for stage in stages:
        comparison = Comparison(profile, stage.width)
        cosines: dict[int, torch.Tensor] = {}
        for part in _parts(structures, going, stage.lines):
            lines = Batch.of([structures[place] for place in part], stage.lines)
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


def _uphill(comparison: Comparison, lines: Batch, u: torch.Tensor, stage: Stage) -> torch.Tensor:
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
