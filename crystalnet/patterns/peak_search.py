r"""Where a measured pattern has peaks: their usual width, the noise, the background, the places.

A Gaussian peak of standard deviation w, filtered with the second derivative of a Gaussian of sigma, stands
out of white noise by

    sigma^(5/2) / (sigma^2 + w^2)^(3/2),    which is highest at sigma = sqrt(5) w,

so that filters of many widths tell where a peak is and how wide, on any smooth background (the idea of scale
space: Lindeberg, Int. J. Comput. Vis. 30, 79, 1998).

>>> doublet_of(1.5406), doublet_of(1.0)
((1.0, 1.0024861089473958), None)
>>> x, rng = np.linspace(10, 90, 4000), np.random.default_rng(0)
>>> curve = 100 + sum(5000 * np.exp(-0.5 * ((x - at) / 0.06) ** 2) for at in (30, 50, 70))
>>> counts = rng.poisson(curve).astype(float)
>>> noise = noise_of(counts, 8.0)
>>> width = usual_width(np.sin(np.radians(x / 2)) / 1.5406, counts, noise)
>>> background = background_of(counts, width)
>>> round(width), bool(abs(np.median(background) - 100) < 5)
(12, True)
>>> places = places_of(counts - background, noise, width)
>>> x[places[counts[places] > 1000]].round()
array([30., 50., 70.])
>>> stripped(x, counts - background, (1.0, 1.0025), 0.5).shape
(4000,)
"""

from __future__ import annotations

import numpy as np
from pybaselines import Baseline
from scipy.ndimage import gaussian_filter1d, maximum_filter, median_filter, uniform_filter1d
from scipy.signal import find_peaks

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import GAUSSIAN

BROADEST = 0.012  # 1/Å of s, standard deviation, our choice: crystallites of 1.7 nm; halos of glass are wider
STANDS_OUT = 5.0  # standard deviations of the noise, our choice: one false peak in 10^6 points
POINTS = 8  # a peak's full width, after points are put together; our choice: more tell nothing new
K_ALPHA = ("Cr", "Fe", "Co", "Cu", "Mo", "Ag")  # anodes of laboratory tubes
K_ALPHA_2 = 0.5  # intensity over that of K-alpha-1, by the electrons of the two shells
ONSET = 0.7  # height at sigma = w over that at sqrt(5) w, by the formula above
_SCALES = 1.2 ** np.arange(60)  # of the filters, points
_STIFFNESS = (
    2e4  # arPLS' lambda where a peak is 8 points wide, our choice: it follows waves over 10 peak widths
)
_LINE_TOLERANCE = 2e-4  # relative: tables of wavelengths differ by less, K-alpha-1 and the mean by more


def doublet_of(wavelength: float) -> tuple[float, float] | None:
    """K-alpha-1 and -2 over `wavelength`, where that is K-alpha-1 or the mean of a tube's doublet."""
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS  # seconds that other readers do without

    for anode in K_ALPHA:
        first, second, mean = (WAVELENGTHS[f"{anode}Ka{line}"] for line in ("1", "2", ""))
        for known in (first, mean):
            if abs(wavelength / known - 1) < _LINE_TOLERANCE:
                return first / known, second / known
    return None


