"""A small network of each kind, for tests of what all networks share."""

from types import SimpleNamespace

import numpy as np
import torch
from some_crystals import rock_salt

from crystalnet.data.building import build_store
from crystalnet.data.crystals import composition_vector
from crystalnet.data.store import Store
from crystalnet.model import networks
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.density import promolecule_cmeds

SMALL = {
    "film": {"field": "film", "width": 16, "growth": 2, "n_frequencies": 8, "n_blocks": 1},
    "free film": {"field": "film", "width": 16, "n_frequencies": 8, "n_blocks": 1, "frequencies": "periodic",
                  "reads": "profiles", "elements": "properties", "encoders": "windows"},
    "spectral": {"field": "spectral", "width": 8, "hidden": 16, "n_components": 6, "radius": 3},
}  # fmt: skip
KINDS = tuple(SMALL)
SALTS = [("Li", "F", 4.03), ("K", "Cl", 6.29), ("Ca", "O", 4.81), ("Na", "Br", 5.97), ("Ti", "C", 4.33),
         ("Mg", "S", 5.20), ("Cs", "F", 6.01), ("Rb", "I", 7.34)]  # fmt: skip


class Salts(SimpleNamespace):
    """Stands in for a store: what `prepare` reads of one. Every crystal is one to train on."""

    def __init__(self, n: int = 14):
        atoms = [rock_salt(*salt).atoms for salt in SALTS]
        super().__init__(
            compositions=np.stack([composition_vector(a) for a in atoms]),
            cmed=promolecule_cmeds(atoms, n).numpy().astype(np.float16),
            split=np.array(["train"] * len(atoms)),
        )

    def indices(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.split == split)


def salt_store(folder) -> Store:
    """A data set of the salts, the last three to test with."""
    crystals = [rock_salt(*salt) for salt in SALTS]
    splits = {"train": crystals[:-3], "test": crystals[-3:]}
    return build_store(splits, folder / "salts.h5", 20, workers=1, progress=False)


def small(kind: str, **changes) -> DensityNetwork:
    """A network as training finds it."""
    return networks.build(SMALL[kind] | changes)


def used(network: DensityNetwork) -> DensityNetwork:
    """With statistics that differ from one another, as after some training."""
    network.prepare(Salts())
    with torch.no_grad():
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            points = torch.rand(6, 40, 3, generator=generator)
            network(*inputs(network, 6, seed), points, torch.randn(6, network.n_latent, generator=generator))
    return network.eval()


def inputs(network: DensityNetwork, n_crystals: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Patterns with the highest bin 1 and atomic fractions (B, 118)."""
    generator = torch.Generator().manual_seed(seed)
    pattern = torch.rand(n_crystals, network.n_bins, generator=generator) ** 8
    composition = torch.rand(n_crystals, 118, generator=generator)
    return pattern / pattern.amax(1, keepdim=True), composition / composition.sum(1, keepdim=True)
