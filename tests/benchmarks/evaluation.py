"""The 'paper' protocol: 5 samples x 24 rotations at 50^3, ours beside scikit-image doing the same 120 scores.

OMP_NUM_THREADS=1 python tests/benchmarks/evaluation.py
"""

import time

import numpy as np
import torch
from pymatgen.core import Lattice, Structure
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from crystalnet.physics.density import GRID, promolecule_cmed
from crystalnet.physics.similarity import score_rotations
from crystalnet.physics.symmetry import ROTATIONS, rotate

N_SAMPLES, REPEATS = 5, 3


def crystals() -> dict[str, torch.Tensor]:
    """Promolecules of four cubic types in primitive cells: the more symmetric, the fewer views differ."""
    sites = {
        "perovskite": ("Pm-3m", 3.905, ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
        "rock salt": ("Fm-3m", 5.64, ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
        "Heusler": ("Fm-3m", 5.95, ["Al", "Mn", "Cu"], [[0, 0, 0], [0.5] * 3, [0.25] * 3]),
        "spinel": ("Fd-3m", 8.08, ["Mg", "Al", "O"], [[0, 0, 0], [0.625] * 3, [0.387] * 3]),
    }
    cells = {
        name: Structure.from_spacegroup(group, Lattice.cubic(a), elements, coords).get_primitive_structure()
        for name, (group, a, elements, coords) in sites.items()
    }
    return {name: torch.from_numpy(promolecule_cmed(cell, GRID)).float() for name, cell in cells.items()}


def asymmetric() -> torch.Tensor:
    """Atoms at random places: all 24 views differ."""
    places = np.random.default_rng(0).random((12, 3))
    crystal = Structure(Lattice.cubic(8.08), ["Mg", "Al"] + ["O"] * 10, places)
    return torch.from_numpy(promolecule_cmed(crystal, GRID)).float()


def with_scikit_image(truth: torch.Tensor, samples: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Every sample turned and compared, (K, 24) SSIM and PSNR."""
    reference = truth.numpy()
    data_range = float(reference.max() - reference.min())
    similarity, ratio = np.empty((2, len(samples), len(ROTATIONS)))
    for k, sample in enumerate(samples):
        for r, rotation in enumerate(ROTATIONS):
            turned = rotate(sample, rotation).contiguous().numpy()
            similarity[k, r] = structural_similarity(reference, turned, win_size=7, data_range=data_range)
            ratio[k, r] = peak_signal_noise_ratio(reference, turned, data_range=data_range)
    return similarity, ratio


def timed(function, *arguments):
    """The result and the fastest of some calls, s."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = function(*arguments)
        times.append(time.perf_counter() - started)
    return result, min(times)


if __name__ == "__main__":
    torch.set_num_threads(1)  # scikit-image has no more
    print(f"{'density':12}{'scikit-image s':>16}{'ours s':>9}{'ratio':>7}{'best SSIM':>11}{'differs by':>12}")
    for name, truth in {**crystals(), "asymmetric": asymmetric()}.items():
        noise = torch.randn(N_SAMPLES, GRID, GRID, GRID, generator=torch.Generator().manual_seed(0))
        samples = truth + 0.02 * truth.max() * noise
        (ours, _), fast = timed(score_rotations, truth, samples)
        (theirs, _), slow = timed(with_scikit_image, truth, samples)
        difference = abs(ours.max().item() - theirs.max())
        print(
            f"{name:12}{slow:16.2f}{fast:9.3f}{slow / fast:7.1f}{theirs.max():11.4f}{difference:12.1e}",
            flush=True,
        )
