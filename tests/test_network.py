"""The network: the paper's size, what it may and may not depend on, and the answers it gives."""

import numpy as np
import pytest
import torch

from crystalnet.errors import CrystalNetError
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.encoders import Latent
from crystalnet.model.fields import PositionEncoder

SMALL = {"width": 16, "growth": 2, "n_frequencies": 8, "n_blocks": 1}


@pytest.fixture
def network() -> CrystalNet:
    return _used(CrystalNet(**SMALL))


def _used(network: CrystalNet) -> CrystalNet:
    """With running statistics that differ from one another, as after some training."""
    for seed in range(3):
        points = torch.rand(6, 40, 3, generator=_generator(seed))
        network(*inputs(6, seed), points, torch.randn(6, network.n_latent, generator=_generator(seed)))
    return network.eval()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(n_crystals: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Patterns (B, 1024) with the highest bin 1 and atomic fractions (B, 118)."""
    pattern = torch.rand(n_crystals, 1024, generator=_generator(seed)) ** 8
    composition = torch.rand(n_crystals, 118, generator=_generator(seed + 1))
    return pattern / pattern.amax(1, keepdim=True), composition / composition.sum(1, keepdim=True)


# ------------------------------------------------------------------ size


def test_parameters_of_the_published_network():
    """The paper's total, and the counts of the parts of its released network."""
    network = CrystalNet()
    expected = {
        "": 14_775_187,
        "xrd_encoder.mu": 416_457,
        "xrd_encoder.sigma": 416_457,
        "formula_encoder.mu": 589_824,
        "formula_encoder.sigma": 589_824,
        "gamma": 3_680_768,
        "beta": 3_680_768,
        "position_encoder": 395_264,
        "regressor.stem": 1_054_720,
        "regressor.blocks": 3_950_592,
        "regressor.head": 513,
    }
    counts = {n: sum(p.numel() for p in network.get_submodule(n).parameters()) for n in expected}
    assert counts == expected
    assert all(p.requires_grad for p in network.parameters())
    assert network.position_encoder.frequencies.shape == (128, 3)


@pytest.mark.parametrize("use_composition", [True, False])
def test_shapes(use_composition):
    network = CrystalNet(**SMALL, use_composition=use_composition)
    n_latents = 1 + use_composition
    rho, latents = network(*inputs(3), torch.rand(3, 7, 3), torch.randn(3, network.n_latent))
    assert rho.shape == (3, 7)
    assert [(latent.mu.shape, latent.sigma.shape) for latent in latents] == [((3, 16), (3, 16))] * n_latents
    assert network.latent(*inputs(3)).mu.shape == (3, 16 * n_latents)


def test_film_vectors_are_never_negative(network):
    z = 3 * torch.randn(50, 32, generator=_generator(0))
    for film in (network.gamma, network.beta):
        assert film(z).min() == 0 and film(z).max() > 0


# ------------------------------------------------------------------ FiLM


@pytest.mark.parametrize("training", [True, False])
def test_film_once_a_crystal_is_film_at_every_point(training):
    """Values and gradients, with the batch's statistics as well as with running ones."""
    networks = [_used(CrystalNet(**SMALL)).double().train(training) for _ in range(2)]
    z, coords = (x.double() for x in (torch.randn(4, 32), torch.rand(4, 25, 3)))

    once = networks[0].decode(z, coords)
    repeated = z.repeat_interleave(25, 0)
    position = networks[1].position_encoder(coords.flatten(0, 1))
    conditioned = networks[1].gamma(repeated) * position + networks[1].beta(repeated)
    each = networks[1].regressor(conditioned).view(4, 25)

    torch.testing.assert_close(once, each)
    for rho in (once, each):
        rho.square().mean().backward()
    for (name, a), b in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        if "encoder" not in name or "position" in name:
            torch.testing.assert_close(a.grad, b.grad, msg=name)


@pytest.mark.parametrize("training", [True, False])
def test_points_may_be_shared(training):
    network = CrystalNet(**SMALL).double().train(training)
    z, coords = torch.randn(4, 32, dtype=torch.float64), torch.rand(25, 3, dtype=torch.float64)
    torch.testing.assert_close(network.decode(z, coords), network.decode(z, coords.expand(4, -1, -1)))


# ------------------------------------------------------------------ positions


def test_integer_frequencies_repeat_with_the_lattice_and_random_ones_do_not():
    z, x = torch.randn(1, 32, generator=_generator(0)), torch.rand(60, 3, generator=_generator(1))
    for frequencies, repeats in (("periodic", True), ("random", False)):
        network = _used(CrystalNet(**SMALL, frequencies=frequencies))
        with torch.no_grad():
            rho = network.decode(z, x)
            moved = [network.decode(z, x + torch.tensor(t)) for t in ([1, 0, 0], [0, -1, 0], [2, -1, 3])]
        difference = max(float((rho - m).abs().max()) for m in moved) / float(rho.std())
        assert (difference < 1e-3) if repeats else (difference > 0.1)


@pytest.mark.parametrize("n", [1, 13, 62, 128])
def test_periodic_frequencies_are_the_shortest_one_of_each_pair(n):
    vectors = PositionEncoder(16, n, frequencies="periodic").frequencies
    chosen = {tuple(v) for v in vectors.int().tolist()}
    assert len(chosen | {tuple(-i for i in v) for v in chosen}) == 2 * n
    longest = max(np.dot(v, v) for v in chosen)
    reach = int(longest**0.5) + 1
    shorter = [v for v in np.ndindex(*[2 * reach + 1] * 3) if 0 < sum((i - reach) ** 2 for i in v) < longest]
    assert sum(np.dot(v, v) < longest for v in chosen) == len(shorter) / 2


def test_random_frequencies_have_the_stated_spread():
    frequencies = PositionEncoder(16, 4000, frequency_scale=3.0).frequencies
    assert float(frequencies.std()) == pytest.approx(3.0, rel=0.03)
    assert abs(float(frequencies.mean())) < 0.1


# ------------------------------------------------------------------ chance


def test_the_seed_alone_makes_the_weights():
    torch.manual_seed(1)
    first = CrystalNet(**SMALL, seed=5).state_dict()
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), after)  # building a network left the caller's generator alone
    again, other = (CrystalNet(**SMALL, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["gamma.0.weight"], other["gamma.0.weight"])
    assert not torch.equal(first["position_encoder.frequencies"], other["position_encoder.frequencies"])


def test_latent_samples_have_the_stated_mean_and_spread():
    mu, sigma = torch.tensor([[0.0, 2.0, -3.0]]), torch.tensor([[1.0, -0.5, 0.0]])  # sigma may be negative
    z = Latent(mu.expand(40_000, -1), sigma.expand(40_000, -1)).sample(_generator(0))
    torch.testing.assert_close(z.mean(0), mu[0], rtol=0, atol=0.02)
    torch.testing.assert_close(z.std(0), sigma[0].abs(), rtol=0, atol=0.02)
    assert abs(float(torch.corrcoef(z[:, :2].T)[0, 1])) < 0.02


# ------------------------------------------------------------------ answers


def test_patterns_and_compositions_come_in_pairs(network):
    with pytest.raises(CrystalNetError, match="3 patterns do not go with 2 compositions"):
        network.latent(inputs(3)[0], inputs(2)[1])


def test_predictions_depend_on_their_seed_alone(network):
    pattern, composition = (x[0] for x in inputs(1))
    first = network.predict(pattern, composition, n_samples=3, seed=4, n=6)
    torch.manual_seed(99)
    assert torch.equal(network.predict(pattern, composition, n_samples=3, seed=4, n=6), first)
    assert not torch.equal(network.predict(pattern, composition, n_samples=3, seed=5, n=6), first)
    assert len({sample.sum().item() for sample in first}) == 3


@pytest.mark.parametrize(("n_samples", "n"), [(1, 7), (2, 5), (5, 4)])
def test_any_number_of_samples_on_any_grid(network, n_samples, n):
    pattern, composition = (x[0].numpy() for x in inputs(1))
    assert network.predict(pattern, composition, n_samples, n=n).shape == (n_samples, n, n, n)
    assert network.answer(pattern, composition, n).shape == (n, n, n)


def test_density_is_the_decoded_grid(network):
    z, n = torch.randn(2, 32, generator=_generator(0)), 17  # more points than one chunk holds
    grid = torch.from_numpy(np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), -1)).float()
    with torch.no_grad():
        expected = network.decode(z, grid.view(-1, 3)).view(2, n, n, n)
    torch.testing.assert_close(network.density(z, n), expected, rtol=1e-4, atol=1e-5)


