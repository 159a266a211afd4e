"""Weights and training state as safetensors: atomic to write, and nothing in them can run code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from crystalnet.errors import CrystalNetError


def save_weights(path, model: nn.Module) -> None:
    """Weights and buffers of `model`, with its settings in the header."""
    _write(path, dict(model.state_dict()), {"model": json.dumps(model.settings)})


def load_weights(path, model: nn.Module) -> None:
    """Put the weights of a file into `model`.

    Raises:
        CrystalNetError: no such file, a damaged one, or one of a network with other settings.
    """
    tensors, header = _read(path)
    if json.loads(header.get("model", "{}")) != model.settings:
        raise CrystalNetError(
            f"{path} holds a network with settings {header.get('model')}, not {json.dumps(model.settings)}."
            " Build the network with the file's settings."
        )
    model.load_state_dict(tensors)


def save(
    path, model: nn.Module, optimizer: torch.optim.Optimizer, history: list[dict], settings: dict
) -> None:
    """Everything that resuming needs: weights, optimiser moments, history and settings."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    header = {"model": model.settings, "history": history, "settings": settings}
    _write(path, tensors, {name: json.dumps(value) for name, value in header.items()})


def resume(path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict) -> list[dict]:
    """Bring model and optimiser to the state of a file, if there is one; returns the history so far.

    Raises:
        CrystalNetError: the file is damaged or belongs to a run with other settings.
    """
    if not Path(path).exists():
        return []
    tensors, header = _read(path)
    if [json.loads(header.get(part, "null")) for part in ("settings", "model")] != [settings, model.settings]:
        raise CrystalNetError(
            f"{path} belongs to a run with other settings. Delete its folder to start anew, or use"
            " its settings."
        )
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    state: dict[int, dict] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return json.loads(header["history"])


def _write(path, tensors: dict[str, torch.Tensor], header: dict[str, str]) -> None:
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, part, header)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise CrystalNetError(
            f"{path} could not be written ({error}). Free disk space and run again: the last state is kept."
        ) from None


def _read(path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CrystalNetError(
            f"{path} is not a readable weights file ({error}). Train or fetch it again."
        ) from None
