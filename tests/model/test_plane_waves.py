"""Plane waves against their definition, summed wave by wave, and against numpy's transform."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystalnet.errors import CrystalNetError
from crystalnet.model.plane_waves import PlaneWaves

TOLERANCE = {"rtol": 0, "atol": 1e-5}  # float32, of numbers of order 1

radii = st.integers(1, 4)
seeds = st.integers(0, 10**6)


def coefficients(waves: PlaneWaves, seed: int, n_functions: int = 2) -> torch.Tensor:
    """Of functions with a mean square of 1."""
    drawn = torch.randn(n_functions, len(waves), generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=1, keepdim=True)


def points(n: int) -> np.ndarray:
    """The grid of coordinates i / n, (n^3, 3)."""
    return np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), -1).reshape(-1, 3)


def summed(waves: PlaneWaves, c: torch.Tensor, x: np.ndarray) -> np.ndarray:
    """The definition, wave by wave in double precision: (B, P) at points (P, 3)."""
    m, c = len(waves.h), c.double().numpy()
    s = np.repeat(c[:, :1], len(x), axis=1)
    for h, a, b in zip(waves.h.numpy(), c[:, 1 : 1 + m].T, c[:, 1 + m :].T, strict=True):
        phase = 2 * np.pi * (x @ h)
        s += np.sqrt(2) * (a[:, None] * np.cos(phase) - b[:, None] * np.sin(phase))
    return s


def in_sphere(radius: int, n: int) -> np.ndarray:
    """Which waves of an n^3 transform lie in the sphere, (n, n, n)."""
    h = np.fft.fftfreq(n, 1 / n)
    return (h[:, None, None] ** 2 + h[:, None] ** 2 + h**2) <= radius**2


# ------------------------------------------------------------------ which waves


@pytest.mark.parametrize("radius", range(1, 7))
def test_one_wave_of_each_pair_in_the_sphere_shortest_first(radius):
    h = PlaneWaves(radius).h.numpy()
    chosen = {tuple(v) for v in h.tolist()}
    both = chosen | {tuple(-i for i in v) for v in chosen}
    inside = {v for v in (np.ndindex(*[2 * radius + 1] * 3))}
    inside = {tuple(i - radius for i in v) for v in inside}
    assert both == {v for v in inside if 0 < sum(i * i for i in v) <= radius**2}
    assert len(both) == 2 * len(chosen) == 2 * len(h) == len(PlaneWaves(radius)) - 1
    assert (np.diff((h**2).sum(1)) >= 0).all()


@pytest.mark.parametrize("h", [(1, 0, 0), (0, 0, 2), (-1, 1, 0), (1, -2, 1)])
@pytest.mark.parametrize("n", [7, 8, 4])
def test_one_wave(h, n):
    waves = PlaneWaves(3)
    (m,) = (i for i, v in enumerate(waves.h.tolist()) if tuple(v) == h)
    c = torch.zeros(2, len(waves))
    c[0, 1 + m], c[1, 1 + len(waves.h) + m] = 1.0, 1.0
    phase = (2 * np.pi * (points(n) @ h)).reshape(n, n, n)
    cosine, sine = waves.on_grid(c, n)
    np.testing.assert_allclose(cosine, np.sqrt(2) * np.cos(phase), **TOLERANCE)
    np.testing.assert_allclose(sine, -np.sqrt(2) * np.sin(phase), **TOLERANCE)


# ------------------------------------------------------------------ grids and points


@settings(max_examples=40, deadline=None)
@given(radii, st.integers(1, 12), seeds)
def test_functions_on_any_grid_are_the_sums_of_their_waves(radius, n, seed):
    """Grids too coarse to hold the waves as well."""
    waves = PlaneWaves(radius)
    c = coefficients(waves, seed)
    grid = waves.on_grid(c, n)
    assert grid.shape == (2, n, n, n) and grid.dtype == torch.float32
    np.testing.assert_allclose(grid.flatten(1), summed(waves, c, points(n)), **TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(radii, seeds)
def test_functions_at_any_point_are_the_sums_of_their_waves(radius, seed):
    waves, x = PlaneWaves(radius), np.random.default_rng(seed).random((20, 3))
    c = coefficients(waves, seed)
    at = c @ waves.at(torch.from_numpy(x)).T
    np.testing.assert_allclose(at, summed(waves, c, x), **TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(radii, st.integers(1, 9), seeds)
def test_a_grid_is_its_points(radius, n, seed):
    waves = PlaneWaves(radius)
    c = coefficients(waves, seed)
    at = c @ waves.at(torch.from_numpy(points(n))).T
    torch.testing.assert_close(waves.on_grid(c, n).flatten(1), at, **TOLERANCE)


@pytest.mark.parametrize(("n", "finer"), [(1, 9), (2, 5), (4, 3), (5, 2), (8, 2), (9, 3)])
def test_a_coarse_grid_is_part_of_a_fine_one(n, finer):
    """With a radius of 4 the first five hold too few points for the transform."""
    waves = PlaneWaves(4)
    c = coefficients(waves, 0)
    fine = waves.on_grid(c, finer * n)[:, ::finer, ::finer, ::finer]
    torch.testing.assert_close(waves.on_grid(c, n), fine, **TOLERANCE)


@settings(max_examples=20, deadline=None)
@given(radii, st.tuples(*[st.integers(-3, 3)] * 3), seeds)
def test_functions_repeat_with_the_lattice(radius, move, seed):
    waves, generator = PlaneWaves(radius), torch.Generator().manual_seed(seed)
    x = torch.rand(20, 3, generator=generator)
    moved = waves.at(x + torch.tensor(move))
    torch.testing.assert_close(moved, waves.at(x), rtol=0, atol=3e-4)  # the phase of many turns


# ------------------------------------------------------------------ back again


@settings(max_examples=30, deadline=None)
@given(radii, st.integers(1, 6), seeds)
def test_coefficients_come_back(radius, more, seed):
    waves = PlaneWaves(radius)
    c = coefficients(waves, seed)
    torch.testing.assert_close(waves.of_grid(waves.on_grid(c, 2 * radius + more)), c, **TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(radii, st.integers(1, 6), seeds)
def test_finer_waves_are_cut_as_numpys_transform_cuts_them(radius, more, seed):
    """What comes back is the field with everything outside the sphere set to zero."""
    waves, n = PlaneWaves(radius), 2 * radius + more
    field = np.random.default_rng(seed).normal(size=(2, n, n, n))
    spectrum = np.fft.fftn(field, axes=(1, 2, 3)) * in_sphere(radius, n)
    cut = np.fft.ifftn(spectrum, axes=(1, 2, 3))
    assert abs(cut.imag).max() < 1e-12
    c = waves.of_grid(torch.from_numpy(field))
    np.testing.assert_allclose(waves.on_grid(c, n), cut.real, **TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(radii, st.integers(1, 6), seeds)
def test_means_of_products_are_products_of_coefficients(radius, more, seed):
    """Parseval, exact on a grid of more than 2 radius points an axis."""
    waves = PlaneWaves(radius)
    c = coefficients(waves, seed, 3)
    s = waves.on_grid(c, 2 * radius + more).flatten(1)
    torch.testing.assert_close(s @ s.T / s.shape[1], c @ c.T, **TOLERANCE)
    torch.testing.assert_close(s.mean(1), c[:, 0], **TOLERANCE)


@pytest.mark.parametrize("radius", [3, 6])
def test_a_grid_too_coarse_for_the_radius_is_one_clear_error(radius):
    waves = PlaneWaves(radius)
    waves.of_grid(torch.zeros(1, *[2 * radius + 1] * 3))
    for n in (radius, 2 * radius):
        with pytest.raises(CrystalNetError, match=rf"Lower model\.radius to {(n - 1) // 2} or less"):
            waves.of_grid(torch.zeros(1, n, n, n))


# ------------------------------------------------------------------ numbers


def test_mixed_precision_rounds_no_phase():
    waves, x = PlaneWaves(4), torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    c = coefficients(waves, 0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, grid = waves.at(x), waves.on_grid(c, 11)
        coarse = waves.on_grid(c.bfloat16(), 11)  # what a product of bfloat16 hands on
    assert torch.equal(mixed, waves.at(x)) and torch.equal(grid, waves.on_grid(c, 11))
    assert coarse.dtype == torch.float32
    torch.testing.assert_close(coarse, grid, rtol=0, atol=0.02)


def test_gradients_flow_through_grid_and_points():
    """The slope of the mean square is twice the coefficients, by Parseval."""
    waves = PlaneWaves(2)
    c = coefficients(waves, 0).requires_grad_()
    for s in (waves.on_grid(c, 5).flatten(1), c @ waves.at(torch.from_numpy(points(5))).T):
        (slope,) = torch.autograd.grad(s.square().mean(1).sum(), c)
        torch.testing.assert_close(slope, 2 * c.detach(), **TOLERANCE)
