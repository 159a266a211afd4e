"""Measured minerals in figures: rates with their intervals, what a probability promises, what sureness buys.

>>> rows = pd.DataFrame({"system": "cubic", "n_atoms": 8, "right": [1, 1, 0], "framework": 1})
>>> rows = rows.assign(probability=[0.9, 0.6, 0.1], formula_in_shared_structures=True)
>>> [len(figure(rows).data) for figure in (rate_intervals, promises, risk_curve)]
[1, 2, 3]
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from crystalnet.show.confidence import reliability
from crystalnet.show.minerals import groups, interval, wrong_among_surest
from crystalnet.show.style import BLUE, GREEN, INK, ORANGE, styled
from crystalnet.solving.ranking import CONFIDENT


def rate_intervals(rows: pd.DataFrame, title: str = "") -> go.Figure:
    """Shares of right answers of groups of minerals (see `minerals.groups`), with 95 % intervals."""
    found = groups(rows)
    share = [float(right.mean()) for right in found.values()]
    names = [f"{name} ({len(right)})" for name, right in found.items()]
    marks = {"mode": "markers", "marker": {"color": BLUE, "size": 9}}
    figure = go.Figure(go.Scatter(x=share, y=names, error_x=_bars(list(found.values())), **marks))
    figure.update_xaxes(title_text="share right", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(autorange="reversed")
    return styled(figure, 60 + 24 * len(names), title)


def promises(rows: pd.DataFrame, title: str = "") -> go.Figure:
    """Probability against the share that was right, in bins of equally many answers, with 95 % intervals.

    On the dotted line a probability means what it says.
    """
    answered = rows[rows["probability"].notna()]
    bins = reliability(answered["probability"], answered["right"])
    parts = [(round(n * true), n) for n, true in zip(bins["n"], bins["true"], strict=True)]
    right = [pd.Series([1] * k + [0] * (n - k)) for k, n in parts]
    figure = go.Figure(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "dash": "dot"}, showlegend=False)
    )
    points = {"x": bins["expected"].tolist(), "y": bins["true"].tolist(), "error_y": _bars(right)}
    hover = {"hovertext": [f"{k} of {n}" for k, n in parts], "hoverinfo": "text"}
    figure.add_scatter(**points, **hover, mode="markers", marker={"color": ORANGE, "size": 10})
    figure.update_xaxes(title_text="probability, mean of a bin", range=[-0.02, 1.02])
    figure.update_yaxes(title_text="share right", range=[-0.02, 1.02])
    return styled(figure, 340, title, showlegend=False)


def risk_curve(rows: pd.DataFrame, title: str = "") -> go.Figure:
    """The share of wrong answers among the surest patterns, against their share of all patterns.

    'The best order' looks at the truth: no probability does better. The vertical line ends confident ones.
    """
    ours = wrong_among_surest(rows)
    best = wrong_among_surest(rows.assign(probability=rows["right"]))
    curves = {"the surest first": (ours, BLUE), "the best order": (best, GREEN)}
    figure = go.Figure()
    for name, (curve, colour) in curves.items():
        points = {"x": curve["share"].tolist(), "y": curve["wrong"].tolist()}
        figure.add_scatter(**points, name=name, mode="lines", line_color=colour)
    level = {"x": [0, 1], "y": [float(1 - rows["right"].mean())] * 2, "line": {"color": INK, "dash": "dot"}}
    figure.add_scatter(**level, name="any order", mode="lines")
    confident = float((rows["probability"] >= CONFIDENT).mean())
    figure.add_vline(confident, line={"color": ORANGE, "dash": "dot", "width": 1.5})
    figure.update_xaxes(title_text="share of patterns, the surest", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title_text="wrong among them", tickformat=".0%", rangemode="tozero")
    return styled(figure, 320, title, legend=True, showlegend=True)


def _bars(parts: list[pd.Series]) -> dict:
    """Error bars to the ends of the 95 % intervals of shares."""
    ends = [(right.mean(), *interval(right.sum(), len(right))) for right in parts]
    up, down = [high - share for share, _, high in ends], [share - low for share, low, _ in ends]
    style = {"color": INK, "thickness": 1.5, "width": 4}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **style}
