"""The trained networks that come with the package: by name, a file of weights and a model card.

>>> available()[:2], path_of("cubic").name, card("cubic").splitlines()[0]
(['cubic', 'cubic-laboratory'], 'cubic.safetensors', '# CrystalNet cubic')
>>> network = load("cubic-spectral")
>>> network.reads, network.training
('profiles', False)
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten

import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints, networks, sharing
from crystalnet.model.network import DensityNetwork
from crystalnet.model.rounding import rounded

FOLDER = Path(__file__).parents[1] / "weights"


def available() -> list[str]:
    """Names of the networks there are."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load(name: str) -> DensityNetwork:
    """A trained network, float32 on the CPU, ready for `answer`, `predict` and `latent`.

    Raises:
        CrystalNetError: no such network, or a file that is damaged or not one of this version's networks.
    """
    path = path_of(name)
    try:
        tensors, facts = sharing.read_whole(path)
        settings = json.loads(facts.get("model", "{}"))
        model = networks.build(settings)
        if missing := model.settings.keys() - settings.keys():
            raise ValueError(f"its header lacks {', '.join(sorted(missing))}")
        checkpoints.fill(model, tensors, facts)
    except CrystalNetError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        reason = shorten(str(error), 300)  # torch lists every tensor that does not fit
        raise CrystalNetError(
            f"{path} does not hold a network of this version ({reason}). Install CrystalNet again, or write"
            " the file anew.",
            Code.DAMAGED,
        ) from None
    if wrong := _not_finite(model.state_dict()):
        raise CrystalNetError(
            f"{path} is damaged: {wrong} not finite. Install CrystalNet again, or write the file anew.",
            Code.DAMAGED,
        )
    return model.eval()


def path_of(name: str) -> Path:
    """The file of a network's weights.

    Raises:
        CrystalNetError: no such network, or no file.
    """
    return _existing(name, ".safetensors")


def card(name: str) -> str:
    """What a network was trained on, how well it does and what it is good for, as Markdown.

    Raises:
        CrystalNetError: no such network, or no card beside it.
    """
    return _existing(name, ".md").read_text(encoding="utf-8")


def write(
    name: str,
    model: DensityNetwork,
    card: str,
    folder: str | Path | None = None,
    *,
    beside: str | None = None,
) -> Path:
    """Keep a network and its card; both are written, or neither.

    Weights are rounded to float16 or coarser, so that the file is small (see `model.rounding`). Files
    that take tensors from the one that is replaced get them first.

    Args:
        name: letters, digits, - and _.
        card: Markdown, see `cards.model_card`.
        folder: by default the package's own.
        beside: a network in this folder; what it has as well is not kept twice (see `model.sharing`).

    Returns:
        The file of weights.

    Raises:
        CrystalNetError: another name, a weight that is not finite or too large for float16, a full disk.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write("mine", load("cubic-spectral"), "# Mine", folder).name
    'mine.safetensors'
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise CrystalNetError(
            f"{name!r} cannot name a network. Use letters, digits, - and _.", Code.BAD_ARGUMENT
        )
    small = rounded(model)
    if wrong := _not_finite(small):
        raise CrystalNetError(
            f"The network {name!r} cannot be kept: as float16, {wrong} not finite. Train it again, with a"
            " lower learning rate.",
            Code.DIVERGED,
        )
    folder = Path(folder) if folder else FOLDER
    path, card_part = folder / f"{name}.safetensors", folder / f"{name}.md.part"
    lender, facts = folder / f"{beside}.safetensors", checkpoints.header(model)
    if lender.exists() and lender != path:
        small, shared = sharing.without_shared(small, lender)
        facts |= shared
    try:
        folder.mkdir(parents=True, exist_ok=True)
        card_part.write_text(card, encoding="utf-8")
        for other in sharing.borrowers(path):
            checkpoints.write(other, *sharing.read_whole(other))
        checkpoints.write(path, small, facts)
        os.replace(card_part, folder / f"{name}.md")
    except OSError as error:
        raise CrystalNetError(
            f"{name}.md could not be written ({error}). Free disk space, or choose another folder.",
            Code.NOT_WRITTEN,
        ) from None
    finally:
        card_part.unlink(missing_ok=True)
    return path


def _existing(name: str, suffix: str) -> Path:
    names = available()
    if name not in names:
        remedy = (
            f"Choose one of {', '.join(names)}."
            if names
            else "This copy of CrystalNet brings none: train one (chapter 5) and keep it with"
            " crystalnet.model.library.write."
        )
        raise CrystalNetError(f"There is no trained network {name!r}. {remedy}", Code.NO_NETWORK)
    path = FOLDER / f"{name}{suffix}"
    if not path.exists():
        raise CrystalNetError(
            f"{path} is missing. Install CrystalNet again, or write the network anew.", Code.DAMAGED
        )
    return path


def _not_finite(tensors: Mapping[str, torch.Tensor]) -> str:
    """The first tensor that holds NaN or infinity, and how many others do; empty if none does."""
    wrong = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    return (f"{wrong[0]} and {len(wrong) - 1} others are" if wrong[1:] else f"{wrong[0]} is") if wrong else ""
