"""Weights made small for files that travel: as float16, or matrices as 8-bit whole numbers.

>>> from crystalnet.model import networks
>>> network = networks.build({"field": "spectral", "width": 8, "hidden": 16, "n_components": 6, "radius": 3})
>>> small = rounded(network)
>>> sum(x.nbytes for x in small.values()) < sum(x.nbytes for x in network.state_dict().values()) / 2
True
>>> restored(small).keys() == network.state_dict().keys()
True
"""

from __future__ import annotations

import torch

from crystalnet.model.network import DensityNetwork

LEVELS = 127
SCALE = ".scale"  # follows the name of a matrix in the name of its scale


def rounded(model: DensityNetwork) -> dict[str, torch.Tensor]:
    """The network's state with parameters as float16, and the matrices of `model.coarse` in bytes.

    Of a matrix in bytes each row's largest number becomes 127 steps, and `<name>.scale` (rows,) float32 is
    the step: no entry is off by more than a 254th of that number. Other buffers stay float32, since
    BatchNorm's variances may overflow and the frequencies, which set a phase, need all their digits.
    """
    parameters, small = dict(model.named_parameters()), {}
    for name, tensor in model.state_dict().items():
        if name.startswith(model.coarse) and tensor.dim() == 2:
            step = tensor.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / LEVELS
            small[name] = (tensor / step[:, None]).round().to(torch.int8)
            small[name + SCALE] = step
        else:
            small[name] = tensor.half() if name in parameters else tensor
    return small


def restored(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state that `rounded` was given, up to its error; tensors that were not rounded as they are."""
    steps = {name: tensor for name, tensor in tensors.items() if name.endswith(SCALE)}
    return {
        name: tensor * steps[name + SCALE][:, None] if name + SCALE in steps else tensor
        for name, tensor in tensors.items()
        if name not in steps
    }
