"""What a training step sees: crystals, points and noise, drawn where the network computes.

Everything random in a step comes from (seed, epoch, step) alone: a run resumed at any step, or spread over
several devices, draws what a run in one go draws.

>>> import tempfile
>>> from crystalnet.data.building import build_store
>>> from crystalnet.data.prototypes import prototype_crystals
>>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 0)
True
>>> settings = TrainingParams(batch_size=2, strata=5)
>>> with tempfile.TemporaryDirectory() as folder:
...     splits = {"train": prototype_crystals("cubic", 4)}
...     store = build_store(splits, f"{folder}/four.h5", n=10, workers=1, progress=False)
...     batches = Batches(store, store.compositions, settings, n_latent=4)
...     len(batches.crystals(epoch=0, step=0)), batches.draw(epoch=0, step=0).part(slice(1)).pattern.shape
(2, torch.Size([1, 1024]))
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from crystalnet.data.store import ALTERED, Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.degradation import degraded
from crystalnet.model.objective import augment, stratified_voxels
from crystalnet.physics.profiles import compression
from crystalnet.settings import TrainingParams


class Batch(NamedTuple):
    """B crystals at P points each."""

    pattern: torch.Tensor  # (B, n_bins), augmented
    composition: torch.Tensor  # (B, 118), augmented
    query_coords: torch.Tensor  # (B, P, 3), or (P, 3) shared by all; fractional, on the store's grid
    noise: torch.Tensor  # (B, n_latent), unit Gaussian
    rho: torch.Tensor  # (B, P), e/Å^3
    highest: torch.Tensor  # (B, 1), e/Å^3, of each crystal; 1 where the loss does not ask for it

    def part(self, share: slice) -> Batch:
        """Some of the crystals."""
        part = Batch(*(tensor[share] for tensor in self))
        return part if self.query_coords.dim() == 3 else part._replace(query_coords=self.query_coords)


class Batches:
    """The training crystals of a store and their altered copies, on a device, and the batches of each epoch.

    Patterns and compositions lie on the device. The densities do if they fit into half of its free memory;
    otherwise they stay in their file, the points are read there, and only these travel.

    Args:
        compositions: (N, 118), what the network may know of each composition.
        n_latent, reads: of the network.
        n_processes: a batch is a multiple of it, since the processes share each batch equally.

    Raises:
        CrystalNetError: patterns of the paper's axis are to be degraded.
    """

    def __init__(
        self,
        store: Store,
        compositions: np.ndarray,
        settings: TrainingParams,
        n_latent: int,
        *,
        reads: str = "patterns",
        device: torch.device | str = "cpu",
        n_processes: int = 1,
    ):
        self.settings, self.n_latent, self.n, self.device = settings, n_latent, store.n, torch.device(device)
        self.rows = torch.from_numpy(np.concatenate([store.indices(s) for s in ("train", ALTERED)]))
        store.check(self.rows.numpy())
        self.patterns = torch.from_numpy(getattr(store, reads)).to(device)
        self.stretches = reads == "profiles"
        if settings.degraded and not self.stretches:
            raise CrystalNetError(
                "training.degraded is for networks that read profiles. Set it to 0, or model.reads to"
                " 'profiles'.",
                Code.BAD_SETTING,
            )
        self.compositions = torch.from_numpy(np.ascontiguousarray(compositions)).to(device)
        densities = torch.from_numpy(store.cmed).view(len(store), -1)
        self.densities = densities.to(device) if _fits(densities, self.device) else densities
        self.highest = torch.ones(len(store), 1, device=device)
        if settings.loss == "amplitude":
            highest = [float(store.cmed[row].max()) for row in self.rows.tolist()]
            self.highest[self.rows.to(device), 0] = torch.tensor(highest, device=device)
        size = min(settings.batch_size, len(self.rows))
        self.size = size - size % n_processes
        # a remainder too small for BatchNorm, or not to be shared equally, waits for the next epoch
        left = len(self.rows) % self.size
        left -= left % n_processes
        self.n_steps = len(self.rows) // self.size + (left >= 2 * n_processes)
        self.n_used = len(self.rows) // self.size * self.size + left * (left >= 2 * n_processes)

    def crystals(self, epoch: int, step: int) -> torch.Tensor:
        """Rows of the store in a step's batch; an epoch shows every crystal once, in an order of its own."""
        order = torch.randperm(len(self.rows), generator=_generator("cpu", self.settings.seed, epoch))
        return self.rows[order[: self.n_used][step * self.size : (step + 1) * self.size]]

    def draw(self, epoch: int, step: int) -> Batch:
        """The batch of a step, on the device."""
        settings, rows = self.settings, self.crystals(epoch, step)
        generator = _generator(self.device, settings.seed, epoch, step)
        shared = settings.points == "shared"
        voxels = stratified_voxels(1 if shared else len(rows), settings.strata, self.n, generator)
        flat = (voxels[..., 0] * self.n + voxels[..., 1]) * self.n + voxels[..., 2]
        here, where = rows.to(self.device), self.densities.device
        pattern, composition, shift = augment(
            self.patterns[here], self.compositions[here], generator, settings.max_shift_bins, settings.noise
        )
        if settings.degraded:
            pattern = degraded(pattern, settings.degraded, generator)
        # on a logarithmic axis the shifted pattern is exactly that of the stretched crystal
        factor = compression(shift)[:, None] if self.stretches else torch.ones(1, 1, device=self.device)
        rho = self.densities[rows.to(where)[:, None], flat.to(where)].to(self.device, torch.float32)
        return Batch(
            pattern,
            composition,
            (voxels[0] if shared else voxels) / self.n,
            torch.randn(len(rows), self.n_latent, generator=generator, device=self.device),
            factor * rho,
            factor * self.highest[here],
        )


def _generator(device: torch.device | str, *seeds: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed_of(*seeds))


def seed_of(*seeds: int) -> int:
    """One seed of several numbers; all of them count."""
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])


def _fits(densities: torch.Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return device.type == "cpu"  # mapped from the file: nothing is copied
    return densities.nbytes < torch.cuda.mem_get_info(device)[0] / 2
