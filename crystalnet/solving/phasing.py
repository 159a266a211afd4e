r"""Maps of the atoms from a powder pattern: measured amplitudes, and phases found by going back and forth.

Of the reflections that overlap in one peak only the sum is measured. The nearest coefficients with that sum,

    F_h -> F_h sqrt(I_peak / \sum |F|^2),      I sharpened: over the sum of all atoms' f(s)^2

keep phases and ratios, and so the whole projection is one factor a peak. In the cell itself weak density is
turned round (charge flipping: Oszlányi & Sütő, Acta Cryst. A60 (2004) 134; for powders: Baerlocher, McCusker
& Palatinus, Z. Kristallogr. 222 (2007) 47), at last removed (low-density elimination: Shiono & Woolfson, Acta
Cryst. A48 (1992) 451). Both treat all points alike: a map that begins with the symmetry of a space group, on
a grid that the group maps onto itself, keeps it. Maps begin as densities, such as a network's, or at random.

Light atoms drown beside heavy ones. Those found are computed, and 2 F_observed - F_computed shows more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import moyopy
import numpy as np
import torch
from scipy.fft import next_fast_len

from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import ATOMIC_NUMBERS, form_factor
from crystalnet.solving.atoms import (
    Operations,
    atoms_from_density,
    check_counts,
    checked_lattice,
    pattern_distance,
)
from crystalnet.solving.observed import Observed, lp_factor

D_MIN = 0.5  # Å, our choice: atoms are points there, and a cell of 30 atoms is 36 voxels long
DAMPING = 1.5  # Å^2, our choice: exp(-DAMPING s^2) leaves no ripples of the cut at D_MIN
ITERATIONS = 60  # our choice: most maps that lock in have done so
FLIPPED = 1.3  # standard deviations of the map, our choice after trying 1.0 to 1.4: below it is turned round
REMOVED = 1.5  # the same for the last iterations, which remove
LAST = 15  # iterations that remove, our choice
BEST = 8  # maps that are completed by computed ones, our choice
ROUNDS = 3  # of completion, our choice
ANSWERS = 6  # assignments of elements that are tried a map, our choice
SAME = 1e-4  # 1/Å of s, our choice: nearer reflections are one peak of a calculated pattern
ABSENT = 1e-3  # of the power, our choice: so much may a space group fail to explain
REST = 1e-20  # keeps a group without power from a division by zero
ROOMY = 2.0, 200.0  # Å^3 an atom: hydrogen under pressure, caesium; beyond lies no crystal


class Measured(NamedTuple):
    """What is known of a map's coefficients, in the half grid of a real FFT, laid flat (M,).

    s: (M,) sin(theta) / lambda, 1/Å.
    group: the coefficient's place in `power`; 0 for those beyond D_MIN, the last for those not measured.
    weight: 2 where the half grid leaves the Friedel mate out, else 1.
    power: (K,) the sum over a group. bound: (K,) whether the sum may be smaller.
    """

    shape: tuple[int, int, int]
    s: np.ndarray
    group: torch.Tensor
    weight: torch.Tensor
    power: torch.Tensor
    bound: torch.Tensor


@dataclass(frozen=True, eq=False)
class Phased:
    """Maps and what they show.

    Attributes:
        maps: (B, n1, n2, n3) sharpened, on a scale of their own.
        figure: (B,) the distance of the best atoms' pattern, complete ones alone, from the observed: 0 best,
            1 where a map shows no such atoms.
        seed, group: (B,) the places of the density, or -1 for a random start, and of the space group.
        atoms: all distinct answers, best first, with their distances.
    """

    maps: torch.Tensor
    figure: np.ndarray
    seed: np.ndarray
    group: np.ndarray
    atoms: list[tuple[float, Atoms]]


@torch.inference_mode()
def phase(
    observed: Observed,
    lattice,
    counts: Mapping[str, int],
    seeds: torch.Tensor | None = None,
    *,
    groups: Sequence[Operations | None] = (None,),
    n_random: int = 0,
    seed: int = 0,
    iterations: int = ITERATIONS,
    d_min: float = D_MIN,
) -> Phased:
    """Maps from every start in every group, and the atoms in them.

    Args:
        observed: peaks.
        lattice: (3, 3) rows, Å, of the primitive cell; with groups or seeds, in their description of it.
        counts: element to its atoms in the cell.
        seeds: (S, n, n, n) densities to begin with, on any scale.
        groups: space groups to try (`space_groups`), None for no symmetry.
        n_random: random starts in each group.
        seed: of the random starts.
        iterations: in two spaces, before the last ones.
        d_min: Å; the measurement may end before.

    Raises:
        CrystalNetError: shapes or numbers that cannot be, contents that do not fit the volume, no start, or
            peaks none of which the lattice has.
    """
    lattice, seeds = checked_lattice(lattice), _checked_seeds(seeds, n_random)
    check_contents(counts, lattice)
    shape = grid(lattice, groups, d_min)
    known = measured(observed, lattice, counts, shape, d_min)
    generator = torch.Generator().manual_seed(seed)
    starts, origin = [], [*range(len(seeds)), *[-1] * n_random]
    for group in groups:
        both = torch.randn(n_random, *shape, generator=generator)
        if len(seeds):
            both = torch.cat([resampled(seeds, shape), both])
        both = both - both.mean((1, 2, 3), keepdim=True)
        starts.append(both if group is None else symmetrised(both, group))
    maps = iterated(torch.cat(starts), known, iterations)
    place = np.repeat(np.arange(len(groups)), len(origin))
    answers = completed(maps, known, observed, lattice, counts, [groups[i] for i in place])
    figure = np.array([min((away for away, _ in found), default=1.0) for found in answers])
    ranked = sorted((pair for found in answers for pair in found), key=lambda pair: pair[0])
    return Phased(maps, figure, np.tile(origin, len(groups)), place, ranked)


def iterated(maps: torch.Tensor, known: Measured, iterations: int) -> torch.Tensor:
    """Flip and project, then remove and project."""
    maps = projected(maps, known)
    deviation = maps.flatten(1).std(1)[:, None, None, None]
    for number in range(iterations + LAST):
        if number < iterations:
            changed = torch.where(maps < FLIPPED * deviation, -maps, maps)
        else:
            changed = torch.where(maps < REMOVED * deviation, 0, maps)
        maps = projected(changed, known)
    return maps


def projected(maps: torch.Tensor, known: Measured) -> torch.Tensor:
    """The nearest maps (B, n1, n2, n3) that have the measured power."""
    return _map(_scaled(torch.fft.rfftn(maps, dim=(1, 2, 3)).flatten(1), known), known.shape)


def _scaled(series: torch.Tensor, known: Measured) -> torch.Tensor:
    squared = (series.real**2 + series.imag**2) * known.weight
    power = squared.new_zeros(len(series), len(known.power)).index_add_(1, known.group, squared)
    factor = (known.power / power.clamp_min(REST)).sqrt()
    factor = torch.where(known.bound, factor.clamp_max(1), factor)
    return series * factor.index_select(1, known.group)


def _map(series: torch.Tensor, shape) -> torch.Tensor:
    return torch.fft.irfftn(series.view(len(series), *shape[:2], -1), s=shape, dim=(1, 2, 3))


def completed(maps, known, observed, lattice, counts, groups) -> list[list[tuple[float, Atoms]]]:
    """The distance and atoms of each complete answer, by map; the best answers are computed and go on.

    What they lack is looked for in F_observed - F_computed, and all of them in 2 F_observed - F_computed.
    """
    found = [[] for _ in maps]
    trials = [(place, trial, None) for place, trial in enumerate(maps)]
    for turn in range(ROUNDS + 1):
        answers = []
        for place, trial, begun in trials:
            wanted = counts if begun is None else _lacking(begun, counts)
            more = atoms_from_density(
                trial.numpy(), lattice, wanted, ANSWERS, sharpened=True, group=groups[place], complete=False
            )
            more = more if begun is None else [_joined(begun, added) for added in more]
            ranked = sorted(((pattern_distance(atoms, observed), atoms) for atoms in more), key=_first)
            found[place] += [pair for pair in ranked if not _lacking(pair[1], counts)]
            answers += [(*pair, place) for pair in ranked[:1]]
        if turn == ROUNDS or not answers:
            break
        trials = []
        different = {round(away, 4): (atoms, place) for away, atoms, place in sorted(answers, key=_first)}
        for atoms, place in list(different.values())[:BEST]:
            begun = atoms if _lacking(atoms, counts) else _without_lightest(atoms)
            trials.append((place, _difference(atoms, 2, known, counts), None))
            if len(begun.symbols):
                trials.append((place, _difference(begun, 1, known, counts), begun))
    return found


def _difference(atoms: Atoms, times: int, known: Measured, counts: Mapping[str, int]) -> torch.Tensor:
    """The map of times F_observed less F_computed of the atoms, with their phases."""
    computed = calculated(atoms, known, counts)[None]
    return _map(times * _scaled(computed, known) - computed, known.shape)[0]


def _first(pair: tuple) -> float:
    return pair[0]


def _lacking(atoms: Atoms, counts: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(counts) - Counter(atoms.symbols.tolist()))


def _joined(atoms: Atoms, added: Atoms) -> Atoms:
    coords = np.concatenate([atoms.frac_coords, added.frac_coords])
    return Atoms(atoms.lattice, coords, np.concatenate([atoms.symbols, added.symbols]))


def _without_lightest(atoms: Atoms) -> Atoms:
    """The atoms but for those of the lightest element, which are wrong most often."""
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in atoms.symbols.tolist()])
    kept = numbers > numbers.min()
    return Atoms(atoms.lattice, atoms.frac_coords[kept], atoms.symbols[kept])


def calculated(atoms: Atoms, known: Measured, counts: Mapping[str, int]) -> torch.Tensor:
    """Sharpened coefficients (M,) of atoms, with the share of the measured power that they scatter."""
    series = torch.zeros(known.shape[0], known.shape[1], known.shape[2] // 2 + 1, dtype=torch.complex64)
    inside = ((known.group > 0) & torch.from_numpy(known.s > 0)).view(series.shape)
    axes = [np.fft.fftfreq(n, 1 / n) for n in known.shape[:2]] + [np.arange(known.shape[2] // 2 + 1.0)]
    s, which = np.unique(np.round(known.s, 6), return_inverse=True)
    height = np.exp(-DAMPING * s**2) / np.sqrt(_scattering(counts, s))
    for symbol in set(atoms.symbols.tolist()):
        coords = atoms.frac_coords[atoms.symbols == symbol]
        h, k, l = (  # noqa: E741
            torch.from_numpy(np.exp(-2j * np.pi * np.outer(axis, x))).to(series.dtype)
            for axis, x in zip(axes, coords.T, strict=True)
        )
        f = torch.from_numpy((_form_factor(symbol, s) * height)[which]).float().view(series.shape)
        series += f * (h @ (k[:, None] * l).flatten(0, 1).T).view(series.shape)
    series = torch.where(inside, series, 0).flatten()
    power = float(((series.real**2 + series.imag**2) * known.weight).sum())
    scattered = sum(_form_factor(x, np.zeros(1))[0] ** 2 for x in atoms.symbols.tolist())
    share = scattered / _scattering(counts, np.zeros(1))[0]
    return series * (float(known.power[~known.bound].sum()) * share / max(power, REST)) ** 0.5


def measured(observed: Observed, lattice, counts, shape, d_min: float = D_MIN) -> Measured:
    """Each reflection's group: the nearest peak, or, where none is near, its own ring, which was too weak.

    Raises:
        CrystalNetError: no peak is a reflection of the lattice.
    """
    axes = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]] + [np.arange(shape[2] // 2 + 1.0)]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    s = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1) / 2
    inside = (s > 0) & (s <= 0.5 / d_min) & (2 * np.abs(hkl) < shape).all(1)
    peak, near = _nearest_peak(observed, s)
    seen = inside & near
    if not seen.any():
        raise CrystalNetError("No peak is a reflection of the lattice. Check lattice and wavelength.")
    hidden = inside & ~seen & (s >= observed.low) & (s <= observed.high)
    group = np.where(inside | (s == 0), -1, 0)
    peaks, of_peak = np.unique(peak[seen], return_inverse=True)
    rings, of_ring = np.unique(np.round(s[hidden], 6), return_inverse=True)
    group[seen], group[hidden] = 1 + of_peak, 1 + len(peaks) + of_ring
    n_groups = 2 + len(peaks) + len(rings)
    group[group < 0] = n_groups - 1

    at = np.concatenate([observed.s[peaks], rings])
    lp = lp_factor(observed.s, observed.wavelength)
    weak = observed.weakest * (observed.intensity * lp).max() / lp_factor(rings, observed.wavelength)
    power = np.concatenate([observed.intensity[peaks], weak])
    power *= np.exp(-2 * DAMPING * at**2) / _scattering(counts, at)
    power /= power[: len(peaks)].sum()
    weight = np.where((hkl[:, 2] == 0) | (2 * hkl[:, 2] == shape[2]), 1, 2)
    bound = np.arange(n_groups) > len(peaks)
    return Measured(
        tuple(shape), s, torch.from_numpy(group), torch.from_numpy(weight).float(),
        torch.from_numpy(np.concatenate([[0], power, [np.inf]])).float(), torch.from_numpy(bound),
    )  # fmt: skip


def _nearest_peak(observed: Observed, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of the nearest peak, and whether it is near enough to be the same."""
    above = np.searchsorted(observed.s, s).clip(1, len(observed.s) - 1)
    peak = np.where(s - observed.s[above - 1] < observed.s[above] - s, above - 1, above)
    return peak, np.abs(observed.s[peak] - s) <= (SAME if observed.exact else observed.width)


