"""The kinds of network there are, and how settings become one."""

from __future__ import annotations

from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.network import DensityNetwork
from crystalnet.model.spectral import SpectralNet

FIELDS: dict[str, type[DensityNetwork]] = {"film": CrystalNet, "spectral": SpectralNet}


def build(settings: dict) -> DensityNetwork:
    """A fresh network: `field` names its kind, 'film' if it is not said; the rest its constructor takes.

    Raises:
        TypeError: a setting that this kind does not have.
        ValueError: no such kind.

    >>> network = build({"field": "spectral", "width": 8, "hidden": 16, "n_components": 6, "radius": 3})
    >>> network.reads, network.n_latent  # a code of each encoder
    ('profiles', 16)
    """
    if not isinstance(settings, dict):
        raise TypeError(f"settings are a mapping, not {settings!r}")
    kind = settings.get("field", "film")
    if kind not in FIELDS:
        raise ValueError(f"there is no field {kind!r}, only {', '.join(FIELDS)}")
    return FIELDS[kind](**{key: value for key, value in settings.items() if key != "field"})
