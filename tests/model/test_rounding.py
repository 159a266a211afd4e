"""Weights made small: what is rounded, by how much, and that the rest stays."""

import numpy as np
import pytest
import torch
from some_networks import KINDS, SMALL

from crystalnet.model import networks
from crystalnet.model.rounding import SCALE, restored, rounded


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rounded_comes_back_within_its_error(kind):
    network = networks.build(SMALL[kind])
    small, state = rounded(network), network.state_dict()
    again = restored(small)
    assert again.keys() == state.keys()
    for name, tensor in state.items():
        error = (again[name].float() - tensor).abs()
        if name + SCALE in small:
            assert small[name].dtype == torch.int8
            bound = tensor.abs().amax(1, keepdim=True) / 254 * (1 + 1e-4)
        elif name in dict(network.named_parameters()):
            assert small[name].dtype == torch.float16
            bound = torch.from_numpy(np.spacing(np.abs(tensor.numpy()).astype(np.float16)).astype(np.float32))
        else:
            bound = torch.zeros_like(tensor, dtype=torch.float32)
        assert (error <= bound).all(), name


def test_only_the_matrices_that_a_network_names_are_in_bytes():
    in_bytes = {
        kind: {n for n, t in rounded(networks.build(SMALL[kind])).items() if t.dtype == torch.int8}
        for kind in KINDS
    }
    matrices = {
        kind: {n for n, t in networks.build(SMALL[kind]).state_dict().items() if t.dim() == 2}
        for kind in KINDS
    }
    encoders = {n for n in matrices["free film"] if n.startswith(("xrd_encoder", "formula_encoder"))}
    assert in_bytes == {"film": set(), "free film": encoders, "spectral": matrices["spectral"]}


def test_a_row_of_zeros_stays_zero():
    network = networks.build(SMALL["spectral"])
    assert not network.field.components.any()  # not fitted
    assert torch.equal(restored(rounded(network))["field.components"], network.field.components)
