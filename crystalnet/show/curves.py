"""How training went and how the answers score.

>>> history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "reconstruction": [1.5, 0.8],
...                         "kl": [0.5, 0.2], "learning_rate": [1e-3, 1e-3], "val_ssim": [0.5, 0.7]})
>>> len(training_curves(history).data), len(curves_together({"one": history, "two": history}).data)
(6, 8)
>>> rows = [{"protocol": p, "ssim": s} for p in ("paper", "honest") for s in (0.7, 0.8, 0.9)]
>>> [violin.name for violin in score_distribution(rows).data]
['paper (n = 3)', 'honest (n = 3)']
>>> groups = pd.DataFrame({"space_group": [221, 225], "n": [3, 5], "ssim": [0.8, 0.9]})
>>> bars = pd.DataFrame({"ablation": ["none", "no ratios"], "ssim": [0.9, 0.8], "psnr": [30.0, 27.0]})
>>> len(space_group_bars(groups).data), len(ablation_bars(bars).data)
(1, 2)
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crystalnet.show.style import BLUE, COLOURS, GREEN, INK, ORANGE, RED, styled

LOSSES = {"loss": BLUE, "reconstruction": GREEN, "kl": ORANGE}


def training_curves(history: pd.DataFrame, title: str = "") -> go.Figure:
    """Losses, validation SSIM with its best epoch marked, and learning rate.

    Args:
        history: columns `epoch`, `loss`, `reconstruction`, `kl`, `learning_rate`, `val_ssim`; NaN where an
            epoch was not validated.
    """
    figure = make_subplots(3, 1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.45, 0.35, 0.2])
    epoch = history["epoch"].to_numpy()
    for column, colour in LOSSES.items():
        values = history[column].to_numpy(np.float32)
        figure.add_trace(go.Scatter(x=epoch, y=values, name=column, line_color=colour), 1, 1)
    validated = history.dropna(subset="val_ssim")
    points = {"x": validated["epoch"].to_numpy(), "y": validated["val_ssim"].to_numpy(np.float32)}
    figure.add_trace(go.Scatter(**points, mode="lines+markers", line_color=BLUE, showlegend=False), 2, 1)
    if len(validated):
        best = validated.loc[validated["val_ssim"].idxmax()]
        figure.add_vline(best["epoch"], line={"color": RED, "dash": "dot", "width": 1})
        figure.add_trace(
            go.Scatter(
                x=[best["epoch"]],
                y=[best["val_ssim"]],
                mode="markers",
                marker={"color": RED, "size": 10, "symbol": "star"},
                name=f"best epoch {best['epoch']:g}: {best['val_ssim']:.3f}",
            ),
            2,
            1,
        )
    rate = history["learning_rate"].to_numpy(np.float32)
    figure.add_trace(go.Scatter(x=epoch, y=rate, line={"color": INK, "shape": "hv"}, showlegend=False), 3, 1)
    for row, name in enumerate(("loss", "validation SSIM", "learning rate"), 1):
        figure.update_yaxes(title_text=name, row=row)
    for row, column in ((1, "loss"), (3, "learning_rate")):
        if (history[column] > 0).all():
            figure.update_yaxes(type="log", exponentformat="power", dtick="D2", row=row)
    figure.update_xaxes(title_text="epoch", row=3)
    return styled(figure, 520, title, legend=True)


def curves_together(histories: dict[str, pd.DataFrame], title: str = "") -> go.Figure:
    """Reconstruction error, KL divergence and validation SSIM of several runs, their best epochs marked.

    Args:
        histories: {name: history}, see `training_curves`; beyond six names colours repeat.
    """
    panels = {"reconstruction": "error (e/Å³)", "kl": "KL divergence", "val_ssim": "validation SSIM"}
    figure = make_subplots(3, 1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.35, 0.25, 0.4])
    for number, (name, history) in enumerate(histories.items()):
        colour = COLOURS[number % len(COLOURS)]
        for row, column in enumerate(panels, 1):
            known = history.dropna(subset=column)
            points = {"x": known["epoch"].to_numpy(), "y": known[column].to_numpy(np.float32)}
            line = go.Scatter(
                **points, name=name, legendgroup=name, line_color=colour, mode="lines", showlegend=row == 1
            )
            figure.add_trace(line, row, 1)
        if len(known):
            best = known.loc[known["val_ssim"].idxmax()]
            mark = {"color": colour, "size": 11, "symbol": "star"}
            star = {"x": [best["epoch"]], "y": [best["val_ssim"]], "name": f"{name}, best epoch"}
            figure.add_trace(go.Scatter(**star, mode="markers", marker=mark, showlegend=False), 3, 1)
    for row, label in enumerate(panels.values(), 1):
        figure.update_yaxes(title_text=label, row=row)
    figure.update_yaxes(rangemode="tozero", row=1)
    figure.update_xaxes(title_text="epoch", row=3)
    return styled(figure, 520, title, legend=True)


def score_distribution(rows: pd.DataFrame | list[dict], score: str = "ssim", title: str = "") -> go.Figure:
    """A violin of every crystal's score for each protocol, with its quartiles and mean.

    Args:
        rows: DataFrame or list of dicts with columns `protocol` and `score`'s name; one row a crystal and
            protocol.
    """
    figure = go.Figure()
    for protocol, group in pd.DataFrame(rows).groupby("protocol", sort=False):
        figure.add_trace(
            go.Violin(
                y=group[score].to_numpy(np.float32),
                name=f"{protocol} (n = {len(group)})",
                box_visible=True,
                meanline_visible=True,
                points="outliers",
                spanmode="hard",  # no density drawn beyond the data
                scalemode="width",
            )
        )
    figure.update_yaxes(title_text=score.upper())
    return styled(figure, 340, title, showlegend=False)


def space_group_bars(table: pd.DataFrame, score: str = "ssim", title: str = "") -> go.Figure:
    """Mean score of each space group, with the number of its crystals.

    Args:
        table: columns `space_group`, `n`, and the score's name; a `score`_std column adds whiskers.
    """
    figure = go.Figure(
        go.Bar(
            x=table["space_group"].astype(str),
            y=table[score].to_numpy(np.float32),
            error_y=_whiskers(table, score),
            marker_color=BLUE,
            text=[f"{n}" for n in table["n"]],
            textposition="inside",
            insidetextanchor="start",
            textangle=0,
            hovertemplate=f"%{{x}}<br>{score.upper()} %{{y:.3f}}, n = %{{text}}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="space group (number of crystals in its bar)", type="category")
    figure.update_yaxes(title_text=f"mean {score.upper()}")
    return styled(figure, 320, title)


def ablation_bars(table: pd.DataFrame, reference: pd.DataFrame | None = None, title: str = "") -> go.Figure:
    """SSIM and PSNR of each ablation, beside the paper's where given.

    Args:
        table, reference: columns `ablation`, `ssim`, `psnr`, and optionally `ssim_std` and `psnr_std`.
    """
    figure = make_subplots(1, 2, subplot_titles=["SSIM", "PSNR (dB)"], horizontal_spacing=0.12)
    bars = {"ours": (table, BLUE)} | ({"paper": (reference, ORANGE)} if reference is not None else {})
    for name, (source, colour) in bars.items():
        for col, score in enumerate(("ssim", "psnr"), 1):
            bar = go.Bar(
                x=source["ablation"],
                y=source[score].to_numpy(np.float32),
                error_y=_whiskers(source, score),
                name=name,
                legendgroup=name,
                marker_color=colour,
                showlegend=col == 1,
            )
            figure.add_trace(bar, 1, col)
    return styled(
        figure, 360, title, legend=True, barmode="group", margin_t=84 if title else 56, legend_y=1.1
    )


def _whiskers(table: pd.DataFrame, score: str) -> dict | None:
    column = f"{score}_std"
    if column not in table:
        return None
    return {"array": table[column].to_numpy(np.float32), "color": INK, "thickness": 1}
