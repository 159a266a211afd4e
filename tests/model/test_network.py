"""The networks: the paper's size, what each kind must do alike, and the answers they give."""

import numpy as np
import pytest
import torch
from some_networks import KINDS, SMALL, inputs, small, used
from torch import nn

import crystalnet
from crystalnet.errors import CrystalNetError
from crystalnet.model import library, networks
from crystalnet.model.confidence import Confidence
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.model.encoders import Latent
from crystalnet.model.fields import PositionEncoder
from crystalnet.model.network import DensityNetwork
from crystalnet.model.spectral import SpectralNet
from crystalnet.physics.similarity import ssim
from crystalnet.runs.params import Params


@pytest.fixture(params=KINDS)
def network(request) -> DensityNetwork:
    return used(small(request.param))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def code(network: DensityNetwork, n_crystals: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_crystals, network.n_latent, generator=_generator(seed))


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_composition", [True, False])
def test_shapes(kind, use_composition):
    network = small(kind, use_composition=use_composition)
    width, n_latents = SMALL[kind]["width"], 1 + use_composition
    points = torch.rand(3, 7, 3)
    rho, latents = network(*inputs(network, 3), points, code(network, 3))
    assert rho.shape == (3, 7) and rho.dtype == torch.float32
    assert network(*inputs(network, 3), points[0], code(network, 3))[0].shape == (3, 7)
    assert [(latent.mu.shape, latent.sigma.shape) for latent in latents] == [((3, width),) * 2] * n_latents
    assert network.latent(*inputs(network, 3)).mu.shape == (3, width * n_latents)


def test_film_vectors_are_never_negative():
    network = used(small("film"))
    for film in (network.gamma, network.beta):
        assert film(3 * code(network, 50)).min() == 0 and film(3 * code(network, 50)).max() > 0


# ------------------------------------------------------------------ kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_built_from_its_settings(kind):
    network = small(kind, use_composition=False, seed=3)
    again = networks.build(network.settings)
    assert type(again) is networks.FIELDS[SMALL[kind]["field"]] and again.settings == network.settings
    assert all(torch.equal(again.state_dict()[k], v) for k, v in network.state_dict().items())


@pytest.mark.parametrize(("kind", "made"), [("film", CrystalNet), ("spectral", SpectralNet)])
def test_defaults_of_settings_and_of_networks_agree(kind, made):
    settings = Params(model={"field": kind}).model.model_dump()
    network = networks.build(settings)
    assert type(network) is made
    assert network.settings == made().settings
    assert settings.items() <= ({"field": kind} | network.settings).items()


def test_settings_without_a_kind_are_the_papers():
    assert type(networks.build({"width": 16, "growth": 2})) is CrystalNet


def test_an_unknown_kind_or_setting_is_refused():
    with pytest.raises(ValueError, match="no field 'splines', only film, spectral"):
        networks.build({"field": "splines"})
    with pytest.raises(TypeError, match="growth"):
        networks.build(SMALL["spectral"] | {"growth": 2})


def test_a_network_comes_back_from_its_file(network, tmp_path, monkeypatch):
    """Its answers are those of the network, but for the digits of rounded weights; its settings the same."""
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    pattern, composition = (x[0] for x in inputs(network, 1))
    exact = network.answer(pattern, composition, 6)
    network.confidence = Confidence((0.1, 0.9), (0.3, 0.8))
    library.write("kept", network, "# Card")
    read = crystalnet.load("kept")
    assert type(read) is type(network) and read.settings == network.settings
    assert read.confidence == network.confidence
    answer = read.answer(pattern, composition, 6)
    assert 0 < (answer - exact).square().mean().sqrt() < 0.02 * exact.max()


# ------------------------------------------------------------------ FiLM


@pytest.mark.parametrize("training", [True, False])
def test_film_once_a_crystal_is_film_at_every_point(training):
    """Values and gradients, with the batch's statistics as well as with running ones."""
    pair = [used(small("film")).double().train(training) for _ in range(2)]
    z, coords = (x.double() for x in (torch.randn(4, 32), torch.rand(4, 25, 3)))

    once = pair[0].decode(z, coords)
    repeated = z.repeat_interleave(25, 0)
    position = pair[1].position_encoder(coords.flatten(0, 1))
    conditioned = pair[1].gamma(repeated) * position + pair[1].beta(repeated)
    each = pair[1].regressor(conditioned).view(4, 25)

    torch.testing.assert_close(once, each)
    for rho in (once, each):
        rho.square().mean().backward()
    for (name, a), b in zip(pair[0].named_parameters(), pair[1].parameters(), strict=True):
        if "encoder" not in name or "position" in name:
            torch.testing.assert_close(a.grad, b.grad, msg=name)


@pytest.mark.parametrize("training", [True, False])
def test_points_may_be_shared(training):
    network = small("film").double().train(training)
    z, coords = torch.randn(4, 32, dtype=torch.float64), torch.rand(25, 3, dtype=torch.float64)
    torch.testing.assert_close(network.decode(z, coords), network.decode(z, coords.expand(4, -1, -1)))


