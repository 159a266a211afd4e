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

import numpy as np
import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import ATOMIC_NUMBERS
from crystalnet.solving.amplitudes import D_MIN, REST, Amplitudes, calculated, grid, measured
from crystalnet.solving.atoms import atoms_from_density, check_counts, pattern_distance
from crystalnet.solving.groups import Operations, checked_lattice, symmetrised

ITERATIONS = 60  # our choice: most maps that lock in have done so
FLIPPED = 1.3  # standard deviations of the map, our choice after trying 1.0 to 1.4: below it is turned round
REMOVED = 1.5  # the same for the last iterations, which remove
LAST = 15  # iterations that remove, our choice
BEST = 8  # maps that are completed by computed ones, our choice
ROUNDS = 3  # of completion, our choice
ANSWERS = 6  # assignments of elements that are tried a map, our choice
ROOMY = 2.0, 200.0  # Å^3 an atom: hydrogen under pressure, caesium; beyond lies no crystal


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
    lattice: np.ndarray,
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

    >>> cscl = Atoms(4.12 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Cs", "Cl"]))
    >>> found = phase(Observed.of_structure(cscl), cscl.lattice, {"Cs": 1, "Cl": 1}, n_random=2, d_min=0.8)
    >>> found.maps.shape[0], sorted(found.atoms[0][1].symbols.tolist())
    (2, ['Cl', 'Cs'])
    """
    lattice, seeds = checked_lattice(lattice), _checked_seeds(seeds, n_random)
    _check_contents(counts, lattice)
    shape = grid(lattice, groups, d_min)
    known = measured(observed, lattice, counts, shape, d_min)
    generator = torch.Generator().manual_seed(seed)
    starts, origin = [], [*range(len(seeds)), *[-1] * n_random]
    for group in groups:
        both = torch.randn(n_random, *shape, generator=generator)
        if len(seeds):
            both = torch.cat([_resampled(seeds, shape), both])
        both = both - both.mean((1, 2, 3), keepdim=True)
        starts.append(both if group is None else symmetrised(both, group))
    maps = _iterated(torch.cat(starts), known, iterations)
    place = np.repeat(np.arange(len(groups)), len(origin))
    answers = _completed(maps, known, observed, counts, lattice=lattice, groups=[groups[i] for i in place])
    figure = np.array([min((away for away, _ in found), default=1.0) for found in answers])
    ranked = sorted((pair for found in answers for pair in found), key=lambda pair: pair[0])
    return Phased(maps, figure, np.tile(origin, len(groups)), place, ranked)


def _iterated(maps: torch.Tensor, known: Amplitudes, iterations: int) -> torch.Tensor:
    """Flip and project, then remove and project."""
    maps = _projected(maps, known)
    deviation = maps.flatten(1).std(1)[:, None, None, None]
    for number in range(iterations + LAST):
        if number < iterations:
            changed = torch.where(maps < FLIPPED * deviation, -maps, maps)
        else:
            changed = torch.where(maps < REMOVED * deviation, 0, maps)
        maps = _projected(changed, known)
    return maps


def _projected(maps: torch.Tensor, known: Amplitudes) -> torch.Tensor:
    """The nearest maps (B, n1, n2, n3) that have the measured power."""
    return _map(_scaled(torch.fft.rfftn(maps, dim=(1, 2, 3)).flatten(1), known), known.shape)


def _scaled(series: torch.Tensor, known: Amplitudes) -> torch.Tensor:
    squared = (series.real**2 + series.imag**2) * known.weight
    power = squared.new_zeros(len(series), len(known.power)).index_add_(1, known.group, squared)
    factor = (known.power / power.clamp_min(REST)).sqrt()
    factor = torch.where(known.bound, factor.clamp_max(1), factor)
    return series * factor.index_select(1, known.group)


def _map(series: torch.Tensor, shape) -> torch.Tensor:
    return torch.fft.irfftn(series.view(len(series), *shape[:2], -1), s=shape, dim=(1, 2, 3))


def _completed(
    maps: torch.Tensor,
    known: Amplitudes,
    observed: Observed,
    counts: Mapping[str, int],
    *,
    lattice: np.ndarray,
    groups: Sequence[Operations | None],
) -> list[list[tuple[float, Atoms]]]:
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


def _difference(atoms: Atoms, times: int, known: Amplitudes, counts: Mapping[str, int]) -> torch.Tensor:
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


def _resampled(densities: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """Densities (B, n1, n2, n3) by their Fourier series on another grid, (B, *shape)."""
    sizes = list(zip(densities.shape[1:], shape, strict=True))
    hkl = [np.arange(-((min(pair) - 1) // 2), (min(pair) + 1) // 2) for pair in sizes]
    old, new = (np.ix_(*[h % pair[i] for h, pair in zip(hkl, sizes, strict=True)]) for i in (0, 1))
    given = torch.fft.fftn(densities, dim=(1, 2, 3), norm="forward")
    series = torch.zeros(len(densities), *shape, dtype=given.dtype)
    series[(slice(None), *new)] = given[(slice(None), *old)]
    return torch.fft.ifftn(series, dim=(1, 2, 3), norm="forward").real


def _check_contents(counts: Mapping[str, int], lattice: np.ndarray) -> None:
    """Raises CrystalNetError for contents of a cell that cannot be or do not fit its volume."""
    check_counts(counts)
    each = abs(np.linalg.det(lattice)) / sum(counts.values())
    if not ROOMY[0] < each < ROOMY[1]:
        raise CrystalNetError(
            f"Each atom would have {each:.1f} Å^3, which no crystal has. Give the contents of the whole cell,"
            " or correct the lattice.",
            Code.BAD_ARGUMENT,
        )


def _checked_seeds(seeds, n_random: int) -> torch.Tensor:
    if seeds is None:
        seeds = torch.zeros(0, 4, 4, 4)
    seeds = torch.as_tensor(seeds).float()
    if seeds.dim() != 4 or not torch.isfinite(seeds).all():
        raise CrystalNetError(
            "Seeds must be finite, (S, n, n, n). Pass what a network's predict gives.", Code.BAD_ARGUMENT
        )
    if len(seeds) + n_random < 1:
        raise CrystalNetError(
            "There is nothing to begin with. Give seeds, or n_random of 1 or more.", Code.BAD_ARGUMENT
        )
    return seeds
