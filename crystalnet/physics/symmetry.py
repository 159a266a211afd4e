"""Rotations and origins under which two CMEDs are the same answer.

A powder pattern fixes neither the axes nor the origin nor the handedness that a crystal is described in.
On the grid of fractional coordinates an operation is an integer matrix W: x -> W x, exact for every voxel.

>>> [len(lattice_operations(lattice)) for lattice in (np.eye(3), np.diag([1, 1, 2]), np.diag([1, 2, 3]))]
[48, 16, 8]
>>> cmed = torch.zeros(4, 4, 4)
>>> cmed[1, 0, 0] = 1
>>> rotate(cmed, [[0, -1, 0], [1, 0, 0], [0, 0, 1]]).nonzero()  # a turn about c takes x to y
tensor([[0, 1, 0]])
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike


def _signed_permutations() -> np.ndarray:
    matrices = []
    for permutation in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrices.append(np.diag(signs)[:, permutation])
    return np.array(matrices)


CUBE = _signed_permutations()
"""The 48 operations of the cube, (48, 3, 3) integers, identity first."""

ROTATIONS = CUBE[np.round(np.linalg.det(CUBE)) == 1]
"""The 24 proper rotations by multiples of 90 degrees about the axes (paper, 'Evaluation Setup')."""


def rotate(cmed: torch.Tensor, operation: ArrayLike) -> torch.Tensor:
    """The density after x -> W x about the cell's origin: result(W x) = cmed(x).

    Voxel i goes to W i mod n. (The released code turns the *array*, i -> n - 1 - i, which moves the origin
    by a voxel and costs a perfectly symmetric crystal up to 0.06 SSIM against itself.)

    Args:
        cmed: (..., n, n, n) tensor.
        operation: (3, 3) integers with determinant +-1.
    """
    w = np.asarray(operation).round().astype(int)
    if (np.abs(w).sum(0) == 1).all() and (
        np.abs(w).sum(1) == 1
    ).all():  # a signed permutation: views and rolls
        source = np.abs(w).argmax(1)  # new axis i is old axis source[i]
        lead = cmed.dim() - 3
        turned = cmed.permute(*range(lead), *(lead + source).tolist())
        reversed_axes = [int(i) - 3 for i in np.flatnonzero(w.sum(1) < 0)]
        if not reversed_axes:
            return turned
        return turned.flip(reversed_axes).roll([1] * len(reversed_axes), reversed_axes)
    n = cmed.shape[-1]
    source = _source_voxels(n, tuple(np.linalg.inv(w).round().astype(int).ravel().tolist()))
    return cmed.flatten(-3)[..., source.to(cmed.device)].view(cmed.shape)


@lru_cache(maxsize=128)
def _source_voxels(n: int, inverse: tuple[int, ...]) -> torch.Tensor:
    """Flat index of voxel W^-1 i for each voxel i, (n^3,)."""
    grid = torch.cartesian_prod(*[torch.arange(n)] * 3)
    source = (grid @ torch.tensor(inverse).view(3, 3).T) % n
    return (source[:, 0] * n + source[:, 1]) * n + source[:, 2]


def lattice_operations(lattice: ArrayLike, tolerance: float = 1e-3) -> np.ndarray:
    """All integer matrices W under which the lattice maps onto itself: its holohedry, inversion included.

    48 for every cubic lattice, primitive cells included (only 6 of the 24 array rotations are among them for
    a primitive fcc or bcc cell), 24 for hexagonal and 12 for rhombohedral ones.

    Args:
        lattice: (3, 3) rows, Å.
        tolerance: largest relative change of a length or dot product.

    Returns:
        (m, 3, 3) integers acting on fractional column vectors.
    """
    lattice = np.asarray(lattice, float)
    metric = lattice @ lattice.T
    lengths = np.sqrt(np.diag(metric))
    # a lattice vector as long as the longest axis reaches at most this many cells along each axis
    reach = np.ceil(lengths.max() * np.linalg.norm(np.linalg.inv(lattice), axis=0) - 1e-6).astype(int)
    candidates = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(
        -1, 3
    )
    norms = np.linalg.norm(candidates @ lattice, axis=1)
    images = [candidates[np.abs(norms - length) <= tolerance * length] for length in lengths]
    allowed = tolerance * np.outer(lengths, lengths)
    operations = []
    for first in images[0]:
        second_images = images[1][np.abs(images[1] @ metric @ first - metric[1, 0]) <= allowed[1, 0]]
        for second in second_images:
            near = np.abs(images[2] @ metric @ np.stack([first, second], 1) - metric[2, :2]) <= allowed[2, :2]
            operations += [np.array([first, second, third]) for third in images[2][near.all(1)]]
    # rows of M are the images of the axes: x @ lattice -> x @ M @ lattice, so that W = M^T
    found = [m.T for m in operations if abs(round(np.linalg.det(m))) == 1]
    return np.array(sorted(found, key=lambda w: not np.array_equal(w, np.eye(3))))
