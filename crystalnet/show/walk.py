"""A walk through latent space: one density after another, under a slider that needs no kernel."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from crystalnet.show.densities import CAMERA, VOLUME_SHARES, cell_edges, checked, surface_traces
from crystalnet.show.style import LINE, SEQUENTIAL, styled

STEP_MILLISECONDS = 400


def latent_walk(densities: ArrayLike, labels: list[str], stride: int = 2, position: float = 0.5) -> go.Figure:
    """Isosurface and slice (z = position) of each step of a walk, with a slider and a play button.

    Args:
        densities: (K, n, n, n), e/Å^3. One level for all: it encloses the densest 4 % of all their voxels.
        labels: K short names of the steps.
        stride: draw every stride-th voxel.
        position: fractional coordinate of the slice.

    >>> steps = np.random.default_rng(0).random((3, 8, 8, 8))
    >>> len(latent_walk(steps, ["first", "half-way", "second"]).frames)
    3
    """
    densities = [checked(cmed) for cmed in densities]
    level = float(np.quantile(densities, 1 - VOLUME_SHARES[-1]))
    figure = make_subplots(
        1,
        2,
        specs=[[{"type": "scene"}, {"type": "xy"}]],
        column_widths=[0.6, 0.4],
        subplot_titles=[f"surface at {level:.3g} e/Å³", f"slice z = {position:g}"],
    )
    steps = [_step(cmed, level, stride, position) for cmed in densities]
    top = float(max(heatmap.z.max() for *_, heatmap in steps))
    for trace, col in zip(steps[0], (1, 2), strict=True):
        figure.add_trace(trace, 1, col)
    figure.add_trace(cell_edges(), 1, 1)
    figure.frames = [
        go.Frame(data=step, traces=[0, 1], name=str(number)) for number, step in enumerate(steps)
    ]
    figure.update_scenes(camera=CAMERA)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, scaleanchor="x", constrain="domain")
    slider = {
        "steps": [_slider_step(label, number) for number, label in enumerate(labels)],
        "x": 0.16,
        "len": 0.84,
        "y": 0,
        "pad": {"t": 12},
        "currentvalue": {"visible": True, "xanchor": "left"},
        "bordercolor": LINE,
        "ticklen": 3,
    }
    buttons = [
        {"label": "▶", "method": "animate", "args": [None, _animation()]},
        {"label": "❚❚", "method": "animate", "args": [[None], _animation(0)]},
    ]
    menu = {"type": "buttons", "direction": "left", "buttons": buttons, "showactive": False}
    menu |= {"x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"t": 28}, "bordercolor": LINE}
    return styled(
        figure,
        430,
        margin={"l": 8, "r": 8, "t": 28, "b": 80},
        sliders=[slider],
        updatemenus=[menu],
        coloraxis={"colorscale": SEQUENTIAL, "cmin": 0, "cmax": top, "colorbar": {"title": {"text": "e/Å³"}}},
    )


def _step(cmed: np.ndarray, level: float, stride: int, position: float) -> list:
    n = cmed.shape[2]
    plane = cmed[::stride, ::stride, round(position * n) % n].T.astype(np.float32)
    heatmap = go.Heatmap(z=plane, coloraxis="coloraxis", zsmooth="best")
    return [*surface_traces(cmed, [level], stride=stride), heatmap]


def _slider_step(label: str, number: int) -> dict:
    return {"label": label, "method": "animate", "args": [[str(number)], _animation(0)]}


def _animation(duration: int = STEP_MILLISECONDS) -> dict:
    """plotly's animation options: whole frames, no tweening, which 3-D surfaces do not know."""
    return {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": duration, "redraw": True},
        "transition": {"duration": 0},
    }
