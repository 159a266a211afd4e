r"""Powder patterns of samples as they come into a laboratory: textured, coarse, with a second phase.

    I(hkl) = |F|^2 P(hkl) LP,    P = (r^2 cos^2 alpha + sin^2 alpha / r)^(-3/2),
    F = sum_j [(1 - x_j) f_j + x_j f'_j] exp(2 pi i g . r_j - B s^2)

March and Dollase (J. Appl. Cryst. 19, 267, 1986) for grains that lie on a face, alpha from its normal; x_j of
the atoms of one element are those of a neighbour. Axial divergence draws out peaks to lower angles, towards
where cos(2 phi) = cos(2 theta) / cos(beta) for rays that leave the plane by beta (Cheary and Coelho,
J. Appl. Cryst. 31, 851, 1998). `simulation` has the instrument alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.measured import Measured, checked
from crystalnet.patterns.observed import lp_factor
from crystalnet.patterns.peak_search import K_ALPHA_2, doublet_of
from crystalnet.patterns.peak_shapes import pseudo_voigt
from crystalnet.patterns.simulation import LABORATORY, full_width
from crystalnet.patterns.wavelengths import wavelength_of
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import form_factor
from crystalnet.physics.texture import march_dollase

RANGE = 5.0, 90.0  # degrees, as the minerals of RRUFF are measured
STEP = 0.02  # degrees
DRAWN = 20  # full widths over which a peak is drawn
WEAKEST = 2e-5  # of the strongest: weaker reflections are left out
RAYS = 5  # that stand for an axial divergence


@dataclass(frozen=True)
class Sample:
    """What is not known of a sample and its measurement.

    Attributes:
        counts: of the highest peak.
        crystallite_nm: size of its crystallites.
        microstrain: e, which broadens peaks by 4 e tan(theta) radians.
        grains: standard deviation of the logarithm of an intensity: few grains lie so that it shows.
        b_factor: of all atoms, Å^2.
        face, march: (h, k, l) that grains lie on, in the axes of the atoms, and r: 1 as they fall.
        replaced: element to the element that sits on a part of its sites, and that part.
        height: degrees by which the sample's height shifts peaks, times cos(theta).
        zero_shift: degrees.
        divergence: largest axial angle beta, degrees.
        background: at the first angle as a part of `counts`, falling to a half.
        hump: height of something amorphous as a part of `counts`, at a d of about 4 Å.
        second: the part of a second phase: its highest peak over the first's.
        seed: of the noise.
    """

    counts: float = 1e4
    crystallite_nm: float = 100.0
    microstrain: float = 0.0
    grains: float = 0.0
    b_factor: float = 0.6
    face: tuple[int, int, int] = (0, 0, 1)
    march: float = 1.0
    replaced: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    height: float = 0.0
    zero_shift: float = 0.0
    divergence: float = 0.0
    background: float = 0.02
    hump: float = 0.0
    second: float = 0.0
    seed: int = 0

    @classmethod
    def drawn(cls, rng: np.random.Generator, elements: Mapping[str, str] | None = None) -> Sample:
        """One of the samples that a laboratory may meet. The ranges are our choice, none is fitted.

        Args:
            elements: element to another that may take its sites; a tenth of them at most.

        >>> one = Sample.drawn(np.random.default_rng(0))
        >>> 0.6 <= one.march <= 1 and one.second < 0.15
        True
        """
        replaced = {
            symbol: (other, float(rng.uniform(0, 0.1)))
            for symbol, other in (elements or {}).items()
            if rng.random() < 0.5
        }
        return cls(
            counts=float(10 ** rng.uniform(3, 4.7)),
            crystallite_nm=float(10 ** rng.uniform(1.3, 2.5)),
            microstrain=float(rng.uniform(0, 0.003)),
            grains=float(rng.uniform(0, 0.4)),
            b_factor=float(rng.uniform(0.2, 1.5)),
            face=tuple(np.roll((0, 0, 1), rng.integers(3)).tolist()),
            march=float(rng.choice([1.0, rng.uniform(0.85, 1), rng.uniform(0.6, 0.85)], p=[0.4, 0.35, 0.25])),
            replaced=replaced,
            height=float(rng.normal(0, 0.04)),
            zero_shift=float(rng.normal(0, 0.01)),
            divergence=float(rng.uniform(0, 3)),
            background=float(10 ** rng.uniform(-2, -0.5)),
            hump=float(rng.choice([0.0, rng.uniform(0, 0.1)])),
            second=float(rng.choice([0.0, rng.uniform(0.01, 0.15)], p=[0.7, 0.3])),
            seed=int(rng.integers(2**31)),
        )


def measured_sample(
    atoms: Atoms,
    sample: Sample,
    other: Atoms | None = None,
    *,
    wavelength: float | str = "CuKa",
    two_theta_range: tuple[float, float] = RANGE,
    step: float = STEP,
) -> Measured:
    """The pattern that a laboratory measures of a sample.

    Args:
        atoms: of the crystal.
        other: of the second phase, where `sample.second` is not 0.
        wavelength: a name or Å; of a doublet both lines are drawn.
        two_theta_range, step: degrees.

    Raises:
        CrystalNetError: a range, step or wavelength that cannot be; a second phase without atoms.

    >>> salt = Atoms(5.64 * np.eye(3), np.array([[0, 0, 0], [.5, .5, 0], [.5, 0, .5], [0, .5, .5],
    ...     [.5, .5, .5], [0, 0, .5], [0, .5, 0], [.5, 0, 0]]), np.repeat(["Na", "Cl"], 4))
    >>> pattern = measured_sample(salt, Sample(counts=1000, height=0.1))
    >>> float(pattern.two_theta[pattern.counts.argmax()].round(1))  # 200: 31.7 degrees, and the height
    31.8
    """
    low, high = two_theta_range
    if not (0 < low < high < 180 and step > 0):
        raise CrystalNetError(
            "A pattern needs angles within 0 to 180 degrees and a step above 0.", Code.BAD_ARGUMENT
        )
    if sample.second and other is None:
        raise CrystalNetError("A second phase needs its atoms: give `other`.", Code.BAD_ARGUMENT)
    wavelength = wavelength_of(wavelength)
    two_theta = np.arange(low, high + step / 2, step)
    curve = _curve(two_theta, atoms, sample, wavelength)
    if sample.second:
        curve = curve / curve.max()
        second = _curve(two_theta, other, Sample(crystallite_nm=sample.crystallite_nm), wavelength)
        curve += sample.second * second / max(second.max(), 1e-30)
    curve /= curve.max()
    fall = np.exp2(-(two_theta - low) / (high - low))
    amorphous = np.exp(-(((two_theta - np.degrees(wavelength / 4)) / 6) ** 2))
    expected = sample.counts * (curve + sample.background * fall + sample.hump * amorphous)
    counts = np.random.default_rng(sample.seed).poisson(expected).astype(float)
    return checked(Measured(two_theta, counts, None, wavelength, "simulated sample"))


def reflections_of(atoms: Atoms, sample: Sample, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """s in 1/Å (M,), rising, and intensity (M,) without LP of the reflections up to s = highest.

    >>> iron = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
    >>> s, intensity = reflections_of(iron, Sample(), 0.3)
    >>> (1 / (2 * s[0] ** 2 * 2.87**2)).round(2)  # h^2 + k^2 + l^2 = 4 s^2 a^2 = 2 of 110
    np.float64(1.0)
    """
    reciprocal = np.linalg.inv(atoms.lattice).T
    reach = np.floor(2 * highest * np.linalg.norm(atoms.lattice, axis=1)).astype(int)
    hkl = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1).reshape(-1, 3)
    g = hkl @ reciprocal
    s = np.linalg.norm(g, axis=1) / 2
    kept = (s > 0) & (s <= highest)
    hkl, g, s = hkl[kept], g[kept], s[kept]
    amplitude = np.zeros(len(s), complex)
    symbols = np.array(atoms.symbols)
    for symbol in dict.fromkeys(symbols.tolist()):
        f = form_factor(symbol).at(s)
        if symbol in sample.replaced:
            neighbour, part = sample.replaced[symbol]
            f = (1 - part) * f + part * form_factor(neighbour).at(s)
        amplitude += f * np.exp(2j * np.pi * hkl @ atoms.frac_coords[symbols == symbol].T).sum(1)
    intensity = np.abs(amplitude) ** 2 * np.exp(-2 * sample.b_factor * s**2)
    if sample.march != 1:
        normal = np.array(sample.face) @ reciprocal
        cosine2 = (g @ normal / (2 * s * np.linalg.norm(normal))) ** 2
        intensity *= march_dollase(cosine2, sample.march)
    strong = np.flatnonzero(intensity > WEAKEST * intensity.max())
    strong = strong[np.argsort(s[strong], kind="stable")]
    return s[strong], intensity[strong]


def _curve(two_theta: np.ndarray, atoms: Atoms, sample: Sample, wavelength: float) -> np.ndarray:
    """Both lines of all reflections, on any scale; peaks from beyond the end reach in."""
    highest = np.sin(np.radians(min(two_theta[-1] + 3, 179) / 2)) / wavelength
    s, intensity = reflections_of(atoms, sample, highest)
    # equal angles are one peak: they are drawn once
    s, which = np.unique(s.round(6), return_inverse=True)
    area = np.bincount(which, intensity) * lp_factor(s, wavelength)
    area *= np.exp(sample.grains * np.random.default_rng(sample.seed).standard_normal(len(area)))
    doublet = doublet_of(wavelength)
    lines = [(1.0, 1.0)] if doublet is None else [
        (doublet[0], 1 / (1 + K_ALPHA_2)), (doublet[1], K_ALPHA_2 / (1 + K_ALPHA_2))
    ]  # fmt: skip
    beta = np.radians(sample.divergence) * np.linspace(-1, 1, 2 * RAYS + 1)[RAYS:]
    weights = 1 - beta / max(beta.max(), 1e-12) * RAYS / (RAYS + 1)  # as many rays as two slits let through
    curve = np.zeros_like(two_theta)
    for ratio, part in lines:
        sine = np.minimum(s * wavelength * ratio, 1 - 1e-9)
        place = 2 * np.degrees(np.arcsin(sine))
        width = full_width(place, wavelength, sample.crystallite_nm, LABORATORY)
        width = width + np.degrees(4 * sample.microstrain * np.tan(np.radians(place / 2)))
        for ray, weight in zip(beta, weights / weights.sum(), strict=True):
            tilted = np.clip(np.cos(np.radians(place)) / np.cos(ray), -1, 1)
            angles = np.degrees(np.arccos(tilted)) + sample.zero_shift
            angles = angles + sample.height * np.cos(np.radians(place / 2))
            firsts = np.searchsorted(two_theta, angles - DRAWN * width)
            lasts = np.searchsorted(two_theta, angles + DRAWN * width)
            sizes = weight * part * area
            for centre, fwhm, size, first, last in zip(angles, width, sizes, firsts, lasts, strict=True):
                curve[first:last] += size * pseudo_voigt(two_theta[first:last] - centre, fwhm, 0.5)
    return curve
