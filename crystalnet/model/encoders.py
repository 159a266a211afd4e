"""Pattern and composition to the mean and spread of a latent code (paper, Fig. 6 A and B, eqs. 1-2).

>>> latent = Latent(torch.zeros(1, 4), torch.ones(1, 4))
>>> latent.at(torch.full((1, 4), 0.5)), latent.sample(torch.Generator().manual_seed(0)).shape
(tensor([[0.5000, 0.5000, 0.5000, 0.5000]]), torch.Size([1, 4]))
>>> both = Variational(lambda: PatternEncoder(n_bins=64, width=8, growth=2), positive=True).eval()
>>> both(torch.rand(2, 64)).mu.shape, CompositionEncoder(8).eval()(torch.eye(118)[:2]).shape
(torch.Size([2, 8]), torch.Size([2, 8]))
>>> DenseLayer(1, 2, 64)(torch.rand(1, 1, 64)).shape, len(linear_block(4, 8, relu=False))
(torch.Size([1, 3, 64]), 2)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from crystalnet.model.compositions import CompositionFeatures
from crystalnet.model.normalisation import BatchNorm

N_ELEMENTS = 118


class Latent(NamedTuple):
    """A diagonal Gaussian: `mu` and `sigma`, each (B, D). sigma may be signed; its square has a meaning."""

    mu: torch.Tensor
    sigma: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """z = mu + epsilon sigma with unit Gaussian epsilon (eq. 2), (B, D)."""
        noise = torch.randn(
            self.mu.shape,
            generator=generator,
            device=self.mu.device if generator is None else generator.device,
        )
        return self.at(noise.to(self.mu))

    def at(self, noise: torch.Tensor) -> torch.Tensor:
        """The code at given unit noise (B, D)."""
        return self.mu + noise * self.sigma


class Variational(nn.Module):
    """Two copies of one encoder, one regressing mu and one sigma.

    sigma is the bare output of its encoder, as in the paper, unless `positive` sends it through a softplus.
    """

    def __init__(self, make_encoder: Callable[[], nn.Module], positive: bool = False):
        super().__init__()
        self.mu = make_encoder()
        self.sigma = nn.Sequential(make_encoder(), nn.Softplus()) if positive else make_encoder()

    def forward(self, x: torch.Tensor) -> Latent:
        return Latent(self.mu(x), self.sigma(x))


class PatternEncoder(nn.Sequential):
    """Densely connected 1-D convolutions over a powder pattern, (B, n_bins) -> (B, width).

    Two dense stages of four 3-wide convolutions, each adding `growth` channels, with a 1x1 transition and
    average pooling between; LayerNorm over (channels, bins) and ReLU after every convolution but the last.
    """

    def __init__(self, n_bins: int = 1024, width: int = 512, growth: int = 8):
        half = n_bins // 2
        after_first = 5 * growth  # the stem's channels and four additions
        squeezed = 2 * growth
        super().__init__(
            nn.Unflatten(1, (1, n_bins)),
            _convolution(1, growth, 3, n_bins),
            *[DenseLayer(growth * i, growth, n_bins) for i in range(1, 5)],
            _convolution(after_first, squeezed, 1, n_bins),
            nn.AvgPool1d(2),
            *[DenseLayer(squeezed + growth * i, growth, half) for i in range(4)],
            nn.Conv1d(squeezed + 4 * growth, 1, 1),
            nn.Flatten(),
            nn.Linear(half, width),
            BatchNorm(width),
        )


class DenseLayer(nn.Module):
    """Concatenates `growth` new channels to its input, (B, C, L) -> (B, C + growth, L)."""

    def __init__(self, channels: int, growth: int, length: int):
        super().__init__()
        self.convolution = _convolution(channels, growth, 3, length)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.convolution(x)], 1)


def _convolution(channels: int, out_channels: int, kernel: int, length: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.LayerNorm([out_channels, length]),
        nn.ReLU(),
    )


class CompositionEncoder(nn.Sequential):
    """Atomic fractions to an embedding, (B, 118) -> (B, width), by three linear layers.

    Of fractions alone, element Z sits at index Z of 119 inputs, index 0 unused, as in the released network:
    this keeps its parameter count. With `elements='properties'` see `CompositionFeatures`.
    """

    def __init__(self, width: int = 512, elements: str = "fractions"):
        if elements == "fractions":
            features, n_in = nn.ConstantPad1d((1, 0), 0.0), N_ELEMENTS + 1
        else:
            features = CompositionFeatures(elements)
            n_in = features.n_out
        super().__init__(
            features,
            *linear_block(n_in, width),
            *linear_block(width, width),
            *linear_block(width, width, relu=False),
        )


def linear_block(n_in: int, n_out: int, relu: bool = True) -> list[nn.Module]:
    """Linear, BatchNorm and, unless told otherwise, ReLU: the paper's layer."""
    return [nn.Linear(n_in, n_out), BatchNorm(n_out), *([nn.ReLU()] if relu else [])]
