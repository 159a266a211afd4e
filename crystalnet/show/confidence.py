"""How well a network knows what its answers are worth: expected against true SSIM, and what choosing gains.

Scores are DataFrames as `Run.validation` and `Run.evaluation` give them; read are `agreement` and
`honest_ssim`.

>>> ssim = np.linspace(0.1, 1, 40)
>>> table = reliability(expected=ssim, ssim=ssim - 0.05)
>>> table["n"].tolist(), (table["expected"] - table["true"]).round(3).unique()
([8, 8, 8, 8, 8], array([0.05]))
>>> scores = pd.DataFrame({"formula": "NaCl", "agreement": ssim, "expected": ssim, "honest_ssim": ssim})
>>> figures = calibration_scatter(scores, scores, Confidence.fit(ssim, ssim)), risk_coverage_curves(scores)
>>> [type(figure).__name__ for figure in figures]
['Figure', 'Figure']
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from crystalnet.model.confidence import Confidence, risk_coverage
from crystalnet.show.style import BLUE, GREEN, INK, ORANGE, styled

BINS = 5  # of crystals, equally many in each, our choice


def reliability(expected: ArrayLike, ssim: ArrayLike, n_bins: int = BINS) -> pd.DataFrame:
    """Crystals in the order of their expected SSIM, in bins of equal size: what came true.

    Args:
        expected, ssim: (N,) of each crystal, N at least 1; fewer crystals than bins make a bin each.

    Returns:
        A row a bin, the least expected first: n, expected and true, the means.
    """
    expected, ssim = np.asarray(expected, float), np.asarray(ssim, float)
    parts = np.array_split(np.argsort(expected, kind="stable"), min(n_bins, len(expected)))
    rows = [(len(part), expected[part].mean(), ssim[part].mean()) for part in parts]
    return pd.DataFrame(rows, columns=["n", "expected", "true"])


def calibration_scatter(
    validation: pd.DataFrame, test: pd.DataFrame, confidence: Confidence, title: str = ""
) -> go.Figure:
    """Left the curve through the validation crystals, right what it promises of the test crystals.

    Right of the test crystals also the means of their bins (see `reliability`); on the dotted line a promise
    is kept.
    """
    names = ["validation: the curve", "test: its promises"]
    figure = make_subplots(1, 2, shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.06)
    expected = confidence.expected(test["agreement"].to_numpy())
    panels = {"agreement": (validation["agreement"], validation), "expected SSIM": (expected, test)}
    for col, (label, (x, scores)) in enumerate(panels.items(), 1):
        dots = {"x": np.asarray(x, np.float32), "y": scores["honest_ssim"].to_numpy(np.float32)}
        mark = {"color": BLUE, "size": 5, "opacity": 0.5}
        hover = {"hovertext": scores["formula"], "hoverinfo": "text+y"}
        dots |= {"mode": "markers", "marker": mark, "name": "a crystal", "showlegend": col == 1}
        figure.add_trace(go.Scatter(**dots, **hover), 1, col)
        figure.update_xaxes(title_text=label, row=1, col=col)
    curve = {"x": confidence.agreement, "y": confidence.ssim, "name": "calibration"}
    line = {"color": ORANGE, "width": 2.5}
    figure.add_trace(go.Scatter(**curve, mode="lines+markers", line=line, marker_size=4), 1, 1)
    bins = reliability(expected, test["honest_ssim"])
    means = {"x": bins["expected"].to_numpy(np.float32), "y": bins["true"].to_numpy(np.float32)}
    mark = {"color": GREEN, "size": 11, "symbol": "diamond"}
    figure.add_trace(go.Scatter(**means, mode="markers", marker=mark, name="mean of a bin"), 1, 2)
    kept = {"mode": "lines", "line": {"color": INK, "dash": "dot"}, "showlegend": False}
    ends = [float(expected.min()), float(expected.max())]
    figure.add_trace(go.Scatter(x=ends, y=ends, **kept), 1, 2)
    figure.update_yaxes(title_text="true SSIM", col=1).update_annotations(font_size=12)
    return styled(figure, 340, title, legend=True, margin_t=64 + 28 * bool(title), legend_y=1.1)


def risk_coverage_curves(scores: pd.DataFrame, title: str = "") -> go.Figure:
    """Mean SSIM of the crystals answered against their share: surest first, best first, and in any order.

    'The best first' looks at the truth: no order does better. 'In any order' is the mean of all.
    """
    ssim = scores["honest_ssim"].to_numpy(float)
    orders = {"the best first": (ssim, GREEN), "the surest first": (scores["agreement"], BLUE)}
    figure = go.Figure()
    for name, (score, colour) in orders.items():
        share, mean = risk_coverage(ssim, score)
        points = {"x": share.astype(np.float32), "y": mean.astype(np.float32)}
        figure.add_scatter(**points, name=name, mode="lines", line_color=colour)
    level = {"x": [0, 1], "y": [ssim.mean()] * 2, "line": {"color": INK, "dash": "dot"}}
    figure.add_scatter(**level, name="in any order", mode="lines")
    figure.update_xaxes(
        title_text="share of crystals answered", tickformat=".0%", range=[0, 1.02], dtick=0.25
    )
    figure.update_yaxes(title_text="their mean SSIM")
    return styled(figure, 300, title, legend=True, showlegend=True)
