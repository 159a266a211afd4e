"""Powder patterns: as sticks, as strips, and one over another. All angles are two_theta in degrees.

>>> len(powder_sticks([27.4, 31.7], [10.0, 100.0]).data)
1
>>> bins = {"a pattern": np.ones(1024), "another": np.ones(1024)}
>>> pattern_strip(bins).data[0].z.shape, len(pattern_overlay(bins).data)
((2, 256), 2)
>>> type(strip_trace(list(bins.values()), list(bins))).__name__
'Heatmap'
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from crystalnet.errors import Code, CrystalNetError
from crystalnet.show.style import BLUE, styled

STRIP_BINS = 256  # a screen has fewer pixels than a pattern has bins: the highest of each few bins is shown
ANGLES = {
    "title_text": "2θ (degrees)",
    "range": [0, 180],
    "dtick": 30,
    "ticklabeloverflow": "allow",
    "showgrid": False,
}


def powder_sticks(two_theta: ArrayLike, intensity: ArrayLike, title: str = "") -> go.Figure:
    """Peaks as sticks: two_theta (P,) and intensity (P,), any scale."""
    two_theta, intensity = np.asarray(two_theta, np.float32), np.asarray(intensity, np.float32)
    gap = np.full_like(two_theta, np.nan)
    figure = go.Figure(
        go.Scatter(
            x=np.stack([two_theta, two_theta, gap], 1).ravel(),
            y=np.stack([0 * intensity, intensity, gap], 1).ravel(),
            mode="lines",
            line={"color": BLUE, "width": 1.5},
            hovertemplate="2θ %{x:.3f}°, intensity %{y:.3g}<extra></extra>",
        )
    )
    figure.update_xaxes(**ANGLES).update_yaxes(title_text="intensity", rangemode="tozero")
    return styled(figure, 260, title)


def pattern_strip(patterns: dict, title: str = "") -> go.Figure:
    """Patterns as strips of brightness over 0-180 degrees, {label: (n_bins,)}, each scaled to its maximum."""
    figure = go.Figure(strip_trace(list(patterns.values()), list(patterns)))
    figure.update_xaxes(**ANGLES).update_yaxes(autorange="reversed", ticks="", showgrid=False)
    return styled(figure, 70 + 28 * bool(title) + 30 * len(patterns), title)


def strip_trace(patterns: list, labels: list[str]) -> go.Heatmap:
    """The strips of `pattern_strip` as one trace, for a panel of another figure."""
    strips = np.stack([_pooled(pattern) for pattern in patterns])
    centres = (np.arange(strips.shape[1]) + 0.5) * 180 / strips.shape[1]
    return go.Heatmap(
        z=strips,
        x=centres.astype(np.float32),
        y=labels,
        ygap=3 if len(labels) > 1 else 0,
        zmin=0,
        zmax=1,
        colorscale=[[0, "#000000"], [1, "#FFFFFF"]],
        showscale=False,
        hovertemplate="2θ %{x:.1f}°, intensity %{z:.2f}<extra>%{y}</extra>",
    )


def pattern_overlay(patterns: dict, title: str = "") -> go.Figure:
    """Binned patterns as curves over each other, {label: (n_bins,)}, bins at their centres."""
    figure = go.Figure()
    for label, pattern in patterns.items():
        pattern = _checked(pattern)
        centres = (np.arange(len(pattern)) + 0.5) * 180 / len(pattern)
        figure.add_scatter(
            x=centres.astype(np.float32), y=pattern, name=label, mode="lines", line_width=1.2, opacity=0.8
        )
    figure.update_xaxes(**ANGLES).update_yaxes(title_text="intensity", rangemode="tozero")
    return styled(figure, 280, title, legend=True, showlegend=True)


def _pooled(pattern) -> np.ndarray:
    """The highest of each few neighbouring bins, divided by the highest of all."""
    pattern = _checked(pattern)
    few = max(1, len(pattern) // STRIP_BINS)
    pooled = np.pad(pattern, (0, -len(pattern) % few)).reshape(-1, few).max(1)
    return pooled / max(float(pooled.max()), 1e-12)


def _checked(pattern) -> np.ndarray:
    pattern = np.asarray(pattern, np.float32)
    if pattern.ndim != 1 or not len(pattern):
        raise CrystalNetError(
            f"A pattern to draw is (n_bins,), not {pattern.shape}. Pass one crystal's pattern.",
            Code.BAD_ARGUMENT,
        )
    return pattern
