r"""Reflections of a template in a cell, and the curve that they make beside the measured one.

    F(hkl) = \sum_j f_j(s) exp(2 pi i hkl . x_j),    curve = smearing @ (multiplicity |F|^2 exp(-2 B s^2))

Of reflections that symmetry makes equal one is computed: a cubic crystal needs a 48th of them.

>>> from crystalnet.physics.atoms import Atoms
>>> from crystalnet.solving.templates import Template
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> template, frames = Template.of(nacl), Frames(Observed.of_structure(nacl, wavelength=1.5406))
>>> frame = frames(template, template.lattice, highest=0.45)
>>> np.array_equal(frame.hkl, Frame(template, template.lattice, frames.observed, 0.45).hkl)
True
>>> reflections(*template.reflection_group, template.lattice.tobytes(), 0.2)[1]  # 111 and 200
array([8, 6])
>>> symbols, waves = template.symbols, frame.waves(template.frac_coords)
>>> intensity = frame.intensity(symbols, waves)
>>> bool(frame.form_factor("Cl")[0] > frame.form_factor("Na")[0]), intensity.shape == frame.s.shape
(True, True)
>>> round(frame.distance(symbols, template.frac_coords), 6)
0.0
>>> frame.distances([{"Na": "K", "Cl": "Br"}], symbols, template.frac_coords).round(2)
array([0.16])
>>> frame.faintest(np.ones(len(frame._lp))).shape == frame._lp.shape
True
>>> frame.visible(intensity).min(), np.allclose(frame.bent(frame.measured**2), frame.measured)
(np.float64(1.0), True)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from crystalnet.patterns.observed import EDGE, REACH, STEP, Observed, by_height, distance, lp_factor
from crystalnet.physics.tables import form_factor
from crystalnet.solving.templates import Template

SAME_RING = 1e-6  # 1/Å, our choice: nearer reflections are one peak


class Frame:
    """One template's reflections up to s = highest in one cell.

    Attributes:
        hkl: (H, 3) of the conventional cell, one of each set that symmetry makes equal.
        multiplicity: (H,).
        s: (H,) 1/Å.
        seen: (H,) 1/Å, where the height of the sample shifts them.
        measured: (n,) the amplitude curve of the measurement up to there.
    """

    def __init__(
        self, template: Template, lattice: np.ndarray, observed: Observed, highest: float, height: float = 0.0
    ):
        self.observed = observed
        self.n = observed.n_steps(highest)
        lattice = np.ascontiguousarray(lattice, float)
        reach = min(self.n * STEP + REACH * observed.width, observed.high)  # flanks come in from beyond
        hkl, self.multiplicity = reflections(*template.reflection_group, lattice.tobytes(), reach)
        self.hkl = hkl
        self._reach = int(np.abs(hkl).max(initial=0))
        self.s = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1) / 2
        self.seen = self.s + height * by_height(self.s, observed.wavelength) if height else self.s
        self.smearing = observed.smearing(self.seen, self.n)
        self.measured = observed.amplitude[: self.n]
        self.floor = observed.floor[: self.n]
        _, first, self._ring = np.unique(np.round(self.s / SAME_RING), return_index=True, return_inverse=True)
        self._ring_s = self.s[first]
        self._sums = csr_array((np.ones(len(hkl)), (self._ring, np.arange(len(hkl)))))
        self._lp = lp_factor(self._ring_s, observed.wavelength)
        self._inside = (self._ring_s >= observed.low - EDGE) & (self._ring_s <= observed.high + EDGE)
        self._dark = ~observed.has_peak(self.s)
        self._form_factors: dict[str, np.ndarray] = {}

    def form_factor(self, symbol: str) -> np.ndarray:
        """f(s) of an element, (H,) electrons."""
        if symbol not in self._form_factors:
            self._form_factors[symbol] = form_factor(symbol).at(self.s)
        return self._form_factors[symbol]

    def waves(self, frac_coords: np.ndarray) -> np.ndarray:
        """exp(2 pi i hkl . x) of atoms at (A, 3), conventional axes: (H, A)."""
        angles = 2j * np.pi * frac_coords.T[:, None] * np.arange(-self._reach, self._reach + 1)[:, None]
        h, k, l = np.exp(angles)  # noqa: E741  # of each index alone: far fewer than there are reflections
        place = self.hkl + self._reach
        return h[place[:, 0]] * k[place[:, 1]] * l[place[:, 2]]

    def intensity(self, symbols: Sequence[str], waves: np.ndarray, b_factor: float = 0.0) -> np.ndarray:
        """multiplicity |F|^2 (H,) of atoms that are the elements `symbols` (A,); `b_factor` in Å^2."""
        f = np.stack([self.form_factor(symbol) for symbol in symbols], axis=1)
        amplitude = (f * waves).sum(1)
        return self.multiplicity * np.abs(amplitude) ** 2 * np.exp(-2 * b_factor * self.s**2)

    def distance(self, symbols: Sequence[str], frac_coords: np.ndarray, b_factor: float = 0.0) -> float:
        """How far the calculated amplitude is from the measured one, 0 to 1 (see `observed.distance`)."""
        intensity = self.intensity(symbols, self.waves(frac_coords), b_factor)
        curve = self.smearing @ (intensity * self.visible(intensity) ** 2)
        return distance(self.bent(curve), self.bent(self.measured**2))

    def bent(self, curves: np.ndarray) -> np.ndarray:
        """Roots of curves (n, ...) that hold as much as the measured one, straight below its floor."""
        if not self.floor.any():
            return np.sqrt(curves)
        scale = (self.measured**2).sum() / np.maximum(curves.sum(0), 1e-30)
        floor = self.floor.reshape(-1, *[1] * (curves.ndim - 1))
        return np.sqrt(scale * curves + floor) - np.sqrt(floor)

    def visible(self, intensity: np.ndarray) -> np.ndarray:
        r"""The part (H, ...) of each amplitude that should have been seen, of intensities (H, ...).

        Where no peak was measured a weak one may hide: of its amplitude \sqrt(I) only what exceeds the
        faintest visible one contradicts the measurement. Elsewhere the part is 1.
        """
        parts = np.ones(intensity.shape)
        if self._dark.any():
            rings = self._sums @ intensity
            hidden = np.sqrt(self.faintest(rings) / np.maximum(rings, 1e-30))
            parts[self._dark] = np.maximum(0, 1 - hidden)[self._ring[self._dark]]
        return parts

    def faintest(self, rings: np.ndarray) -> np.ndarray:
        """The intensity (R, ...) that each ring needs to be seen, of a pattern's rings (R, ...)."""
        factor = self._lp.reshape(-1, *[1] * (rings.ndim - 1))
        return self.observed.weakest * (rings * factor)[self._inside].max(0, initial=0) / factor

    def distances(
        self, fillings: list[dict[str, str]], symbols: Sequence[str], frac_coords: np.ndarray
    ) -> np.ndarray:
        """The same for many fillings at once, (K,): each says what the template's elements become."""
        waves = self.waves(frac_coords)
        elements = list(dict.fromkeys(symbols))
        sums = [waves[:, [s == element for s in symbols]].sum(1) for element in elements]
        amplitude = np.zeros((len(self.s), len(fillings)), complex)
        for element, total in zip(elements, sums, strict=True):
            new = [filling[element] for filling in fillings]
            column = {symbol: k for k, symbol in enumerate(dict.fromkeys(new))}
            waves_of = np.stack([self.form_factor(symbol) * total for symbol in column], axis=1)
            amplitude += waves_of[:, [column[symbol] for symbol in new]]
        intensity = self.multiplicity[:, None] * (amplitude.real**2 + amplitude.imag**2)
        curves = self.bent(self.smearing @ (intensity * self.visible(intensity) ** 2))
        measured = self.bent(self.measured**2)
        norms = np.linalg.norm(curves, axis=0) * np.linalg.norm(measured)
        cosines = measured @ curves / np.maximum(norms, 1e-30)
        return np.sqrt(np.maximum(0, 1 - cosines**2))


