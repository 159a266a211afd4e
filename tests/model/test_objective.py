"""The loss against torch.distributions and numpy, points and augmentation against what the paper says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal

from crystalnet.model.encoders import Latent
from crystalnet.model.objective import (
    augment,
    kl_divergence,
    learning_rate,
    reconstruction_loss,
    stratified_voxels,
)
from crystalnet.settings import TrainingParams


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------ divergence


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 40), st.floats(0.3, 3))
def test_twice_the_analytic_divergence_a_dimension(seed, n_crystals, n_latent, spread):
    """-mean(1 + log s^2 - mu^2 - s^2) = 2 KL(N(mu, s^2) || N(0, 1)) / dimensions, averaged over the batch.

    The 1e-4 inside the logarithm lowers it by mean(log(1 + 1e-4 / s^2)).
    """
    mu = torch.randn(n_crystals, n_latent, generator=_generator(seed), dtype=torch.float64)
    size = spread * (0.1 + torch.rand(mu.shape, generator=_generator(seed + 1), dtype=torch.float64))
    sign = torch.randn(mu.shape, generator=_generator(seed + 2), dtype=torch.float64).sign()
    exact = torch.distributions.kl_divergence(Normal(mu, size), Normal(0.0, 1.0)).sum(1)  # (B,)
    expected = (2 * exact / n_latent).mean() - torch.log1p(1e-4 / size**2).mean()
    torch.testing.assert_close(kl_divergence(Latent(mu, sign * size)), expected)


def test_divergence_is_finite_where_sigma_crosses_zero_and_least_at_the_prior():
    sigma = torch.zeros(1, 4, requires_grad=True)
    value = kl_divergence(Latent(torch.zeros(1, 4), sigma))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(sigma.grad).all()
    at_prior = kl_divergence(Latent(torch.zeros(1, 4), torch.ones(1, 4)))
    assert float(at_prior) == pytest.approx(0, abs=2e-4)
    for mu, s in ((0.3, 1.0), (0.0, 0.7), (0.0, -1.4)):
        assert kl_divergence(Latent(torch.full((1, 4), mu), torch.full((1, 4), s))) > at_prior


# ------------------------------------------------------------------ reconstruction


def _densities(seed: int, n_crystals: int = 3, n_points: int = 20) -> tuple[torch.Tensor, ...]:
    """Predicted and true densities, the predicted ones partly negative, and the highest of each crystal."""
    rho = 5 * torch.rand(n_crystals, n_points, generator=_generator(seed)) ** 4
    predicted = rho + 0.5 * torch.randn(rho.shape, generator=_generator(seed + 1))
    return predicted, rho, 1 + rho.amax(1, keepdim=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_reconstruction_is_what_numpy_makes_of_the_formulas(seed):
    predicted, rho, highest = _densities(seed)
    p, r, h = (x.double().numpy() for x in (predicted, rho, highest))
    density = reconstruction_loss(predicted, rho, highest, "density")
    assert float(density) == pytest.approx(np.mean(np.abs(p - r)), rel=1e-5)
    off = (np.sign(p) * np.sqrt(np.abs(p)) - np.sqrt(r)) / np.sqrt(h)
    amplitude = reconstruction_loss(predicted, rho, highest, "amplitude")
    assert float(amplitude) == pytest.approx(np.mean(np.abs(off) + 3 * off**2), rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_the_amplitude_loss_has_no_unit(seed, scale):
    """Crystals of high density, or of many electrons a voxel, count no more than others."""
    densities = _densities(seed)
    loss, scaled = (reconstruction_loss(*(k * x for x in densities), "amplitude") for k in (1, scale))
    assert float(scaled) == pytest.approx(float(loss), rel=1e-3)
    each = [reconstruction_loss(*(x[i : i + 1] for x in densities), "amplitude") for i in range(3)]
    assert float(loss) == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)


@pytest.mark.parametrize("kind", ["density", "amplitude"])
def test_the_truth_costs_nothing_and_errors_cost_the_more_the_larger(kind):
    _, rho, highest = _densities(0)
    steps = torch.linspace(0, 4, 9)
    for sign in (1, -1):  # too much, and too little, down to negative densities
        costs = [float(reconstruction_loss(rho + sign * step, rho, highest, kind)) for step in steps]
        assert costs[0] == pytest.approx(0, abs=1e-5) and (np.diff(costs) > 0).all()


def test_the_amplitude_loss_sees_faint_regions():
    """An error of a tenth where there is little, and where there is much."""
    rho, highest = torch.tensor([[0.01, 9.0]]), torch.tensor([[9.0]])
    faint, bright = (
        reconstruction_loss(rho + 0.1 * torch.eye(2)[i], rho, highest, "amplitude") for i in (0, 1)
    )
    assert faint > 10 * bright


def test_ripples_below_zero_in_the_truth_are_nothing():
    highest, predicted = torch.tensor([[2.0]]), torch.tensor([[0.5, 0.0]])
    rippled, flat = (
        reconstruction_loss(predicted, torch.tensor([[0.5, low]]), highest, "amplitude") for low in (-1e-2, 0)
    )
    assert rippled == flat


@pytest.mark.parametrize("kind", ["density", "amplitude"])
@pytest.mark.parametrize("value", [0.0, 1e-30, -1e-30, -1e-3, 1e-3])
def test_slopes_are_finite_at_zero_density(kind, value):
    predicted = torch.full((1, 4), value, requires_grad=True)
    reconstruction_loss(predicted, torch.rand(1, 4) + 0.1, torch.ones(1, 1), kind).backward()
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad < 0).all() or value == 0  # upwards, towards the truth


def test_roots_of_a_square_have_a_bounded_slope():
    """As the spectral network predicts them: the root undoes the square, also next to zero."""
    s = torch.tensor([[-1.0, -1e-4, -1e-7, 1e-7, 1e-4, 1.0]], requires_grad=True)
    reconstruction_loss(s * s.abs(), torch.full((1, 6), 4.0), torch.full((1, 1), 4.0), "amplitude").backward()
    assert torch.isfinite(s.grad).all() and s.grad.abs().max() < 2
    expected = -(1 + 6 * (2 - s.detach()) / 2) / 2 / 6  # of |r| + 3 r^2, r = (s - 2) / 2, over six points
    torch.testing.assert_close(s.grad[:, [0, 1, 4, 5]], expected[:, [0, 1, 4, 5]], rtol=1e-3, atol=0)


# ------------------------------------------------------------------ points


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_one_voxel_in_each_cell(seed, n_crystals, strata, voxels_a_cell):
    n = strata * voxels_a_cell
    voxels = stratified_voxels(n_crystals, strata, n, _generator(seed))
    assert voxels.shape == (n_crystals, strata**3, 3)
    for crystal in voxels // voxels_a_cell:
        assert {tuple(cell) for cell in crystal.tolist()} == set(np.ndindex(strata, strata, strata))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 30))
def test_points_stay_on_any_grid(seed, strata, n):
    voxels = stratified_voxels(2, strata, n, _generator(seed))
    assert voxels.min() >= 0 and voxels.max() < n
    # a cell [c, c + 1) / strata holds grid points from its floor on
    c = torch.cartesian_prod(*[torch.arange(strata)] * 3).view(1, -1, 3)
    assert ((voxels >= (c * n).div(strata, rounding_mode="floor")) & (voxels * strata < (c + 1) * n)).all()


def test_every_voxel_is_as_likely():
    """Each of 8^3 voxels is one of the 2^3 in its cell: a binomial count within five standard deviations."""
    n_draws, n = 4000, 8
    voxels = stratified_voxels(n_draws, 4, n, _generator(0)).view(-1, 3)
    counts = torch.bincount((voxels[:, 0] * n + voxels[:, 1]) * n + voxels[:, 2], minlength=n**3).float()
    assert (counts - n_draws / 8).abs().max() < 5 * (n_draws * (1 / 8) * (7 / 8)) ** 0.5


def test_crystals_and_draws_differ():
    generator = _generator(0)
    first, second = stratified_voxels(2, 4, 40, generator), stratified_voxels(2, 4, 40, generator)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first, second)


# ------------------------------------------------------------------ augmentation


def _inputs(n_crystals: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    positive = torch.rand(n_crystals, 73, generator=_generator(seed)) + 0.1
    return positive[:, :64], positive[:, 64:]


def test_no_shift_and_no_noise_change_nothing():
    pattern, composition = _inputs(4)
    changed = augment(pattern, composition, _generator(0), 0, 0.0)
    assert torch.equal(changed[0], pattern) and torch.equal(changed[1], composition)


def test_shifts_go_both_ways_equally_often_and_let_zeros_in():
    n_crystals, reach = 4000, 3
    pattern, composition = _inputs(n_crystals)
    shifted, same, shifts = augment(pattern, composition, _generator(0), reach, 0.0)
    assert torch.equal(same, composition)
    counts = dict.fromkeys(range(-reach, reach + 1), 0)
    for before, after, stated in zip(pattern.numpy(), shifted.numpy(), shifts.tolist(), strict=True):
        # positive: every peak at a higher angle
        candidates = {s: np.pad(before, (max(s, 0), max(-s, 0))) for s in counts}
        candidates = {s: x[-s:] if s < 0 else x[: len(before)] for s, x in candidates.items()}
        (found,) = (s for s, x in candidates.items() if np.array_equal(x, after))
        assert found == stated
        counts[found] += 1
    expected = n_crystals / (2 * reach + 1)
    assert max(abs(count - expected) for count in counts.values()) < 5 * expected**0.5


def test_noise_has_the_stated_spread_and_is_clamped():
    ones, zeros = torch.ones(200, 500), torch.zeros(200, 500)
    pattern, composition, _ = augment(ones, zeros, _generator(0), 0, 0.02)
    assert float((pattern - 1).std()) == pytest.approx(0.02, rel=0.02)
    assert float((pattern - 1).mean()) == pytest.approx(0, abs=5e-4)
    assert composition.min() == 0 and float((composition == 0).float().mean()) == pytest.approx(0.5, abs=0.01)
    # half of a Gaussian at zero: <x^2> = sd^2 / 2
    assert float(composition.square().mean().sqrt()) == pytest.approx(0.02 / 2**0.5, rel=0.02)


def test_composition_is_not_normalised_again():
    composition = torch.full((50, 4), 0.25)
    _, noisy, _ = augment(torch.ones(50, 8), composition, _generator(0), 0, 0.01)
    assert float(noisy.sum(1).std()) == pytest.approx(0.02, rel=0.4)


# ------------------------------------------------------------------ schedule


@pytest.mark.parametrize(("restart_epochs", "restart_factor"), [(100, 2), (7, 1), (5, 3), (1, 2)])
def test_learning_rate_is_torchs_cosine_with_warm_restarts(restart_epochs, restart_factor):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, restart_epochs, restart_factor, eta_min=1e-6
    )
    settings = TrainingParams(restart_epochs=restart_epochs, restart_factor=restart_factor)
    rates, expected = [], []
    for epoch in range(1500):
        rates.append(learning_rate(epoch, settings))
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert max(rates) == pytest.approx(1e-3) and min(rates) >= 1e-6
