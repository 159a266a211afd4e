"""Tensors that two files of weights have in common, kept in one of them; the other says where they are.

A second network of a crystal system goes on from the first and keeps its functions; the paper's field takes
its encoders as they are.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     first, second = Path(folder, "first.safetensors"), Path(folder, "second.safetensors")
...     checkpoints.write(first, {"basis": torch.arange(500.0)}, {})
...     own, facts = without_shared({"waves": torch.arange(500.0), "mean": torch.zeros(3)}, first)
...     checkpoints.write(second, own, facts)
...     list(own), list(read_whole(second)[0]), [path.name for path in borrowers(first)]
(['mean'], ['mean', 'waves'], ['second.safetensors'])
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints

SHARED = "shared"  # in the header: lender, names here and there, their checksum
SMALLEST = 2**8  # bytes, our choice: of a smaller tensor the name is as long


def without_shared(tensors: dict[str, torch.Tensor], lender: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors that `lender` does not hold, and the fact for the header that finds the others there.

    A file that borrows itself lends nothing, so that no chain of files is needed to read one.

    Returns:
        All tensors and no fact if nothing is shared.

    Raises:
        CrystalNetError: the lender is damaged.
    """
    lent, facts = checkpoints.read(lender)
    if SHARED in facts:
        return tensors, {}
    names = {}
    for name, tensor in tensors.items():
        same = (
            other for other, one in lent.items() if one.dtype == tensor.dtype and torch.equal(one, tensor)
        )
        if tensor.nbytes >= SMALLEST and (found := next(same, None)):
            names[name] = found
    if not names:
        return tensors, {}
    borrowed = {name: tensors[name] for name in names}
    fact = {"file": lender.name, "tensors": names, checkpoints.CHECKSUM: checkpoints.checksum(borrowed, {})}
    own = {name: tensor for name, tensor in tensors.items() if name not in names}
    return own, {SHARED: json.dumps(fact)}


def read_whole(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and header of a file as `checkpoints.read` gives them, with what another file beside it lends.

    Raises:
        CrystalNetError: see `checkpoints.read`; or the other file does not hold these tensors any more.
    """
    tensors, facts = checkpoints.read(path)
    if SHARED not in facts:
        return tensors, facts
    shared = json.loads(facts.pop(SHARED))
    lent, _ = checkpoints.read(path.with_name(shared["file"]))
    borrowed = {name: lent[other] for name, other in shared["tensors"].items() if other in lent}
    if checkpoints.checksum(borrowed, {}) != shared[checkpoints.CHECKSUM]:
        raise CrystalNetError(
            f"{path} takes tensors from {shared['file']}, which holds others now. Install CrystalNet again,"
            " or write both networks anew.",
            Code.DAMAGED,
        )
    return tensors | borrowed, facts


def borrowers(lender: Path) -> list[Path]:
    """The files beside `lender` that take tensors from it."""
    others = [path for path in sorted(lender.parent.glob("*.safetensors")) if path != lender]
    facts = {path: checkpoints.read(path)[1].get(SHARED) for path in others}
    return [path for path, shared in facts.items() if shared and json.loads(shared)["file"] == lender.name]
