"""A refinement as laboratories draw it: measured, calculated, their difference, and where reflections are.

>>> x = np.linspace(20, 30, 50)
>>> class Fit:
...     two_theta, observed, calculated, background, ticks = x, 2 * x, 2 * x - 1, 0 * x, np.array([21.0])
>>> [trace.name for trace in difference_curves(Fit).data]
['measured', 'calculated', 'background', 'difference', 'reflections']
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from crystalnet.show.style import BLUE, GREEN, INK, RED, styled
from crystalnet.solving.rietveld.result import Refined

BELOW = 0.08  # of the height, our choice: between the curves and what stands below them


def difference_curves(refined: Refined, title: str = "") -> go.Figure:
    """Counts over two_theta: measured as points, calculated as a line, their difference shifted down, a tick
    for each reflection."""
    x = refined.two_theta.astype(np.float32)
    difference = refined.observed - refined.calculated
    low, high = float(refined.background.min()), float(refined.observed.max())
    ticks = low - BELOW * (high - low)
    down = ticks - BELOW * (high - low) - float(difference.max())
    point, tick = {"color": INK, "size": 3}, {"symbol": "line-ns-open", "size": 8, "color": GREEN}
    figure = go.Figure(
        [
            go.Scatter(x=x, y=refined.observed, name="measured", mode="markers", marker=point),
            go.Scatter(x=x, y=refined.calculated, name="calculated", mode="lines", line_color=BLUE),
            go.Scatter(x=x, y=refined.background, name="background", mode="lines", line_color=INK),
            go.Scatter(x=x, y=difference + down, name="difference", mode="lines", line_color=RED),
            go.Scatter(
                x=refined.ticks,
                y=np.full(len(refined.ticks), ticks),
                name="reflections",
                mode="markers",
                marker=tick,
            ),
        ]
    )
    figure.update_xaxes(title_text="2θ (degrees)").update_yaxes(title_text="counts")
    return styled(figure, 420, title, legend=True)
