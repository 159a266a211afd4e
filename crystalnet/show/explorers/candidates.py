"""The ranked answers to a pattern, two of them side by side."""

from __future__ import annotations

from functools import cache

import plotly.graph_objects as go
from ipywidgets import HBox, Layout, Textarea

from crystalnet.errors import Code, CrystalNetError
from crystalnet.show.atoms import atoms_in_cell
from crystalnet.show.explorers.controls import BROAD, choice
from crystalnet.show.explorers.explorer import WRAPPED, Dial, Explorer
from crystalnet.show.solved import amplitude_curves
from crystalnet.solving.candidates import Candidate
from crystalnet.solving.frames import Frames
from crystalnet.solving.report import cif
from crystalnet.solving.solution import Solution


class CandidatesExplorer(Explorer):
    """Atoms, calculated patterns and CIFs of two candidates of a solution.

    Attributes:
        chosen: the two candidates on show.
        cifs: their CIFs, text.

    Args:
        solution: of a pattern, with at least one candidate.

    Raises:
        CrystalNetError: the solution has no candidate.
    """

    first = Dial("Rank of the candidate on the left, from 1.")
    second = Dial("Rank of the candidate on the right.")

    def __init__(self, solution: Solution):
        if not solution.candidates:
            raise CrystalNetError(
                f"{solution.name}: there is no candidate to explore. Check formula and wavelength first.",
                Code.NO_CANDIDATE,
            )
        self._solution, self._frames = solution, Frames(solution.observed)
        self._rows = solution.table().to_dict("records")
        self._cif = cache(lambda rank: cif(solution.candidates[rank - 1]))
        options = [(_named(row), row["rank"]) for row in self._rows]
        controls = {"first": choice("Left", options, BROAD), "second": choice("Right", options, BROAD)}
        controls["second"].value = min(2, len(options))
        place = Layout(width=BROAD, max_width="calc(100% - 4px)")
        self._texts = [
            Textarea(description=f"CIF, {side}", rows=10, layout=place) for side in ("left", "right")
        ]
        super().__init__(controls, below=(HBox(self._texts, layout=WRAPPED),))

    @property
    def chosen(self) -> list[Candidate]:
        return [self._solution.candidates[rank - 1] for rank in (self.first, self.second)]

    def _compute(self) -> None:
        self.cifs = [self._cif(rank) for rank in (self.first, self.second)]
        for text, content in zip(self._texts, self.cifs, strict=True):
            text.value = content

    def _figures(self) -> dict[str, go.Figure]:
        sides = list(zip(("left", "right"), self.chosen, (self.first, self.second), strict=True))
        return {
            f"{side} atoms": atoms_in_cell(one.trial.atoms, _title(self._rows[rank - 1]))
            for side, one, rank in sides
        } | {f"{side} pattern": amplitude_curves(one, self._frames) for side, one, _ in sides}

    def _words(self) -> str:
        solution = self._solution
        verdict = "a confident answer" if solution.is_confident else "no confident answer"
        return (
            f"{len(self._rows)} candidates; the first is right with probability {solution.confidence:.2f},"
            f" {verdict}"
        )


def _title(row: dict) -> str:
    return f"{row['rank']}: {row['formula']}, space group {row['space group']}"


def _named(row: dict) -> str:
    """A row of `Solution.table` in a menu."""
    return f"{_title(row)}, distance {row['distance']:.3f}, {row['from']}"
