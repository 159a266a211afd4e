"""The cell of a crystal from the positions of its powder peaks: cubic, hexagonal axes, tetragonal.

A crystal's cell and its multiples fit alike where extinctions hide the difference, so that intensities decide
in the end. `indexing` tells how cells are found and compared.

>>> from crystalnet.physics.atoms import Atoms
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> observed = Observed.of_structure(nacl, wavelength=1.5406)
>>> best = find_cells(observed, "cubic")[0]
>>> round(best.a, 2), best.convincing, centrings(best, observed)[0]
(5.64, True, 'F')
>>> best.lattice.round(2)[0], round(best.volume, 1)
(array([5.64, 0.  , 0.  ]), 179.4)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crystalnet.errors import Code, CrystalNetError
from crystalnet.lattice.indexing import (
    LIMITS,
    N_FITTED,
    N_PEAKS,
    REACH,
    SCALES,
    Positions,
    family_cells,
    merits_of,
    refined,
)
from crystalnet.lattice.lines import CENTRINGS, axes, constants
from crystalnet.patterns.observed import Observed

CHANCE = 8.0  # figure of merit, measured: of 390 lists of random peaks none had a cell above 5.4
CONVINCING = 1.5  # figure of merit a peak, our choice after the counts in `Cell.convincing`
FEWEST = {"cubic": 3, "hexagonal": 6, "tetragonal": 6}  # peaks; our choice: thrice the parameters


class Cell(NamedTuple):
    """A cell that explains peak positions.

    Attributes:
        family: cubic, hexagonal (also rhombohedral crystals, on hexagonal axes) or tetragonal.
        a, c: Å, the conventional axes; c = a if cubic.
        figure_of_merit: logarithm of how much likelier than chance the cell makes the positions.
        n_indexed, n_peaks: peaks on a line of the cell, and peaks that it was judged by.
    """

    family: str
    a: float
    c: float
    figure_of_merit: float
    n_indexed: int
    n_peaks: int

    @property
    def convincing(self) -> bool:
        """Whether the merit is what true cells have: `CONVINCING` a peak.

        Of positions jittered by 1e-4, simulated, so are the best cells of 0 in 180 lists of random peaks and
        0 in 180 of monoclinic crystals; for a cubic, hexagonal or tetragonal cell 0 in 100, 2 in 40 and 3 in
        40 of orthorhombic ones, which come near to such metrics by accident; for a cubic or hexagonal cell 2
        in 100 and 6 in 40 of two phases, one of which it fits. Of 87 trigonal crystals, jittered by 3e-4,
        25 peaks or those above 1%, 95 and 100% are.
        """
        return self.figure_of_merit >= CONVINCING * self.n_peaks

    @property
    def lattice(self) -> np.ndarray:
        """(3, 3), Å, rows are the conventional vectors, a along x."""
        x, y = (-1 / 2, 3**0.5 / 2) if self.family == "hexagonal" else (0, 1)
        return np.array([[self.a, 0, 0], [self.a * x, self.a * y, 0], [0, 0, self.c]])

    @property
    def volume(self) -> float:
        """Å^3 of the conventional cell."""
        return float(np.linalg.det(self.lattice))


def find_cells(
    observed: Observed,
    family: str | None = None,
    volume_range: tuple[float, float] | None = None,
    most: int = 12,
) -> list[Cell]:
    """Cells that explain the positions of peaks, the best first.

    A cell and its multiples may fit alike, where extinctions hide the difference: intensities must tell, and
    so less likely cells are returned too.

    Args:
        family: one of `CENTRINGS`, or None for all.
        volume_range: lowest and highest volume of the conventional cell, Å^3. Where it is known, cells
            that chance could give are returned too: from broad peaks, the true cell may be one of them.
        most: return so many at most.

    Raises:
        CrystalNetError: no such family, too few peaks, or no cell that is better than chance where no
            volume is known.
    """
    families = [family] if family else list(CENTRINGS)
    if family not in (None, *CENTRINGS):
        raise CrystalNetError(
            f"There is no family {family!r}. Choose one of {', '.join(CENTRINGS)}, or None.",
            Code.BAD_ARGUMENT,
        )
    families = [name for name in families if len(observed.s) >= FEWEST[name]]
    if not families:
        fewest = FEWEST[family or "cubic"]
        raise CrystalNetError(
            f"{len(observed.s)} peaks are too few for a {family or 'cubic'} cell: at least {fewest} are"
            " needed. Widen the range of angles, or lower the intensity that counts as a peak.",
            Code.NO_PEAKS,
        )
    peaks = Positions.of(observed)
    strength = observed.peaks.intensity[:N_PEAKS]
    volumes = volume_range or LIMITS["volume"]
    low = peaks.first(N_PEAKS)
    cells = {name: family_cells(name, low, strength, volumes) for name in families}
    scales = np.ones(1) if peaks.exact else SCALES
    merits = {name: merits_of(name, cells[name], low, scales) for name in families if len(cells[name])}
    # what the peaks are off by is one number for all cells: that of the best
    scale = int(np.argmax(np.max([merit.max((0, 2)) for merit in merits.values()], 0))) if merits else 0
    low, peaks = (peaks.first(n, scales[scale]) for n in (N_PEAKS, N_FITTED))
    found = []
    for name, merit in merits.items():
        best = np.argsort(-merit[:, scale].max(0))[:most]
        types = merit[:, scale, best].argmax(0)
        for t, centring in enumerate(CENTRINGS[name]):
            found += _finished(name, centring, cells[name][best[types == t]], peaks, low)
    found.sort(key=lambda cell: -cell.figure_of_merit)
    if not found or (not volume_range and found[0].figure_of_merit < CHANCE):
        raise CrystalNetError(
            f"No {' or '.join(families)} cell explains the peaks. Is the system another, or are there two"
            " phases?",
            Code.NO_CELL,
        )
    return [cell for cell in found[:most] if volume_range or cell.figure_of_merit > 0]


def centrings(cell: Cell, observed: Observed) -> tuple[str, ...]:
    """The centrings of `CENTRINGS` that the peaks allow, the one with the fewest lines first.

    A centring is ruled out by peaks on lines that it extinguishes, but for those that a line which it leaves
    explains too. Of measured peaks a tenth may be of something else.
    """
    peaks = Positions.of(observed)
    peaks = peaks.first(len(peaks.q) if observed.exact else N_PEAKS)
    at = np.append(constants(cell.family, cell.a, cell.c), 0)[None]
    on = {
        centring: np.abs(peaks.lines(cell.family, centring, at)[2][0]) < REACH * peaks.sigma
        for centring in CENTRINGS[cell.family]
    }
    spared = 0 if observed.exact else 0.1 * on["P"].sum()
    return tuple(name for name, these in on.items() if (on["P"] & ~these).sum() <= spared)


def _finished(family: str, centring: str, cells: np.ndarray, peaks: Positions, low: Positions) -> list[Cell]:
    """The cells (K, 3) refined with all peaks, and what they are worth for the low ones."""
    if not len(cells):
        return []
    for n_peaks in (N_PEAKS, 2 * N_PEAKS, N_FITTED, N_FITTED):
        cells = refined(family, centring, cells, peaks.first(n_peaks))
    merits = merits_of(family, cells, low, np.ones(1)).max((0, 1))
    indexed = (np.abs(low.lines(family, "P", cells)[2]) < REACH * low.sigma).sum(1)
    return [
        Cell(family, float(a), float(c), float(merit), int(n), len(low.q))
        for a, c, merit, n in zip(*axes(family, cells), merits, indexed, strict=True)
    ]
