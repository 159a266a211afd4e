"""The paper's network: pattern and composition -> latent code -> density at any point (Figs. 1, 6 and 7)."""

from __future__ import annotations

import torch

from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.compositions import CompositionFeatures
from crystalnet.model.encoders import CompositionEncoder, Latent, PatternEncoder, Variational
from crystalnet.model.fields import Fusion, PositionEncoder, Regressor
from crystalnet.model.network import LENGTHS, DensityNetwork
from crystalnet.model.normalisation import folded
from crystalnet.model.spectral import SpectralNet
from crystalnet.model.spectral_encoders import CompositionTrunk, Gaussian, PatternTrunk

# points that go through the network together: on a CPU their activations stay in cache, elsewhere they fill
# the device
POINTS_ON_CPU, POINTS_ELSEWHERE = 2**12, 2**17


class CrystalNet(DensityNetwork):
    """Variational, query-based network for CMEDs; 14,775,187 trainable parameters at the defaults.

    Args:
        width: embedding size; every other layer scales with it (paper: 512).
        growth: channels that each convolution of a dense pattern encoder adds (8).
        n_bins: length of what it reads, by default that of the view (1024).
        n_frequencies, frequency_scale, frequencies: see `PositionEncoder` (128, 3.0, 'random').
        n_blocks: blocks of the regressor (3).
        sigma: 'signed', the bare output of a dense encoder as in the paper, or 'positive' through a softplus.
        reads: the paper's 'patterns', or 'profiles' on the log d axis.
        elements: atomic 'fractions' alone as in the paper, or 'properties' beside them.
        encoders: 'dense', the paper's, one for mu and one for sigma; or 'windows', those of the spectral
            network, which cost a third.
        code: components of each encoder's code, by default the width.
        hidden, dropout: of encoders of windows, see `SpectralNet`.
        shortcut: the regressor's last layer sees the conditioned position as well (not in the paper).
        regresses: the 'density' as in the paper, or its square root, the 'amplitude', whose square is never
            negative.
        use_composition: False leaves the composition encoder out ('no formula' of Table 2).
        seed: of the weights and the random frequencies; the same seed gives the same network.

    >>> network = CrystalNet(width=8, growth=2, n_frequencies=4, n_blocks=1).eval()
    >>> latents = network.encode(torch.rand(2, 1024), torch.eye(118)[:2])
    >>> z = torch.cat([latent.mu for latent in latents], -1)
    >>> network.decode(z, torch.rand(5, 3)).shape, network.density(z, 8).shape
    (torch.Size([2, 5]), torch.Size([2, 8, 8, 8]))
    """

    def __init__(
        self,
        *,
        width: int = 512,
        growth: int = 8,
        n_bins: int | None = None,
        n_frequencies: int = 128,
        frequency_scale: float = 3.0,
        frequencies: str = "random",
        n_blocks: int = 3,
        sigma: str = "signed",
        reads: str = "patterns",
        elements: str = "fractions",
        encoders: str = "dense",
        code: int | None = None,
        hidden: int = 1024,
        dropout: float = 0.0,
        shortcut: bool = False,
        regresses: str = "density",
        use_composition: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        n_bins = n_bins or LENGTHS[reads]
        self.settings = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        code = code or width
        with torch.random.fork_rng(devices=[]):  # weights come from the seed; the caller's state stays
            torch.manual_seed(seed)
            dense, positive = encoders == "dense", sigma == "positive"
            self.coarse = () if dense else ("xrd_encoder", "formula_encoder")  # as the spectral network's
            self.xrd_encoder = (
                Variational(lambda: PatternEncoder(n_bins, code, growth), positive)
                if dense
                else Gaussian(PatternTrunk(n_bins, hidden, 2 * code, dropout), code)
            )
            self.formula_encoder = None
            if use_composition:
                self.formula_encoder = (
                    Variational(lambda: CompositionEncoder(code, elements), positive)
                    if dense
                    else Gaussian(CompositionTrunk(elements, 2 * code, dropout), code)
                )
            self.reads, self.n_bins, self.regresses = reads, n_bins, regresses
            self.n_latent = 2 * code if use_composition else code
            self.gamma = Fusion(self.n_latent, width)
            self.beta = Fusion(self.n_latent, width)
            self.position_encoder = PositionEncoder(width, n_frequencies, frequency_scale, frequencies, seed)
            self.regressor = Regressor(width, n_blocks, shortcut)

    def prepare(self, store: Store) -> None:
        """The scale of what is known of elements, from the training crystals alone.

        >>> from types import SimpleNamespace
        >>> store = SimpleNamespace(compositions=torch.eye(118)[:4].numpy(), indices=lambda split: [0, 1, 2])
        >>> CrystalNet(width=8, growth=2, n_frequencies=4, elements="properties").prepare(store)
        """
        compositions = torch.from_numpy(store.compositions[store.indices("train")])
        for part in self.modules():
            if isinstance(part, CompositionFeatures):
                part.fit(compositions)

    def take_encoders(self, network: DensityNetwork) -> None:
        """See `DensityNetwork.take_encoders`.

        >>> lender = SpectralNet(width=4, hidden=16, n_components=4, radius=2)
        >>> same = {"reads": "profiles", "elements": "properties", "encoders": "windows", "hidden": 16}
        >>> network = CrystalNet(width=8, n_frequencies=4, code=4, **same)
        >>> network.take_encoders(lender)
        >>> network.xrd_encoder is lender.pattern_encoder
        True
        """
        if not isinstance(network, SpectralNet) or self._unlike(network):
            raise CrystalNetError(
                "training.encoders_from does not go with model. Name a spectral network there; set"
                " model.encoders to 'windows', model.code to its width, and hidden, reads and elements to its"
                " own.",
                Code.BAD_SETTING,
            )
        self.xrd_encoder, self.formula_encoder = network.pattern_encoder, network.composition_encoder
        for encoder in filter(None, (self.xrd_encoder, self.formula_encoder)):
            encoder.requires_grad_(False)

    def _unlike(self, network: SpectralNet) -> bool:
        """Whether a spectral network's encoders are others than these settings make."""
        names = ("reads", "elements", "hidden", "use_composition")
        mine, theirs = self.settings, network.settings
        same = all(mine[name] == theirs[name] for name in names)
        same = same and theirs["width"] == (mine["code"] or mine["width"])
        return mine["encoders"] != "windows" or not same

    def encode(self, pattern: torch.Tensor, composition: torch.Tensor) -> list[Latent]:
        """Latent distributions of pattern (B, n_bins) and composition (B, 118), one (B, code) each."""
        latents = [self.xrd_encoder(pattern)]
        if self.formula_encoder is not None:
            latents.append(self.formula_encoder(composition))
        return latents

    def decode(self, z: torch.Tensor, query_coords: torch.Tensor) -> torch.Tensor:
        """Density of codes z (B, n_latent) at fractional coordinates (B, N, 3), or (N, 3) shared by all.

        FiLM runs once a crystal (eq. 4: P = gamma p + beta), not once a point. In training a negative
        amplitude counts as a negative density, so that the loss lifts it.

        Returns:
            (B, N), e/Å^3.
        """
        gamma, beta = self.gamma(z)[:, None, :], self.beta(z)[:, None, :]  # (B, 1, width)
        position = self.position_encoder(query_coords.flatten(0, -2))
        position = position.view(*query_coords.shape[:-1], -1)  # (B, N, width) or (N, width)
        conditioned = gamma * position + beta  # (B, N, width)
        return self._density(self.regressor(conditioned.flatten(0, 1))).view(conditioned.shape[:2])

    @torch.inference_mode()
    def density(self, z: torch.Tensor, n: int = 50) -> torch.Tensor:
        """CMEDs (B, n, n, n) of codes z (B, n_latent), point chunk by point chunk, without gradient."""
        was_training = self.training
        self.eval()
        regressor = folded(self.regressor)
        films = list(zip(self.gamma(z), self.beta(z), strict=True))
        chunks, at_once = [], POINTS_ON_CPU if z.device.type == "cpu" else POINTS_ELSEWHERE
        for position in self.position_encoder.on_grid(n, at_once):  # once for all codes
            answers = [regressor(gamma * position + beta) for gamma, beta in films]
            chunks.append(self._density(torch.stack(answers)))
        self.train(was_training)
        return torch.cat(chunks, -1).view(len(z), n, n, n).float()

    def _density(self, answer: torch.Tensor) -> torch.Tensor:
        if self.regresses == "density":
            return answer
        return answer * (answer.abs() if self.training else answer.clamp_min(0))
