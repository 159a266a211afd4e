"""The spectral network against numpy's transform and decomposition, and what its densities may never be."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from some_networks import Salts, inputs, small, used
from torch import nn

from crystalnet.errors import CrystalNetError
from crystalnet.model import spectral_field
from crystalnet.model.network import DensityNetwork
from crystalnet.model.spectral import SpectralNet
from crystalnet.model.spectral_encoders import PatternTrunk, Window
from crystalnet.model.spectral_field import SpectralField

BASES = ("learned", "plane waves")
N = 9  # points an axis: room for a radius of 4


@pytest.fixture(scope="module")
def salts() -> Salts:
    return Salts()


@pytest.fixture(params=BASES)
def network(request) -> DensityNetwork:
    """With densities far from any of the training set, and s of both signs."""
    network = used(small("spectral", basis=request.param, dropout=0.0))
    with torch.no_grad():
        network.coefficients[-1].weight *= 100
    return network


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid(n: int) -> torch.Tensor:
    axis = torch.arange(n) / n
    return torch.cartesian_prod(axis, axis, axis)


def codes(network: SpectralNet, n_crystals: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_crystals, network.n_latent, generator=_generator(seed))


def densities(rank: int, n_crystals: int = 12, seed: int = 0) -> torch.Tensor:
    """Squares of positive sums of `rank` waves, (N, n, n, n)."""
    rng = np.random.default_rng(seed)
    x = grid(N).numpy().astype(float)
    waves = np.cos(2 * np.pi * (x @ rng.integers(-2, 3, (3, rank)) + rng.random(rank)))  # (P, rank)
    s = 3 * rank + rng.normal(size=(n_crystals, rank)).clip(-2, 2) @ waves.T
    assert s.min() > 0
    return torch.from_numpy(s**2).view(n_crystals, N, N, N)


def numpys_series(rho: torch.Tensor, radius: int) -> np.ndarray:
    """Fourier coefficients of sqrt(rho) in the sphere, both of each pair, (N, waves), complex."""
    spectrum = np.fft.fftn(np.sqrt(rho.double().numpy()), axes=(1, 2, 3), norm="forward")
    h = np.fft.fftfreq(rho.shape[-1], 1 / rho.shape[-1])
    inside = h[:, None, None] ** 2 + h[:, None] ** 2 + h**2 <= radius**2
    return spectrum[:, inside]


def fitted(rho: torch.Tensor, n_components: int, basis: str = "learned", radius: int = 4) -> SpectralField:
    field = SpectralField(n_components, radius, basis)
    field.fit(rho, torch.arange(len(rho)))
    return field


def coefficients(field: SpectralField, rho: torch.Tensor) -> torch.Tensor:
    """Of densities, in units of the spread: projections onto the components."""
    return (field.waves.of_grid(rho.float().sqrt()) - field.mean) @ field.components / field.spread


# ------------------------------------------------------------------ the basis


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_a_basis_of_the_rank_gives_the_densities_back(rank, seed):
    rho = densities(rank, seed=seed)
    field = fitted(rho, rank)
    s = field.on_grid(coefficients(field, rho), N)
    np.testing.assert_allclose(s.square(), rho, rtol=2e-4)


@pytest.mark.parametrize("radius", [2, 4])
def test_components_are_numpys(radius):
    """Directions and spread of a singular value decomposition of the same coefficients."""
    rho = torch.rand(10, N, N, N, generator=_generator(0)) + 0.1
    series = numpys_series(rho, radius)
    centred = series - series.mean(0)
    _, singular, _ = np.linalg.svd(centred, full_matrices=False)
    field = fitted(rho, 6, radius=radius)
    np.testing.assert_allclose(field.spread, singular[:6] / np.sqrt(10), rtol=1e-4)
    projected = coefficients(field, rho) * field.spread
    np.testing.assert_allclose(projected.norm(dim=0), singular[:6], rtol=1e-4)
    left = np.linalg.svd(centred, full_matrices=False)[0][:, :6].real  # the matrix is one of real functions
    overlap = np.abs(left.T @ (projected / projected.norm(dim=0)).numpy())
    np.testing.assert_allclose(overlap, np.eye(6), atol=2e-3)


def test_components_are_orthonormal_and_largest_first():
    field = fitted(torch.rand(10, N, N, N, generator=_generator(1)), 8)
    torch.testing.assert_close(field.components.T @ field.components, torch.eye(8), rtol=0, atol=1e-5)
    assert (field.spread.diff() <= 0).all() and (field.spread > 0).all()
    functions = field.waves.on_grid(field.components.T, N).flatten(1)  # so are the functions, over the cell
    torch.testing.assert_close(functions @ functions.T / N**3, torch.eye(8), rtol=0, atol=1e-5)


def test_coefficients_have_spread_one_and_mean_zero():
    rho = torch.rand(10, N, N, N, generator=_generator(2))
    a = coefficients(fitted(rho, 5), rho)
    torch.testing.assert_close(a.mean(0), torch.zeros(5), rtol=0, atol=1e-4)
    torch.testing.assert_close(a.square().mean(0), torch.ones(5), rtol=1e-4, atol=0)


def test_the_shortest_plane_waves_are_the_basis():
    """The constant, then cosine and sine of each wave; the spread is that of numpy's coefficients."""
    rho = torch.rand(10, N, N, N, generator=_generator(3))
    field = fitted(rho, 7, "plane waves")
    functions = field.waves.on_grid(field.components.T, N).flatten(1)
    phase = 2 * torch.pi * grid(N) @ field.waves.h[:3].T.float()
    assert sorted(map(tuple, field.waves.h[:3].tolist())) == [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    cosine, sine = 2**0.5 * phase.cos().T, -(2**0.5) * phase.sin().T
    expected = [torch.ones(N**3), *(x for pair in zip(cosine, sine, strict=True) for x in pair)]
    torch.testing.assert_close(functions, torch.stack(expected), rtol=0, atol=1e-5)
    root = rho.double().sqrt().flatten(1)
    centred = (root - root.mean(0)).float()
    expected = (centred @ functions.T / N**3).square().mean(0).sqrt()
    torch.testing.assert_close(field.spread, expected, rtol=1e-4, atol=1e-6)


def test_all_plane_waves_are_every_function_that_they_hold():
    rho = densities(4)
    field = fitted(rho, len(SpectralField(1, 4, "plane waves").waves), "plane waves")
    a = coefficients(field, rho).nan_to_num()  # what no crystal has, has no spread
    np.testing.assert_allclose(field.on_grid(a, N).square(), rho, rtol=2e-4)


def test_of_many_crystals_some_are_taken_evenly_spaced(monkeypatch):
    rho = torch.rand(13, N, N, N, generator=_generator(4))
    monkeypatch.setattr(spectral_field, "MOST_IN_BASIS", 5)
    field, some = fitted(rho, 3), fitted(rho[[0, 3, 6, 9, 12]], 3)
    assert all(torch.equal(a, b) for a, b in zip(field.buffers(), some.buffers(), strict=True))


def test_densities_are_read_in_blocks(monkeypatch):
    rho = torch.rand(11, N, N, N, generator=_generator(5))
    whole = fitted(rho, 3)
    monkeypatch.setattr(spectral_field, "BLOCK", 2)
    parts = fitted(rho, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.buffers(), parts.buffers(), strict=True))


