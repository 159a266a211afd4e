"""Why an answer is confident or not, by a code that scripts and tables keep.

The probability of an answer is made of facts (see `ranking`) or, where a curve was measured, of clues (see
`evidence`). What lowers it most beneath that of a usual right answer is the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import numpy as np

from crystalnet.solving import evidence, ranking
from crystalnet.solving.ranking import CONFIDENT

# facts of a usual right answer, our choice: a lead of three, light atoms that scatter a fiftieth, 40 peaks
USUAL = {
    "distance": 0.0, "lead": 3.0, "unnamed": 0, "faintest": 0.02, "ideal": 1, "volume": 1.0, "bond": 1.0,
    "peaks": 40,
}  # fmt: skip
# clues of a usual right answer, our choice: a fifth is left, ten compounds of the type
USUAL_CLUES = {"left": 0.2, "gap": 0.5, "compounds": 10, "volume": 1.0, "bond": 1.0}


class Verdict(Enum):
    """What is to be thought of the first candidate; the value says it in words."""

    CONFIDENT = "The first candidate is a confident answer."
    NO_CANDIDATE = "No structure could be proposed. Check formula and wavelength, or give a larger catalogue."
    UNEXPLAINED = "The first candidate leaves too much of the pattern unexplained. Is there a second phase?"
    RIVAL = "Another structure explains the pattern nearly as well. Compare both, and measure further."
    ELEMENTS_OPEN = "Elements that nobody named were told from the intensities alone. Name them."
    FAINT = "The lightest atoms hardly show in this pattern. Their places are open."
    UNUSUAL_VOLUME = "The cell is unusually large or small for its atoms. Check the formula."
    UNUSUAL_BONDS = "The shortest bonds are unusually long or short. Check the formula."
    RARE_TYPE = "Few compounds of this structure type are known. Look at its bonds, and for other types."
    FEW_PEAKS = "The pattern has too few peaks to tell structures apart. Measure to higher angles."
    NOT_CALIBRATED = (
        "The cell comes from the whole profile alone, for which no probability is calibrated yet. Look at the"
        " difference curve."
    )


_REASONS = (  # of the features of facts in their order; the first is the same for all
    Verdict.UNEXPLAINED,
    Verdict.RIVAL,
    Verdict.ELEMENTS_OPEN,
    Verdict.FAINT,
    Verdict.UNUSUAL_VOLUME,
    Verdict.UNUSUAL_BONDS,
    Verdict.FEW_PEAKS,
)
_REASONS_OF_CLUES = (
    Verdict.UNEXPLAINED,
    Verdict.RIVAL,
    Verdict.RARE_TYPE,
    Verdict.UNUSUAL_VOLUME,
    Verdict.UNUSUAL_BONDS,
)


def verdict_of(facts: Mapping[str, float] | None, probability: float, capped: bool = False) -> Verdict:
    """The verdict on an answer.

    Args:
        facts: as `ranking.facts` says them of the first candidate, or `evidence.clues`; None where there is
            no candidate.
        probability: that it is right.
        capped: whether the probability was held below `CONFIDENT` for want of a calibration.

    >>> verdict_of(None, 0.0).name
    'NO_CANDIDATE'
    >>> verdict_of({**USUAL, "lead": 1.01}, 0.6).name
    'RIVAL'
    """
    if facts is None:
        return Verdict.NO_CANDIDATE
    if probability >= CONFIDENT:
        return Verdict.CONFIDENT
    if capped:
        return Verdict.NOT_CALIBRATED
    if "left" in facts:
        usual, told = (evidence.features_of_clues(one) for one in (USUAL_CLUES, facts))
        return _REASONS_OF_CLUES[int(np.argmax(((usual - told) * evidence.WEIGHTS)[1:]))]
    usual = ranking.features(**{**USUAL, "ideal": facts["ideal"]})
    lost = (usual - ranking.features(**facts)) * ranking.WEIGHTS
    return _REASONS[int(np.argmax(lost[1:]))]