def noise_of(counts: np.ndarray, width: float) -> np.ndarray:
    """Standard deviation (N,) of the counts, from third differences between points.

    The noise is that of the surroundings, and grows where a peak stands with the root of the counts.

    Args:
        counts: (N,) at equal steps.
        width: usual full width of a peak, points.
    """
    reach = int(np.clip(25 * width, 51, max(len(counts) // 4, 51))) | 1
    squares = np.zeros_like(counts)
    for lag in (
        (1, 2) if width >= POINTS else (1,)
    ):  # noise that an instrument has smoothed is seen between points further apart
        parted = (
            counts[3 * lag :] - 3 * counts[2 * lag : -lag] + 3 * counts[lag : -2 * lag] - counts[: -3 * lag]
        )
        ends = (3 * lag) // 2, 3 * lag - (3 * lag) // 2
        here = np.pad(parted**2 / 20, ends, mode="edge")  # 20 = 1 + 9 + 9 + 1
        # the median of a squared normal deviate is 0.455
        squares = np.maximum(squares, _running_median(here, reach) / 0.455)
    level = np.maximum(_running_median(counts, reach), 0)
    # where peaks crowd, differences show them too: noise then goes with the counts, as where they don't
    counting = np.quantile(squares / np.maximum(level, 1e-9 * np.abs(counts).max()), 0.25) * level
    squares = np.minimum(squares, 3 * np.maximum(counting, np.quantile(squares, 0.25)))
    near = np.maximum(gaussian_filter1d(counts, max(width / 4, 0.5)), 0)
    grown = np.maximum(near / np.where(level > 0, level, np.inf), 1)
    single = np.where(squares > 0, 0, uniform_filter1d(np.maximum(counts, 0), reach))  # most points are empty
    floor = 1e-4 * np.abs(counts).max()  # rounding, in patterns without noise
    return np.sqrt(np.maximum(squares * grown, single) + floor**2)


def _running_median(values: np.ndarray, reach: int) -> np.ndarray:
    every = max(reach // 50, 1)  # the median of some 50 points is good enough
    coarse = median_filter(values[::every], max(reach // every, 3), mode="nearest")
    return np.interp(np.arange(len(values)), np.arange(0, len(values), every), coarse)


def _stands_out(counts: np.ndarray, noise: np.ndarray, scale: float) -> np.ndarray:
    """The negative second derivative (N,) at a scale in points, over what noise alone would give."""
    pad = min(int(4 * scale) + 1, len(counts) - 1)
    # odd reflection: a slope at the border goes on, and makes no peak there
    padded = np.pad(counts, pad, mode="reflect", reflect_type="odd")
    curved = -gaussian_filter1d(padded, scale, order=2)[pad:-pad]
    # of white noise: integral of the squared filter; below one point the sum differs from it
    reach = np.arange(-int(4 * scale) - 2, int(4 * scale) + 3)
    kernel = gaussian_filter1d((reach == 0).astype(float), scale, order=2)
    variance = gaussian_filter1d(noise**2, scale, mode="nearest")
    return curved / np.sqrt((kernel**2).sum() * variance)


def usual_width(s: np.ndarray, counts: np.ndarray, noise: np.ndarray) -> float:
    """Usual full width at half maximum of the pattern's peaks, points.

    Args:
        s: (N,) 1/Å; the angles behind it are at equal steps.
        counts, noise: (N,).

    Raises:
        CrystalNetError: no peak stands out.
    """
    step = np.gradient(s)
    # some scales beyond what can be a peak, so that what is wider shows
    widest = min(1.5 * np.sqrt(5) * BROADEST / np.median(step), len(counts) / 6)
    scales = _SCALES[: np.searchsorted(_SCALES, widest)]
    height = np.array([_stands_out(counts, noise, scale) for scale in scales])
    highest = (maximum_filter(height, (3, 3)) == height) & (height > 2 * STANDS_OUT)
    highest[-1] = False  # still rising: wider than any peak
    rows, places = np.nonzero(highest)
    width = np.array([_width_at(height, *place) for place in zip(rows, places, strict=True)])
    inside = np.minimum(places, len(s) - 1 - places) > width
    narrow = inside & (width * step[places] < BROADEST)
    if not narrow.any():
        raise CrystalNetError(
            "No peaks stand out of the noise and the background. Measure for longer, or check that the file"
            " holds a pattern of a crystalline powder.",
            Code.NO_PEAKS,
        )
    width, weight = width[narrow], height[rows, places][narrow]
    order = np.argsort(width)
    middle = np.searchsorted(weight[order].cumsum(), weight.sum() / 2)
    return float(GAUSSIAN * width[order][middle])


def _width_at(height: np.ndarray, row: int, place: int) -> float:
    """Standard deviation in points of the peak that is highest at a scale and place.

    It is read where their height has risen to ONSET, which the tails of Lorentzian peaks hardly change.
    """
    reach = int(_SCALES[row])  # the two lines of a doublet are one peak at wide scales alone
    rise = height[: row + 1, max(place - reach, 0) : place + reach + 1].max(1)
    return float(_SCALES[np.argmax(rise >= ONSET * rise[-1])])


def background_of(counts: np.ndarray, width: float) -> np.ndarray:
    """The smooth part (N,) of a pattern whose peaks are `width` points wide: arPLS (Baek, Analyst 2015)."""
    smooth = gaussian_filter1d(counts, width / 4)
    return Baseline().arpls(smooth, lam=_STIFFNESS * (width / 8) ** 4, max_iter=50)[0]


def stripped(two_theta: np.ndarray, net: np.ndarray, doublet: tuple[float, float], part: float) -> np.ndarray:
    """The pattern (N,) of K-alpha-1 alone (Rachinger, J. Sci. Instrum. 25, 254, 1948).

    Args:
        two_theta: (N,) degrees.
        net: (N,) counts above the background.
        doublet: K-alpha-1 and -2 over the wavelength in use.
        part: intensity of K-alpha-2 over that of K-alpha-1.
    """
    sine = np.sin(np.radians(two_theta / 2)) * doublet[0] / doublet[1]
    source = 2 * np.degrees(np.arcsin(sine))
    alone = net.copy()
    for _ in range(12):  # the error falls by `part` a turn
        alone = net - part * np.interp(source, two_theta, alone, left=0.0)
    return alone


def places_of(net: np.ndarray, noise: np.ndarray, width: float) -> np.ndarray:
    """Points (P,) at which peaks of about `width` points stand out of the noise."""
    clear = _stands_out(net, noise, width / GAUSSIAN)
    return find_peaks(clear, height=STANDS_OUT * 0.7, distance=max(width / 2, 1))[0]
