"""Pattern and composition to a Gaussian code, for the spectral network.

>>> trunk = PatternTrunk(n_bins=768, hidden=64, n_out=32, dropout=0.0)
>>> latent = Gaussian(trunk, width=16)(torch.rand(2, 768))
>>> latent.mu.shape, bool((latent.sigma > 0).all())
(torch.Size([2, 16]), True)
>>> Window(1, 8, 16, 8)(torch.rand(2, 768, 1)).shape, SquareRoot()(torch.tensor([0.25]))
(torch.Size([2, 96, 8]), tensor([1.5000]))
>>> composition = CompositionTrunk("fractions", n_out=32, dropout=0.0)
>>> composition(torch.eye(118)[:2]).shape, composition.features.n_out
(torch.Size([2, 32]), 118)
"""

from __future__ import annotations

import torch
from torch import nn

from crystalnet.model.compositions import CompositionFeatures
from crystalnet.model.encoders import Latent


class Gaussian(nn.Module):
    """A trunk with two heads: mu, and sigma as an exponential, so that it is positive."""

    def __init__(self, trunk: nn.Module, width: int):
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(trunk.n_out, 2 * width)

    def forward(self, x: torch.Tensor) -> Latent:
        mu, log_sigma = self.head(self.trunk(x)).float().chunk(2, -1)
        return Latent(mu, (log_sigma - 2).exp())  # little noise at first


class PatternTrunk(nn.Sequential):
    """A pattern's bins through windows that slide along the axis, so that a group of peaks is one wherever it
    is, and two layers, (B, n_bins) -> (B, n_out)."""

    def __init__(self, n_bins: int, hidden: int, n_out: int, dropout: float):
        super().__init__(
            SquareRoot(),
            nn.Unflatten(1, (n_bins, 1)),
            Window(1, 64, 16, 8),
            Window(64, 96, 4, 2),
            Window(96, 96, 3, 1),
            Window(96, 32, 1, 1),
            nn.Flatten(),
            nn.Linear(32 * (n_bins // 16), hidden // 2),
            nn.LayerNorm(hidden // 2),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden // 2, n_out),
            nn.GELU(),
        )
        self.n_out = n_out


class Window(nn.Module):
    """A convolution as one matrix product, normalised, (B, L, n_in) -> (B, L / stride, n_out); it adds to its
    input where that has the same shape.

    Args:
        size: positions in a window, a multiple of `stride`.
    """

    def __init__(self, n_in: int, n_out: int, size: int, stride: int):
        super().__init__()
        self.size, self.stride, self.adds = size, stride, n_in == n_out and stride == 1
        self.layers = nn.Sequential(nn.Linear(n_in * size, n_out), nn.LayerNorm(n_out), nn.GELU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spare, length = self.size - self.stride, x.shape[1] // self.stride
        padded = nn.functional.pad(x, (0, 0, spare // 2, spare - spare // 2))
        steps = padded.unflatten(1, (-1, self.stride)).flatten(2)  # windows are runs of neighbouring steps
        runs = [steps[:, i : i + length] for i in range(self.size // self.stride)]
        y = self.layers(torch.cat(runs, -1))
        return x + y if self.adds else y


class SquareRoot(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * x.sqrt()  # of order 1 where there is a peak


class CompositionTrunk(nn.Sequential):
    """What is known of the elements through two layers, (B, 118) -> (B, n_out)."""

    def __init__(self, elements: str, n_out: int, dropout: float):
        features = CompositionFeatures(elements)
        super().__init__(
            features,
            nn.Linear(features.n_out, n_out),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(n_out, n_out),
            nn.GELU(),
        )
        self.n_out = n_out

    @property
    def features(self) -> CompositionFeatures:
        return self[0]
