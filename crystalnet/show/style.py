"""One look for every figure: colours that colour-blind readers can tell apart, no ground of its own.

Figures take the width they are given, so that they fit a phone; text is a grey that reads on light and dark
pages alike.

>>> [opacity for _, opacity in surface_colours(3)]
[0.4, 0.4, 1.0]
>>> still(styled(go.Figure(), height=200, title="A figure")).layout.height
200
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

# Okabe & Ito, Color Universal Design (2008): hues that stay distinct in every kind of colour vision
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
INK, LINE, CLEAR = "#777777", "rgba(128,128,128,0.35)", "rgba(0,0,0,0)"
SEQUENTIAL = "Viridis"
DIVERGING = [[0.0, RED], [0.5, "#F7F7F7"], [1.0, BLUE]]

_AXIS = {
    "gridcolor": LINE,
    "linecolor": LINE,
    "zerolinecolor": LINE,
    "ticks": "outside",
    "tickcolor": LINE,
    "automargin": True,
    "title": {"standoff": 8},
}
_NO_AXIS = {"visible": False, "showbackground": False}
_NO_BUTTONS = [  # phones show the rest all the time; sendChartToCloud would upload the reader's data
    *("zoom", "pan", "select", "lasso", "zoomIn", "zoomOut", "autoScale", "sendChartToCloud"),
    *("zoom3d", "pan3d", "orbitRotation", "tableRotation", "resetCameraLastSave"),
]
_BAR = {"thickness": 10, "outlinewidth": 0, "len": 0.9}

TEMPLATE = go.layout.Template(
    layout={
        "autosize": True,
        "colorway": COLOURS,
        "font": {"color": INK, "size": 12, "family": "system-ui, sans-serif"},
        "title": {"x": 0.5, "font": {"size": 14}},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "margin": {"l": 8, "r": 14, "t": 36, "b": 8},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0, "bgcolor": CLEAR},
        "coloraxis": {"colorbar": _BAR, "colorscale": SEQUENTIAL},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "scene": {
            "dragmode": "turntable",
            "xaxis": _NO_AXIS,
            "yaxis": _NO_AXIS,
            "zaxis": _NO_AXIS,
            "aspectmode": "data",
        },
        "modebar": {"bgcolor": CLEAR, "color": LINE, "activecolor": INK, "remove": _NO_BUTTONS},
        "annotationdefaults": {"showarrow": False, "font": {"size": 12}},
    },
    data={"heatmap": [{"colorbar": _BAR}]},
)


def surface_colours(n: int) -> list[tuple[str, float]]:
    """Colour and opacity of n nested isosurfaces, the outermost first; only the innermost is opaque."""
    return [*[(SKY, 0.4)] * (n - 1), (ORANGE, 1.0)]


def styled(figure: go.Figure, height: int, title: str = "", legend: bool = False, **layout: Any) -> go.Figure:
    """Give a figure the common look, its height in pixels and a short title; returns the same figure.

    legend: leave a line for one between title and panels.
    """
    figure.update_layout(template=TEMPLATE, height=height, margin_t=8 + 28 * bool(title) + 28 * legend)
    if title:
        figure.update_layout(title={"text": title, "y": 1, "yanchor": "top", "pad": {"t": 8}})
    return figure.update_layout(**layout)


def still(figure: go.Figure) -> go.Figure:
    """Take axes and buttons off a figure of pictures or boxes; a finger on it scrolls the page."""
    figure.update_xaxes(visible=False, fixedrange=True).update_yaxes(visible=False, fixedrange=True)
    return figure.update_layout(dragmode=False, modebar_remove=[*_NO_BUTTONS, "resetScale", "toImage"])
