r"""Densities as squares of short sums of functions that the training set teaches, or of plane waves.

rho(x) = s(x)^2,    s = mean + \sum_k a_k spread_k u_k(x)
"""

from __future__ import annotations

import torch
from torch import nn

from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.plane_waves import PlaneWaves

MOST_IN_BASIS = 4000  # training crystals that the components are taken of, our choice: more change little
BLOCK = 64  # densities transformed together


class SpectralField(nn.Module):
    """s = mean + sum_k a_k spread_k u_k of coefficients a (B, K): at points, or on a grid.

    Buffers: mean (W,), components (W, K) and spread (K,) in e^1/2 / Å^3/2, over the W coefficients of the
    plane waves; set by `fit`.

    >>> field = SpectralField(n_components=3, radius=2, basis="learned")
    >>> densities = torch.rand(6, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> field.fit(densities, torch.arange(6))
    >>> a = torch.zeros(1, 3)  # the mean
    >>> field.on_grid(a, 8).shape, field(a, torch.zeros(1, 3)).shape
    (torch.Size([1, 8, 8, 8]), torch.Size([1, 1]))
    >>> field.tabulate(8)  # points of the grid are looked up from now on
    >>> bool((field(a, torch.zeros(1, 3)) - field.on_grid(a, 8)[0, 0, 0, 0]).abs().max() < 0.01)
    True
    """

    def __init__(self, n_components: int, radius: int, basis: str):
        super().__init__()
        self.waves, self.basis = PlaneWaves(radius), basis
        self.register_buffer("mean", torch.zeros(len(self.waves)))
        self.register_buffer("components", torch.zeros(len(self.waves), n_components))
        self.register_buffer("spread", torch.zeros(n_components))
        self._table: tuple[int, torch.Tensor, torch.Tensor] | None = None  # see `tabulate`

    @torch.no_grad()
    def fit(self, densities: torch.Tensor, rows: torch.Tensor) -> None:
        """Mean, components and their spread, from `rows` of densities (N, n, n, n), e/Å^3.

        Principal components of at most MOST_IN_BASIS of them, evenly spaced, by the Gram matrix.

        Raises:
            CrystalNetError: fewer crystals or waves than components.
        """
        n_components = len(self.spread)
        self._table = None  # of another basis
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), MOST_IN_BASIS)).round().long()]
        most = len(rows) - 1 if self.basis == "learned" else len(self.waves)
        if n_components > most:
            raise CrystalNetError(
                f"{most} components are the most that this data set gives. Lower model.n_components to it,"
                f" from {n_components}.",
                Code.BAD_SETTING,
            )
        series = torch.cat(
            [self.waves.of_grid(densities[part].float().clamp_min(0).sqrt()) for part in rows.split(BLOCK)]
        )
        self.mean.copy_(series.mean(0))
        series -= self.mean
        if self.basis == "learned":
            variance, vectors = torch.linalg.eigh((series @ series.T).double())
            variance, vectors = variance.flip(0)[:n_components], vectors.flip(1)[:, :n_components]
            components = vectors.T.float() @ series
            self.components.copy_((components / components.norm(dim=1, keepdim=True).clamp_min(1e-12)).T)
            self.spread.copy_((variance.clamp_min(0) / len(rows)).sqrt())
        else:
            constant_and_pairs = self._shortest(n_components)
            self.components.copy_(torch.eye(len(self.waves))[:, constant_and_pairs])
            self.spread.copy_(series[:, constant_and_pairs].square().mean(0).sqrt())

    def forward(self, a: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
        """s (B, P) at fractional coordinates (B, P, 3), or (P, 3) shared by all."""
        if coords.dim() == 2:
            basis, mean = self._at(coords)
            return (a @ basis.T).float() + mean
        return torch.cat([self(row[None], points) for row, points in zip(a, coords, strict=True)])

    def on_grid(self, a: torch.Tensor, n: int) -> torch.Tensor:
        """s (B, n, n, n) at coordinates i / n."""
        return self.waves.on_grid(torch.addmm(self.mean, a * self.spread, self.components.T), n)

    @torch.no_grad()
    def tabulate(self, n: int | None) -> None:
        """Keep the basis on the grid of n points an axis, where training asks for it again and again."""
        self._table = None
        if n is not None:
            basis = torch.empty(n**3, len(self.spread), dtype=torch.float16, device=self.mean.device)
            for part in torch.arange(len(self.spread)).split(BLOCK):
                scaled = (self.components[:, part] * self.spread[part]).T
                basis[:, part] = self.waves.on_grid(scaled, n).flatten(1).T.half()
            self._table = n, basis, self.waves.on_grid(self.mean[None], n).flatten()

    def _shortest(self, k: int) -> torch.Tensor:
        """The constant, then cosine and sine of wave after wave: places of the first k coefficients."""
        m = torch.arange(len(self.waves.h)).repeat_interleave(2) + 1
        m[1::2] += len(self.waves.h)
        return torch.cat([torch.zeros(1, dtype=torch.long), m])[:k]

    def _at(self, coords: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The basis (P, K) and the mean (P,) at points (P, 3)."""
        if self._table is not None:
            n, basis, mean = self._table
            voxels = (coords * n).round()
            if (voxels - coords * n).abs().max() < 1e-3:
                i, j, k = (voxels.long() % n).T
                place = (i * n + j) * n + k
                return basis[place].float(), mean[place]
        waves = self.waves.at(coords)
        return waves @ (self.components * self.spread), waves @ self.mean
