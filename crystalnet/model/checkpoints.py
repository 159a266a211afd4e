"""Weights and training state as safetensors: atomic to write, checksummed, nothing in them can run code.

>>> import tempfile
>>> from crystalnet.model.spectral import SpectralNet
>>> settings = {"width": 8, "hidden": 32, "n_components": 4, "radius": 2, "elements": "fractions"}
>>> one, other = (SpectralNet(**settings) for _ in range(2))
>>> optimizer = torch.optim.Adam(one.parameters())
>>> with tempfile.TemporaryDirectory() as folder:
...     save_weights(f"{folder}/weights.safetensors", one)
...     load_weights(f"{folder}/weights.safetensors", other)
...     tensors, facts = read(f"{folder}/weights.safetensors")
...     fill(other, tensors, facts)
...     facts == header(other), len(checksum(tensors, facts))
...     save(f"{folder}/run.safetensors", one, optimizer, Progress(seconds=3.0), {"epochs": 2})
...     resume(f"{folder}/run.safetensors", one, optimizer, {"epochs": 2}).seconds
...     write(f"{folder}/some.safetensors", {"a": torch.ones(2)}, {"unit": "e"})
...     read(f"{folder}/some.safetensors")[1]
(True, 64)
3.0
{'unit': 'e'}
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from crystalnet.errors import Code, CrystalNetError
from crystalnet.model.confidence import Confidence
from crystalnet.model.network import DensityNetwork
from crystalnet.model.rounding import restored

CHECKSUM = "sha256"  # its name in the header


@dataclass
class Progress:
    """How far a training run is."""

    history: list[dict] = field(default_factory=list)  # a row each finished epoch
    losses: torch.Tensor = field(default_factory=lambda: torch.empty(0, 3))  # of the running epoch's steps
    seconds: float = 0.0  # spent in the running epoch
    first_loss: float = 0.0  # of the run's first step, before anything was learnt


def save_weights(path: str | Path, model: DensityNetwork) -> None:
    """Weights and buffers of `model` as they are, with what its header tells."""
    write(path, dict(model.state_dict()), header(model))


def header(model: DensityNetwork) -> dict[str, str]:
    """A network's settings, and its calibration if it has one."""
    facts = {"model": model.settings}
    if model.confidence is not None:
        facts["confidence"] = model.confidence._asdict()
    return {name: json.dumps(value) for name, value in facts.items()}


def load_weights(path: str | Path, model: DensityNetwork) -> None:
    """Put the weights of a file, and its calibration, into `model`.

    Raises:
        CrystalNetError: no such file, a damaged one, or one of a network with other settings.
    """
    tensors, facts = read(path)
    if json.loads(facts.get("model", "{}")) != model.settings:
        raise CrystalNetError(
            f"{path} holds a network with settings {facts.get('model')}, not {json.dumps(model.settings)}."
            " Build the network with the file's settings.",
            Code.OTHER_SETTINGS,
        )
    fill(model, tensors, facts)


def fill(model: DensityNetwork, tensors: dict[str, torch.Tensor], facts: dict[str, str]) -> None:
    """Put what was read from a file, weights and calibration, into a network of its settings."""
    model.load_state_dict(restored(tensors))
    corners = json.loads(facts.get("confidence", "null"))
    model.confidence = corners and Confidence(tuple(corners["agreement"]), tuple(corners["ssim"]))


def save(
    path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, settings: dict
) -> None:
    """Everything that resuming needs: weights, optimiser moments, progress and settings."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors["losses"] = progress.losses
    header = {
        "model": model.settings,
        "settings": settings,
        "history": progress.history,
        "seconds": progress.seconds,
        "first_loss": progress.first_loss,
    }
    write(path, tensors, {name: json.dumps(value) for name, value in header.items()})


def resume(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict) -> Progress:
    """Bring model and optimiser to the state of a file, if there is one; returns how far the run is.

    Raises:
        CrystalNetError: the file is damaged or belongs to a run with other settings.
    """
    if not Path(path).exists():
        return Progress()
    tensors, header = read(path)
    if [json.loads(header.get(part, "null")) for part in ("settings", "model")] != [settings, model.settings]:
        raise CrystalNetError(
            f"{path} belongs to a run with other settings. Delete its folder to start anew, or use"
            " its settings.",
            Code.OTHER_SETTINGS,
        )
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    state: dict[int, dict] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    facts = {name: json.loads(header[name]) for name in ("history", "seconds", "first_loss")}
    return Progress(losses=tensors["losses"], **facts)


def write(path: str | Path, tensors: dict[str, torch.Tensor], header: dict[str, str]) -> None:
    """A safetensors file with the checksum of its content in its header, whole or not at all.

    Raises:
        CrystalNetError: it could not be written; what was there before is kept.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(tensors, part, header | {CHECKSUM: checksum(tensors, header)})
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):  # the folder may not be one that can be written
            part.unlink(missing_ok=True)
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space, or choose another folder, and run"
            " again: the last state is kept.",
            Code.NOT_WRITTEN,
        ) from None


def read(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file that agrees with its checksum.

    Raises:
        CrystalNetError: no such file, or one that is damaged or has no checksum.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CrystalNetError(
            f"{path} is not a readable weights file ({error}). Train or fetch it again.",
            Code.DAMAGED,
        ) from None
    if header.pop(CHECKSUM, None) != checksum(tensors, header):
        raise CrystalNetError(
            f"{path} differs from its checksum, or has none: it was damaged, or written by other software."
            " Train or fetch it again.",
            Code.DAMAGED,
        )
    return tensors, header


def checksum(tensors: dict[str, torch.Tensor], header: dict[str, str]) -> str:
    """SHA-256 over the header's facts, and over name, type, shape and bytes of each tensor on the CPU."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name} {tensor.dtype} {list(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
