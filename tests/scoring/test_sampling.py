"""Codes drawn from a latent distribution, and the line between two."""

import torch

from crystalnet.model.encoders import Latent
from crystalnet.scoring.sampling import sample, walk

LATENT = Latent(torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, -1.0, 0.0]]))


def test_sample_scales_the_noise_and_repeats():
    z = sample(LATENT, seed=3)
    torch.testing.assert_close(sample(LATENT, seed=3), z)
    assert not torch.equal(sample(LATENT, seed=4), z)
    assert torch.equal(sample(LATENT, seed=3, noise=0), LATENT.mu)
    torch.testing.assert_close(sample(LATENT, seed=3, noise=2) - LATENT.mu, 2 * (z - LATENT.mu))
    assert z[0, 2] == LATENT.mu[0, 2]  # sigma 0


def test_walk_is_the_straight_line_between_two_samples():
    line = walk(LATENT, 0, 1, [0.0, 0.25, 1.0])
    first, second = sample(LATENT, 0), sample(LATENT, 1)
    torch.testing.assert_close(line, torch.cat([first, 0.75 * first + 0.25 * second, second]))
    torch.testing.assert_close(walk(LATENT, 0, 1, 0.5, noise=0), LATENT.mu)
