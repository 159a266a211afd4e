r"""Free coordinates, cell and thermal motion of a trial structure, fitted to a powder pattern.

Least squares of square roots, so that the many weak peaks count: minimised is, over the points of the curve,

    \sum (sqrt(k y + e) - sqrt(y_measured + e))^2,     k such that both curves hold the same intensity,

by `descent` with exact derivatives. It begins at low angles, where a wrong coordinate
is wrong by a small part of a wave, and goes up. Movements keep the space group (see `Template.freedom`).

>>> import numpy as np
>>> from crystalnet.patterns.observed import Observed
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> template, frames = Template.of(nacl), Frames(Observed.of_structure(nacl))
>>> trial = Trial(template, 1.002 * template.lattice, ("Na", "Cl"), template.frac_coords)
>>> trial.n_free, trial.n_parameters, trial.freedom(hydrogen=True).shape, len(trial.atoms.symbols)
(0, 3, (2, 3, 0), 2)
>>> better = refine(trial, frames, lattice=True)
>>> better.lattice[0, 0].round(3), better.distance(frames, 0.75) < trial.distance(frames, 0.75)
(np.float64(5.64), True)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crystalnet.patterns.observed import by_height
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.descent import Left, descended
from crystalnet.solving.frames import Frame, Frames
from crystalnet.solving.templates import Template, strained

STAGES = ((0.45, 6), (0.75, 10))  # highest s in 1/Å and steps; our choice: two thirds of an Å, then beyond
LAST_STAGE = ((1.0, 8),)
FLOOR = 0.01  # of the highest amplitude, our choice: below it the square root is bent straight
LARGEST_STEP = 0.04  # of a cell edge, our choice: a quarter of the shortest wave of the first stage
SMALLEST_STEP = 2e-5  # of a cell edge, our choice: 1e-4 Å
ENOUGH = 1e-5  # relative gain at which a stage ends
MOST_PARAMETERS = 60  # our choice: beyond, a powder pattern does not determine them
LARGEST_HEIGHT = 0.3  # degrees, our choice: samples are put in with more care
LARGEST_B = 6.0  # Å^2, our choice: twice what soft crystals show at room temperature


@dataclass(frozen=True, eq=False)
class Trial:
    """A template in a cell, filled with elements.

    Attributes:
        template: whose symmetry it has.
        lattice: (3, 3) rows, Å, conventional.
        symbols: (A,).
        frac_coords: (A, 3) in conventional axes.
        b_factor: of all atoms, Å^2.
        height: degrees by which the height of the sample shifts peaks, times cos(theta).
    """

    template: Template
    lattice: np.ndarray
    symbols: tuple[str, ...]
    frac_coords: np.ndarray
    b_factor: float = 0.0
    height: float = 0.0

    @property
    def atoms(self) -> Atoms:
        """In the primitive cell."""
        return self.template.atoms(self.lattice, np.array(self.symbols), self.frac_coords)

    @property
    def n_free(self) -> int:
        """Free coordinates."""
        return self.template.freedom.shape[2]

    def freedom(self, hydrogen: bool) -> np.ndarray:
        """Movements (A, 3, P) that keep the symmetry, those of hydrogen too or not: it hardly scatters."""
        moves = self.template.freedom
        if hydrogen:
            return moves
        heavy = np.array(self.symbols) != "H"
        return moves[:, :, np.abs(moves[heavy]).max((0, 1), initial=0) > 0]

    @property
    def n_parameters(self) -> int:
        """Free coordinates but hydrogen's, occupied sites, and lengths and angles of the cell."""
        n_sites = int(self.template.sites.max()) + 1
        return self.freedom(hydrogen=False).shape[2] + n_sites + len(self.template.strains)

    def distance(self, frames: Frames, highest: float) -> float:
        """How far its calculated amplitude is from the measured one up to s = highest, 0 to 1."""
        frame = frames(self.template, self.lattice, highest, self.height)
        return frame.distance(self.symbols, self.frac_coords, self.b_factor)


def refine(
    trial: Trial,
    frames: Frames,
    stages: Sequence[tuple[float, int]] = STAGES,
    lattice: bool = False,
    thermal: bool = False,
) -> Trial:
    """The trial moved downhill; itself where nothing is free or too much is.

    Args:
        frames: of the measurement.
        stages: highest s, and how many steps, of one stage after the other.
        lattice: fit the cell, too.
        thermal: fit the overall B factor and, where it may shift peaks, the height of the sample, too;
            hydrogen then stays, as errors of a measurement would move it.
    """
    if trial.n_free > MOST_PARAMETERS or not (trial.n_free or lattice or thermal):
        return trial
    for highest, n_steps in stages:
        trial = _stage(trial, frames, highest, n_steps, lattice=lattice, thermal=thermal)
    return trial


