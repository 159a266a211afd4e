"""The training loop: one for CPU, one accelerator and several; resumable at any step.

The same seed gives the same weights on the same device, bit for bit, also after interruptions: all that a
step draws comes from its number (see `batches`), and a checkpoint holds everything else.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal
from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints
from crystalnet.model.batches import Batches, seed_of
from crystalnet.model.devices import on_devices
from crystalnet.model.network import DensityNetwork
from crystalnet.model.objective import kl_divergence, learning_rate, reconstruction_loss
from crystalnet.model.validation import best_similarities, check_validation_crystals
from crystalnet.settings import MIXED, NO_NUMBERS, TrainingParams

LAST, BEST = "last.safetensors", "best.safetensors"
CHECK_EVERY = 16  # steps between looks at the losses, our choice: each look makes an accelerator wait
DIVERGED = 100  # times the loss of the untrained network, our choice


def train(
    model: DensityNetwork,
    store: Store,
    compositions: np.ndarray,
    settings: TrainingParams,
    folder: str | Path,
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """Train `model` on the store's training crystals; leaves the weights of its best epoch in it, on the CPU.

    Resumes from `folder` if a run with the same settings was interrupted there; does nothing if it ended.
    With several devices each holds a share of every batch, in a process of its own.

    Args:
        compositions: (N, 118), what the network may know of each composition.
        settings: epochs, batches, schedule, loss, validation, devices. If it `begins_with` a network, `model`
            is that one and keeps what it took from its own training crystals.
        folder: holds last.safetensors (everything to resume) and best.safetensors (the weights to use).

    Returns:
        The history, a row an epoch: epoch, loss, reconstruction (e/Å^3), kl, learning_rate, val_ssim (NaN
        where not validated), seconds.

    Raises:
        CrystalNetError: too few crystals, a folder that cannot be made, devices that are not there, a process
            that died, or a loss that is no longer a number or has diverged.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrystalNetError(
            f"{folder} cannot be made ({error}). Choose another folder.", Code.NOT_WRITTEN
        ) from None
    if (n_train := len(store.indices("train"))) < 2 * settings.devices:
        raise CrystalNetError(
            f"{n_train} training crystals are too few: BatchNorm needs two on each device. Add crystals.",
            Code.NOTHING_LEFT,
        )
    check_validation_crystals(store)
    task = _Task(model, store.path, compositions, settings, folder, progress)
    history = on_devices(_train, task, settings)
    checkpoints.load_weights(folder / BEST, model.cpu())
    model.tabulate(None)
    return pd.DataFrame(history)


class _Task(NamedTuple):
    """What each process of a run is told; see `train`."""

    model: DensityNetwork
    store_path: Path
    compositions: np.ndarray
    settings: TrainingParams
    folder: Path
    progress: bool


