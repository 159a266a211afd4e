"""The training loop: one for CPU, one accelerator and several; resumable at any step.

The same seed gives the same weights on the same device, bit for bit, also after interruptions: all that a
step draws comes from its number (see `batches`), and a checkpoint holds everything else.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.multiprocessing import ProcessRaisedException
from tqdm.auto import tqdm

from crystalnet.data.store import Store
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints
from crystalnet.model.batches import Batches, seed_of
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
    folder,
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
        CrystalNetError: too few crystals, a folder that cannot be made, devices that are not there, or a loss
            that is no longer a number or has diverged.
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
    fabric = _fabric(settings)
    work = model, store.path, compositions, settings, folder, progress
    if settings.devices == 1:
        history = _train(fabric, *work)
    else:
        try:
            history = fabric.launch(_train, *work)
        except ProcessRaisedException as error:
            raise CrystalNetError(
                f"{str(error).strip().splitlines()[-1].split('Error: ')[-1]}", Code.DIVERGED
            ) from None
    checkpoints.load_weights(folder / BEST, model.cpu())
    model.tabulate(None)
    return pd.DataFrame(history)


def _fabric(settings: TrainingParams):
    from lightning_fabric import Fabric  # a second to import, wanted only where something is trained

    strategy = "auto" if settings.devices == 1 else "ddp_spawn"
    try:
        return Fabric(
            accelerator=settings.accelerator,
            strategy=strategy,
            devices=settings.devices,
            precision="32-true" if settings.precision == MIXED else settings.precision,  # see `mixed`
        )
    except (RuntimeError, ValueError) as error:  # Lightning's own errors are both
        raise CrystalNetError(
            f"training.devices = {settings.devices} with accelerator {settings.accelerator!r} is not to be"
            f" had ({error}). Ask for what there is; several devices need `make results`, not a notebook.",
            Code.NO_DEVICE,
        ) from None


def _train(fabric, *work) -> list[dict]:
    """One process's part of the run."""
    return _Trainer(fabric, *work).run()