@pytest.mark.parametrize("changed", ["cmed", "compositions"])
def test_nothing_is_taken_from_crystals_that_are_not_for_training(salts, changed):
    """Other densities and compositions of validation and test crystals change no bit."""
    split = np.array(["val", *["train"] * 5, "test", "train"])
    damaged = getattr(salts, changed).copy()
    first, again, other = (small("spectral", n_components=4) for _ in range(3))
    facts = {"cmed": salts.cmed, "compositions": salts.compositions, "split": split}
    facts["indices"] = lambda name: np.flatnonzero(split == name)
    first.prepare(SimpleNamespace(**facts))
    damaged[[0, 6]] = damaged[[6, 0]] * 2
    again.prepare(SimpleNamespace(**facts | {changed: damaged}))
    assert all(torch.equal(b, again.state_dict()[name]) for name, b in first.state_dict().items())
    damaged[3] = damaged[6]
    other.prepare(SimpleNamespace(**facts | {changed: damaged}))
    differs = {name for name, b in first.state_dict().items() if not torch.equal(b, other.state_dict()[name])}
    expected = {
        "cmed": {"field.mean", "field.components", "field.spread"},
        "compositions": {"composition_encoder.trunk.0.spread"},
    }
    assert differs == expected[changed]


@pytest.mark.parametrize(("basis", "n_components", "most"), [("learned", 8, 7), ("plane waves", 8, 7)])
def test_more_components_than_there_are_is_one_clear_error(salts, basis, n_components, most):
    """Eight crystals give seven; a radius of one holds the constant and three waves."""
    network = small("spectral", n_components=n_components, basis=basis, radius=1)
    with pytest.raises(CrystalNetError, match=rf"{most} components .* Lower model\.n_components"):
        network.prepare(salts)
    small("spectral", n_components=most, basis=basis, radius=1).prepare(salts)


def test_a_radius_too_large_for_the_grid_is_one_clear_error(salts):
    small("spectral", radius=6).prepare(salts)
    with pytest.raises(CrystalNetError, match=r"Lower model\.radius to 6 or less"):
        small("spectral", radius=7).prepare(salts)


