"""What every network of ours does: pattern and composition -> latent code -> density at any point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.confidence import Confidence, agreement
from crystalnet.model.encoders import N_ELEMENTS, Latent
from crystalnet.physics.diffraction import N_BINS
from crystalnet.physics.profiles import N_LOG_BINS

NORMALISED = 1e-3  # our choice: how far the highest bin, or the sum of fractions, may be from 1
LENGTHS = {"patterns": N_BINS, "profiles": N_LOG_BINS}  # of the views of a powder pattern
COARSE = 25  # points an axis on which samples are compared, half the paper's grid

Input = torch.Tensor | np.ndarray | Sequence[float]  # a crystal's, or rows of several


class DensityNetwork(nn.Module):
    """The interface of a variational, query-based network; a subclass encodes and decodes.

    Attributes:
        settings: what `networks.build` makes the same network of.
        reads: which view of a powder pattern it reads, 'patterns' or 'profiles' of a `Store`.
        n_bins: length of that view.
        n_latent: components of the code.
        coarse: how the names of matrices begin that a file may keep in bytes (see `rounding`).
        confidence: what SSIM to expect of an answer, where that was calibrated.

    >>> from crystalnet.model.spectral import SpectralNet
    >>> network = SpectralNet(width=8, hidden=32, n_components=4, radius=2, elements="fractions")
    >>> pattern, composition = np.eye(1, network.n_bins)[0], np.eye(1, 118)[0]
    >>> network.latent(pattern, composition).mu.shape, network.answer(pattern, composition, n=8).shape
    (torch.Size([1, 16]), torch.Size([8, 8, 8]))
    >>> network.predict(pattern, composition, n_samples=3, n=8).shape
    torch.Size([3, 8, 8, 8])
    >>> network.confidence = Confidence((0.0, 1.0), (0.2, 0.9))
    >>> 0.2 <= network.expected_similarity(pattern, composition) <= 0.9
    True
    >>> patterns, compositions = torch.rand(2, network.n_bins), torch.eye(118)[:2]
    >>> rho, latents = network(patterns, compositions, torch.rand(5, 3), torch.zeros(2, 16))
    >>> rho.shape, len(latents)
    (torch.Size([2, 5]), 2)
    """

    settings: dict
    reads: str = "patterns"
    n_bins: int
    n_latent: int
    coarse: tuple[str, ...] = ()
    confidence: Confidence | None = None

    def prepare(self, store: Store) -> None:
        """Take from the training crystals what no gradient learns; nothing, unless a subclass does."""

    def take_encoders(self, network: DensityNetwork) -> None:
        """Another network's encoders in the place of its own; training leaves them as they are.

        Raises:
            CrystalNetError: this kind of network takes none, or those are not of its size.

        >>> from crystalnet.model.spectral import SpectralNet
        >>> network = SpectralNet(width=8, hidden=32, n_components=4, radius=2)
        >>> network.take_encoders(network)
        Traceback (most recent call last):
        ...
        crystalnet.errors.CrystalNetError: training.encoders_from is for the paper's field alone. ...
        """
        raise CrystalNetError(
            "training.encoders_from is for the paper's field alone. Set model.field to 'film', or leave it"
            " out.",
            Code.BAD_SETTING,
        )

    def tabulate(self, n: int | None) -> None:
        """Keep what makes `decode` fast at the points of an n^3 grid, while training; None forgets it."""

    def encode(self, pattern: torch.Tensor, composition: torch.Tensor) -> list[Latent]:
        """Latent distributions of pattern (B, n_bins) and composition (B, 118), one each."""
        raise NotImplementedError

    def decode(self, z: torch.Tensor, query_coords: torch.Tensor) -> torch.Tensor:
        """Density (B, N), e/Å^3, of codes z (B, n_latent) at fractional coordinates (B, N, 3), or (N, 3)
        shared by all."""
        raise NotImplementedError

    def density(self, z: torch.Tensor, n: int = 50) -> torch.Tensor:
        """CMEDs (B, n, n, n) of codes z (B, n_latent), without gradient."""
        raise NotImplementedError

    def forward(
        self,
        pattern: torch.Tensor,
        composition: torch.Tensor,
        query_coords: torch.Tensor,
        noise: torch.Tensor,
    ) -> tuple[torch.Tensor, list[Latent]]:
        """Density (B, N) of the codes at unit `noise` (B, n_latent), and the latents that the loss needs."""
        latents = self.encode(pattern, composition)
        return self.decode(_joint(latents).at(noise), query_coords), latents

    @torch.inference_mode()
    def latent(self, pattern: Input, composition: Input) -> Latent:
        """The joint latent distribution of checked inputs, one row a crystal, running statistics in use.

        Args:
            pattern: (n_bins,) or (B, n_bins), highest bin 1.
            composition: (118,) or (B, 118) atomic fractions, index Z - 1.

        Raises:
            CrystalNetError: another shape, a value that is not finite or is negative, or another
                normalisation, zeros among them. A network that reads no composition is given any.
        """
        pattern = self._checked(pattern, self.n_bins, "pattern")
        composition = self._checked(composition, N_ELEMENTS, "composition")
        _check_normalised("pattern's highest bin", pattern.amax(1))
        if self.settings.get("use_composition", True):
            _check_normalised("composition's sum", composition.sum(1))
        if len(pattern) != len(composition):
            raise CrystalNetError(
                f"{len(pattern)} patterns do not go with {len(composition)} compositions. Give pairs.",
                Code.BAD_ARGUMENT,
            )
        was_training = self.training
        self.eval()
        latents = self.encode(pattern, composition)
        self.train(was_training)
        return _joint(latents)

    def answer(self, pattern: Input, composition: Input, n: int = 50) -> torch.Tensor:
        """The one deployable answer: the density of the latent mean, (n, n, n) e/Å^3."""
        return self.density(self.latent(pattern, composition).mu, n)[0]

    def predict(
        self, pattern: Input, composition: Input, n_samples: int = 5, seed: int = 0, n: int = 50
    ) -> torch.Tensor:
        """Samples of one crystal's density, (n_samples, n, n, n) e/Å^3; the same seed, the same samples.

        Raises:
            CrystalNetError: see `latent`.
        """
        latent = self.latent(pattern, composition)
        if len(latent.mu) != 1:
            raise CrystalNetError(
                f"predict takes one crystal, not {len(latent.mu)}. Call it crystal by crystal.",
                Code.BAD_ARGUMENT,
            )
        generator = torch.Generator().manual_seed(seed)
        repeated = Latent(*(part.expand(n_samples, -1) for part in latent))
        return self.density(repeated.sample(generator), n)

    def expected_similarity(
        self, pattern: Input, composition: Input, n_samples: int = 5, seed: int = 0
    ) -> float:
        """The SSIM to expect of `answer`, from how well samples agree with it, on half the paper's grid.

        Below `confidence.CONFIDENT` there is no confident answer.

        Raises:
            CrystalNetError: this network was not calibrated; see also `latent`.
        """
        if self.confidence is None:
            raise CrystalNetError(
                "This network was not calibrated. Load one that was (crystalnet.load), or fit"
                " model.confidence.Confidence on validation crystals.",
                Code.NO_NETWORK,
            )
        answer = self.answer(pattern, composition, COARSE)
        return self.confidence.expected(
            agreement(answer, self.predict(pattern, composition, n_samples, seed, COARSE))
        )

    def _checked(self, values, length: int, name: str) -> torch.Tensor:
        weight = next(self.parameters())
        values = torch.as_tensor(np.asarray(values) if not torch.is_tensor(values) else values)
        values = torch.atleast_2d(values.to(weight.device, weight.dtype))
        if values.dim() != 2 or values.shape[-1] != length:
            raise CrystalNetError(
                f"The {name} has shape {tuple(values.shape)}, but the network reads (crystals, {length})."
                " Bin or pad it to that length.",
                Code.BAD_ARGUMENT,
            )
        if not torch.isfinite(values).all() or (values < 0).any():
            raise CrystalNetError(
                f"The {name} holds NaN, infinite or negative values. Clean it: every entry must be >= 0.",
                Code.BAD_ARGUMENT,
            )
        return values


def _joint(latents: list[Latent]) -> Latent:
    return Latent(*(torch.cat(part, -1) for part in zip(*latents, strict=True)))


def _check_normalised(what: str, values: torch.Tensor) -> None:
    wrong = values[(values - 1).abs() > NORMALISED]
    if len(wrong):
        raise CrystalNetError(
            f"The {what} is {float(wrong[0]):g}, not 1. Divide by it; where it is 0 nothing can be read.",
            Code.BAD_ARGUMENT,
        )
