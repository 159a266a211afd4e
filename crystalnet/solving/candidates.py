"""Answers to a pattern: a structure, where it comes from, and how well it explains what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from crystalnet.errors import CrystalNetError
from crystalnet.solving.frames import Frames
from crystalnet.solving.refinement import LAST_STAGE, STAGES, Trial, refine
from crystalnet.solving.templates import Template

LOW, MIDDLE, WIDE = 0.45, 0.9, 1.2  # highest s, 1/Å, that candidates are screened, chosen and confirmed by

TOLERANCES = 0.05, 0.1, 0.2, 0.3  # Å within which higher symmetry is looked for, our choice
AS_GOOD, NEARLY = 1.1, 2e-3  # factor, and distance, by which fewer parameters may explain less; our choice


@dataclass(frozen=True, eq=False)
class Candidate:
    """A structure proposed for a pattern.

    Attributes:
        trial: the structure.
        origin: 'analogue of ...', 'network', 'phasing'.
        distance: from the measured amplitude up to s = MIDDLE, 0 to 1.
        distance_wide: the same up to s = WIDE; peaks at high angles tell small shifts.
    """

    trial: Trial
    origin: str
    distance: float
    distance_wide: float

    @classmethod
    def of(cls, trial: Trial, origin: str, frames: Frames) -> Candidate:
        return cls(trial, origin, trial.distance(frames, MIDDLE), trial.distance(frames, WIDE))

    def refined(self, trial: Trial, frames: Frames) -> Candidate:
        """The better of this and a refined trial of it."""
        new = Candidate.of(trial, self.origin, frames)
        return new if new.score < self.score else self

    def simplified(self, frames: Frames) -> Candidate:
        """The same structure with the highest symmetry that explains the pattern about as well.

        Templates of low symmetry reach structures of higher ones: a cinnabar of the right proportions is rock
        salt. Without the symmetry its needless parameters would fit errors of the measurement.
        """
        best, measured = self, not frames.observed.exact
        for tolerance in TOLERANCES:
            try:
                template = Template.of(self.trial.atoms, tolerance=tolerance)
            except CrystalNetError:
                continue  # none found, or of a family that is not solved
            if len(template.rotations) <= len(best.trial.template.rotations):
                continue
            symbols = tuple(template.symbols.tolist())
            trial = Trial(template, template.lattice, symbols, template.frac_coords, self.trial.b_factor)
            new = Candidate.of(
                refine(trial, frames, STAGES + LAST_STAGE, measured, measured), self.origin, frames
            )
            if new.score < AS_GOOD * self.score + NEARLY:
                best = new
        return best

    @property
    def score(self) -> float:
        """What candidates are ranked by, the smaller the better."""
        return self.distance + 0.5 * self.distance_wide
