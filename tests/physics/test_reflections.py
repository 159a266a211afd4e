"""Reflections against a plain list of all of them."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice

from crystalnet.physics.reflections import half_box, half_sphere, reach

LATTICES = [
    Lattice.cubic(4.05),
    Lattice.hexagonal(3.2, 5.2),
    Lattice.monoclinic(5.1, 4.2, 6.6, 111),
    Lattice.from_parameters(3.6, 4.4, 7.1, 118, 101, 96),
]


@pytest.mark.parametrize("low", [0, 0.9])
def test_one_of_each_friedel_pair_is_found(low):
    """Several crystals in one box: each has half of the reflections in its sphere, and none twice."""
    matrices, high = np.array([lattice.matrix for lattice in LATTICES]), 1.7
    axes = half_box(reach(matrices, high).max(0))
    found_in_box = half_sphere(matrices, axes, low, high, torch.device("cpu"))
    positions, crystal, g = (x.numpy() for x in found_in_box)
    in_box, *hkl = np.unravel_index(positions, (len(LATTICES), *map(len, axes)))
    np.testing.assert_array_equal(in_box, crystal)
    hkl = np.stack([axis[i] for axis, i in zip(axes, hkl, strict=True)], -1)
    for i, lattice in enumerate(LATTICES):
        points = lattice.reciprocal_lattice_crystallographic.get_points_in_sphere(
            [[0, 0, 0]], [0, 0, 0], high
        )
        expected = {tuple(np.round(point[0]).astype(int)) for point in points if point[1] >= max(low, 1e-6)}
        found = {tuple(row) for row in hkl[crystal == i].astype(int)}
        opposite = {tuple(-np.array(row)) for row in found}
        assert found | opposite == expected and not found & opposite
        assert len(found) == (crystal == i).sum() == len(expected) / 2
        expected_g = np.linalg.norm(hkl[crystal == i] @ lattice.inv_matrix.T, axis=1)
        np.testing.assert_allclose(g[crystal == i], expected_g, rtol=1e-12)
