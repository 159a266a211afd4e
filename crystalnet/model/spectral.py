r"""The spectral network: a density is the square of a short sum of functions, learned from the training set.

    rho(x) = s(x)^2,    s = s_mean + \sum_k a_k(z) sigma_k u_k(x)

The u_k are principal components of the training crystals' sqrt(rho), or plane waves. Either way they are
Fourier series: s and rho repeat with the lattice, can be asked for anywhere, and rho is never negative. What
z must say is K numbers a crystal, where a coordinate network computes every point anew.
"""

from __future__ import annotations

import torch
from torch import nn

from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model.compositions import CompositionFeatures
from crystalnet.model.encoders import Latent
from crystalnet.model.network import DensityNetwork
from crystalnet.model.plane_waves import PlaneWaves
from crystalnet.physics.diffraction import N_BINS
from crystalnet.physics.profiles import N_LOG_BINS

LENGTHS = {"patterns": N_BINS, "profiles": N_LOG_BINS}
MOST_IN_BASIS = 4000  # training crystals that the components are taken of, our choice: more change little
BLOCK = 64  # densities transformed together


class SpectralNet(DensityNetwork):
    """Pattern and composition -> code -> K coefficients -> density at any point.

    Args:
        width: components of each encoder's code.
        hidden: size of the layers between.
        n_components: K, at most the number of training crystals, or of waves.
        radius: of the sphere of plane waves; a store's grid must have more than twice as many points an axis.
        basis: 'learned', principal components; or 'plane waves', the K shortest.
        reads: 'profiles' on the log d axis, or the paper's 'patterns'.
        elements: 'properties' beside atomic fractions, or 'fractions' alone.
        dropout: share of hidden values left out in training.
        use_composition: False leaves the composition out ('no formula' of Table 2).
        seed: of the weights; the same seed gives the same network.
    """

    halved = ("field.components",)

    def __init__(
        self,
        width: int = 256,
        hidden: int = 1024,
        n_components: int = 384,
        radius: int = 12,
        basis: str = "learned",
        reads: str = "profiles",
        elements: str = "properties",
        dropout: float = 0.15,
        use_composition: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.settings = {"field": "spectral", **arguments}
        self.reads, self.n_bins = reads, LENGTHS[reads]
        with torch.random.fork_rng(devices=[]):  # weights come from the seed; the caller's state stays
            torch.manual_seed(seed)
            self.pattern_encoder = Gaussian(PatternTrunk(self.n_bins, hidden, 2 * width, dropout), width)
            self.composition_encoder = (
                Gaussian(CompositionTrunk(elements, 2 * width, dropout), width) if use_composition else None
            )
            self.n_latent = 2 * width if use_composition else width
            self.coefficients = Coefficients(self.n_latent, hidden, n_components, dropout)
            self.field = SpectralField(n_components, radius, basis)

    def prepare(self, store: Store) -> None:
        """The basis and the scale of the inputs, from the training crystals alone."""
        rows = torch.from_numpy(store.indices("train"))
        if self.composition_encoder is not None:
            self.composition_encoder.trunk.features.fit(torch.from_numpy(store.compositions)[rows])
        self.field.fit(torch.from_numpy(store.cmed), rows)

    def tabulate(self, n: int | None) -> None:
        self.field.tabulate(n)

    def encode(self, pattern: torch.Tensor, composition: torch.Tensor) -> list[Latent]:
        latents = [self.pattern_encoder(pattern)]
        if self.composition_encoder is not None:
            latents.append(self.composition_encoder(composition))
        return latents

    def decode(self, z: torch.Tensor, query_coords: torch.Tensor) -> torch.Tensor:
        """See `DensityNetwork`. In training s < 0 counts as a negative density, so that the loss lifts it."""
        s = self.field(self.coefficients(z), query_coords)
        return s * (s.abs() if self.training else s.clamp_min(0))

    @torch.inference_mode()
    def density(self, z: torch.Tensor, n: int = 50, mean: float | None = None) -> torch.Tensor:
        """CMEDs (B, n, n, n) of codes z (B, n_latent), one Fourier transform each, without gradient.

        Args:
            mean: e/Å^3, electrons over volume where both are known; the densities are scaled to have it.
        """
        was_training = self.training
        self.eval()
        s = self.field.on_grid(self.coefficients(z).float(), n)
        self.train(was_training)
        density = s * s.clamp_min(0)
        if mean is not None:
            density *= mean / density.mean((1, 2, 3), keepdim=True)
        return density


class Gaussian(nn.Module):
    """A trunk with two heads: mu, and sigma as an exponential, so that it is positive."""

    def __init__(self, trunk: nn.Module, width: int):
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(trunk.n_out, 2 * width)

    def forward(self, x: torch.Tensor) -> Latent:
        mu, log_sigma = self.head(self.trunk(x)).float().chunk(2, -1)
        return Latent(mu, (log_sigma - 2).exp())  # little noise at first


class PatternTrunk(nn.Sequential):
    """Square roots of a pattern's bins through two layers, (B, n_bins) -> (B, n_out); so weak peaks count."""

    def __init__(self, n_bins: int, hidden: int, n_out: int, dropout: float):
        super().__init__(
            SquareRoot(),
            nn.Linear(n_bins, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_out),
            nn.GELU(),
        )
        self.n_out = n_out


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
        self.features, self.n_out = features, n_out


class Coefficients(nn.Sequential):
    """Code to the coefficients in units of their spread in the training set, (B, n_latent) -> (B, K)."""

    def __init__(self, n_latent: int, hidden: int, n_components: int, dropout: float):
        super().__init__(
            nn.Linear(n_latent, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, n_components),
        )
        with torch.no_grad():
            self[-1].weight *= 0.3  # begin near the mean density


class SpectralField(nn.Module):
    """s = mean + sum_k a_k spread_k u_k of coefficients a (B, K): at points, or on a grid.

    Buffers: mean (W,), components (K, W) and spread (K,) in e^1/2 / Å^3/2, over the W coefficients of the
    plane waves; set by `fit`.
    """

    def __init__(self, n_components: int, radius: int, basis: str):
        super().__init__()
        self.waves, self.basis = PlaneWaves(radius), basis
        self.register_buffer("mean", torch.zeros(len(self.waves)))
        self.register_buffer("components", torch.zeros(n_components, len(self.waves)))
        self.register_buffer("spread", torch.zeros(n_components))
        self._table: tuple[int, torch.Tensor, torch.Tensor] | None = None  # see `tabulate`

    @torch.no_grad()
    def fit(self, densities: torch.Tensor, rows: torch.Tensor) -> None:
        """Mean, components and their spread, from `rows` of densities (N, n, n, n), e/Å^3.

        Principal components of at most MOST_IN_BASIS of them, evenly spaced, by the Gram matrix.

        Raises:
            CrystalNetError: fewer crystals or waves than components.
        """
        n_components = len(self.components)
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), MOST_IN_BASIS)).round().long()]
        most = len(rows) - 1 if self.basis == "learned" else len(self.waves)
        if n_components > most:
            raise CrystalNetError(
                f"{most} components are the most that this data set gives. Lower model.n_components to it,"
                f" from {n_components}."
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
            self.components.copy_(components / components.norm(dim=1, keepdim=True).clamp_min(1e-12))
            self.spread.copy_((variance.clamp_min(0) / len(rows)).sqrt())
        else:
            constant_and_pairs = self._shortest(n_components)
            self.components.copy_(torch.eye(len(self.waves))[constant_and_pairs])
            self.spread.copy_(series[:, constant_and_pairs].square().mean(0).sqrt())

    def forward(self, a: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
        """s (B, P) at fractional coordinates (B, P, 3), or (P, 3) shared by all."""
        if coords.dim() == 2:
            basis, mean = self._at(coords)
            return (a @ basis.T).float() + mean
        return torch.cat([self(row[None], points) for row, points in zip(a, coords, strict=True)])

    def on_grid(self, a: torch.Tensor, n: int) -> torch.Tensor:
        """s (B, n, n, n) at coordinates i / n."""
        return self.waves.on_grid(torch.addmm(self.mean, a * self.spread, self.components), n)

    @torch.no_grad()
    def tabulate(self, n: int | None) -> None:
        """Keep the basis on the grid of n points an axis, where training asks for it again and again."""
        self._table = None
        if n is not None:
            basis = torch.empty(n**3, len(self.components), dtype=torch.float16, device=self.mean.device)
            for part in torch.arange(len(self.components)).split(BLOCK):
                scaled = self.components[part] * self.spread[part, None]
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
        return waves @ (self.components * self.spread[:, None]).T, waves @ self.mean
