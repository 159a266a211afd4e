r"""How sure an answer is, without knowing the truth.

    p = 1 / (1 + exp(-w . x)),
    x = (1, ln max(distance / error, 1), ln lead, unnamed, ln faintest, |ln volume|, |ln bond|, ln peaks)

A right structure explains the pattern well and clearly better than any other. `distance` counts from what
errors of the measurement make, or where the pattern is ideal from what refinement leaves. `lead` is how many
times farther the best different structure lies, parameters counted (see `Candidate.score`); `unnamed` is how
many elements nobody named: the more of them, the more structures explain a pattern; `faintest` is what an
atom of the lightest element scatters, as a share of the whole cell's: hydrogen in a large cell can be
anywhere and hardly shows. `volume`, over what the elements usually take, and `bond`, the shortest one over
what the radii of its atoms say, are near 1 in a real crystal. And the more `peaks` a structure explains, the
fewer others would. Weights are fitted on validation crystals under the disturbances of chapter 9 (see
`fitted`), never on test crystals.

>>> from crystalnet.patterns.observed import Observed
>>> from crystalnet.solving.frames import Frames
>>> from crystalnet.solving.refinement import Trial
>>> from crystalnet.solving.templates import Template
>>> salt = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> template, frames = Template.of(salt), Frames(Observed.of_structure(salt))
>>> trial = Trial(template, template.lattice, ("Na", "Cl"), template.frac_coords)
>>> answer = Candidate.of(trial, "analogue of MgO", frames)
>>> len(distinct([answer, answer])), lead([answer]), round(faintest(["Na", "Cl"]), 2)
(1, 3.0, 0.3)
>>> round(bond(structure_of(salt)), 2)
1.08
>>> told = facts([answer])
>>> x = features(**told)
>>> x.shape, bool(probability(x) > 0.5), fitted(np.stack([x, -x]), np.array([1, 0])).shape
((8,), True, (8,))
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from crystalnet.lattice.volumes import usual_volume
from crystalnet.physics.atoms import Atoms
from crystalnet.physics.tables import ATOMIC_NUMBERS
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.relatives import bare

FACTS = ("distance", "lead", "unnamed", "faintest", "ideal", "volume", "bond", "peaks")
ERROR = 0.03  # distance that errors of measurement make, our choice: less says no more
LEFT = 0.003  # distance of right structures from ideal patterns after refinement at most, our choice
LARGEST_LEAD = 20.0  # our choice: more says no more
ALONE = 3.0  # lead of a candidate without any other, our choice: nobody knows how far the next one is
MOST_UNNAMED = 3  # our choice: more say no more
UNUSUAL = 2.0  # volume or bond, or one over it, our choice: farther from 1 says no more
CONFIDENT = 0.8  # probability from which on an answer is called confident, our choice
COMPARED = 8  # candidates that are compared with the best, our choice
# of 601 answers to validation crystals, 145 of them wrong; a test fits them anew to the rows in book/solved
WEIGHTS = np.array([2.585, -2.188, 0.464, -0.832, 0.264, -6.956, -5.814, 0.774])


def structure_of(atoms: Atoms) -> Structure:
    """As pymatgen's."""
    return Structure(atoms.lattice, atoms.symbols.tolist(), atoms.frac_coords)


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By rising score, without repetitions: of structures that match, the first stays; but of two that match
    without hydrogen, one that has a place for it rather than one that has none."""
    matcher, kept, structures = StructureMatcher(), [], []

    def same(one: Structure, other: Structure) -> bool:
        return matcher.fit(one, other, skip_structure_reduction=True)

    ranked = sorted(candidates, key=lambda one: one.score)
    whole = [without_hydrogen(one) for one in ranked if not one.n_absent][:COMPARED] if _lack(ranked) else []
    for candidate in ranked:
        if len(kept) < COMPARED:
            structure = structure_of(candidate.trial.atoms).get_reduced_structure()  # once, not for each pair
            if any(same(structure, other) for other in structures):
                continue
            if candidate.n_absent and any(same(structure, other) for other in whole):
                continue
            structures.append(structure)
        kept.append(candidate)
    return kept


def _lack(candidates: Sequence[Candidate]) -> bool:
    return any(one.n_absent for one in candidates)


def without_hydrogen(candidate: Candidate) -> Structure:
    """What X-rays see of a candidate, reduced.

    >>> from crystalnet.patterns.observed import Observed
    >>> from crystalnet.solving.frames import Frames
    >>> from crystalnet.solving.refinement import Trial
    >>> from crystalnet.solving.templates import Template
    >>> hydride = Atoms(2.04 * (1 - np.eye(3)), np.array([[0] * 3, [0.5] * 3]), np.array(["Li", "H"]))
    >>> template, frames = Template.of(hydride), Frames(Observed.of_structure(hydride))
    >>> trial = Trial(template, template.lattice, ("Li", "H"), template.frac_coords)
    >>> without_hydrogen(Candidate.of(trial, "analogue of NaCl", frames)).composition.reduced_formula
    'Li'
    """
    atoms = candidate.trial.atoms
    return structure_of(atoms if (heavy := bare(atoms)) is None else heavy).get_reduced_structure()


def lead(candidates: Sequence[Candidate]) -> float:
    """How many times farther than the first of `distinct` candidates the second lies, parameters counted."""
    if len(candidates) < 2:
        return ALONE
    return float(np.clip(np.exp(candidates[1].score - candidates[0].score), 1, LARGEST_LEAD))


def faintest(symbols: Sequence[str]) -> float:
    """What an atom of the lightest element scatters at low angles, Z^2, as a share of all the cell's."""
    scattered = np.square([ATOMIC_NUMBERS[symbol] for symbol in symbols], dtype=float)
    return float(scattered.min() / scattered.sum())