def test_amplitudes_square_to_densities_that_are_never_negative():
    """In training a negative amplitude is a negative density; in answers there is none."""
    amplitude, plain = (used(small("film", regresses=what)) for what in ("amplitude", "density"))
    plain.load_state_dict(amplitude.state_dict())
    z, coords = torch.randn(5, 32, generator=_generator(0)), torch.rand(40, 3, generator=_generator(1))
    with torch.no_grad():
        s = plain.decode(z, coords) - plain.decode(z, coords).median()
        plain.regressor.head.bias -= plain.decode(z, coords).median()
        amplitude.load_state_dict(plain.state_dict())
        rho = amplitude.decode(z, coords)
        assert (s < 0).any() and (rho[s < 0] == 0).all()
        torch.testing.assert_close(rho, s.clamp_min(0).square(), rtol=1e-3, atol=1e-5)
        s, rho = plain.density(z, 5), amplitude.density(z, 5)
        torch.testing.assert_close(rho, s.clamp_min(0).square(), rtol=1e-3, atol=1e-5)
        s, signed = plain.train().decode(z, coords), amplitude.train().decode(z, coords)
        torch.testing.assert_close(signed, s * s.abs())


@pytest.mark.parametrize("encoders", ["dense", "windows"])
@pytest.mark.parametrize(("reads", "n_bins"), [("profiles", 768), ("patterns", 1024)])
def test_either_view_of_a_pattern_can_be_read(encoders, reads, n_bins):
    network = used(small("film", encoders=encoders, reads=reads))
    assert (network.reads, network.n_bins) == (reads, n_bins)
    assert network.answer(*(x[0] for x in inputs(network, 1)), 5).shape == (5, 5, 5)


@pytest.mark.parametrize("encoders", ["dense", "windows"])
def test_properties_of_elements_are_scaled_by_the_training_crystals(encoders):
    network = small("film", encoders=encoders, elements="properties")
    (name,) = (n for n in network.state_dict() if n.endswith("mu.0.spread") or n.endswith("trunk.0.spread"))
    before = network.state_dict()[name].clone()
    assert (before == 1).all() and (used(network).state_dict()[name] != before).any()


# ------------------------------------------------------------------ positions


def test_integer_frequencies_repeat_with_the_lattice_and_random_ones_do_not():
    z, x = torch.randn(1, 32, generator=_generator(0)), torch.rand(60, 3, generator=_generator(1))
    for frequencies, repeats in (("periodic", True), ("random", False)):
        network = used(small("film", frequencies=frequencies))
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


@pytest.mark.parametrize("frequencies", ["periodic", "random"])
@pytest.mark.parametrize("n", [3, 8, 15])
def test_a_grid_gets_the_positions_of_its_points(frequencies, n):
    """Also where waves are finer than the grid, and whatever the number of points at once."""
    encoder = PositionEncoder(16, 90, frequencies=frequencies).eval()
    axis = torch.arange(n) / n
    with torch.no_grad():
        parts = list(encoder.on_grid(n, 50))
        expected = encoder(torch.cartesian_prod(axis, axis, axis))
    assert {len(part) for part in parts[:-1]} <= {50}
    assert torch.allclose(torch.cat(parts), expected, atol=1e-5)


def test_random_frequencies_have_the_stated_spread():
    frequencies = PositionEncoder(16, 4000, frequency_scale=3.0).frequencies
    assert float(frequencies.std()) == pytest.approx(3.0, rel=0.03)
    assert abs(float(frequencies.mean())) < 0.1


