"""One answer on the 50^3 grid: the spectral network beside the paper's, in one run.

OMP_NUM_THREADS=1 python tests/benchmarks/answers.py

Untrained networks of the sizes that the profiles train: what they answer takes no different time. An answer
goes from pattern and composition to the density; a batch is of that many crystals. Times are the best of some
repeats.

ratio   time of the paper's network over that of the spectral one, one answer
"""

import time

import torch

from crystalnet.hardware import description
from crystalnet.model import networks
from crystalnet.runs.params import Params

REPEATS = 5
LONG = 5  # seconds; what takes longer is measured once
BATCH = 64
PROFILES = {"cpu": 1, "cubic": 1, "spectral_cubic": BATCH, "spectral_trigonal": BATCH}  # and largest batch


def seconds(network, n_crystals: int) -> float:
    """Best time from inputs to densities."""
    pattern = torch.rand(n_crystals, network.n_bins)
    pattern /= pattern.amax(1, keepdim=True)
    composition = torch.zeros(n_crystals, 118)
    composition[:, [10, 16]] = 0.5
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        network.density(network.latent(pattern, composition).mu)
        best = min(best, time.perf_counter() - start)
        if best > LONG:
            break
    return best


def main() -> None:
    print(f"{description()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    made = {name: networks.build(Params.load(name).model.model_dump()).eval() for name in PROFILES}
    one = {name: seconds(network, 1) for name, network in made.items()}
    print(f"{'profile':20}{'parameters':>12}{'one answer, ms':>16}{f'batch of {BATCH}, s':>16}{'ratio':>32}")
    for name, network in made.items():
        n_parameters = sum(p.numel() for p in network.parameters())
        batch = f"{seconds(network, BATCH):.2f}" if PROFILES[name] == BATCH else ""
        spectral = network.settings.get("field") == "spectral"
        ratios = (f"{one[film] / one[name]:,.0f} ({film})" for film in ("cpu", "cubic") if spectral)
        print(f"{name:20}{n_parameters:12,}{1e3 * one[name]:16.1f}{batch:>16}{', '.join(ratios):>32}")


if __name__ == "__main__":
    main()
