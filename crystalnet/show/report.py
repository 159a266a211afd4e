"""The report as a page within a page: what `crystalnet solve --out` leaves in report.html."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from IPython.display import HTML

from crystalnet.solving.report import html
from crystalnet.solving.report.facts import Facts
from crystalnet.solving.rietveld.result import Refined
from crystalnet.solving.solution import Solution

HEIGHT = 720  # pixels, our choice: the curves and what stands above them


def framed(solution: Solution, refined: Refined | None = None, remarks: Sequence[str] = ()) -> HTML:
    """The report in a frame of its own, with its style and the crystal that turns.

    Args:
        remarks: on the refinement, such as why there is none.
    """
    page = html.page(Facts.of(solution, refined, remarks), solution, refined)
    title = escape(f"Report on {solution.name}")
    style = f"width: 100%; height: {HEIGHT}px; border: 1px solid #8884"
    return HTML(f'<div><iframe title="{title}" style="{style}" srcdoc="{escape(page)}"></iframe></div>')
