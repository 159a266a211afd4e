r"""Powder peaks on a logarithmic axis, where a change of scale is a shift.

A crystal that is stretched by a factor f keeps its structure factors, up to the form factors' slow fall, and
every peak moves from s = sin(theta) / lambda = 1 / (2 d) to s / f: on the axis log s all peaks move together.
Without the Lorentz-polarisation factor, which depends on the angle and so on wavelength and scale, the
intensities stay. A profile is what remains of a powder pattern when wavelength and instrument are taken out.

>>> from crystalnet.physics.atoms import Atoms
>>> polonium = [Atoms(a * np.eye(3), np.zeros((1, 3)), np.array(["Po"])) for a in (3.35, 3.5)]
>>> _, profiles = patterns_and_profiles(polonium)
>>> bins = torch.tensor([round(math.log(3.5 / 3.35) / LOG_STEP)])  # to smaller s
>>> round(float(torch.cosine_similarity(shifted(profiles[:1], -bins), profiles[1:])), 2)
0.95
>>> round(float(compression(-bins) * 3.5**3 / 3.35**3), 2)  # the density falls by the ratio of the volumes
1.0
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import AtomsLike
from crystalnet.physics.diffraction import (
    MO_K_ALPHA,
    N_BINS,
    Peaks,
    batch_peaks,
    binned,
    lorentz_polarisation,
)

N_LOG_BINS = 768  # our choice: 0.44 % of d a bin, about what a laboratory instrument resolves
LOWEST, HIGHEST = 0.05, 1.42  # 1/Å: d from 10 to 0.352 Å, all that Mo K-alpha reaches
LOG_STEP = math.log(HIGHEST / LOWEST) / N_LOG_BINS
SMEAR = 1.0  # standard deviation of a peak in bins: a shift by part of a bin then changes little
_REACH = 3  # bins beside its own that a peak is smeared over, our choice: three standard deviations


def patterns_and_profiles(structures: Sequence[AtomsLike]) -> tuple[torch.Tensor, torch.Tensor]:
    """Both views of the ideal powder patterns of many crystals, (B, 1024) and (B, 768) float32, highest 1.

    Args:
        structures: ordered pymatgen Structures, or Atoms.

    Raises:
        CrystalNetError: as in `diffraction.powder_peaks`; the message counts out the crystal.
    """
    patterns = torch.zeros(len(structures), N_BINS)
    profiles = torch.zeros(len(structures), N_LOG_BINS)
    for rows, rings, intensity in batch_peaks(structures, MO_K_ALPHA):
        patterns[rows] = binned(rings.crystal, rings.two_theta, intensity, len(rows), N_BINS)
        amplitude = intensity / lorentz_polarisation(rings.two_theta)
        profiles[rows] = smeared(rings.crystal, bin_of(rings.g / 2), amplitude, len(rows))
    return patterns, profiles


def log_profile(peaks: Peaks) -> np.ndarray:
    """The profile (768,) float32 of peaks measured or computed at any wavelength, highest bin 1.

    Args:
        peaks: their angles give the Lorentz-polarisation factor (no monochromator), their d their place.

    Raises:
        CrystalNetError: no peak lies between d = 0.352 and 10 Å, or a value is not finite or is negative.

    >>> d = np.array([2.0, 1.0])
    >>> peaks = Peaks(np.degrees(2 * np.arcsin(1.5406 / 2 / d)), np.array([100.0, 20.0]), d)
    >>> int(log_profile(peaks).argmax()), int(bin_of(torch.tensor(1 / 4)))  # the place of d = 2 Å
    (369, 369)
    """
    values = np.stack([np.asarray(part, float) for part in peaks])
    if not np.isfinite(values).all() or (values < 0).any() or (values[2] == 0).any():
        raise CrystalNetError(
            "A peak holds NaN, infinite or negative values. Clean the list of peaks.", Code.BAD_PEAKS
        )
    two_theta, intensity, d_spacing = torch.from_numpy(values)
    crystal = torch.zeros(len(d_spacing), dtype=torch.int32)
    amplitude = intensity / lorentz_polarisation(two_theta)
    profile = smeared(crystal, bin_of(1 / (2 * d_spacing)), amplitude, 1)[0].numpy()
    if not profile.max() > 0:
        raise CrystalNetError(
            f"No peak lies between d = {1 / (2 * HIGHEST):.3f} and {1 / (2 * LOWEST):.0f} Å. Check the"
            " wavelength.",
            Code.BAD_PEAKS,
        )
    return profile


def shifted(patterns: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Each pattern (B, n) moved up by its number of bins (B,); zeros come in.

    Of a profile: the profile of the crystal stretched by exp(-bins LOG_STEP), up to peaks at the axis' ends,
    whose density is `compression(bins)` times as high.
    """
    n = patterns.shape[1]
    source = torch.arange(n, device=patterns.device) - bins[:, None]
    inside = (source >= 0) & (source < n)
    return patterns.gather(1, source.clamp(0, n - 1)) * inside


def compression(bins: torch.Tensor) -> torch.Tensor:
    """By how much a density grows when its crystal's profile moves up by `bins`: the volume's inverse."""
    return (3 * LOG_STEP * bins).exp()


def bin_of(s: torch.Tensor) -> torch.Tensor:
    """Where s (1/Å) lies on the axis, in bins and parts of a bin; bin b covers b to b + 1.

    >>> bin_of(torch.tensor([LOWEST, HIGHEST])).round(decimals=2)
    tensor([  0., 768.])
    """
    return (s / LOWEST).log() / LOG_STEP


def s_of(place: torch.Tensor) -> torch.Tensor:
    """The s (1/Å) at a place on the axis, in bins: the inverse of `bin_of`.

    >>> s_of(bin_of(torch.tensor([0.25, 1.0])))
    tensor([0.2500, 1.0000])
    """
    return LOWEST * (LOG_STEP * place).exp()


def smeared(
    crystal: torch.Tensor, place: torch.Tensor, intensity: torch.Tensor, n_crystals: int
) -> torch.Tensor:
    """Peaks as Gaussians, (n_crystals, 768) float32, the highest bin of a crystal 1.

    Args:
        crystal: (P,) which crystal each peak is of.
        place: (P,) in bins, see `bin_of`; what lies beyond the axis is left out.
        intensity: (P,) without Lorentz-polarisation factor, on a scale of the crystal's own.

    >>> one = smeared(torch.tensor([0]), torch.tensor([100.5]), torch.tensor([7.0]), 1)
    >>> one[0, 99:102]  # exp(-1/2) of the height a bin beside it
    tensor([0.6065, 1.0000, 0.6065])
    """
    dtype = torch.result_type(place, intensity)
    profiles = torch.zeros(n_crystals * N_LOG_BINS, dtype=dtype, device=place.device)
    for offset in range(-_REACH, _REACH + 1):
        bins = place.floor().long() + offset
        height = intensity * (-0.5 * ((bins + 0.5 - place) / SMEAR) ** 2).exp()
        inside = (bins >= 0) & (bins < N_LOG_BINS)
        profiles.index_add_(0, (crystal.long() * N_LOG_BINS + bins)[inside], height[inside])
    profiles = profiles.view(n_crystals, N_LOG_BINS).float()
    return profiles / profiles.amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
