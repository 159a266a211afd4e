r"""What training minimises, and what it is shown: eqs. 5-7, stratified points, augmentation (Methods).

L = mean |rho_pred - rho| + kl_weight (KL_pattern + KL_composition)

in the paper. The amplitude loss compares square roots of densities instead: faint regions, where bonds are
and which SSIM sees as well as it sees the nuclei, then count more.

>>> from crystalnet.settings import TrainingParams
>>> round(float(kl_divergence(Latent(torch.zeros(2, 8), torch.ones(2, 8)))), 4)  # standard normal
-0.0001
>>> rho = torch.full((2, 5), 0.04)
>>> round(float(reconstruction_loss(rho + 0.01, rho, torch.ones(2, 1), "density")), 4)  # e/Å^3
0.01
>>> generator = torch.Generator().manual_seed(0)
>>> stratified_voxels(2, strata=3, n=50, generator=generator).shape
torch.Size([2, 27, 3])
>>> pattern, composition = torch.rand(2, 1024), torch.rand(2, 118)
>>> augment(pattern, composition, generator, max_shift=0, noise=0.0)[2]
tensor([0, 0])
>>> settings = TrainingParams()
>>> learning_rate(0, settings) == settings.learning_rate > learning_rate(1, settings)
True
"""

from __future__ import annotations

import math

import torch

from crystalnet.model.encoders import Latent
from crystalnet.physics.profiles import shifted
from crystalnet.settings import TrainingParams

TINY = 1e-12  # e/Å^3; keeps the root's slope finite at zero


def kl_divergence(latent: Latent) -> torch.Tensor:
    """-mean(1 + log(sigma^2 + 1e-4) - mu^2 - sigma^2) over batch and dimensions (eq. 6).

    There is no factor 1/2. The 1e-4 of the released code keeps the logarithm finite: sigma may cross zero.
    """
    mu, sigma = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in latent)
    variance = sigma.square()
    return -(1 + torch.log(variance + 1e-4) - mu.square() - variance).mean()


def reconstruction_loss(
    predicted: torch.Tensor, rho: torch.Tensor, highest: torch.Tensor, kind: str
) -> torch.Tensor:
    """'density': mean |predicted - rho|, e/Å^3 (eq. 5). 'amplitude': mean |r| + 3 r^2 of r, the difference of
    square roots over that of the crystal's highest density.

    The weights are our choice: the quadratic term speeds the beginning, when whole atoms are misplaced. The
    root of a negative density is taken as negative.

    Args:
        predicted, rho: (B, P) e/Å^3.
        highest: (B, 1) e/Å^3, of each crystal.
    """
    if kind == "density":
        return (predicted - rho).abs().mean()
    root = predicted.sign() * (predicted.abs() + TINY).sqrt()
    r = (root - rho.clamp_min(0).sqrt()) / highest.sqrt()
    return (r.abs() + 3 * r.square()).mean()


def stratified_voxels(n_crystals: int, strata: int, n: int, generator: torch.Generator) -> torch.Tensor:
    """One uniform draw in each cell of a strata^3 division of the cell, snapped down to the n^3 grid.

    Returns:
        (n_crystals, strata^3, 3) voxel indices, on the generator's device.
    """
    axis = torch.arange(strata, device=generator.device)
    cells = torch.cartesian_prod(axis, axis, axis)
    jitter = torch.rand(n_crystals, strata**3, 3, generator=generator, device=generator.device)
    return ((cells + jitter) * (n / strata)).long().clamp_(max=n - 1)


def augment(
    pattern: torch.Tensor, composition: torch.Tensor, generator: torch.Generator, max_shift: int, noise: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Shift each pattern by up to `max_shift` bins (zeros come in), then add Gaussian noise and clamp at 0.

    The paper shifts by less than 0.6 degrees, three bins; the noise is N(0, 0.001^2) on both inputs.

    Returns:
        Patterns, compositions, and the shift (B,) in bins.
    """
    device = pattern.device
    shift = torch.randint(-max_shift, max_shift + 1, (len(pattern),), generator=generator, device=device)
    pattern = shifted(pattern, shift)

    def noisy(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + noise * torch.randn(x.shape, generator=generator, device=device))

    return noisy(pattern), noisy(composition), shift


def learning_rate(epoch: int, settings: TrainingParams) -> float:
    """Cosine annealing with warm restarts (Loshchilov & Hutter 2017), as a function of the epoch alone."""
    length = settings.restart_epochs
    while epoch >= length:
        epoch -= length
        length *= settings.restart_factor
    highest, lowest = settings.learning_rate, settings.lowest_learning_rate
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * epoch / length)) / 2
