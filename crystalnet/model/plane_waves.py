r"""Real functions that repeat with the lattice, as sums of its plane waves: on a grid, or at any point.

    s(x) = c_0 + sqrt(2) \sum_h [a_h cos(2 pi h . x) - b_h sin(2 pi h . x)],      0 < |h| <= radius

one h of each +- pair. The waves are orthonormal over the cell: the mean of s^2 is the sum of all squared
coefficients (Parseval), and those of samples on a grid of more than 2 radius points an axis are exact.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from crystalnet.errors import Code, CrystalNetError


class PlaneWaves(nn.Module):
    """The plane waves up to a radius, shortest first; coefficients lie as (c_0, a, b), each (M,) by |h|.

    Args:
        radius: of the sphere of integer vectors h.

    >>> waves = PlaneWaves(radius=2)
    >>> coefficients = torch.randn(1, 1 + 2 * len(waves.h), generator=torch.Generator().manual_seed(0))
    >>> values = waves.on_grid(coefficients, n=8)
    >>> torch.allclose(waves.of_grid(values), coefficients, atol=1e-5)
    True
    >>> torch.allclose(waves.at(torch.zeros(1, 3)) @ coefficients[0], values[0, 0, 0, 0], atol=1e-5)
    True
    """

    def __init__(self, radius: int):
        super().__init__()
        axis = torch.arange(-radius, radius + 1)
        h = torch.cartesian_prod(axis, axis, axis)
        half = (h[:, 2] > 0) | ((h[:, 2] == 0) & ((h[:, 1] > 0) | ((h[:, 1] == 0) & (h[:, 0] > 0))))
        h = h[half & (h.square().sum(1) <= radius**2)]
        h = h[h.square().sum(1).argsort(stable=True)]
        self.radius = radius
        self.register_buffer("h", h, persistent=False)  # (M, 3)

    def __len__(self) -> int:
        """Number of coefficients, 1 + 2 M."""
        return 1 + 2 * len(self.h)

    def on_grid(self, coefficients: torch.Tensor, n: int) -> torch.Tensor:
        """The functions (B, n, n, n) at coordinates i / n, of coefficients (B, 1 + 2 M)."""
        finer = 2 * self.radius // n + 1
        if finer > 1:  # the transform wants room for every wave; then the points between are left out
            return self.on_grid(coefficients, finer * n)[:, ::finer, ::finer, ::finer]
        place, conjugate_place, conjugate_of = self._places(n)
        constant, real, imaginary = coefficients.float().split([1, len(self.h), len(self.h)], 1)
        waves = torch.complex(real, imaginary) / math.sqrt(2)
        spectrum = waves.new_zeros(len(coefficients), n * n * (n // 2 + 1))
        spectrum[:, 0] = constant[:, 0]
        spectrum[:, place] = waves
        spectrum[:, conjugate_place] = waves[:, conjugate_of].conj()
        spectrum = spectrum.view(-1, n, n, n // 2 + 1)
        return torch.fft.irfftn(spectrum, s=(n, n, n), dim=(1, 2, 3), norm="forward")

    def of_grid(self, values: torch.Tensor) -> torch.Tensor:
        """The coefficients (B, 1 + 2 M) of functions (B, n, n, n) at coordinates i / n; finer waves are cut.

        Raises:
            CrystalNetError: the grid is too coarse for the radius.
        """
        n = values.shape[-1]
        if n <= 2 * self.radius:
            raise CrystalNetError(
                f"A grid of {n} points an axis cannot tell waves up to |h| = {self.radius} apart. Lower"
                f" model.radius to {(n - 1) // 2} or less, or use a finer grid.",
                Code.BAD_SETTING,
            )
        spectrum = torch.fft.rfftn(values.float(), dim=(1, 2, 3), norm="forward").flatten(1)
        waves = spectrum[:, self._places(n)[0]] * math.sqrt(2)
        return torch.cat([spectrum[:, :1].real, waves.real, waves.imag], 1)

    def at(self, coords: torch.Tensor) -> torch.Tensor:
        """Every wave at fractional coordinates (P, 3): (P, 1 + 2 M), to be multiplied with coefficients."""
        with torch.autocast(coords.device.type, enabled=False):  # a phase needs more digits than bfloat16 has
            phase = 2 * torch.pi * (coords.float() @ self.h.T.float())
            waves = math.sqrt(2) * torch.cat([phase.cos(), -phase.sin()], 1)
        return torch.cat([torch.ones_like(waves[:, :1]), waves], 1)

    def _places(self, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Where each wave lies in the half spectrum of n points; in its plane l = 0 there are conjugates as
        well: where they lie, and of which waves they are."""
        columns = n // 2 + 1

        def place(h: torch.Tensor) -> torch.Tensor:
            return (h[:, 0] % n * n + h[:, 1] % n) * columns + h[:, 2]

        flat = (self.h[:, 2] == 0).nonzero()[:, 0]
        return place(self.h), place(-self.h[flat]), flat