# ------------------------------------------------------------------ chance


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_alone_makes_the_weights(kind):
    torch.manual_seed(1)
    first = small(kind, seed=5).state_dict()
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), after)  # building a network left the caller's generator alone
    again, other = (small(kind, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    layers = (name for name, m in small(kind).named_modules() if isinstance(m, nn.Linear | nn.Conv1d))
    drawn = [*(f"{name}.weight" for name in layers), *(["position_encoder.frequencies"] * (kind == "film"))]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_latent_samples_have_the_stated_mean_and_spread():
    mu, sigma = torch.tensor([[0.0, 2.0, -3.0]]), torch.tensor([[1.0, -0.5, 0.0]])  # sigma may be negative
    z = Latent(mu.expand(40_000, -1), sigma.expand(40_000, -1)).sample(_generator(0))
    torch.testing.assert_close(z.mean(0), mu[0], rtol=0, atol=0.02)
    torch.testing.assert_close(z.std(0), sigma[0].abs(), rtol=0, atol=0.02)
    assert abs(float(torch.corrcoef(z[:, :2].T)[0, 1])) < 0.02


# ------------------------------------------------------------------ answers


def test_patterns_and_compositions_come_in_pairs(network):
    with pytest.raises(CrystalNetError, match="3 patterns do not go with 2 compositions"):
        network.latent(inputs(network, 3)[0], inputs(network, 2)[1])


def test_predictions_depend_on_their_seed_alone(network):
    pattern, composition = (x[0] for x in inputs(network, 1))
    first = network.predict(pattern, composition, n_samples=3, seed=4, n=6)
    torch.manual_seed(99)
    assert torch.equal(network.predict(pattern, composition, n_samples=3, seed=4, n=6), first)
    assert not torch.equal(network.predict(pattern, composition, n_samples=3, seed=5, n=6), first)
    assert len({sample.sum().item() for sample in first}) == 3


@pytest.mark.parametrize(("n_samples", "n"), [(1, 7), (2, 5), (5, 4)])
def test_any_number_of_samples_on_any_grid(network, n_samples, n):
    pattern, composition = (x[0].numpy() for x in inputs(network, 1))
    assert network.predict(pattern, composition, n_samples, n=n).shape == (n_samples, n, n, n)
    assert network.answer(pattern, composition, n).shape == (n, n, n)


@pytest.mark.parametrize("n", [5, 17])  # fewer points than waves ask for, and more than one chunk holds
def test_density_is_the_decoded_grid(network, n):
    z = code(network, 2)
    grid = torch.from_numpy(np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), -1)).float()
    with torch.no_grad():
        shared = network.decode(z, grid.view(-1, 3)).view(2, n, n, n)
        own = network.decode(z, grid.view(-1, 3).expand(2, -1, -1)).view(2, n, n, n)
    for decoded in (shared, own):
        torch.testing.assert_close(network.density(z, n), decoded, rtol=1e-4, atol=1e-5)


def test_neither_batch_nor_chunk_matters(network, monkeypatch):
    pattern, composition = inputs(network, 4)
    latent = network.latent(pattern, composition)
    densities = network.density(latent.mu, 6)
    monkeypatch.setattr("crystalnet.model.crystalnet.POINTS_ON_CPU", 10)
    for i in range(4):
        alone = network.latent(pattern[i], composition[i])
        torch.testing.assert_close(alone.mu[0], latent.mu[i], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.sigma[0], latent.sigma[i], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network.density(alone.mu, 6)[0], densities[i], rtol=1e-3, atol=1e-4)
    assert len({density.sum().item() for density in densities}) == 4


def test_the_answer_is_the_density_of_the_mean(network):
    pattern, composition = inputs(network, 1)
    latent = network.latent(pattern, composition)
    assert torch.equal(network.answer(pattern[0], composition[0], 6), network.density(latent.mu, 6)[0])
    assert not torch.equal(network.density(latent.mu + latent.sigma, 6)[0], network.density(latent.mu, 6)[0])


def test_answers_leave_the_network_as_it_was(network):
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first = network.predict(*(x[0] for x in inputs(network, 1)), n_samples=2, n=5)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(network.eval().predict(*(x[0] for x in inputs(network, 1)), n_samples=2, n=5), first)


def test_pattern_and_composition_both_matter(network):
    (pattern, other_pattern), (composition, other_composition) = inputs(network, 2)
    answer = network.answer(pattern, composition, 5)
    assert not torch.equal(network.answer(other_pattern, composition, 5), answer)
    assert not torch.equal(network.answer(pattern, other_composition, 5), answer)


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_encoder_the_composition_does_not_matter(kind):
    network = used(small(kind, use_composition=False))
    (pattern, other_pattern), (composition, other_composition) = inputs(network, 2)
    answer = network.answer(pattern, composition, 5)
    assert torch.equal(network.answer(pattern, other_composition, 5), answer)
    assert not torch.equal(network.answer(other_pattern, composition, 5), answer)


def test_calibrated_networks_alone_tell_what_their_answers_are_worth(network):
    """The mean SSIM of samples with the answer, through the calibration's curve."""
    pattern, composition = (x[0] for x in inputs(network, 1))
    with pytest.raises(CrystalNetError, match="not calibrated"):
        network.expected_similarity(pattern, composition)
    network.confidence = Confidence((-1.0, 1.0), (0.2, 0.8))
    answer = network.answer(pattern, composition, 25)
    samples = network.predict(pattern, composition, 3, seed=1, n=25)
    data_range = float(answer.max() - answer.min())
    agreement = np.mean([float(ssim(answer, sample, data_range, periodic=True)) for sample in samples])
    expected = network.expected_similarity(pattern, composition, 3, seed=1)
    assert expected == pytest.approx(0.5 + 0.3 * agreement, abs=1e-5)


@pytest.mark.parametrize("which", ["pattern", "composition"])
@pytest.mark.parametrize(
    "damage", ["nan", "inf", "negative", "zero", "double", "short", "deep", "two crystals"]
)
def test_bad_inputs_are_named(network, which, damage):
    given = dict(zip(("pattern", "composition"), (x[0].numpy() for x in inputs(network, 1)), strict=True))
    values = given[which].copy()
    match damage:
        case "nan" | "inf":
            values[3] = float(damage)
        case "negative":
            values[3] = -1e-3
        case "zero" | "double":
            values *= 0 if damage == "zero" else 2
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
