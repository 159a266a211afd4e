r"""Atoms from a map of the cell: peaks, their weights, and elements under the known composition.

The weight of a peak is the density in a small ball around it. Peaks that a space group makes equal are one
orbit. A search that keeps the best few descriptions after each orbit gives the orbits elements so that

    \sum_atoms (weight - expected weight of the element)^2

is least and no element is used more often than the composition has it. A peak without an atom should have
weighed nothing, an atom without a peak weighs nothing. The next best answers exchange neighbouring elements
or leave a false peak out; which of them is right, only a pattern tells.

Valence densities of aluminium, silicon or phosphorus have a hole at the nucleus instead of a peak. Such atoms
show only in a sharpened map: phases of the valence density, amplitudes of the pattern (`phasing`).

>>> from crystalnet.physics.density import promolecule_cmed
>>> cscl = Atoms(4.12 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Cs", "Cl"]))
>>> check_counts({"Cs": 1, "Cl": 1})  # an error otherwise
>>> found = atoms_from_density(promolecule_cmed(cscl), cscl.lattice, {"Cs": 1, "Cl": 1}, most=1)
>>> sorted(found[0].symbols.tolist())
['Cl', 'Cs']
>>> round(pattern_distance(cscl, Observed.of_structure(cscl)), 3)
0.0
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import moyopy
import numpy as np
from scipy.fft import next_fast_len
from scipy.ndimage import maximum_filter

from crystalnet.data.crystals import standard_primitive
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import REACH, Observed, distance
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.density import BOHR
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.physics.tables import ATOMIC_NUMBERS, valence
from crystalnet.solving.assignment import LIGHTEST, Orbits, assignments
from crystalnet.solving.groups import IDENTITY, Operations, checked_lattice

BALL = 0.6  # Å, our choice: no neighbour reaches into it, and most of a valence shell is in it
SHARP_BALL = 0.35  # Å, our choice: about the half width of a point seen to d = 0.5 Å
APART = 0.95  # Å, our choice: nearer peaks are one; of bonds only H-H is shorter
SNAP = 0.45  # Å, our choice: a peak this near to its own image is on the special position between them
SPACING = 0.2  # Å, our choice: maps are interpolated to this, so that parabolas find the tops of peaks
MORE = 3  # times as many peaks as atoms are looked at, our choice
TOLERANCES = (0.5, 0.35, 0.2, 0.1, 0.05)  # Å, our choice: the symmetry that is looked for
LOW_RESOLUTION = 0.45  # 1/Å of s, our choice: positions that are off by 0.1 Å still agree there


def atoms_from_density(
    density: np.ndarray,
    lattice: np.ndarray,
    counts: Mapping[str, int],
    most: int = 8,
    *,
    sharpened: bool = False,
    group: Operations | None = None,
    complete: bool = True,
) -> list[Atoms]:
    """Crystals that a map may show, likeliest first; where the origin lies does not matter.

    Without a group, each is followed by itself with the symmetry that is found at growing tolerances, exact.

    Args:
        density: (n1, n2, n3) valence density, e/Å^3, or a sharpened map on any scale, where a peak is as high
            as the element's number.
        lattice: (3, 3) rows, Å.
        counts: element to its atoms in the cell.
        most: answers of the search for elements.
        sharpened: which of the two the map is.
        group: operations that the map obeys.
        complete: leave out answers with fewer atoms than the composition has.

    Returns:
        Atoms, none where the peaks and the composition do not go together.

    Raises:
        CrystalNetError: a map or lattice of another shape or not finite, or a composition without atoms or
            with an element outside of the tables.
    """
    density, lattice = _checked_map(density), checked_lattice(lattice)
    check_counts(counts)
    ball = SHARP_BALL if sharpened else BALL
    expected = {
        symbol: float(ATOMIC_NUMBERS[symbol]) if sharpened else _electrons_within(symbol, ball)
        for symbol in counts
    }
    found = _orbits(density, lattice, counts, expected=expected, ball=ball, group=group or IDENTITY)
    candidates = []
    for labels in assignments(found, counts, expected, most=most, scaled=sharpened, complete=complete):
        symbols = [[label] * len(coords) for label, coords in zip(labels, found.coords, strict=True) if label]
        if symbols:
            coords = [coords for label, coords in zip(labels, found.coords, strict=True) if label]
            candidates.append(Atoms(lattice, np.concatenate(coords), np.concatenate(symbols)))
    if group is not None:
        return candidates
    return [form for atoms in candidates for form in (*_symmetric_forms(atoms), atoms)]


def _orbits(
    density: np.ndarray,
    lattice: np.ndarray,
    counts: Mapping[str, int],
    *,
    expected: Mapping[str, float],
    ball: float,
    group: Operations,
) -> Orbits:
    """The highest peaks of a map; those too near to a higher one, or with too many images, are left out."""
    lengths = np.linalg.norm(lattice, axis=1)
    shape = [
        max(n, next_fast_len(math.ceil(a / SPACING))) for n, a in zip(density.shape, lengths, strict=True)
    ]
    fine, weight = _interpolated(density, lattice, shape, ball)
    heavy = weight > LIGHTEST * min(expected.values()) / max(expected.values()) * weight.max()
    at = np.argwhere((fine == maximum_filter(fine, 3, mode="wrap")) & (fine > fine.mean()) & heavy)
    at = at[np.argsort(-fine[tuple(at.T)], kind="stable")]
    coords, weights, taken = [], [], np.zeros((0, 3))
    for peak in _tops(fine, at):
        if len(taken) > MORE * sum(counts.values()):
            break
        if len(taken) and _apart(taken, peak, lattice).min() < APART:
            continue
        images = group.rotations @ peak + group.translations
        near = _apart(images, peak, lattice) < SNAP
        peak = peak + (images - peak - np.round(images - peak))[near].mean(0)
        orbit = _distinct(group.rotations @ peak + group.translations, lattice)
        if len(orbit) > max(counts.values()):
            continue
        if len(orbit) > 1 and _apart(orbit[1:], orbit[0], lattice).min() < APART:
            continue
        taken = np.concatenate([taken, orbit])
        coords.append(np.mod(orbit, 1))
        weights.append(weight[tuple(np.round(peak * shape).astype(int) % shape)])
    order = np.argsort(-np.array(weights), kind="stable")
    return Orbits([coords[i] for i in order], np.array(weights)[order])


def _interpolated(density, lattice, shape, ball) -> tuple[np.ndarray, np.ndarray]:
    """The map on a finer grid, and its integral over a ball around each point, both by its Fourier series."""
    indices = [np.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in density.shape]
    series = np.zeros(shape, complex)
    places = [np.ix_(*[i % n for i, n in zip(indices, size, strict=True)]) for size in (density.shape, shape)]
    series[places[1]] = np.fft.fftn(density, norm="forward")[places[0]]
    hkl = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in shape], indexing="ij"), -1)
    x = np.maximum(2 * np.pi * ball * np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=-1), 1e-3)
    in_ball = 4 * np.pi * ball**3 * (np.sin(x) - x * np.cos(x)) / x**3
    return tuple(np.fft.ifftn(part, norm="forward").real for part in (series, series * in_ball))


def _tops(fine: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fractional coordinates of maxima at voxels (P, 3), by a parabola along each axis."""
    offset = np.zeros(at.shape)
    for axis, step in enumerate(np.eye(3, dtype=int)):
        lower, middle, upper = (fine[tuple(((at + k * step) % fine.shape).T)] for k in (-1, 0, 1))
        offset[:, axis] = (lower - upper) / (2 * np.minimum(lower + upper - 2 * middle, -1e-12))
    return (at + np.clip(offset, -0.5, 0.5)) / fine.shape


