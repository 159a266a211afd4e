"""The paper's network: pattern and composition -> latent code -> density at any point (Figs. 1, 6 and 7)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from crystalnet.errors import CrystalNetError
from crystalnet.model.encoders import (
    N_ELEMENTS,
    CompositionEncoder,
    Latent,
    PatternEncoder,
    Variational,
)
from crystalnet.model.fields import Fusion, PositionEncoder, Regressor

# points that go through the network together: on a CPU their activations stay in cache, elsewhere they fill
# the device
POINTS_ON_CPU, POINTS_ELSEWHERE = 2**12, 2**17


class CrystalNet(nn.Module):
    """Variational, query-based network for CMEDs; 14,775,187 trainable parameters at the defaults.

    Args:
        width: embedding size; every other layer scales with it (paper: 512).
        growth: channels that each convolution of the pattern encoder adds (8).
        n_bins: length of the pattern (1024).
        n_frequencies, frequency_scale, frequencies: see `PositionEncoder` (128, 3.0, 'random').
        n_blocks: blocks of the regressor (3).
        sigma: 'signed', the bare output of its encoder as in the paper, or 'positive' through a softplus.
        use_composition: False leaves the composition encoder out ('no formula' of Table 2).
        seed: of the weights and the random frequencies; the same seed gives the same network.
    """

    def __init__(
        self,
        width: int = 512,
        growth: int = 8,
        n_bins: int = 1024,
        n_frequencies: int = 128,
        frequency_scale: float = 3.0,
        frequencies: str = "random",
        n_blocks: int = 3,
        sigma: str = "signed",
        use_composition: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.settings = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        with torch.random.fork_rng(devices=[]):  # weights come from the seed; the caller's state stays
            torch.manual_seed(seed)
            positive = sigma == "positive"
            self.xrd_encoder = Variational(lambda: PatternEncoder(n_bins, width, growth), positive)
            self.formula_encoder = (
                Variational(lambda: CompositionEncoder(width), positive) if use_composition else None
            )
            self.n_latent = 2 * width if use_composition else width
            self.gamma = Fusion(self.n_latent, width)
            self.beta = Fusion(self.n_latent, width)
            self.position_encoder = PositionEncoder(width, n_frequencies, frequency_scale, frequencies, seed)
            self.regressor = Regressor(width, n_blocks)

    def encode(self, pattern: torch.Tensor, composition: torch.Tensor) -> list[Latent]:
        """Latent distributions of pattern (B, n_bins) and composition (B, 118), one (B, width) each."""
        latents = [self.xrd_encoder(pattern)]
        if self.formula_encoder is not None:
            latents.append(self.formula_encoder(composition))
        return latents

    def decode(self, z: torch.Tensor, query_coords: torch.Tensor) -> torch.Tensor:
        """Density of codes z (B, n_latent) at fractional coordinates (B, N, 3), or (N, 3) shared by all.

        FiLM runs once a crystal (eq. 4: P = gamma p + beta), not once a point.

        Returns:
            (B, N), e/Å^3.
        """
        gamma, beta = self.gamma(z)[:, None, :], self.beta(z)[:, None, :]  # (B, 1, width)
        position = self.position_encoder(query_coords.flatten(0, -2))
        position = position.view(*query_coords.shape[:-1], -1)  # (B, N, width) or (N, width)
        conditioned = gamma * position + beta  # (B, N, width)
        return self.regressor(conditioned.flatten(0, 1)).view(conditioned.shape[:2])

    def forward(
        self,
        pattern: torch.Tensor,
        composition: torch.Tensor,
        query_coords: torch.Tensor,
        noise: torch.Tensor,
    ) -> tuple[torch.Tensor, list[Latent]]:
        """Density (B, N) of the codes at unit `noise` (B, n_latent), and the latents that the loss needs."""
        latents = self.encode(pattern, composition)
        joint = Latent(*(torch.cat(part, -1) for part in zip(*latents, strict=True)))
        return self.decode(joint.at(noise), query_coords), latents

    # ------------------------------------------------------------------ answers

    @torch.inference_mode()
    def latent(self, pattern, composition) -> Latent:
        """The joint latent distribution of checked inputs, one row a crystal, running statistics in use.

        Args:
            pattern: (n_bins,) or (B, n_bins), highest bin 1.
            composition: (118,) or (B, 118) atomic fractions, index Z - 1.

        Raises:
            CrystalNetError: another shape, or a value that is not finite or is negative.
        """
        pattern = self._checked(pattern, self.settings["n_bins"], "pattern")
        composition = self._checked(composition, N_ELEMENTS, "composition")
        if len(pattern) != len(composition):
            raise CrystalNetError(
                f"{len(pattern)} patterns do not go with {len(composition)} compositions. Give pairs."
            )
        was_training = self.training
        self.eval()
        latents = self.encode(pattern, composition)
        self.train(was_training)
        return Latent(*(torch.cat(part, -1) for part in zip(*latents, strict=True)))

    @torch.inference_mode()
    def density(self, z: torch.Tensor, n: int = 50) -> torch.Tensor:
        """CMEDs (B, n, n, n) of codes z (B, n_latent), point chunk by point chunk."""
        was_training = self.training
        self.eval()
        axis = torch.arange(n, device=z.device, dtype=self.position_encoder.frequencies.dtype) / n
        coords = torch.cartesian_prod(axis, axis, axis)
        films = list(zip(self.gamma(z), self.beta(z), strict=True))
        chunks = []
        for part in coords.split(POINTS_ON_CPU if z.device.type == "cpu" else POINTS_ELSEWHERE):
            position = self.position_encoder(part)  # once for all codes
            chunks.append(torch.stack([self.regressor(gamma * position + beta) for gamma, beta in films]))
        self.train(was_training)
        return torch.cat(chunks, -1).view(len(z), n, n, n).float()

    def answer(self, pattern, composition, n: int = 50) -> torch.Tensor:
        """The one deployable answer: the density of the latent mean, (n, n, n) e/Å^3."""
        return self.density(self.latent(pattern, composition).mu, n)[0]

    def predict(self, pattern, composition, n_samples: int = 5, seed: int = 0, n: int = 50) -> torch.Tensor:
        """Samples of one crystal's density, (n_samples, n, n, n) e/Å^3; the same seed, the same samples.

        Raises:
            CrystalNetError: see `latent`.
        """
        latent = self.latent(pattern, composition)
        if len(latent.mu) != 1:
            raise CrystalNetError(
                f"predict takes one crystal, not {len(latent.mu)}. Call it crystal by crystal."
            )
        generator = torch.Generator().manual_seed(seed)
        repeated = Latent(*(part.expand(n_samples, -1) for part in latent))
        return self.density(repeated.sample(generator), n)

    def _checked(self, values, length: int, name: str) -> torch.Tensor:
        weight = next(self.parameters())
        values = torch.as_tensor(np.asarray(values) if not torch.is_tensor(values) else values)
        values = torch.atleast_2d(values.to(weight.device, weight.dtype))
        if values.dim() != 2 or values.shape[-1] != length:
            raise CrystalNetError(
                f"The {name} has shape {tuple(values.shape)}, but the network reads (crystals, {length})."
                " Bin or pad it to that length."
            )
        if not torch.isfinite(values).all() or (values < 0).any():
            raise CrystalNetError(
                f"The {name} holds NaN, infinite or negative values. Clean it: every entry must be >= 0."
            )
        return values
