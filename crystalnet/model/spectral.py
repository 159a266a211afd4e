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
from crystalnet.model.encoders import Latent
from crystalnet.model.network import LENGTHS, DensityNetwork
from crystalnet.model.spectral_encoders import CompositionTrunk, Gaussian, PatternTrunk
from crystalnet.model.spectral_field import SpectralField


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

    >>> network = SpectralNet(width=8, hidden=32, n_components=4, radius=2, elements="fractions").eval()
    >>> latents = network.encode(torch.rand(2, network.n_bins), torch.eye(118)[:2])
    >>> z = torch.cat([latent.mu for latent in latents], -1)
    >>> network.tabulate(None)
    >>> network.density(z, 8).shape, network.decode(z, torch.rand(5, 3)).shape
    (torch.Size([2, 8, 8, 8]), torch.Size([2, 5]))
    """

    coarse = ("field.components", "coefficients", "pattern_encoder", "composition_encoder")

    def __init__(
        self,
        *,
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
            density *= mean / density.mean((1, 2, 3), keepdim=True).clamp_min(torch.finfo(density.dtype).tiny)
        return density


class Coefficients(nn.Sequential):
    """Code to the coefficients in units of their spread in the training set, (B, n_latent) -> (B, K).

    >>> Coefficients(n_latent=16, hidden=32, n_components=4, dropout=0.0)(torch.zeros(2, 16)).shape
    torch.Size([2, 4])
    """

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