class _Trainer:
    """The state of a run in one process: a share of each batch, and a copy of the network."""

    def __init__(self, fabric, model, store_path, compositions, settings: TrainingParams, folder, progress):
        torch.backends.cudnn.deterministic = True  # the same weights again
        if fabric.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32, where it is not bfloat16 anyway
        self.fabric, self.model, self.settings, self.folder = fabric, model, settings, folder
        self.store, self.compositions = Store(store_path), compositions
        self.share = slice(fabric.global_rank, None, fabric.world_size)
        network, machine = (model.n_latent, model.reads), (fabric.device, fabric.world_size)
        self.batches = Batches(self.store, compositions, settings, *network, *machine)
        if not ((folder / LAST).exists() or settings.begins_with):
            model.prepare(self.store)  # before the network moves to its device: the data are on the CPU
        if settings.compiled:
            model.compile()
        optimizer = torch.optim.AdamW(
            model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.network, self.optimizer = fabric.setup(model, optimizer)
        self.made_with = settings.model_dump(exclude=NO_NUMBERS)
        self.done = checkpoints.resume(folder / LAST, model, self.optimizer, self.made_with)
        model.tabulate(self.store.n)
        self.saved = time.monotonic()
        self.bar = tqdm(
            initial=len(self.done.history) * self.batches.n_steps + len(self.done.losses),
            total=settings.epochs * self.batches.n_steps,
            desc=folder.name,
            unit="step",
            disable=not (progress and fabric.is_global_zero),
        )

    def run(self) -> list[dict]:
        """Every epoch that is not done; returns the history."""
        epochs = range(len(self.done.history), self.settings.epochs)
        with self.bar:
            for epoch in epochs:
                row = self.epoch(epoch)
                self.bar.set_postfix(loss=f"{row['loss']:.4f}", val_ssim=f"{row['val_ssim']:.3f}")
        if epochs:
            self.save()
        return self.done.history

    def epoch(self, epoch: int) -> dict:
        """The rest of an epoch and its validation; its row of the history."""
        started = time.monotonic() - self.done.seconds
        rate = learning_rate(epoch, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = torch.zeros(self.batches.n_steps, 3, device=self.fabric.device)
        checked = len(self.done.losses)
        losses[:checked] = self.done.losses
        for step in range(checked, len(losses)):
            losses[step] = self.step(epoch, step)
            self.bar.update()
            if (step + 1) % CHECK_EVERY == 0 or step + 1 == len(losses):
                losses[checked : step + 1] = self.fabric.all_reduce(losses[checked : step + 1])
                self.check(losses, epoch, checked, step + 1)
                checked = step + 1
                self.done.losses, self.done.seconds = losses[:checked], time.monotonic() - started
                if time.monotonic() - self.saved >= self.settings.checkpoint_seconds:
                    self.save()
        row = dict(zip(("loss", "reconstruction", "kl"), losses.double().mean(0).tolist(), strict=True))
        row = {"epoch": epoch, **row, "learning_rate": rate, "val_ssim": math.nan}
        if (epoch + 1) % self.settings.validate_every == 0 or epoch + 1 == self.settings.epochs:
            row["val_ssim"] = self.validate()
            best = max((r["val_ssim"] for r in self.done.history if r["val_ssim"] > -1), default=-math.inf)
            if row["val_ssim"] > best and self.fabric.is_global_zero:
                checkpoints.save_weights(self.folder / BEST, self.model)
        row["seconds"] = time.monotonic() - started
        self.done.history.append(row)
        self.done.losses, self.done.seconds = losses[:0], 0.0
        return row

    def step(self, epoch: int, step: int) -> torch.Tensor:
        """Forward, backward, update; total loss, reconstruction error (e/Å^3) and KL divergence (eq. 7)."""
        batch, settings = self.batches.draw(epoch, step).part(self.share), self.settings
        self.network.train()
        with self.mixed(), self.chance(epoch, step):
            predicted, latents = self.network(
                batch.pattern, batch.composition, batch.query_coords, batch.noise
            )
        kl = sum(kl_divergence(latent) for latent in latents)
        loss = reconstruction_loss(predicted, batch.rho, batch.highest, settings.loss)
        loss = loss + settings.kl_weight * kl
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if settings.largest_gradient:
            self.fabric.clip_gradients(self.network, self.optimizer, max_norm=settings.largest_gradient)
        self.optimizer.step()
        return torch.stack([loss, (predicted - batch.rho).abs().mean(), kl]).detach()

    def check(self, losses: torch.Tensor, epoch: int, start: int, stop: int) -> None:
        """Stop at a loss that is no number, or where most lie far above where training began: Adam and short
        gradients survive a single one."""
        loss = losses[start:stop, 0].cpu()
        self.done.first_loss = self.done.first_loss or float(loss[0])
        bad = ~(loss.abs() < DIVERGED * abs(self.done.first_loss))
        if loss.isfinite().all() and bad.float().mean() <= 0.5:
            return
        step = start + int(bad.nonzero()[0])
        names = ", ".join(
            self.store.crystals[row].material_id for row in self.batches.crystals(epoch, step).tolist()
        )
        kept = self.folder / LAST
        raise CrystalNetError(
            f"The loss became {float(losses[step, 0]):.3g} in epoch {epoch}, step {step}, in a batch of"
            f" {names}."
            + (f" The last good state is {kept}." if kept.exists() else " No state was saved before.")
            + " Lower training.learning_rate, or look at these crystals.",
            Code.DIVERGED,
        )

    def validate(self) -> float:
        """Mean over the validation crystals, of which each process takes a share."""
        with self.mixed():
            scores = best_similarities(self.model, self.store, self.compositions, self.settings, self.share)
        total = self.fabric.all_reduce(
            torch.stack([scores.sum(), torch.tensor(float(len(scores)))]), reduce_op="sum"
        )
        return float(total[0] / total[1])

    def mixed(self):
        """bfloat16 products. Fabric's own would round the coordinates as well, and with them every phase."""
        enabled = self.settings.precision == MIXED
        return torch.autocast(self.fabric.device.type, torch.bfloat16, enabled=enabled)

    @contextmanager
    def chance(self, epoch: int, step: int):
        """Dropout draws from a step's number and share as well; the caller's generators stay as they are."""
        device = self.fabric.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed_of(self.settings.seed, epoch, step, 1 + self.fabric.global_rank))
            yield

    def save(self) -> None:
        if self.fabric.is_global_zero:
            checkpoints.save(self.folder / LAST, self.model, self.optimizer, self.done, self.made_with)
        self.saved = time.monotonic()
