"""The training loop: one for CPU and accelerators, resumable, the same weights for the same seed.

Nothing random outlives an epoch: its generator is made from (seed, epoch), so that a run resumed after any
checkpoint walks the same path as one that was never stopped.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model import checkpoints
from crystalnet.model.objective import augment, kl_divergence, learning_rate, stratified_voxels
from crystalnet.params import TrainingParams
from crystalnet.physics.similarity import score_rotations

LAST, BEST = "last.safetensors", "best.safetensors"


def train(
    model: nn.Module,
    store: Store,
    compositions: np.ndarray,
    settings: TrainingParams,
    folder,
    progress: bool = True,
) -> pd.DataFrame:
    """Train `model` on the store's training crystals; leaves it with the weights of its best epoch.

    Resumes from `folder` if a run with the same settings was interrupted there; does nothing if it ended.

    Args:
        compositions: (N, 118), what the network may know of each composition.
        settings: epochs, batches, schedule, loss, validation, device.
        folder: holds last.safetensors (everything to resume) and best.safetensors (the weights to use).

    Returns:
        The history, a row an epoch: loss, reconstruction (e/Å^3), kl, learning_rate, val_ssim (NaN where not
        validated), seconds.

    Raises:
        CrystalNetError: too few crystals, a folder that cannot be made, or a loss that is no longer a number.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrystalNetError(f"{folder} cannot be made ({error}). Choose another folder.") from None
    rows = store.indices("train")
    if len(rows) < 2:
        raise CrystalNetError(
            f"{len(rows)} training crystals are too few: BatchNorm needs two. Add crystals."
        )
    fabric = _fabric(settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    network, optimizer = fabric.setup(model, optimizer)
    history = checkpoints.resume(folder / LAST, model, optimizer, settings.model_dump())
    inputs = torch.from_numpy(store.patterns), torch.from_numpy(np.ascontiguousarray(compositions))

    bar = tqdm(
        range(len(history), settings.epochs),
        initial=len(history),
        total=settings.epochs,
        desc=folder.name,
        unit="epoch",
        disable=not progress,
    )
    for epoch in bar:
        started = pd.Timestamp.now()
        rate = learning_rate(
            epoch,
            settings.learning_rate,
            settings.lowest_learning_rate,
            settings.restart_epochs,
            settings.restart_factor,
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
        losses = []
        for batch in _batches(rows, settings.batch_size, generator):
            drawn = fabric.to_device(_draw(store, inputs, batch, settings, generator))
            loss, reconstruction, kl = _losses(network, drawn, settings.kl_weight, generator)
            if not torch.isfinite(loss):
                names = ", ".join(store.crystals[i].material_id for i in batch[:5])
                raise CrystalNetError(
                    f"The loss became {loss.item()} in epoch {epoch}, in a batch with {names}, ... The last"
                    f" good state is {folder / LAST}. Lower training.learning_rate or look at these crystals."
                )
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            optimizer.step()
            losses.append([loss.item(), reconstruction.item(), kl.item()])
        row = dict(zip(("loss", "reconstruction", "kl"), np.mean(losses, 0).tolist(), strict=True))
        row |= {"epoch": epoch, "learning_rate": rate, "val_ssim": math.nan}
        if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
            row["val_ssim"] = validation_ssim(model, store, inputs, settings)
            earlier = [past["val_ssim"] for past in history if not math.isnan(past["val_ssim"])]
            if row["val_ssim"] > max(earlier, default=-math.inf):
                checkpoints.save_weights(folder / BEST, model)
        row["seconds"] = (pd.Timestamp.now() - started).total_seconds()
        history.append(row)
        checkpoints.save(folder / LAST, model, optimizer, history, settings.model_dump())
        bar.set_postfix(loss=f"{row['loss']:.4f}", val_ssim=f"{row['val_ssim']:.3f}")
    checkpoints.load_weights(folder / BEST, model)
    return pd.DataFrame(history)


def _fabric(settings: TrainingParams):
    from lightning.fabric import Fabric  # seconds to import, wanted only where something is trained

    return Fabric(accelerator=settings.accelerator, devices=1, precision=settings.precision)


def _batches(rows: np.ndarray, size: int, generator: torch.Generator):
    """Shuffled batches; a last one of a single crystal is left out, since BatchNorm needs two."""
    order = rows[torch.randperm(len(rows), generator=generator).numpy()]
    return [batch for start in range(0, len(order), size) if len(batch := order[start : start + size]) > 1]


def _draw(store: Store, inputs, batch: np.ndarray, settings: TrainingParams, generator: torch.Generator):
    """What a step sees of a batch: pattern and composition (augmented), coords (B, P, 3), rho (B, P)."""
    voxels = stratified_voxels(len(batch), settings.strata, store.n, generator)
    flat = (voxels[..., 0] * store.n + voxels[..., 1]) * store.n + voxels[..., 2]
    rho = torch.from_numpy(store.densities(batch, flat.numpy()))
    patterns, compositions = inputs
    pattern, composition = augment(
        patterns[batch], compositions[batch], generator, settings.max_shift_bins, settings.noise
    )
    return pattern, composition, voxels / store.n, rho


def _losses(network, drawn, kl_weight: float, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Total loss, reconstruction error (e/Å^3) and KL divergence of one batch (eq. 7)."""
    pattern, composition, query_coords, rho = drawn
    network.train()
    predicted, latents = network(pattern, composition, query_coords, generator)
    reconstruction = (predicted - rho).abs().mean()
    kl = sum(kl_divergence(latent) for latent in latents)
    return reconstruction + kl_weight * kl, reconstruction, kl


def validation_ssim(model, store: Store, inputs, settings: TrainingParams) -> float:
    """Mean over validation crystals of the best SSIM of samples and rotations, on a coarse grid (paper)."""
    # every stride-th voxel, with the largest stride that the grid is a multiple of
    fits = (d for d in range(1, store.n + 1) if store.n % d == 0 and store.n // d >= settings.val_grid)
    stride = max(fits, default=1)
    n = store.n // stride
    best = []
    for row in store.indices("val", settings.max_val):
        truth = torch.from_numpy(store.cmed[row, ::stride, ::stride, ::stride].astype(np.float32))
        samples = model.predict(inputs[0][row], inputs[1][row], settings.val_samples, settings.seed, n)
        best.append(float(score_rotations(truth, samples.cpu())[0].max()))
    if not best:
        raise CrystalNetError("The data set has no validation crystals. Choose a split that leaves some.")
    return float(np.mean(best))
