r"""Profiles as a laboratory would measure them, for training: what `degraded` takes away is what a powder
diffractometer and a search for peaks take away.

- angles end, and with them s = sin(theta) / lambda;
- small crystallites broaden peaks (Scherrer: K / L in 1/d), and what overlaps is found as one peak;
- intensities are wrong: counting, and preferred orientation, which changes each reflection by a factor;
- weak peaks drown in the background;
- the zero of the angles is off.

The ranges are our choice: what laboratories meet.

>>> peaks = torch.tensor([300.5, 500.5]), torch.tensor([1.0, 0.5])  # places in bins, heights
>>> profiles = smeared(torch.zeros(2, dtype=int), *peaks, 1)
>>> which, place, area = found_peaks(profiles, crystallite=1000.0)  # Å
>>> place.round(decimals=1), area.round(decimals=1)
(tensor([300.5000, 500.5000]), tensor([1.0000, 0.5000]))
>>> degraded(profiles, share=1.0, generator=torch.Generator().manual_seed(0)).shape
torch.Size([1, 768])
"""

from __future__ import annotations

import math

import torch

from crystalnet.physics.diffraction import lorentz_polarisation
from crystalnet.physics.profiles import LOG_STEP, N_LOG_BINS, s_of, smeared

WAVELENGTHS = (1.5406, 1.7890, 0.7093, 0.5594)  # Å: K-alpha 1 of Cu, Co, Mo, Ag
LAST_ANGLE = (50.0, 150.0)  # degrees of two_theta
CRYSTALLITES = (50.0, 2000.0)  # Å
SHAPE = 0.9  # Scherrer's K of spheres
WEAKEST = (1e-4, 1e-2)  # of the strongest peak, as it is measured
INTENSITY_ERROR = 0.25  # largest standard deviation of the logarithm
ZERO_ERROR = 0.05  # degrees of two_theta, standard deviation
_FWHM = 2 * math.sqrt(2 * math.log(2))  # of a Gaussian, in standard deviations
_FINEST = 0.5  # standard deviation in bins of the sharpest instrument; less is lost in the profile itself


def degraded(profiles: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Profiles (B, 768), a share of them as measured; see `physics.profiles`.

    Each of these draws its own wavelength, range, errors and limit; the size of crystallites is one for all.

    Args:
        share: 0 to 1, the chance of each.
        generator: on the device of the profiles.
    """
    device = profiles.device
    chosen = torch.rand(len(profiles), generator=generator, device=device) < share
    chosen = chosen.nonzero()[:, 0]  # taking peaks apart costs much: the others are left alone
    n = len(chosen)

    def uniform(low: float, high: float, n: int = n) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=generator, device=device)

    size = uniform(*map(math.log, CRYSTALLITES), 1).exp()
    which = torch.randint(len(WAVELENGTHS), (n,), generator=generator, device=device)
    wavelength = torch.tensor(WAVELENGTHS, device=device)[which]
    last = torch.deg2rad(uniform(*LAST_ANGLE) / 2).sin() / wavelength
    weakest = uniform(*map(math.log, WEAKEST)).exp()
    error = uniform(0, INTENSITY_ERROR)
    zero = torch.deg2rad(ZERO_ERROR * torch.randn(n, generator=generator, device=device))

    crystal, place, intensity = found_peaks(profiles[chosen], size)
    sine = s_of(place) * wavelength[crystal]
    seen = s_of(place) < last[crystal]
    theta = sine.clamp(max=0.999).asin()
    height = intensity * lorentz_polarisation(torch.rad2deg(2 * theta)) * seen
    highest = torch.zeros(n, device=device).scatter_reduce_(0, crystal, height, "amax")
    seen &= height >= (weakest * highest)[crystal]
    noise = torch.randn(len(place), generator=generator, device=device)
    intensity = intensity * (error[crystal] * noise).exp() * seen
    place = place + zero[crystal] / (2 * theta.tan() * LOG_STEP)  # d ln s = cot(theta) d theta
    measured = smeared(crystal, place, intensity, n).to(profiles)
    left = measured.amax(1) > 0  # something must be left to look at
    return profiles.index_copy(0, chosen[left], measured[left])


def found_peaks(
    profiles: torch.Tensor, crystallite: float | torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Peaks as they stand out after broadening: each reaches from one valley to the next.

    Args:
        profiles: (B, 768).
        crystallite: size in Å, which broadens a peak by SHAPE / size in 1/d.

    Returns:
        Which profile each peak is of (P,), its centre of mass in bins (P,), and its area (P,) over that of a
        peak of height 1, all without broadening.
    """
    n, device = len(profiles), profiles.device
    bins = torch.arange(N_LOG_BINS, device=device)
    sigma = SHAPE / crystallite / 2 / _FWHM / (s_of(bins + 0.5) * LOG_STEP)  # s = 1 / (2 d)
    sigma = (sigma.square() + _FINEST**2).sqrt()
    kernel = (-0.5 * ((bins[:, None] - bins) / sigma[:, None]).square()).exp() / sigma[:, None]
    broad = torch.nn.functional.pad(profiles @ kernel, (1, 1))
    left, here, right = broad[:, :-2], broad[:, 1:-1], broad[:, 2:]
    valley = (here <= left) & (here < right)  # where the next peak begins
    basin = valley.cumsum(1) + torch.arange(n, device=device)[:, None] * N_LOG_BINS
    area, moment = torch.zeros(2, n * N_LOG_BINS, device=device)
    area.index_add_(0, basin.flatten(), profiles.flatten())
    moment.index_add_(0, basin.flatten(), (profiles * (bins + 0.5)).flatten())
    peaks = area.nonzero()[:, 0]
    area = area[peaks]
    return peaks // N_LOG_BINS, moment[peaks] / area, area / math.sqrt(2 * math.pi)
