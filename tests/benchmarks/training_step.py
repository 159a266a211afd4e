"""One training step: FiLM once a crystal, as here, beside FiLM on repeated rows, once a point.

OMP_NUM_THREADS=1 python tests/benchmarks/training_step.py
"""

import time

import torch

from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.objective import kl_divergence

REPEATS = 3
N_POINTS = 1000  # a crystal and step, as in the paper


class PointByPoint(CrystalNet):
    """The same network, its latent code repeated over the points before FiLM."""

    def decode(self, z: torch.Tensor, query_coords: torch.Tensor) -> torch.Tensor:
        repeated = z.repeat_interleave(query_coords.shape[1], 0)
        position = self.position_encoder(query_coords.flatten(0, 1))
        conditioned = self.gamma(repeated) * position + self.beta(repeated)
        return self.regressor(conditioned).view(query_coords.shape[:2])


def step(network: CrystalNet, n_crystals: int) -> float:
    """Forward, backward and update; the loss before."""
    generator = torch.Generator().manual_seed(0)
    pattern, composition, query_coords, rho = (
        torch.rand(n_crystals, *shape, generator=generator)
        for shape in ((1024,), (118,), (N_POINTS, 3), (N_POINTS,))
    )
    network.zero_grad(set_to_none=True)
    predicted, latents = network(pattern, composition, query_coords, generator)
    loss = (predicted - rho).abs().mean() + 0.05 * sum(map(kl_divergence, latents))
    loss.backward()
    torch.optim.Adam(network.parameters(), lr=1e-3).step()
    return loss.item()


def seconds(network: CrystalNet, n_crystals: int) -> float:
    """The fastest of some steps, after one to warm up."""
    times = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        step(network, n_crystals)
        times.append(time.perf_counter() - started)
    return min(times[1:])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(
        f"{'width':>6}{'crystals':>10}{'a point s':>11}{'a crystal s':>13}{'ratio':>7}{'loss differs by':>17}"
    )
    for width, n_crystals in ((64, 16), (256, 4)):
        once, each = CrystalNet(width), PointByPoint(width)
        difference = abs(step(once, n_crystals) - step(each, n_crystals))
        slow, fast = seconds(each, n_crystals), seconds(once, n_crystals)
        print(
            f"{width:6}{n_crystals:10}{slow:11.3f}{fast:13.3f}{slow / fast:7.2f}{difference:17.1e}",
            flush=True,
        )
