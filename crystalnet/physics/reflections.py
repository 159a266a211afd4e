"""The reflections of crystals up to some angle, those of several crystals in one box of Miller indices.

>>> cubic = 4.0 * np.eye(3)[None]  # Å
>>> farthest = reach(cubic, high=0.5)  # |g| = n / 4 1/Å: h, k, l up to 2
>>> farthest
array([[2., 2., 2.]])
>>> axes = half_box(farthest[0])
>>> _, _, g = half_sphere(cubic, axes, 0, 0.26, torch.device("cpu"))
>>> g  # 100, 010 and 001, one of each Friedel pair
tensor([0.2500, 0.2500, 0.2500], dtype=torch.float64)
"""

from __future__ import annotations

import numpy as np
import torch

_ROUNDING = 1e-8  # 1/Å, our choice: a reflection on the sphere itself counts


def reach(lattices: np.ndarray, high: float) -> np.ndarray:
    """The highest Miller index along each axis with |g| <= high (1/Å), (b, 3), of lattices (b, 3, 3)."""
    return np.floor((high + _ROUNDING) * np.linalg.norm(lattices, axis=2))


def half_box(reach: np.ndarray) -> list[np.ndarray]:
    """Miller indices along the axes of a box, h >= 0 alone: |F| is the same for hkl and -h-k-l."""
    return [np.arange(low, high + 1) for low, high in zip((0, -1, -1) * reach, reach, strict=True)]


def half_sphere(
    lattices: np.ndarray, axes: list[np.ndarray], low: float, high: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Reflections with low <= |g| <= high, one of each Friedel pair.

    Args:
        lattices: (b, 3, 3) rows, Å.
        axes: a `half_box` that reaches as far as each crystal does, (H,), (K,) and (L,).
        low, high: 1/Å.
        device: where to compute.

    Returns:
        (M,) each, by crystal: positions in the box (b, H, K, L) laid flat, the crystal (int32), and |g|, 1/Å.
    """
    reciprocal = np.linalg.inv(lattices).mT
    metric = (reciprocal @ reciprocal.mT)[..., None, None]
    h, k, l = axes[0][:, None], axes[1], torch.from_numpy(axes[2]).to(device)  # noqa: E741
    # |g|^2 = at_zero + slope l + curvature l^2, with at_zero and slope (b, H, K)
    at_zero = metric[:, 0, 0] * h**2 + metric[:, 1, 1] * k**2 + 2 * metric[:, 0, 1] * h * k
    slope = 2 * (metric[:, 0, 2] * h + metric[:, 1, 2] * k)
    at_zero, slope, curvature = (
        torch.from_numpy(x).to(device)[..., None] for x in (at_zero, slope, metric[:, 2, 2])
    )
    g_squared = (curvature * l + slope).mul_(l).add_(at_zero)
    inside = g_squared <= (high + _ROUNDING) ** 2
    if low > 0:
        inside &= g_squared >= low**2
    k_zero, l_zero = len(k) // 2, len(l) // 2
    inside[:, 0, :k_zero] = False  # h = 0: the half with k < 0 is the Friedel mate of k > 0
    inside[:, 0, k_zero, : l_zero + 1] = False  # h = k = 0: likewise l < 0, and the origin
    positions = inside.view(-1).nonzero().view(-1)
    crystal = (positions // inside[0].numel()).int()
    return positions, crystal, g_squared.view(-1).index_select(0, positions).sqrt_()
