"""What a training step sees: crystals, points and noise, drawn where the network computes.

Everything random in a step comes from (seed, epoch, step) alone: a run resumed at any step, or spread over
several devices, draws what a run in one go draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from crystalnet.data.store import Store
from crystalnet.model.objective import augment, stratified_voxels
from crystalnet.params import TrainingParams


class Batch(NamedTuple):
    """B crystals at P points each."""

    pattern: torch.Tensor  # (B, 1024), augmented
    composition: torch.Tensor  # (B, 118), augmented
    query_coords: torch.Tensor  # (B, P, 3), fractional, on the store's grid
    noise: torch.Tensor  # (B, n_latent), unit Gaussian
    rho: torch.Tensor  # (B, P), e/Å^3


class Batches:
    """The training crystals of a store on a device, and the batches of every epoch.

    Patterns and compositions lie on the device. The densities do if they fit into half of its free memory;
    otherwise they stay in their file, the points are read there, and only these travel.

    Args:
        compositions: (N, 118), what the network may know of each composition.
        n_processes: a batch is a multiple of it, since the processes share each batch equally.
    """

    def __init__(
        self,
        store: Store,
        compositions: np.ndarray,
        settings: TrainingParams,
        n_latent: int,
        device: torch.device | str = "cpu",
        n_processes: int = 1,
    ):
        self.settings, self.n_latent, self.n, self.device = settings, n_latent, store.n, torch.device(device)
        self.rows = torch.from_numpy(store.indices("train"))
        self.patterns = torch.from_numpy(store.patterns).to(device)
        self.compositions = torch.from_numpy(np.ascontiguousarray(compositions)).to(device)
        densities = torch.from_numpy(store.cmed).view(len(store), -1)
        self.densities = densities.to(device) if _fits(densities, self.device) else densities
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
        voxels = stratified_voxels(len(rows), settings.strata, self.n, generator)
        flat = (voxels[..., 0] * self.n + voxels[..., 1]) * self.n + voxels[..., 2]
        here = rows.to(self.device)
        pattern, composition = augment(
            self.patterns[here], self.compositions[here], generator, settings.max_shift_bins, settings.noise
        )
        where = self.densities.device
        return Batch(
            pattern,
            composition,
            voxels / self.n,
            torch.randn(len(rows), self.n_latent, generator=generator, device=self.device),
            self.densities[rows.to(where)[:, None], flat.to(where)].to(self.device, torch.float32),
        )


def _generator(device: torch.device | str, *seeds: int) -> torch.Generator:
    state = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    return torch.Generator(device).manual_seed(state)


def _fits(densities: torch.Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return device.type == "cpu"  # mapped from the file: nothing is copied
    return densities.nbytes < torch.cuda.mem_get_info(device)[0] / 2
