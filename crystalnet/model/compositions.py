"""What a network is told of a composition: which elements, how much of each, and what they are like."""

from __future__ import annotations

import torch
from torch import nn

from crystalnet.data.elements import ELECTRONEGATIVITY, N_ELEMENTS, element_properties

SLOTS = 6  # elements described one by one, our choice: 99.9 % of published compositions have no more
PRESENT = 5e-3  # smaller fractions are noise, our choice: five times what training adds
EQUAL = 1e-3  # fractions nearer than this are equally scarce, our choice
FLOOR = 0.05  # added to a feature's spread before dividing by it, our choice: rare elements stay small


class CompositionFeatures(nn.Module):
    """Atomic fractions (B, 118) to features (B, n_out), each about of order 1.

    'fractions': the fractions alone. 'properties': beside them the mean and spread of the elements'
    properties, and fraction and properties of each element in turn, the scarcest first and the more
    electropositive of two that are equally scarce: elements in like roles meet in like places, Na with K.

    >>> features = CompositionFeatures()
    >>> features.fit(torch.eye(118))
    >>> features(torch.eye(118)[:2]).shape == (2, features.n_out)
    True
    """

    def __init__(self, elements: str = "properties"):
        super().__init__()
        self.elements = elements
        self.register_buffer("properties", torch.from_numpy(element_properties()), persistent=False)
        n_properties = self.properties.shape[1]
        described = 2 * n_properties + SLOTS * (1 + n_properties)
        self.n_out = N_ELEMENTS + (described if elements == "properties" else 0)
        self.register_buffer("spread", torch.ones(self.n_out))

    @torch.no_grad()
    def fit(self, compositions: torch.Tensor) -> None:
        """Take the features' spread over training compositions (N, 118)."""
        self.spread.copy_(self._features(compositions).std(0))

    def forward(self, composition: torch.Tensor) -> torch.Tensor:
        with torch.autocast(composition.device.type, enabled=False):  # order and sums want all digits
            return self._features(composition) / (self.spread + FLOOR)

    def _features(self, fractions: torch.Tensor) -> torch.Tensor:
        if self.elements == "fractions":
            return fractions
        mean = fractions @ self.properties
        variance = fractions @ self.properties.square() - mean.square()
        # scarce before frequent (to a thousandth), then electropositive, absent ones last
        rank = (fractions / EQUAL).round() + self.properties[:, ELECTRONEGATIVITY] / 4
        rank = rank.masked_fill(fractions < PRESENT, torch.inf)
        slots = rank.argsort(stable=True)[:, :SLOTS]  # stable: the same on every device
        share = fractions.gather(1, slots)
        share = share * (share >= PRESENT)
        described = torch.cat([share[..., None], self.properties[slots]], -1) * (share > 0)[..., None]
        return torch.cat([fractions, mean, variance.clamp_min(0).sqrt(), described.flatten(1)], 1)
