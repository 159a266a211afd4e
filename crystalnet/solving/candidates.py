r"""Answers to a pattern: a structure, where it comes from, and how well it explains what was measured.

A subgroup explains a pattern always as well as its group, and with errors of measurement a little better, so
that parameters have a price:

    score = ln distance + k ln n / n,    k free coordinates, occupied sites and lengths and angles, n peaks

It is Schwarz's criterion (Annals of Statistics 6, 461, 1978) for n / 2 peaks, the strong ones: they make the
distance.

>>> import numpy as np
>>> from crystalnet.patterns.observed import Observed
>>> from crystalnet.physics.atoms import Atoms
>>> nacl = Atoms(2.82 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Na", "Cl"]))
>>> template, frames = Template.of(nacl), Frames(Observed.of_structure(nacl))
>>> trial = Trial(template, template.lattice, ("Na", "Cl"), template.frac_coords)
>>> right = Candidate.of(trial, "analogue of MgO", frames)
>>> wide = Trial(template, 1.01 * template.lattice, ("Na", "Cl"), template.frac_coords)
>>> wrong = right.changed(wide, frames)
>>> wrong.refined(trial, frames).score == right.score < wrong.score, right.simplified(frames) is right
(True, True)
>>> [round(priced(0.1, n_parameters=n, n_told=20), 2) for n in (2, 3)]  # a parameter more costs
[-2.0, -1.85]
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from crystalnet.errors import CrystalNetError
from crystalnet.solving.frames import Frames
from crystalnet.solving.refinement import LAST_STAGE, STAGES, Trial, refine
from crystalnet.solving.relatives import HYDROGEN
from crystalnet.solving.templates import Template

LOW, MIDDLE, WIDE = 0.45, 0.9, 1.2  # highest s, 1/Å, that candidates are screened, chosen and confirmed by

TOLERANCES = 0.05, 0.1, 0.2, 0.3  # Å within which higher symmetry is looked for, our choice
LEAST_DISTANCE = 1e-3  # below it two patterns are equal for our purpose


def priced(distance: float, n_parameters: int, n_told: int) -> float:
    """The score of a distance that so many parameters have reached."""
    return math.log(max(distance, LEAST_DISTANCE)) + n_parameters * math.log(n_told) / n_told


@dataclass(frozen=True, eq=False)
class Candidate:
    """A structure proposed for a pattern.

    Attributes:
        trial: the structure.
        origin: 'analogue of ...', 'network', 'phasing'.
        distance: from the measured amplitude up to s = MIDDLE, 0 to 1.
        distance_wide: the same up to s = WIDE; peaks at high angles tell small shifts.
        n_peaks: of the pattern.
        n_told: independent numbers that the measurement tells.
        n_unnamed: elements that nobody named, told from the intensities.
        ideal: whether the pattern is without errors.
        n_absent: atoms of hydrogen in the primitive cell that have no place in the trial.
    """

    trial: Trial
    origin: str
    distance: float
    distance_wide: float
    n_peaks: int
    n_told: int
    n_unnamed: int = 0
    ideal: bool = False
    n_absent: int = 0

    @classmethod
    def of(
        cls, trial: Trial, origin: str, frames: Frames, n_unnamed: int = 0, n_absent: int = 0
    ) -> Candidate:
        near, wide = (trial.distance(frames, highest) for highest in (MIDDLE, WIDE))
        seen = frames.observed
        return cls(trial, origin, near, wide, len(seen.s), seen.n_told, n_unnamed, seen.ideal, n_absent)

    def changed(self, trial: Trial, frames: Frames) -> Candidate:
        """Another trial of the same origin."""
        n_absent = round(self.n_absent * len(trial.symbols) / len(self.trial.symbols))  # of another cell
        return Candidate.of(trial, self.origin, frames, self.n_unnamed, n_absent)

    def refined(self, trial: Trial, frames: Frames) -> Candidate:
        """The better of this and a refined trial of it."""
        new = self.changed(trial, frames)
        return new if new.score < self.score else self

    def simplified(self, frames: Frames) -> Candidate:
        """The same structure with the symmetry that explains the pattern best for its number of parameters.

        Templates of low symmetry reach structures of higher ones: a cinnabar of the right proportions is rock
        salt. Without the symmetry its needless parameters would fit errors of the measurement.
        """
        best, measured = self, not frames.observed.exact
        for tolerance in TOLERANCES:
            try:
                template = Template.of(self.trial.atoms, tolerance=tolerance)
            except CrystalNetError:
                continue  # none found
            if len(template.rotations) <= len(best.trial.template.rotations):
                continue
            symbols = tuple(template.symbols.tolist())
            trial = Trial(
                template,
                template.lattice,
                symbols,
                template.frac_coords,
                self.trial.b_factor,
                self.trial.height,
            )
            new = self.changed(refine(trial, frames, STAGES + LAST_STAGE, measured, measured), frames)
            best = min(best, new, key=lambda either: either.score)
        return best

    @property
    def score(self) -> float:
        """What candidates are ranked by, the smaller the better."""
        explained = (self.distance + 0.5 * self.distance_wide) / 1.5
        unseen = math.ceil(self.n_absent / len(self.trial.template.rotations))  # sites, at least
        return priced(explained, self.trial.n_parameters + unseen, self.n_told)

    @property
    def contents(self) -> Counter[str]:
        """Atoms of each element in the primitive cell, those without a place too.

        >>> from crystalnet.patterns.observed import Observed
        >>> from crystalnet.physics.atoms import Atoms
        >>> from crystalnet.solving.templates import Template
        >>> import numpy as np
        >>> ice = Atoms(3.2 * np.eye(3), np.zeros((1, 3)), np.array(["O"]))  # as X-rays see it
        >>> template, frames = Template.of(ice), Frames(Observed.of_structure(ice))
        >>> trial = Trial(template, template.lattice, ("O",), template.frac_coords)
        >>> sorted(Candidate.of(trial, "no type", frames, n_absent=2).contents.items())
        [('H', 2), ('O', 1)]
        """
        return Counter(self.trial.symbols) + Counter({HYDROGEN: self.n_absent})
