r"""Measured powder patterns from the files that diffractometers and beamlines write.

>>> import tempfile
>>> with tempfile.NamedTemporaryFile("w", suffix=".xy") as file:
...     _ = file.write("\n".join(f"{20 - 0.1 * i:.1f} {i % 7}" for i in range(60)))
...     file.flush()
...     read_pattern(file.name, "CuKa").two_theta[:3]
array([14.1, 14.2, 14.3])
>>> checked(Measured(np.arange(60.0)[::-1], np.arange(60.0))).counts[:3]
array([59., 58., 57.])
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import File, refuse, refuse_cut
from crystalnet.patterns.formats import scans_of
from crystalnet.patterns.formats.deviations import ZEROS
from crystalnet.patterns.formats.tables import FEWEST
from crystalnet.patterns.scans import the_one
from crystalnet.patterns.units import two_theta_of
from crystalnet.patterns.wavelengths import wavelength_of

SAME_WAVELENGTH = 2e-3  # relative, our choice: K-alpha-1 and the mean of the doublet are no contradiction


@dataclass(frozen=True, eq=False)
class Measured:
    """One measured powder pattern.

    Attributes:
        two_theta: (N,) degrees, rising.
        counts: (N,), on any scale.
        sigma: (N,) standard deviations of the counts where the file has them.
        wavelength: Å, where it is known.
        name: what messages and figures call it.
        assumptions: what was taken for granted and what was left out when it was read, a sentence each.
    """

    two_theta: np.ndarray
    counts: np.ndarray
    sigma: np.ndarray | None = None
    wavelength: float | None = None
    name: str = "pattern"
    assumptions: tuple[str, ...] = ()


def read_pattern(
    path: str | Path, wavelength: float | str | None = None, *, scan: int | None = None
) -> Measured:
    """The pattern of one file, of any of `formats.FORMATS`.

    The content tells the format, not the suffix. x may be two_theta or theta in degrees or radians, or q, s
    or d in Å, nm or pm, if the header says so. Scans that continue each other are joined. Points are sorted
    by angle, those of equal angle averaged; what had to be assumed or left out stands in `assumptions`.

    Args:
        path: a file.
        wavelength: Å, or a name such as 'CuKa' or 'MoKa1'; it wins over the file's own.
        scan: which one of a file of several, 1 for the first.

    Raises:
        CrystalNetError: a file that can't be read or that holds no usable pattern of X-rays, several scans
            and none chosen, an unknown wavelength.
    """
    wavelength = wavelength_of(wavelength)
    try:
        path = Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        refuse(repr(path), f"it is no path ({error})", "Give the name of a file", Code.BAD_ARGUMENT)
    file = File.at(path)
    found = the_one(scans_of(file), scan, file.name)
    said = list(found.said)
    if wavelength and found.wavelength and abs(wavelength / found.wavelength - 1) > SAME_WAVELENGTH:
        said.append(
            f"the wavelength given, {wavelength:g} Å, takes the place of the file's {found.wavelength:g} Å"
        )
    wavelength = wavelength or found.wavelength
    two_theta, has_angle, remarks = two_theta_of(found.x, found.axis, wavelength, file.name)
    sigma = None if found.sigma is None else found.sigma[has_angle]
    return checked(
        Measured(
            two_theta[has_angle], found.counts[has_angle], sigma, wavelength, file.name, (*said, *remarks)
        )
    )


def checked(pattern: Measured) -> Measured:
    """The pattern sorted by angle, equal angles averaged, without negative ones.

    Raises:
        CrystalNetError: too few points, values that aren't finite, angles beyond 180 degrees, no signal.
    """
    name, said = pattern.name, list(pattern.assumptions)
    try:
        two_theta, counts = (np.asarray(x, float) for x in (pattern.two_theta, pattern.counts))
        sigma = None if pattern.sigma is None else np.asarray(pattern.sigma, float)
    except (TypeError, ValueError) as error:
        refuse(name, f"its angles or counts are no numbers ({error})", "Give arrays of numbers")
    if two_theta.ndim != 1 or counts.shape != two_theta.shape:
        refuse_cut(name, f"{two_theta.size} angles and {counts.size} counts don't fit")
    if sigma is not None and sigma.shape != counts.shape:
        sigma = None
        said.append("the standard deviations are left out: they are not as many as the counts")
    if len(two_theta) < FEWEST:
        refuse(name, f"it holds {len(two_theta)} points, fewer than the {FEWEST} of any pattern")
    if not (np.isfinite(two_theta).all() and np.isfinite(counts).all()):
        refuse(name, "it holds values that are no finite numbers")
    if (n_negative := int((two_theta < 0).sum())) and len(two_theta) - n_negative >= FEWEST:
        positive = two_theta >= 0
        two_theta, counts = two_theta[positive], counts[positive]
        sigma = None if sigma is None else sigma[positive]
        said.append(f"{n_negative} points at negative angles are left out")
    if two_theta.min() < 0 or two_theta.max() > 180:
        refuse(
            name, f"its angles run from {two_theta.min():g} to {two_theta.max():g}, not within 0-180 degrees"
        )
    if counts.max() <= 0 or counts.min() == counts.max():
        refuse(name, "all counts are equal or none is above 0")
    sigma, remark = _usable(sigma)
    two_theta, place, n = np.unique(two_theta, return_inverse=True, return_counts=True)
    if len(two_theta) < max(FEWEST, len(counts) / 2 + 1):
        refuse(name, f"its {len(counts)} points lie at {len(two_theta)} angles only")
    if len(two_theta) < len(counts):
        said.append(f"{len(counts) - len(two_theta)} points share their angle with another and are averaged")
    counts = np.bincount(place, counts) / n
    sigma = None if sigma is None else np.sqrt(np.bincount(place, sigma**2)) / n
    told = tuple(dict.fromkeys(said + remark))
    return replace(pattern, two_theta=two_theta, counts=counts, sigma=sigma, assumptions=told)


def _usable(sigma: np.ndarray | None) -> tuple[np.ndarray | None, list[str]]:
    """Standard deviations above 0: some zeros give way to the least of the others; None if most are zeros."""
    if sigma is None:
        return None, []
    positive = sigma > 0
    if positive.all():
        return sigma, []
    if not np.isfinite(sigma).all() or (sigma < 0).any() or positive.mean() <= ZEROS:
        return None, ["the standard deviations are left out: they are not above 0"]
    least = sigma[positive].min()
    return np.where(positive, sigma, least), [
        f"{int((~positive).sum())} standard deviations of 0 are taken as {least:g}, the least of the others"
    ]
