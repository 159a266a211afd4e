"""A report as one HTML file that needs nothing else: it opens offline, and prints."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from crystalnet.solving.report.curves import drawing
from crystalnet.solving.report.facts import Facts
from crystalnet.solving.report.picture import SCRIPT, picture
from crystalnet.solving.report.section import Section
from crystalnet.solving.rietveld.result import Refined
from crystalnet.solving.solution import Solution

STYLE = Path(__file__).with_name("page.css")
KEY = (
    "Grey: measured. Blue: calculated. Red: their difference, shifted down. Green ticks: reflections."
    " ▼ a line that no reflection explains, △ a reflection without a line."
)

TURN = "The conventional cell. Drag it, or use the arrow keys."


def page(facts: Facts, solution: Solution, refined: Refined | None = None) -> str:
    """The whole page.

    Args:
        facts: what it says.
        solution: whose pattern is drawn.
        refined: whose curves are drawn with it.
    """
    sure = "confident" if solution.is_confident else "open"
    parts = [f"<h1>{escape(facts.title)}</h1>", f'<p class="verdict {sure}">{escape(facts.verdict)}</p>']
    parts += [f'<p class="assumed">{escape(told)}</p>' for told in facts.assumed]
    for section in facts.sections:
        figure = ""
        if section.title == "Pattern":
            figure = _figure(_curves(facts, solution, refined), KEY)
        if section.title == "Crystal" and facts.structure is not None:
            figure = _figure(picture(facts.structure), TURN)
        parts.append(_section(section, figure))
    script = f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>" if facts.structure is not None else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(facts.title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main>{script}</body></html>\n"
    )


def _section(section: Section, figure: str) -> str:
    name = section.title.lower().replace(" ", "-")
    parts = [f'<section id="{name}"><h2>{escape(section.title)}</h2>', figure]
    if section.facts:
        rows = (f"<dt>{escape(name)}</dt><dd>{escape(told)}</dd>" for name, told in section.facts.items())
        parts.append(f"<dl>{''.join(rows)}</dl>")
    if section.table is not None:
        parts.append(_table(section.table))
    parts += [f"<p>{escape(remark)}</p>" for remark in section.remarks]
    return "".join([*parts, "</section>"])


def _table(table: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.columns)
    rows = (
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    whole = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="table"><table>{whole}</table></div>'


def _figure(drawn: str, caption: str) -> str:
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>" if drawn else ""


def _curves(facts: Facts, solution: Solution, refined: Refined | None) -> str:
    lines = {"unexplained": facts.strangers.unexplained, "missing": facts.strangers.missing}
    if refined is not None:
        return drawing(refined.two_theta, refined.observed, refined.calculated, ticks=refined.ticks, **lines)
    ticks = facts.reflections["2θ (°)"].to_numpy() + facts.strangers.shift
    if solution.fit is None:  # a list of peaks: they are drawn as what they are
        peaks = solution.observed.peaks
        x = np.repeat(peaks.two_theta, 3) + np.tile([-1e-3, 0.0, 1e-3], len(peaks.two_theta))
        return drawing(x, np.kron(peaks.intensity, [0.0, 1.0, 0.0]), ticks=ticks, **lines)
    return drawing(solution.fit.pattern.two_theta, solution.fit.pattern.counts, ticks=ticks, **lines)