def test_the_answer_is_the_density_of_the_mean(network):
    pattern, composition = inputs(1)
    latent = network.latent(pattern, composition)
    assert torch.equal(network.answer(pattern[0], composition[0], 6), network.density(latent.mu, 6)[0])
    assert not torch.equal(network.density(latent.mu + latent.sigma, 6)[0], network.density(latent.mu, 6)[0])


def test_answers_leave_the_network_as_it_was(network):
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.predict(*(x[0] for x in inputs(1)), n_samples=2, n=5)
    assert network.training and network.regressor.stem.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_pattern_and_composition_both_matter(network):
    (pattern, other_pattern), (composition, other_composition) = inputs(2)
    answer = network.answer(pattern, composition, 5)
    assert not torch.equal(network.answer(other_pattern, composition, 5), answer)
    assert not torch.equal(network.answer(pattern, other_composition, 5), answer)


def test_without_an_encoder_the_composition_does_not_matter():
    network = _used(CrystalNet(**SMALL, use_composition=False))
    (pattern, other_pattern), (composition, other_composition) = inputs(2)
    answer = network.answer(pattern, composition, 5)
    assert torch.equal(network.answer(pattern, other_composition, 5), answer)
    assert not torch.equal(network.answer(other_pattern, composition, 5), answer)


@pytest.mark.parametrize("which", ["pattern", "composition"])
@pytest.mark.parametrize("damage", ["nan", "inf", "negative", "short", "deep", "two crystals"])
def test_bad_inputs_are_named(network, which, damage):
    given = dict(zip(("pattern", "composition"), (x[0].numpy() for x in inputs(1)), strict=True))
    values = given[which].copy()
    match damage:
        case "nan" | "inf":
            values[3] = float(damage)
        case "negative":
            values[3] = -1e-3
        case "short":
            values = values[:-1]
        case "deep":
            values = values[None, None]
        case "two crystals":
            values = np.stack([values, values])
            given = {name: np.stack([x, x]) for name, x in given.items()}
            which = "one crystal"
    with pytest.raises(CrystalNetError, match=which):
        network.predict(**given | {which: values} if which in given else given, n=4)
