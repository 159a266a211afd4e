"""The spectral network in figures: what a basis can hold, profiles side by side, progress against cost.

>>> figure = basis_curves([0.5, 0.2, 0.1], {"test": pd.Series([0.6, 0.9], index=[1, 3])})
>>> len(figure.data), len(profile_overlay({"a": np.ones(N_LOG_BINS), "b": np.ones(N_LOG_BINS)}).data)
(2, 2)
>>> history = pd.DataFrame({"core_seconds": [10.0, 20.0], "val_ssim": [0.5, 0.7]})
>>> ssim_against_seconds({"spectral": history}).data[0].name
'spectral'
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.profiles import LOG_STEP, LOWEST, N_LOG_BINS
from crystalnet.show.style import COLOURS, styled

NEGLIGIBLE = 1e-8  # share of variance below which float32 sees noise alone, our choice
D_TICKS = (10, 7, 5, 4, 3, 2.5, 2, 1.5, 1.2, 1, 0.8, 0.7, 0.6, 0.5, 0.4)  # Å


def basis_curves(left_out: ArrayLike, rebuilt: dict[str, pd.Series], title: str = "") -> go.Figure:
    """What the first k functions of a basis miss, and how like the originals densities made of them are.

    Args:
        left_out: (K,) share of the variance beyond the first 1 ... K functions; what is negligible is cut.
        rebuilt: {kind of crystals: mean SSIM}, each over its index, the number of functions.
    """
    figure = make_subplots(1, 2, subplot_titles=["variance left out", "SSIM of what is rebuilt"])
    left_out = np.asarray(left_out, np.float32)
    left_out = left_out[left_out > NEGLIGIBLE]
    number = np.arange(1, 1 + len(left_out))
    figure.add_trace(go.Scatter(x=number, y=left_out, line_color=COLOURS[0], showlegend=False), 1, 1)
    for colour, (name, ssim) in zip(COLOURS, rebuilt.items(), strict=False):
        points = {"x": ssim.index.to_numpy(), "y": ssim.to_numpy(np.float32)}
        figure.add_trace(go.Scatter(**points, name=name, mode="lines+markers", line_color=colour), 1, 2)
    figure.update_xaxes(title_text="functions", type="log", dtick=1)
    figure.update_yaxes(type="log", exponentformat="power", dtick=2, col=1)
    figure.update_annotations(font_size=12)
    return styled(figure, 320, title, legend=True, margin_t=64 + 28 * bool(title), legend_y=1.1)


def profile_overlay(profiles: dict, between: tuple[float, float] | None = None, title: str = "") -> go.Figure:
    """Profiles {label: (768,)} over each other, on their logarithmic axis of d; the last is dotted.

    Args:
        between: d in Å to show, the larger one first; by default all.
    """
    s = LOWEST * np.exp((np.arange(N_LOG_BINS) + 0.5) * LOG_STEP)  # bin centres, 1/Å
    d = (1 / (2 * s)).astype(np.float32)
    figure = go.Figure()
    for number, (label, profile) in enumerate(profiles.items(), 1):
        profile = np.asarray(profile, np.float32)
        if profile.shape != d.shape:
            raise CrystalNetError(
                f"A profile to draw is ({N_LOG_BINS},), not {profile.shape}. Pass one crystal's profile.",
                Code.BAD_ARGUMENT,
            )
        last = number == len(profiles)
        line = {"width": 2.5, "dash": "dot"} if last else {"width": 1.5, "dash": "solid"}
        figure.add_scatter(x=d, y=profile, name=label, mode="lines", line=line)
    largest, smallest = between or (d[0], d[-1])
    figure.update_xaxes(
        title_text="d (Å)",
        type="log",
        range=[float(np.log10(largest)), float(np.log10(smallest))],
        tickvals=D_TICKS,
        ticktext=[f"{tick:g}" for tick in D_TICKS],
        showgrid=False,
    )
    figure.update_yaxes(title_text="profile", rangemode="tozero")
    return styled(figure, 280, title, legend=True, showlegend=True)


def ssim_against_seconds(histories: dict[str, pd.DataFrame], title: str = "") -> go.Figure:
    """Validation SSIM of several trainings against what they have cost until then.

    Args:
        histories: {name: columns `core_seconds`, from the beginning, and `val_ssim`, NaN where an epoch was
            not validated}; beyond six names colours repeat.
    """
    figure = go.Figure()
    for number, (name, history) in enumerate(histories.items()):
        known = history.dropna(subset="val_ssim")
        figure.add_scatter(
            x=known["core_seconds"].to_numpy(np.float32),
            y=known["val_ssim"].to_numpy(np.float32),
            name=name,
            mode="lines+markers",
            line_color=COLOURS[number % len(COLOURS)],
        )
    figure.update_xaxes(title_text="core-seconds of training", type="log", exponentformat="none", dtick="D2")
    figure.update_yaxes(title_text="validation SSIM")
    return styled(figure, 340, title, legend=True, showlegend=True)
