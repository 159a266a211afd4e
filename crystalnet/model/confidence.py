"""How much an answer is worth, told without the truth: by how well the network's samples agree with it.

A network that is sure of a crystal gives nearly the same density for every draw from its latent distribution.
What an agreement is worth is learned from validation crystals, whose truth is known.

>>> answer = torch.rand(8, 8, 8, generator=torch.Generator().manual_seed(0))
>>> agreement(answer, answer.expand(3, 8, 8, 8))
1.0
>>> confidence = Confidence.fit(np.linspace(0, 1, 20), np.linspace(0.2, 0.9, 20))
>>> round(confidence.expected(0.5), 2)
0.55
>>> risk_coverage(ssim=[0.9, 0.5], score=[2.0, 1.0])[1]  # the surest alone, both
array([0.9, 0.7])
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.similarity import ssim

CONFIDENT = 0.8  # expected SSIM below which no answer is confident, our choice: misplaced atoms score less
FEWEST = 10  # crystals to calibrate with, our choice


def agreement(answer: torch.Tensor, samples: torch.Tensor) -> float:
    """Mean periodic SSIM of samples (K, n, n, n) with the answer (n, n, n), data range the answer's."""
    data_range = float(answer.max() - answer.min())
    if not data_range > 0:
        return 0.0
    return float(ssim(answer.expand_as(samples), samples, data_range, periodic=True).mean())


class Confidence(NamedTuple):
    """The SSIM to expect at an agreement: a rising curve through corners, level beyond its ends."""

    agreement: tuple[float, ...]
    ssim: tuple[float, ...]

    @classmethod
    def fit(cls, agreement: ArrayLike, ssim: ArrayLike) -> Confidence:
        """Isotonic regression (Barlow & Brunk 1972) of SSIM (N,) on agreement (N,) of validation crystals.

        Raises:
            CrystalNetError: fewer than 10 crystals.
        """
        agreement, ssim = np.asarray(agreement, float), np.asarray(ssim, float)
        if len(agreement) < FEWEST:
            raise CrystalNetError(
                f"{len(agreement)} validation crystals are too few to calibrate with. Raise training.max_val"
                f" to {FEWEST} or more.",
                Code.NOTHING_LEFT,
            )
        order = np.argsort(agreement, kind="stable")
        levels = isotonic_regression(ssim[order])
        # each level stands at the mean agreement of its crystals, and straight lines join them
        edges = levels.blocks
        centres = [agreement[order][a:b].mean() for a, b in pairwise(edges)]
        corners = zip(centres, levels.x[edges[:-1]], strict=True)
        return cls(*(tuple(round(float(value), 5) for value in part) for part in zip(*corners, strict=True)))

    def expected(self, agreement: ArrayLike) -> float | np.ndarray:
        """Expected SSIM at an agreement, or at each of several."""
        value = np.interp(agreement, self.agreement, self.ssim)
        return float(value) if np.ndim(value) == 0 else value


def risk_coverage(ssim: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """What is gained by answering the surest first: shares of crystals answered, and their mean SSIM, (N,).

    Args:
        ssim: (N,) of each crystal's answer.
        score: (N,), highest where the answer seems surest.
    """
    ranked = np.asarray(ssim, float)[np.argsort(-np.asarray(score, float), kind="stable")]
    answered = np.arange(1, len(ranked) + 1)
    return answered / len(ranked), ranked.cumsum() / answered