def _train(fabric, task: _Task) -> list[dict]:
    """One process's part of a run, with a copy of the network; returns the history."""
    model, settings, folder, device = task.model, task.settings, task.folder, fabric.device
    torch.backends.cudnn.deterministic = True  # the same weights again
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, where it is not bfloat16 anyway
    # bfloat16 products; Fabric's own would round the coordinates as well, and with them every phase
    mixed = partial(torch.autocast, device.type, torch.bfloat16, enabled=settings.precision == MIXED)

    # the data, of which each process takes a share
    store, share = Store(task.store_path), slice(fabric.global_rank, None, fabric.world_size)
    batches = Batches(
        store,
        task.compositions,
        settings,
        model.n_latent,
        reads=model.reads,
        device=device,
        n_processes=fabric.world_size,
    )

    # the network and its optimiser, as new or as they were left
    if not ((folder / LAST).exists() or settings.begins_with or settings.encoders_from):
        model.prepare(store)  # before the network moves to its device: the data are on the CPU
    if settings.compiled:
        model.compile()
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    network, optimizer = fabric.setup(model, optimizer)
    made_with = settings.model_dump(exclude=NO_NUMBERS)
    done = checkpoints.resume(folder / LAST, model, optimizer, made_with)
    model.tabulate(store.n)

    save = partial(checkpoints.save, folder / LAST, model, optimizer, done, made_with)
    epochs, n_steps, saved = range(len(done.history), settings.epochs), batches.n_steps, time.monotonic()
    with tqdm(
        initial=len(done.history) * n_steps + len(done.losses),
        total=settings.epochs * n_steps,
        desc=folder.name,
        unit="step",
        disable=not (task.progress and fabric.is_global_zero),
    ) as bar:
        for epoch in epochs:
            started = time.monotonic() - done.seconds
            rate = learning_rate(epoch, settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses = torch.zeros(n_steps, 3, device=device)  # total, reconstruction, KL divergence
            checked = len(done.losses)
            losses[:checked] = done.losses

            for step in range(checked, n_steps):
                batch = batches.draw(epoch, step).part(share)
                network.train()
                with mixed(), _chance(device, settings.seed, epoch, step, 1 + fabric.global_rank):
                    predicted, latents = network(
                        batch.pattern, batch.composition, batch.query_coords, batch.noise
                    )
                kl = sum(kl_divergence(latent) for latent in latents)
                loss = reconstruction_loss(predicted, batch.rho, batch.highest, settings.loss)
                loss = loss + settings.kl_weight * kl  # eq. 7
                optimizer.zero_grad(set_to_none=True)
                fabric.backward(loss)
                if settings.largest_gradient:
                    fabric.clip_gradients(network, optimizer, max_norm=settings.largest_gradient)
                optimizer.step()
                losses[step] = torch.stack([loss, (predicted - batch.rho).abs().mean(), kl]).detach()
                bar.update()

                if (step + 1) % CHECK_EVERY == 0 or step + 1 == n_steps:
                    new = slice(checked, step + 1)
                    losses[new] = fabric.all_reduce(losses[new])
                    done.first_loss = done.first_loss or float(losses[checked, 0])
                    if (bad := _bad_step(losses[new, 0].cpu(), done.first_loss)) is not None:
                        place = epoch, checked + bad
                        crystals = [store.crystals[row] for row in batches.crystals(*place).tolist()]
                        raise _diverged(float(losses[place[1], 0]), place, crystals, folder / LAST)
                    checked = step + 1
                    done.losses, done.seconds = losses[:checked], time.monotonic() - started
                    if time.monotonic() - saved >= settings.checkpoint_seconds:
                        if fabric.is_global_zero:
                            save()
                        saved = time.monotonic()

            row = dict(zip(("loss", "reconstruction", "kl"), losses.double().mean(0).tolist(), strict=True))
            row = {"epoch": epoch, **row, "learning_rate": rate, "val_ssim": math.nan}
            if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
                with mixed():
                    scores = best_similarities(model, store, task.compositions, settings, share)
                total = torch.stack([scores.sum(), torch.tensor(float(len(scores)))])
                total = fabric.all_reduce(total, reduce_op="sum")
                row["val_ssim"] = float(total[0] / total[1])
                best = max((r["val_ssim"] for r in done.history if r["val_ssim"] > -1), default=-math.inf)
                if row["val_ssim"] > best and fabric.is_global_zero:
                    checkpoints.save_weights(folder / BEST, model)
            row["seconds"] = time.monotonic() - started
            done.history.append(row)
            done.losses, done.seconds = losses[:0], 0.0
            bar.set_postfix(loss=f"{row['loss']:.4f}", val_ssim=f"{row['val_ssim']:.3f}")
    if epochs and fabric.is_global_zero:
        save()
    return done.history


@contextmanager
def _chance(device: torch.device, *seeds: int):
    """Dropout draws from a step's number and share as well; the caller's generators stay as they are."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_of(*seeds))
        yield


def _bad_step(losses: torch.Tensor, first_loss: float) -> int | None:
    """Which of some steps must stop the run: the first whose loss is no number, or far above where training
    began if most are. Adam and short gradients survive a single one."""
    bad = ~(losses.abs() < DIVERGED * abs(first_loss))
    if losses.isfinite().all() and bad.float().mean() <= 0.5:
        return None
    return int(bad.nonzero()[0])


def _diverged(loss: float, place: tuple[int, int], crystals: list[Crystal], kept: Path) -> CrystalNetError:
    epoch, step = place
    names = ", ".join(crystal.material_id for crystal in crystals)
    return CrystalNetError(
        f"The loss became {loss:.3g} in epoch {epoch}, step {step}, in a batch of {names}."
        + (f" The last good state is {kept}." if kept.exists() else " No state was saved before.")
        + " Lower training.learning_rate, or look at these crystals.",
        Code.DIVERGED,
    )