class Frames:
    """The frames of one measurement, each made once."""

    def __init__(self, observed: Observed):
        self.observed = observed
        self._made: dict[tuple, Frame] = {}

    def __call__(self, template: Template, lattice: np.ndarray, highest: float, height: float = 0.0) -> Frame:
        key = (*template.reflection_group, np.round(lattice, 9).tobytes(), highest, height)
        if key not in self._made:
            self._made[key] = Frame(template, lattice, self.observed, highest, height)
        return self._made[key]


@lru_cache(maxsize=512)
def reflections(
    rotations: bytes, cell: bytes, lattice: bytes, highest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Miller indices (H, 3) with 0 < s <= highest, one of each set of equal |F|, and the sets' sizes."""
    turns = np.frombuffer(rotations, np.int8).reshape(-1, 3, 3).astype(int)
    to_primitive = np.linalg.inv(np.frombuffer(cell, np.int8).reshape(3, 3))
    reciprocal = np.linalg.inv(np.frombuffer(lattice).reshape(3, 3)).T
    lengths = np.linalg.norm(np.linalg.inv(reciprocal).T, axis=1)
    reach = np.floor(2 * highest * lengths + 1e-9).astype(int)
    axes = [np.arange(-r, r + 1) for r in reach]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    squared = ((hkl @ reciprocal) ** 2).sum(1)
    hkl = hkl[(squared > 0) & (squared <= (2 * highest) ** 2 * (1 + 1e-12))]
    primitive = hkl @ to_primitive.T
    hkl = hkl[(np.abs(primitive - np.round(primitive)) < 1e-6).all(1)]  # no extinctions of the centring
    base = 2 * int(reach.max(initial=1)) + 1
    keys = np.zeros(len(hkl), int)
    for turn in turns:  # |F| is the same for hkl and -h-k-l, so that a key's sign does not count
        keys = np.maximum(keys, np.abs(hkl @ (turn @ (base**2, base, 1))))
    _, first, multiplicity = np.unique(keys, return_index=True, return_counts=True)
    return hkl[first], multiplicity
