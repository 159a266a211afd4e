"""Phase sums against the plain sum over atoms, and chunks against what they promise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crystalnet.errors import CrystalNetError
from crystalnet.physics import scattering
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.scattering import chunks, phase_sums, sites_by_element, slots

SYMBOLS = ["Fe", "O", "Cs", "H"]


def crystals_at_random(seed, n=6):
    rng = np.random.default_rng(seed)
    structures = []
    for _ in range(n):
        n_atoms = rng.integers(1, 9)
        symbols = rng.choice(SYMBOLS, n_atoms)
        structures.append(Atoms(4 * np.eye(3), rng.normal(size=(n_atoms, 3)), symbols))
    return structures


def entry(symbol):
    return np.array([SYMBOLS.index(symbol)])


@pytest.mark.parametrize("dtype, digits", [(torch.complex128, 1e-12), (torch.complex64, 1e-5)])
def test_phase_sums_are_the_sum_over_atoms(dtype, digits):
    structures = crystals_at_random(1)
    sites = sites_by_element(structures, entry)
    order = sorted(range(len(sites)), key=lambda i: -len(sites[i].elements))
    axes = [np.arange(4.0), np.arange(-2.0, 3), np.arange(-3.0, 1)]
    box = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    seen = []
    for slot in slots([sites[i] for i in order]):
        sums = phase_sums(slot, axes, torch.device("cpu"), dtype)
        assert sums.dtype == dtype
        for i, symbol_number, mine in zip(order, slot.entries[:, 0], sums.numpy(), strict=False):
            at = structures[i].frac_coords[structures[i].symbols == SYMBOLS[symbol_number]]
            np.testing.assert_allclose(mine, np.exp(2j * np.pi * box @ at.T).sum(-1), atol=digits)
            seen.append((i, SYMBOLS[symbol_number]))
    assert sorted(seen) == sorted((i, s) for i, atoms in enumerate(structures) for s in set(atoms.symbols))


@given(st.lists(st.tuples(*[st.integers(1, 9)] * 3), max_size=20), st.integers(1, 2000), st.integers(1, 5))
def test_chunks_hold_every_crystal_once_and_keep_their_size(boxes, limit, most):
    crystals = sites_by_element(crystals_at_random(2, len(boxes)), entry)
    boxes = np.array(boxes).reshape(-1, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scattering.CHUNK, "cpu", limit)
        groups = list(chunks(crystals, boxes, torch.device("cpu"), most))
    assert sorted(i for group in groups for i in group) == list(range(len(boxes)))
    for group in groups:
        assert len(group) == 1 or len(group) * boxes[group].max(0).prod() <= limit
        assert len(group) <= most
        n_elements = [len(crystals[i].elements) for i in group]
        assert n_elements == sorted(n_elements, reverse=True)


@pytest.mark.parametrize(
    "wrong",
    [
        Atoms(np.eye(3), np.zeros((0, 3)), np.array([], str)),
        Atoms(np.eye(3), np.full((1, 3), np.nan), np.array(["Fe"])),
        Atoms(np.full((3, 3), np.nan), np.zeros((1, 3)), np.array(["Fe"])),
        Atoms(np.ones((3, 3)), np.zeros((1, 3)), np.array(["Fe"])),
    ],
    ids=["no atoms", "coordinate", "lattice", "flat"],
)
def test_atoms_that_are_no_crystal_are_one_clear_error(wrong):
    with pytest.raises(CrystalNetError, match="Correct the structure"):
        sites_by_element([wrong], entry)
