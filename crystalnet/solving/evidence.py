r"""How sure an answer to a measured curve is, without knowing the truth.

    p = 1 / (1 + exp(-w . x)),    x = (1, ln left, ln (gap + 0.03), ln compounds, |ln volume|, |ln bond|)

`left` is the part of the curve that a structure does not explain, \sum |y - k c| / \sum y with the best
scale k; `gap` how far its score is from that of any other structure, parameters counted; `compounds` how
many are known of its structure type; `volume` and `bond` are as in `ranking`. Weights are fitted to simulated
samples of validation crystals (`scoring.samples`), of some of which something untrue is told; no measured
pattern took part. `ranking` is the same for peaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crystalnet.lattice.volumes import usual_volume
from crystalnet.solving.candidates import MIDDLE, Candidate
from crystalnet.solving.frames import Frames
from crystalnet.solving.ranking import UNUSUAL, bond, structure_of

CLUES = ("left", "gap", "compounds", "volume", "bond")
FEWEST_LEFT = 0.05  # our choice: less says no more, peaks are never quite of their shape
NARROW, WIDE = 0.03, 2.0  # gaps, our choice: a narrower one, or a wider one, says no more
ALONE = 0.3  # gap of a candidate without any other, our choice: nobody knows how far the next one is
MOST_COMPOUNDS = 100  # our choice: more say no more
WEIGHTS = np.array([-0.752, -2.75, 0.504, 0.145, -4.429, -3.698])


def left(candidate: Candidate, frames: Frames) -> float:
    """The part of the measured curve that a structure leaves unexplained, or explains that is not there."""
    trial = candidate.trial
    frame = frames(trial.template, trial.lattice, MIDDLE, trial.height)
    intensity = frame.intensity(trial.symbols, frame.waves(trial.frac_coords), trial.b_factor)
    curve, measured = frame.smearing @ intensity, frame.measured**2
    scale = float(measured @ curve) / max(float(curve @ curve), 1e-30)
    return float(np.abs(measured - scale * curve).sum() / max(measured.sum(), 1e-30))


def clues(candidates: Sequence[Candidate], frames: Frames) -> dict[str, float]:
    """What the probability of the first of `ranking.distinct` candidates is computed from, by the names of
    CLUES.

    Args:
        frames: of the whole curve.

    >>> from crystalnet.patterns.peaks import fit_peaks
    >>> from crystalnet.patterns.profile import Profile
    >>> from crystalnet.patterns.simulation import simulated
    >>> from crystalnet.physics.atoms import Atoms
    >>> from crystalnet.solving.refinement import Trial
    >>> from crystalnet.solving.templates import Template
    >>> atoms = Atoms(4.12 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Cs", "Cl"]))
    >>> fit, template = fit_peaks(simulated(atoms)), Template.of(atoms)
    >>> frames = Frames(Profile.of(fit).observed(fit.observed()))
    >>> trial = Trial(template, template.lattice, tuple(template.symbols), template.frac_coords, 0.5)
    >>> candidate = Candidate.of(trial, "known", frames)
    >>> told = clues([candidate], frames)
    >>> sorted(told) == sorted(CLUES), told["left"] == left(candidate, frames) < 0.2
    (True, True)
    """
    first = candidates[0]
    structure = structure_of(first.trial.atoms)
    return {
        "left": left(first, frames),
        "gap": candidates[1].score - first.score if len(candidates) > 1 else ALONE,
        "compounds": first.trial.template.n_compounds,
        "volume": structure.volume / usual_volume(first.contents),
        "bond": bond(structure),
    }


def features_of_clues(told: Mapping[str, float]) -> np.ndarray:
    """The x (6,) of one answer, or (N, 6) of a table's columns, by the names of CLUES.

    >>> told = {"left": 0.05, "gap": 0.97, "compounds": 1, "volume": 1.0, "bond": 1.0}
    >>> features_of_clues(told).round(1).tolist()
    [1.0, -3.0, 0.0, 0.0, 0.0, 0.0]
    """
    left, gap, compounds, volume, bond = (np.asarray(told[name], float) for name in CLUES)
    unusual = [np.abs(np.log(np.clip(ratio, 1 / UNUSUAL, UNUSUAL))) for ratio in (volume, bond)]
    parts = [
        np.log(np.maximum(left, FEWEST_LEFT)),
        np.log(np.clip(gap, 0, WIDE) + NARROW),
        np.log(np.clip(compounds, 1, MOST_COMPOUNDS)),
        *unusual,
    ]
    return np.stack([np.ones_like(parts[0]), *np.broadcast_arrays(*parts)], -1)
