"""How far structure types reach."""

from __future__ import annotations

from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from crystalnet.show.style import COLOURS, styled


def coverage_curves(coverage: pd.DataFrame, title: str = "") -> go.Figure:
    """Share of crystals that the most frequent types reach, by the number kept, a colour a kind of crystals.

    Whole lines are crystals that lie upon the mean of a type, dotted ones those that share its formula, space
    group and sites.

    Args:
        coverage: columns kind, kept, type, arrangement, as `scoring.coverage` gives them.

    >>> shares = {"type": [0.2, 0.5], "arrangement": [0.1, 0.4]}
    >>> table = pd.DataFrame({"kind": "salts", "crystals": 9, "kept": [10, 30], **shares})
    >>> coverage_curves(table).data[0].x
    array([10, 30])
    """
    figure = go.Figure()
    for colour, (kind, rows) in zip(cycle(COLOURS), coverage.groupby("kind", sort=False), strict=False):
        kept = rows["kept"].to_numpy()
        for way, dash in (("arrangement", "solid"), ("type", "dot")):
            figure.add_scatter(
                x=kept,
                y=rows[way].to_numpy(),
                mode="lines",
                line={"color": colour, "dash": dash},
                name=kind,
                legendgroup=kind,
                showlegend=way == "arrangement",
                hovertemplate=f"{kind}, same {way}<br>%{{x}} types: %{{y:.1%}}<extra></extra>",
            )
    figure.update_xaxes(type="log", title_text="most frequent types kept", dtick=1)
    figure.update_yaxes(title_text="share of test crystals", range=[0, 1], tickformat=".0%")
    return styled(figure, 420, title, legend=True)