# ------------------------------------------------------------------ densities


@pytest.mark.parametrize("use", ["decode", "density"])
def test_densities_are_never_negative(network, use):
    z = codes(network)
    with torch.no_grad():
        s = network.field(network.coefficients(z), grid(14))
        rho = network.decode(z, grid(14)) if use == "decode" else network.density(z, 14).flatten(1)
    assert s.min() < -0.01 and s.max() > 0.01
    assert rho.min() == 0
    torch.testing.assert_close(rho, s.clamp_min(0).square(), rtol=1e-4, atol=1e-4)


def test_densities_repeat_with_the_lattice(network):
    x, z = torch.rand(60, 3, generator=_generator(1)), codes(network)
    with torch.no_grad():
        rho = network.decode(z, x)
        for move in ([1, 0, 0], [0, -1, 0], [2, -1, 3]):
            moved = network.decode(z, x + torch.tensor(move))
            torch.testing.assert_close(moved, rho, rtol=0, atol=1e-4 * float(rho.max()))
    assert rho.std() > 0.1 * rho.max()


@pytest.mark.parametrize("n", [3, 5, 14])
def test_any_resolution_shows_the_same_density(network, n):
    z = codes(network)
    fine = network.density(z, 2 * n)[:, ::2, ::2, ::2]
    torch.testing.assert_close(network.density(z, n), fine, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mean", [0.02, 0.7])
def test_a_known_mean_is_kept_exactly(network, mean):
    z = codes(network)
    free, scaled = network.density(z, 10), network.density(z, 10, mean=mean)
    torch.testing.assert_close(scaled.mean((1, 2, 3)), torch.full((3,), mean), rtol=1e-5, atol=0)
    torch.testing.assert_close(scaled / mean, free / free.mean((1, 2, 3), keepdim=True), rtol=1e-4, atol=1e-5)


def test_untrained_answers_are_near_the_mean_of_the_training_set(salts):
    """Of square roots, so that a training begins there."""
    network = used(small("spectral"))
    root = torch.from_numpy(salts.cmed).float().clamp_min(0).sqrt()
    mean = network.field.waves.on_grid(network.field.waves.of_grid(root).mean(0, keepdim=True), 14).square()
    answers = network.density(codes(network, 20), 14)
    assert (answers - mean).abs().mean() < 0.1 * mean.mean()


# ------------------------------------------------------------------ in training


def test_in_training_a_negative_root_is_a_negative_density(network):
    z = codes(network)
    s = network.field(network.coefficients(z), grid(6))
    rho = network.train().decode(z, grid(6))
    torch.testing.assert_close(rho, s.sign() * s.square())
    assert rho.min() < 0
    torch.testing.assert_close(network.eval().decode(z, grid(6)), rho.clamp_min(0))
    (-rho.clamp_max(0)).sum().backward()  # of the negative alone: the loss can lift it
    assert network.coefficients[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("shared", [True, False])
def test_a_table_gives_the_same_densities_to_half_precision(network, shared):
    z, voxels = codes(network), torch.randint(-14, 28, (3, 50, 3), generator=_generator(2))
    coords = voxels[0] / 14 if shared else voxels / 14
    with torch.no_grad():
        exact = network.decode(z, coords)
        network.tabulate(14)
        table = network.decode(z, coords)
        network.tabulate(None)
        assert torch.equal(network.decode(z, coords), exact)
    assert not torch.equal(table, exact)
    torch.testing.assert_close(table, exact, rtol=0, atol=5e-3 * float(exact.max()))


def test_a_table_is_of_no_use_between_its_points(network):
    z, x = codes(network), torch.rand(40, 3, generator=_generator(3))
    with torch.no_grad():
        exact, coarse = network.decode(z, x), network.decode(z, grid(7))
        network.tabulate(14)
        assert torch.equal(network.decode(z, x), exact)
        torch.testing.assert_close(
            network.decode(z, grid(7)), coarse, rtol=0, atol=5e-3 * float(coarse.max())
        )
        assert not torch.equal(network.decode(z, grid(7)), coarse)


def test_a_table_gives_the_gradients_as_well(network):
    z, coords = codes(network), grid(14)[::17]
    slopes = []
    for n in (None, 14):
        network.tabulate(n)
        network.zero_grad()
        network.decode(z, coords).mean().backward()
        slopes.append(torch.cat([p.grad.flatten() for p in network.coefficients.parameters()]))
    torch.testing.assert_close(*slopes, rtol=0, atol=5e-3 * float(slopes[0].abs().max()))


def test_a_new_basis_forgets_the_table(salts):
    network = used(small("spectral", basis="plane waves"))
    network.tabulate(14)
    salts = SimpleNamespace(**vars(salts) | {"cmed": 2 * salts.cmed, "indices": salts.indices})
    network.prepare(salts)
    z = codes(network)
    with torch.no_grad():
        decoded = network.decode(z, grid(14)).view(-1, 14, 14, 14)
    torch.testing.assert_close(decoded, network.density(z, 14), rtol=0, atol=5e-3 * float(decoded.max()))


def test_a_table_is_no_part_of_what_is_kept(network):
    before = set(network.state_dict())
    network.tabulate(14)
    assert set(network.state_dict()) == before
    assert {"field.mean", "field.components", "field.spread"} <= before and "field.waves.h" not in before


def test_mixed_precision_touches_no_phase(network):
    """Products have bfloat16's digits; coordinates with as few would be another place."""
    z, x = codes(network), 50 + torch.rand(200, 3, generator=_generator(4))
    with torch.no_grad():
        exact = network.decode(z, x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network.decode(z, x)
            answer = network.density(z, 10)
    scale = float(exact.max())
    assert mixed.dtype == torch.float32 and not torch.equal(mixed, exact)
    torch.testing.assert_close(mixed, exact, rtol=0, atol=0.05 * scale)
    torch.testing.assert_close(answer, network.density(z, 10), rtol=0, atol=0.05 * scale)
    with torch.no_grad():
        rounded = network.decode(z, x.bfloat16().float())
    assert (rounded - exact).abs().max() > 0.2 * scale  # this test would see it


# ------------------------------------------------------------------ encoders


@pytest.mark.parametrize("stride", [1, 2, 8])
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_windows_are_a_convolution(stride, runs):
    size, n_in, n_out = stride * runs, 3, 5
    window = Window(n_in, n_out, size, stride)
    x = torch.randn(2, 24, n_in, generator=_generator(0))
    spare = size - stride
    padded = nn.functional.pad(x.mT, (spare // 2, spare - spare // 2))
    weight = window.layers[0].weight.view(n_out, size, n_in).mT
    expected = nn.functional.conv1d(padded, weight, window.layers[0].bias, stride)
    expected = window.layers[2](window.layers[1](expected.mT))
    assert window(x).shape == (2, 24 // stride, n_out)
    torch.testing.assert_close(window(x), expected)


def test_windows_add_to_an_input_of_their_shape():
    window, x = Window(4, 4, 3, 1), torch.randn(2, 8, 4)
    nn.init.zeros_(window.layers[1].weight)  # the normalisation, so that the window itself gives nothing
    assert torch.equal(window(x), x)


@pytest.mark.parametrize(("reads", "n_bins"), [("profiles", 768), ("patterns", 1024)])
def test_either_view_of_a_pattern_can_be_read(reads, n_bins):
    network = used(small("spectral", reads=reads))
    assert (network.reads, network.n_bins) == (reads, n_bins)
    pattern, composition = inputs(network, 2)
    assert network.latent(pattern, composition).mu.shape == (2, 16)
    with pytest.raises(CrystalNetError, match=rf"reads \(crystals, {n_bins}\)"):
        network.latent(pattern[:, :-1], composition)


def test_every_peak_matters_weak_ones_as_well():
    """The slope of the square root is steepest for the weak."""
    trunk = PatternTrunk(768, 16, 8, 0.0).eval()
    empty = torch.zeros(1, 768)
    base = trunk(empty)
    for place in range(0, 768, 37):
        pattern = empty.clone()
        pattern[0, place] = 1e-3
        assert (trunk(pattern) - base).abs().max() > 1e-5


def test_the_spread_of_a_code_is_positive_and_small_at_first():
    network = used(small("spectral"))
    latents = network.encode(*inputs(network, 20))
    assert len(latents) == 2
    for latent in latents:
        assert latent.sigma.min() > 0 and latent.sigma.mean() < 0.3


def test_hidden_values_are_left_out_in_training_alone():
    network = used(small("spectral", dropout=0.5))
    pattern, composition = inputs(network, 2)
    again = [network.encode(pattern, composition)[0].mu for _ in range(2)]
    assert torch.equal(*again)
    network.train()
    dropped = [network.encode(pattern, composition)[0].mu for _ in range(2)]
    assert not torch.equal(*dropped)
    assert torch.equal(network.latent(pattern, composition).mu[:, :8], again[0])


def test_elements_may_be_their_fractions_alone():
    network = used(small("spectral", elements="fractions"))
    assert network.composition_encoder.trunk.features.n_out == 118
    pattern, composition = inputs(network, 2)
    assert network.latent(pattern, composition).mu.shape == (2, 16)
