r"""How alike two densities are: SSIM, PSNR and NMAE, in batches, over orientations and origins.

    SSIM = mean over windows of (2 mu_a mu_b + C1)(2 s_ab + C2) / ((mu_a^2 + mu_b^2 + C1)(s_a^2 + s_b^2 + C2))
    PSNR = 10 log10(data_range^2 / MSE)                                        (paper, eqs. 8-9)

with scikit-image's conventions: uniform 7^3 windows, C1 = (0.01 L)^2, C2 = (0.03 L)^2, sample covariance,
mean over the voxels whose window lies inside the array. A crystal has no border: `periodic=True` lets the
windows wrap instead. Window sums run as shifted additions, four an axis.

>>> truth = torch.rand(8, 8, 8, generator=torch.Generator().manual_seed(0))
>>> ssim(truth, truth, data_range=1.0), psnr(truth, truth + 0.1, data_range=1.0), nmae(truth, 0.9 * truth)
(1.0, 19.999998092651367, 0.10000002384185791)
>>> moved = align(truth, truth.roll((1, 0, 2), (0, 1, 2)), np.eye(3)[None])
>>> moved.shift, torch.equal(moved.aligned, truth)  # an origin that no powder pattern shows
((7, 0, 6), True)
>>> similarity, _ = score_rotations(truth, truth[None])
>>> similarity.shape, float(similarity[0].max())  # 24 rotations, one of them the identity
(torch.Size([1, 24]), 1.0)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.symmetry import ROTATIONS, rotate

WINDOW, K1, K2 = 7, 0.01, 0.03  # paper, 'Metrics'; Wang et al. 2004
DensityLike = torch.Tensor | np.ndarray

_EDGE = WINDOW // 2
_BESSEL = WINDOW**3 / (WINDOW**3 - 1)  # sample covariance


def ssim(a: DensityLike, b: DensityLike, data_range: float, periodic: bool = False) -> float | torch.Tensor:
    """Structural similarity of (..., n, n, n) densities; float for one pair, else (...) tensor.

    Equal to scikit-image's structural_similarity(win_size=7) to rounding. `data_range` in the densities'
    own units; the paper takes the truth's max - min.
    """
    a, b = _pair(a, b)
    a, b = (_wrapped(x / data_range) if periodic else x / data_range for x in (a, b))
    shape = a.shape[-3:]
    return _unwrapped(_ssim(_moments(a, shape), _moments(b, shape), _window_mean(a * b, shape), shape))


def psnr(a: DensityLike, b: DensityLike, data_range: float) -> float | torch.Tensor:
    """Peak signal-to-noise ratio in dB of (..., n, n, n) densities; infinite where they are equal."""
    a, b = _pair(a, b)
    return _unwrapped(_psnr(((a - b) ** 2).mean((-3, -2, -1)), data_range))


def nmae(truth: DensityLike, answer: DensityLike) -> float | torch.Tensor:
    """Normalised mean absolute error, sum |truth - answer| / sum |truth|, over the last three axes."""
    truth, answer = _pair(truth, answer)
    return _unwrapped((truth - answer).abs().sum((-3, -2, -1)) / truth.abs().sum((-3, -2, -1)))


def score_rotations(
    truth: torch.Tensor, samples: torch.Tensor, rotations: np.ndarray = ROTATIONS
) -> tuple[torch.Tensor, torch.Tensor]:
    """SSIM and PSNR of every sample under every rotation about the cell's origin ('paper' protocol).

    Turning a sample is turning the truth backwards, and a symmetric truth looks the same from several sides:
    each distinct view of it is scored once.

    Args:
        truth: (n, n, n).
        samples: (K, n, n, n).
        rotations: (R, 3, 3) integers.

    Returns:
        ssim (K, R) and psnr (K, R), data range = truth max - min.
    """
    data_range = float(truth.max() - truth.min())
    truth, samples = truth / data_range, samples / data_range
    inverses = [np.linalg.inv(rotation).round() for rotation in rotations]
    views, view_of = _distinct(rotate(truth, inverse) for inverse in inverses)
    shape = truth.shape
    sample_moments = [_moments(sample, shape) for sample in samples]
    similarity = samples.new_empty(len(samples), len(views))
    error = torch.empty_like(similarity)
    for v, view in enumerate(views):
        view_moments = _moments(view, shape)
        for k, (sample, moments) in enumerate(zip(samples, sample_moments, strict=True)):
            similarity[k, v] = _ssim(view_moments, moments, _window_mean(view * sample, shape), shape)
            error[k, v] = torch.nn.functional.mse_loss(view, sample)
    return similarity[:, view_of], _psnr(error, 1.0)[:, view_of]


def _distinct(views, tolerance: float = 1e-6) -> tuple[list[torch.Tensor], list[int]]:
    """The views that differ by more than `tolerance` anywhere, and which of them each view is."""
    kept: list[torch.Tensor] = []
    prints: list[float] = []
    view_of = []
    for view in views:
        view = view.contiguous()
        # a weighted sum tells most views apart at a glance; only equal sums are compared in full
        fingerprint = float(view[0].flatten() @ torch.arange(view[0].numel()).to(view))
        near = 1e-4 * abs(fingerprint) + 1e-6
        twin = len(kept)
        for i, other in enumerate(kept):
            if abs(prints[i] - fingerprint) <= near and (view - other).abs().max() <= tolerance:
                twin = i
                break
        if twin == len(kept):
            kept.append(view)
            prints.append(fingerprint)
        view_of.append(twin)
    return kept, view_of


class Alignment(NamedTuple):
    """The operation and grid shift that bring an answer onto the truth with least squared error."""

    aligned: torch.Tensor  # (n, n, n)
    operation: np.ndarray  # (3, 3)
    shift: tuple[int, int, int]  # voxels


def align(truth: torch.Tensor, answer: torch.Tensor, operations: ArrayLike) -> Alignment:
    """Best of all `operations` x n^3 origins, found exactly by cross-correlation (one FFT pair an operation).

    Args:
        truth, answer: (n, n, n).
        operations: (m, 3, 3) integers, e.g. `symmetry.lattice_operations(lattice)`.
    """
    n = truth.shape[-1]
    spectrum = torch.fft.rfftn(truth)
    # an operation that turns the truth into a view already seen can bring nothing new
    _, view_of = _distinct(rotate(truth, np.linalg.inv(operation)) for operation in operations)
    _, first_of_each = np.unique(view_of, return_index=True)
    best, best_correlation = None, -np.inf
    for operation in np.asarray(operations)[first_of_each]:
        turned = rotate(answer, operation)
        correlation = torch.fft.irfftn(spectrum * torch.fft.rfftn(turned).conj(), s=(n, n, n))
        place = int(correlation.argmax())
        if (value := float(correlation.flatten()[place])) > best_correlation * (1 + 1e-6):
            best, best_correlation = (operation, place), value
    operation, place = best
    shift = tuple(int(i) for i in np.unravel_index(place, (n, n, n)))
    return Alignment(rotate(answer, operation).roll(shift, (0, 1, 2)), operation, shift)


class Moments(NamedTuple):
    """Window statistics of one density scaled to data range 1, as the SSIM ratio needs them."""

    mean: torch.Tensor
    mean_square: torch.Tensor  # mu^2 + C1 / 2
    variance: torch.Tensor  # s^2 + C2 / 2, s^2 the sample variance


def _moments(x: torch.Tensor, shape) -> Moments:
    mean = _window_mean(x, shape)
    square = mean * mean
    variance = (_window_mean(x * x, shape) - square) * _BESSEL
    return Moments(mean, square + K1**2 / 2, variance + K2**2 / 2)


def _ssim(a: Moments, b: Moments, mean_product: torch.Tensor, shape) -> torch.Tensor:
    """SSIM averaged over the windows; numerator and denominator are both divided by four."""
    product = a.mean * b.mean
    covariance = (mean_product - product).mul_(_BESSEL).add_(K2**2 / 2)
    ratio = product.add_(K1**2 / 2).mul_(covariance)
    ratio.div_((a.mean_square + b.mean_square).mul_(a.variance + b.variance))
    n, m, k = shape
    windows = ratio.as_strided(
        (*ratio.shape[:-1], n - 2 * _EDGE, m - 2 * _EDGE, k - 2 * _EDGE), (*ratio.stride()[:-1], m * k, k, 1)
    )
    return 4 * windows.mean((-3, -2, -1))


def _window_mean(x: torch.Tensor, shape) -> torch.Tensor:
    """Mean over the 7^3 windows of the last three axes, (..., n, m, k) -> (..., windows).

    The axes stay flattened: a step along an axis is a shift of the flat array, which keeps every addition
    contiguous. Windows that would cross a border hold sums that nobody reads.
    """
    n, m, k = shape
    x = x.reshape(*x.shape[:-3], n * m * k)
    for step in (m * k, k, 1):
        length = x.shape[-1] - 2 * _EDGE * step
        pairs = x[..., : length + 5 * step] + x[..., step:]
        # 7 = 2 + 2 + 2 + 1
        total = pairs[..., :length] + pairs[..., 2 * step : 2 * step + length]
        x = total.add_(pairs[..., 4 * step : 4 * step + length]).add_(x[..., 6 * step :])
    return x.div_(WINDOW**3)


def _wrapped(x: torch.Tensor) -> torch.Tensor:
    """The crystal continued by half a window beyond each face."""
    for axis in (-3, -2, -1):
        n = x.shape[axis]
        x = torch.cat([x.narrow(axis, n - _EDGE, _EDGE), x, x.narrow(axis, 0, _EDGE)], axis)
    return x


def _psnr(mean_square_error: torch.Tensor, data_range: float) -> torch.Tensor:
    return 10 * torch.log10(data_range**2 / mean_square_error)


def _pair(a: DensityLike, b: DensityLike) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = (torch.as_tensor(x) for x in (a, b))
    if a.shape[-3:] != b.shape[-3:]:
        raise CrystalNetError(
            f"The densities differ in shape: {tuple(a.shape)} and {tuple(b.shape)}. Sample both on one grid.",
            Code.BAD_ARGUMENT,
        )
    dtype = torch.promote_types(
        torch.promote_types(a.dtype, b.dtype), torch.float32
    )  # float16 is storage only
    return a.to(dtype), b.to(dtype)


def _unwrapped(value: torch.Tensor):
    return float(value) if value.dim() == 0 else value
