"""Codes drawn from a latent distribution, and the straight line between two of them.

>>> latent = Latent(torch.zeros(1, 4), torch.ones(1, 4))
>>> torch.equal(sample(latent, seed=1), sample(latent, seed=1)), sample(latent, seed=1, noise=0.0)
(True, tensor([[0., 0., 0., 0.]]))
>>> walk(latent, first=1, second=2, t=[0.0, 0.5, 1.0]).shape
torch.Size([3, 4])
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from crystalnet.model.encoders import Latent


def sample(latent: Latent, seed: int, noise: float = 1.0) -> torch.Tensor:
    """z = mu + noise epsilon sigma, shaped as mu (eq. 2 with its noise scaled); equal seeds, equal epsilon.

    noise = 1 draws what the network was trained to draw, noise = 0 is the latent mean.
    """
    return Latent(latent.mu, noise * latent.sigma).sample(torch.Generator().manual_seed(seed))


def walk(latent: Latent, first: int, second: int, t: float | ArrayLike, noise: float = 1.0) -> torch.Tensor:
    """(1 - t) z_first + t z_second for each t, (T, n_latent): from one sample of a crystal to another.

    Args:
        latent: of one crystal, (1, n_latent).
        first, second: seeds of the two samples.
        t: (T,) or one number; 0 is the first sample, 1 the second. Half-way the noise of independent samples
            partly cancels, so that the middle of the line lies nearer the mean than its ends.
    """
    start, end = (sample(latent, seed, noise) for seed in (first, second))
    t = torch.as_tensor(t, dtype=start.dtype, device=start.device).reshape(-1, 1)
    return torch.lerp(start, end, t)
