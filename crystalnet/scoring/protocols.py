"""Two ways to score an answer, always reported side by side.

'paper'   best of K samples x 24 rotations, SSIM and PSNR each chosen by looking at the truth (120 looks).
'honest'  one answer, chosen without the truth. It is laid onto the truth by the one operation and origin of
          least squared error, among those that a powder pattern cannot tell apart, on the periodic grid;
          both scores are read off that one alignment.

>>> from crystalnet.physics.symmetry import lattice_operations
>>> truth = torch.rand(10, 10, 10, generator=torch.Generator().manual_seed(0))
>>> turned = truth.permute(1, 2, 0).roll(3, 0)  # another choice of axes and origin
>>> round(paper_score(truth, turned[None])["paper_ssim"], 2)  # knows no other origin
0.06
>>> honest_score(truth, turned, lattice_operations(4 * torch.eye(3)))["honest_nmae"]
0.0
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from crystalnet.physics.similarity import align, nmae, psnr, score_rotations, ssim


def paper_score(truth: torch.Tensor, samples: torch.Tensor) -> dict[str, float]:
    """Scores of samples (K, n, n, n) against truth (n, n, n): `paper_ssim`, `paper_psnr` (dB)."""
    similarity, ratio = score_rotations(truth, samples)
    return {"paper_ssim": float(similarity.max()), "paper_psnr": float(ratio.max())}


def honest_score(truth: torch.Tensor, answer: torch.Tensor, operations: ArrayLike) -> dict[str, float]:
    """Scores of one answer (n, n, n): `honest_ssim`, `honest_psnr` (dB), `honest_nmae`.

    Args:
        operations: (m, 3, 3), the true lattice's `symmetry.lattice_operations`.
    """
    data_range = float(truth.max() - truth.min())
    aligned = align(truth, answer, operations).aligned
    return {
        "honest_ssim": ssim(truth, aligned, data_range, periodic=True),
        "honest_psnr": psnr(truth, aligned, data_range),
        "honest_nmae": nmae(truth, aligned),
    }
