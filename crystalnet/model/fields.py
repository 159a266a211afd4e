"""Latent code to density at any point: the paper's FiLM coordinate network (Fig. 6 C-F, eqs. 3-4).

>>> Fusion(8, 4).eval()(torch.rand(2, 8)).shape
torch.Size([2, 4])
>>> encoder = PositionEncoder(width=4, n_frequencies=8, frequencies="periodic").eval()
>>> embedded = encoder(torch.rand(5, 3))
>>> [tuple(part.shape) for part in encoder.on_grid(3, 20)]
[(20, 4), (7, 4)]
>>> embedded.shape, Regressor(width=4, n_blocks=1).eval()(embedded).shape
(torch.Size([5, 4]), torch.Size([5]))
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from crystalnet.model.encoders import linear_block


class Fusion(nn.Sequential):
    """Latent code to one FiLM vector, (B, n_latent) -> (B, width).

    BatchNorm and ReLU follow every layer, the last included, so that gamma and beta are never negative.
    """

    def __init__(self, n_latent: int = 1024, width: int = 512):
        super().__init__(
            *linear_block(n_latent, 2 * width),
            *linear_block(2 * width, 2 * width),
            *linear_block(2 * width, 2 * width),
            *linear_block(2 * width, width),
        )


class PositionEncoder(nn.Module):
    """Fourier features of a fractional coordinate, (P, 3) -> (P, width) (eq. 3).

    frequencies='random' draws the paper's B ~ N(0, scale^2), (n, 3), once from `seed`: a field that does not
    repeat with the lattice. 'periodic' takes the n shortest integer vectors, one of each +- pair: plane waves
    of the lattice itself, so that opposite faces of the cell meet.
    """

    def __init__(
        self,
        width: int = 512,
        n_frequencies: int = 128,
        frequency_scale: float = 3.0,
        frequencies: str = "random",
        seed: int = 0,
    ):
        super().__init__()
        self.periodic = frequencies == "periodic"
        if self.periodic:
            matrix = _shortest_integer_vectors(n_frequencies)
        else:
            matrix = frequency_scale * torch.randn(
                n_frequencies, 3, generator=torch.Generator().manual_seed(seed)
            )
        self.register_buffer("frequencies", matrix)
        # BatchNorm after the first layer, nothing after the second
        self.layers = nn.Sequential(*linear_block(2 * n_frequencies, width), nn.Linear(width, width))

    def forward(self, coords: torch.Tensor) -> torch.Tensor:
        with torch.autocast(coords.device.type, enabled=False):  # a phase needs more digits than bfloat16 has
            phase = 2 * torch.pi * (coords - 0.5) @ self.frequencies.T  # (P, n)
        return self.layers(torch.cat([phase.sin(), phase.cos()], -1))

    def on_grid(self, n: int, at_once: int) -> Iterator[torch.Tensor]:
        """`forward` at the points of an n^3 grid in the order of its voxels, `at_once` points at a time.

        Of periodic frequencies the first layer is a Fourier series, which one transform sums at all points.
        """
        axis = torch.arange(n, device=self.frequencies.device, dtype=self.frequencies.dtype) / n
        if not self.periodic:
            yield from map(self, torch.cartesian_prod(axis, axis, axis).split(at_once))
            return
        first, rest = self.layers[0], self.layers[1:]
        for part in self._series(n, first.weight, first.bias).split(at_once):
            yield rest(part)

    def _series(self, n: int, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """The first layer on the grid, (n^3, width)."""
        vectors = self.frequencies.long()
        h, k, l = vectors.remainder(n).T  # noqa: E741
        sines, cosines = weight.float().chunk(2, 1)  # (width, n_frequencies)
        middle = 1 - 2 * vectors.sum(1).remainder(2)  # phases count from the middle of the cell
        terms = torch.complex(cosines, -sines) * middle
        coefficients = terms.new_zeros(len(weight), n**3).index_add_(1, (h * n + k) * n + l, terms)
        summed = torch.fft.ifftn(coefficients.view(-1, n, n, n), dim=(1, 2, 3), norm="forward").real
        return summed.flatten(1).T + bias


def _shortest_integer_vectors(n: int) -> torch.Tensor:
    reach = int(n ** (1 / 3)) + 2
    axis = torch.arange(-reach, reach + 1)
    vectors = torch.cartesian_prod(axis, axis, axis)
    h, k, l = vectors.T  # noqa: E741
    half = (h > 0) | ((h == 0) & (k > 0)) | ((h == 0) & (k == 0) & (l > 0))
    vectors = vectors[half]
    return vectors[vectors.square().sum(1).argsort(stable=True)[:n]].float()


class Regressor(nn.Module):
    """Conditioned position to density, (P, width) -> (P,) e/Å^3; not clamped.

    Four layers, then `n_blocks` blocks that see the conditioned position again, as the last layer does with a
    `shortcut`.
    """

    def __init__(self, width: int = 512, n_blocks: int = 3, shortcut: bool = False):
        super().__init__()
        self.shortcut = shortcut
        self.stem = nn.Sequential(*[layer for _ in range(4) for layer in linear_block(width, width)])
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *linear_block(2 * width, width),
                *[layer for _ in range(3) for layer in linear_block(width, width)],
            )
            for _ in range(n_blocks)
        )
        self.head = nn.Linear(2 * width if shortcut else width, 1)

    def forward(self, conditioned: torch.Tensor) -> torch.Tensor:
        x = self.stem(conditioned)
        for block in self.blocks:
            x = block(torch.cat([x, conditioned], -1))
        if self.shortcut:
            x = torch.cat([x, conditioned], -1)
        return self.head(x).squeeze(-1)