def _form_factor(symbol: str, s: np.ndarray) -> np.ndarray:
    atom, s_squared = form_factor(symbol), s[:, None] ** 2
    f = atom.z - 41.78214 * s**2 * (atom.a * np.exp(-atom.b * s_squared)).sum(1)
    return np.maximum(f, 0.05)  # electrons: the table's fits cross zero at high angles


def _scattering(counts: Mapping[str, int], s: np.ndarray) -> np.ndarray:
    return sum(number * _form_factor(symbol, s) ** 2 for symbol, number in counts.items())


def grid(lattice, groups: Sequence[Operations | None] = (None,), d_min: float = D_MIN) -> tuple:
    """Voxels an axis: enough for d_min, and such that every operation maps points onto points."""
    n = 2 * np.floor(np.linalg.norm(lattice, axis=1) / d_min).astype(int) + 2
    step = 2
    for group in groups:
        if group is not None:
            mixed = np.abs(group.rotations).sum(0) > 0
            n = np.array([n[mixed[i] | mixed[:, i] | (np.arange(3) == i)].max() for i in range(3)])
            fractions = np.round(24 * group.translations).astype(int)  # of the cell, multiples of 1/24
            step = np.lcm(step, 24 // np.gcd.reduce([24, *fractions.ravel()]))
    n = -(-n // step)
    return tuple(int(step * next_fast_len(int(k))) for k in n)


def symmetrised(maps: torch.Tensor, group: Operations) -> torch.Tensor:
    """The mean of maps (B, n1, n2, n3) over the operations, which must map grid points onto such."""
    shape = np.array(maps.shape[1:])
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    total, flat = torch.zeros_like(maps).flatten(1), maps.flatten(1)
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        # W x + t in voxels; W mixes only axes with as many
        to = (points @ rotation.T + np.round(translation * shape).astype(int)) % shape
        total += flat.index_select(1, torch.from_numpy(np.ravel_multi_index(to.T, shape)))
    return (total / len(group.rotations)).view(maps.shape)


def resampled(densities: torch.Tensor, shape) -> torch.Tensor:
    """Densities (B, n1, n2, n3) by their Fourier series on another grid, (B, *shape)."""
    sizes = list(zip(densities.shape[1:], shape, strict=True))
    hkl = [np.arange(-((min(pair) - 1) // 2), (min(pair) + 1) // 2) for pair in sizes]
    old, new = (np.ix_(*[h % pair[i] for h, pair in zip(hkl, sizes, strict=True)]) for i in (0, 1))
    given = torch.fft.fftn(densities, dim=(1, 2, 3), norm="forward")
    series = torch.zeros(len(densities), *shape, dtype=given.dtype)
    series[(slice(None), *new)] = given[(slice(None), *old)]
    return torch.fft.ifftn(series, dim=(1, 2, 3), norm="forward").real


def space_groups(lattice, observed: Observed) -> list[Operations]:
    """Groups of the lattice's family whose absences agree with the peaks, by falling number.

    In their standard settings (moyo's), in which `data.canonical` describes crystals and the networks answer.

    Args:
        lattice: (3, 3) rows, Å, of the primitive cell in that description.
        observed: peaks; those up to s = 0.5 / Å are looked at.
    """
    lattice = checked_lattice(lattice)
    metric = lattice @ lattice.T
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    found = []
    for number in range(230, 0, -1):
        operations = moyopy.operations_from_number(number, primitive=True)
        w, t = np.array(operations.rotations), np.array(operations.translations)
        if (np.abs(w.mT @ metric @ w - metric) <= 1e-3 * scale).all():
            found.append(Operations(number, w, t))
    family = max(low for low in (1, 3, 16, 75, 143, 195) if low <= found[0].number)
    n = np.floor(np.linalg.norm(lattice, axis=1)).astype(int)  # up to s = 0.5 / Å, where peaks are apart
    hkl = np.stack(np.meshgrid(*[np.arange(-k, k + 1) for k in n], indexing="ij"), -1).reshape(-1, 3)
    s = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1) / 2
    peak, near = _nearest_peak(observed, s)
    hkl, peak = hkl[near & (s > 0) & (s < 0.5)], peak[near & (s > 0) & (s < 0.5)]
    power = observed.intensity[np.unique(peak)].sum()

    def explains(group: Operations) -> bool:
        turned, phase = hkl @ group.rotations, hkl @ group.translations.T
        fixed = (turned == hkl).all(2).T
        absent = (fixed & (np.abs(phase - np.round(phase)) > 1e-3)).any(1)
        return observed.intensity[np.unique(peak[~absent])].sum() >= (1 - ABSENT) * power

    return [group for group in found if group.number >= family and explains(group)]


def check_contents(counts: Mapping[str, int], lattice: np.ndarray) -> None:
    """Raises CrystalNetError for contents of a cell that cannot be or do not fit its volume."""
    check_counts(counts)
    each = abs(np.linalg.det(lattice)) / sum(counts.values())
    if not ROOMY[0] < each < ROOMY[1]:
        raise CrystalNetError(
            f"Each atom would have {each:.1f} Å^3, which no crystal has. Give the contents of the whole cell,"
            " or correct the lattice."
        )


def _checked_seeds(seeds, n_random: int) -> torch.Tensor:
    if seeds is None:
        seeds = torch.zeros(0, 4, 4, 4)
    seeds = torch.as_tensor(seeds).float()
    if seeds.dim() != 4 or not torch.isfinite(seeds).all():
        raise CrystalNetError("Seeds must be finite, (S, n, n, n). Pass what a network's predict gives.")
    if len(seeds) + n_random < 1:
        raise CrystalNetError("There is nothing to begin with. Give seeds, or n_random of 1 or more.")
    return seeds