def bond(structure: Structure) -> float:
    """The shortest bond over the sum of its atoms' radii, as pymatgen's DLSVolumePredictor has them (Chu et
    al., Comput. Mater. Sci. 146, 184, 2018); 1 where there is no bond to tell from."""
    from pymatgen.analysis.structure_prediction.volume_predictor import (  # slow to import
        DLSVolumePredictor,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an element without a radius: the others tell
        try:
            predicted = DLSVolumePredictor(min_scaling=None, max_scaling=None).predict(structure)
        except ValueError:  # no bonds, or no radii at all
            return 1.0
    ratio = float((structure.volume / predicted) ** (1 / 3))
    return ratio if math.isfinite(ratio) else 1.0  # noble gases have no electronegativity


def facts(candidates: Sequence[Candidate]) -> dict[str, float]:
    """What the probability of the first of `distinct` candidates is computed from, by the names of FACTS."""
    first = candidates[0]
    structure = structure_of(first.trial.atoms)
    return {
        "distance": first.distance,
        "lead": lead(candidates),
        "unnamed": first.n_unnamed,
        "faintest": faintest(first.trial.symbols),
        "ideal": int(first.ideal),
        "volume": structure.volume / usual_volume(first.contents),
        "bond": bond(structure),
        "peaks": first.n_peaks,
    }


def features(
    *,
    distance: ArrayLike,
    lead: ArrayLike,
    unnamed: ArrayLike,
    faintest: ArrayLike,
    ideal: ArrayLike,
    volume: ArrayLike,
    bond: ArrayLike,
    peaks: ArrayLike,
) -> np.ndarray:
    """The x of each answer, (..., 8), from arrays of FACTS (...)."""
    beyond = np.log(np.maximum(np.asarray(distance) / np.where(ideal, LEFT, ERROR), 1))
    unity, unnamed = np.ones(beyond.shape), np.minimum(unnamed, MOST_UNNAMED)
    unusual = [np.abs(np.log(np.clip(ratio, 1 / UNUSUAL, UNUSUAL))) for ratio in (volume, bond)]
    return np.stack([unity, beyond, np.log(lead), unnamed, np.log(faintest), *unusual, np.log(peaks)], -1)


def probability(x: np.ndarray, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    """That the answer is right, of features (..., 8)."""
    return 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))


def fitted(x: np.ndarray, right: np.ndarray, steps: int = 50) -> np.ndarray:
    """Weights (8,) of logistic regression, by Newton's method with a little shrinkage.

    Args:
        x: (N, 8) features.
        right: (N,) whether the answer was right.
    """
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = probability(x, weights)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 0.1 * np.eye(len(weights))
        weights = weights + np.linalg.solve(hessian, x.T @ (right - p) - 0.1 * weights)
    return weights