def _stage(
    trial: Trial, frames: Frames, highest: float, n_steps: int, *, lattice: bool, thermal: bool
) -> Trial:
    def placed(trial: Trial) -> tuple[Trial, Frame]:
        return trial, _frame(trial, frames, highest, lattice)

    return descended(
        placed(trial),
        lambda now: _left(*now, lattice, thermal),
        lambda now, step: placed(_moved(now[0], step, lattice, thermal)),
        n_steps=n_steps,
        enough=ENOUGH,
        smallest_step=SMALLEST_STEP,
    )[0]


def _frame(trial: Trial, frames: Frames, highest: float, lattice: bool) -> Frame:
    """The frame of a cell that others share is kept; that of one being fitted is not."""
    if lattice:
        return Frame(trial.template, trial.lattice, frames.observed, highest, trial.height)
    return frames(trial.template, trial.lattice, highest, trial.height)


def _moved(trial: Trial, step: np.ndarray, lattice: bool, thermal: bool) -> Trial:
    step = step * min(1, LARGEST_STEP / max(np.abs(step).max(), 1e-12))
    freedom = trial.freedom(hydrogen=not thermal)
    changes = {"frac_coords": trial.frac_coords + freedom @ step[: freedom.shape[2]]}
    rest = step[freedom.shape[2] :]
    if lattice:
        strains = trial.template.strains
        strain = np.tensordot(rest[: len(strains)], strains, 1)
        changes["lattice"] = strained(trial.lattice, strain)
        rest = rest[len(strains) :]
    if thermal:
        changes["b_factor"] = float(np.clip(trial.b_factor + rest[0], 0, LARGEST_B))
    if len(rest) > 1:
        changes["height"] = float(np.clip(trial.height + rest[1], -LARGEST_HEIGHT, LARGEST_HEIGHT))
    return replace(trial, **changes)


def _left(trial: Trial, frame: Frame, lattice: bool, thermal: bool) -> Left:
    """Differences of the bent square roots (n,), and what gives their derivatives (n, P)."""
    freedom = trial.freedom(hydrogen=not thermal)
    f = np.stack([frame.form_factor(symbol) for symbol in trial.symbols], axis=1)
    parts = f * frame.waves(trial.frac_coords)
    amplitude = parts.sum(1)
    weight = frame.multiplicity * np.exp(-2 * trial.b_factor * frame.s**2)
    intensity = weight * (amplitude.real**2 + amplitude.imag**2)
    visible = frame.visible(intensity)
    curve = frame.smearing @ (intensity * visible**2)
    floor = frame.floor + (FLOOR * frame.measured.max(initial=0)) ** 2
    measured = frame.measured**2
    scale = measured.sum() / max(curve.sum(), 1e-30)
    root = np.sqrt(scale * curve + floor)

    def slopes() -> np.ndarray:
        columns = []
        if freedom.shape[2]:
            # d|F|^2 = 2 Re(F* dF), and d (sqrt(I) - hidden)^2 = visible dI: the hidden amplitude stays
            turned = -4 * np.pi * (weight * visible)[:, None] * (amplitude.conj()[:, None] * parts).imag
            by_axis = [frame.hkl[:, i, None] * (turned @ freedom[:, i]) for i in range(3)]
            columns.append(frame.smearing @ sum(by_axis))
        if lattice:
            columns.append(_by_strains(frame, trial, intensity * visible**2))
        if thermal:
            columns.append((frame.smearing @ (-2 * frame.s**2 * intensity * visible))[:, None])
        if thermal and frame.observed.is_shifted:
            slope = frame.observed.smearing(frame.seen, frame.n, order=1)
            columns.append((slope @ (intensity * by_height(frame.s, frame.observed.wavelength)))[:, None])
        by = np.concatenate(columns, axis=1)
        rescaled = scale * (by - np.outer(curve, by.sum(0)) / max(curve.sum(), 1e-30))
        return rescaled / (2 * root[:, None])

    return root - np.sqrt(measured + floor), slopes


def _by_strains(frame: Frame, trial: Trial, intensity: np.ndarray) -> np.ndarray:
    """Derivatives of the curve by each strain (n, strains)."""
    g = frame.hkl @ np.linalg.inv(trial.lattice).T
    slope = frame.observed.smearing(frame.seen, frame.n, order=1)
    # the reciprocal vectors of a stretched cell shrink: ds = -g . (strain g) / 4 s
    by_strain = [-((g @ strain) * g).sum(1) / (4 * frame.s) for strain in trial.template.strains]
    return np.stack([slope @ (intensity * by) for by in by_strain], axis=1)