def _apart(points: np.ndarray, point: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Distances (N,) in Å, of the nearest images where the cell is not very skew."""
    between = points - point
    return np.linalg.norm((between - np.round(between)) @ lattice, axis=1)


def _distinct(images: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """One of each set of equal points, the first point first."""
    kept = []
    while len(images):
        kept.append(images[0])
        images = images[_apart(images, images[0], lattice) > 0.05]  # Å, rounding: the images are exact
    return np.array(kept)


def _electrons_within(symbol: str, radius: float) -> float:
    """Valence electrons of a free atom within a radius in Å."""
    atom = valence(symbol)
    x = np.sqrt(atom.exponents) * radius / BOHR
    whole = atom.coefficients * (np.pi / atom.exponents) ** 1.5
    inside = np.array([math.erf(value) for value in x]) - 2 / math.sqrt(math.pi) * x * np.exp(-(x**2))
    return float(whole @ inside)


def _symmetric_forms(atoms: Atoms) -> list[Atoms]:
    """The crystal with the symmetry that it has within each of TOLERANCES, exact, the highest first."""
    numbers = [ATOMIC_NUMBERS[symbol] for symbol in atoms.symbols.tolist()]
    cell = moyopy.Cell(atoms.lattice.tolist(), atoms.frac_coords.tolist(), numbers)
    forms: dict[int, Atoms] = {}
    for tolerance in TOLERANCES:
        try:
            symmetry = moyopy.MoyoDataset(cell, symprec=tolerance)
        except ValueError:  # the tolerance is too large for moyo
            continue
        form = standard_primitive(symmetry)
        if len(form.symbols) == len(atoms.symbols):  # not a smaller cell, which the lattice would have been
            forms.setdefault(symmetry.number, form)
    return list(forms.values())


def pattern_distance(atoms: Atoms, observed: Observed, highest: float = LOW_RESOLUTION) -> float:
    """How far the pattern of atoms is from the observed one up to s = highest (1/Å): 0 equal, 1 unrelated."""
    low, high = (
        2 * np.degrees(np.arcsin(min(1.0, s * observed.wavelength)))
        for s in (observed.low, min(highest + REACH * observed.width, observed.high))
    )
    try:
        peaks = powder_peaks(atoms, observed.wavelength, (low, high))
        seen = Observed.of_peaks(peaks, observed.wavelength, (low, high), width=observed.width)
    except CrystalNetError:  # no reflection, or only one
        return 1.0
    n = observed.n_steps(highest)
    return distance(np.sqrt(seen.smearing(seen.s, n) @ seen.intensity), observed.amplitude[:n])


def _checked_map(density: np.ndarray) -> np.ndarray:
    """As float64. Raises CrystalNetError for another shape or a value that is not finite."""
    density = np.asarray(density, float)
    if density.ndim != 3 or min(density.shape) < 4 or not np.isfinite(density).all():
        raise CrystalNetError(
            "A map must be finite, (n1, n2, n3), 4 points or more an axis. Pass one crystal's.",
            Code.BAD_ARGUMENT,
        )
    return density


def check_counts(counts: Mapping[str, int]) -> None:
    """Raises CrystalNetError for no atoms, a part of an atom, or an element without a table entry."""
    if not counts or any(number < 1 or number != int(number) for number in counts.values()):
        raise CrystalNetError(
            f"{dict(counts)} is no content of a cell. Give each element and its whole number of atoms there,"
            " such as {'Na': 1, 'Cl': 1}.",
            Code.BAD_FORMULA,
        )
    for symbol in counts:
        valence(symbol)
