"""Many densities at a glance, as still pictures: truth beside prediction, and samples from several sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from crystalnet.show.densities import CORNERS, EDGES, checked, default_levels
from crystalnet.show.patterns import strip_trace
from crystalnet.show.render import VIEWS, picture, project
from crystalnet.show.style import INK, still, styled

CRYSTALS_IN_A_ROW = 2
PICTURE_HEIGHT, STRIP_HEIGHT = 170, 34  # pixels


def gallery(rows: list[dict]) -> go.Figure:
    """Truth, prediction and input of some crystals, in the manner of the paper's Figs. 3 and 4.

    Args:
        rows: one dict a crystal: `label` (its formula), `truth` and `prediction` (n, n, n), `pattern`
            (1024,), and `caption`, a line such as its score. Surfaces of both densities are drawn at the
            truth's default levels.
    """
    lines = -(-len(rows) // CRYSTALS_IN_A_ROW)
    columns = 2 * min(CRYSTALS_IN_A_ROW, len(rows))
    figure = make_subplots(
        2 * lines,
        columns,
        row_heights=[PICTURE_HEIGHT, STRIP_HEIGHT] * lines,
        column_titles=["truth", "prediction"] * (columns // 2),
        horizontal_spacing=0.01,
        vertical_spacing=0.08 / lines,
    )
    still(figure)
    for number, crystal in enumerate(rows):
        line, place = divmod(number, CRYSTALS_IN_A_ROW)
        row, col = 2 * line + 1, 2 * place + 1
        levels = default_levels(checked(crystal["truth"]))
        add_picture(figure, crystal["truth"], levels, VIEWS["front"], (row, col))
        add_picture(figure, crystal["prediction"], levels, VIEWS["front"], (row, col + 1))
        text = f"<b>{crystal['label']}</b><br>{crystal['caption']}"
        words = go.Scatter(x=[0], y=[0], mode="text", text=[text], hoverinfo="skip", showlegend=False)
        figure.add_trace(words, row + 1, col)
        figure.add_trace(strip_trace([crystal["pattern"]], [""]), row + 1, col + 1)
    return styled(figure, 40 + lines * (PICTURE_HEIGHT + STRIP_HEIGHT + 16), margin_t=28)


def multi_view(
    truth: ArrayLike, predictions: ArrayLike, title: str = "", labels: Sequence[str] | None = None
) -> go.Figure:
    """The truth and sampled predictions from three camera angles, in the manner of the paper's Fig. 2.

    Args:
        truth: (n, n, n), e/Å^3; its default levels are drawn for all.
        predictions: (K, n, n, n).
        labels: their K names, by default 'sample 1' and so on.
    """
    labels = labels or [f"sample {k}" for k in range(1, 1 + len(predictions))]
    levels = default_levels(checked(truth))
    figure = make_subplots(
        len(VIEWS),
        1 + len(predictions),
        row_titles=list(VIEWS),
        column_titles=["truth", *labels],
        horizontal_spacing=0.01,
        vertical_spacing=0.01,
    )
    still(figure)
    for row, view in enumerate(VIEWS.values(), 1):
        for col, cmed in enumerate([truth, *predictions], 1):
            add_picture(figure, cmed, levels, view, (row, col))
    return styled(figure, 40 + 120 * len(VIEWS), title, margin_t=56 if title else 28, margin_r=24)


def panels(pictures: dict[str, np.ndarray], scores: pd.DataFrame) -> list[dict]:
    """Rows for `gallery`, the best crystal first, each also with its `quantile`.

    Args:
        pictures: the gallery of a record (see `runs.records`).
        scores: of the network, a row a test crystal.
    """
    scores, shown = scores.set_index("row"), []
    for k in np.argsort(-pictures["quantile"]):
        crystal, quantile = scores.loc[pictures["row"][k]], pictures["quantile"][k]
        shown.append(
            {
                "label": crystal["formula"],
                "caption": f"at {quantile:g}: {crystal['honest_ssim']:.3f}, {crystal['honest_psnr']:.1f} dB",
                "quantile": quantile,
                "truth": pictures["truth"][k],
                "prediction": pictures["answer"][k],
                "pattern": pictures["pattern"][k],
            }
        )
    return shown


def add_picture(
    figure: go.Figure,
    cmed: np.ndarray,
    levels: tuple[float, ...],
    view: tuple[float, float],
    panel: tuple[int, int],
) -> None:
    """Put the picture of a density, and its cell's edges, into one panel, (row, column), of a figure."""
    row, col = panel
    figure.add_trace(go.Image(source=picture(checked(cmed), levels, view), hoverinfo="skip"), row, col)
    corners = project(CORNERS, *view)
    hidden = corners[:, 2].argmin()  # the three edges that meet at the farthest corner lie behind the cell
    for dash, behind in (("solid", False), ("dot", True)):
        edges = [[corners[i], corners[j], [np.nan] * 3] for i, j in EDGES if (hidden in (i, j)) == behind]
        x, y, _ = np.concatenate(edges).T.astype(np.float32)
        line = {"color": INK, "width": 1, "dash": dash}
        figure.add_trace(
            go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False), row, col
        )
    low, high = corners.min(0) - 4, corners.max(0) + 4
    figure.update_xaxes(range=[low[0], high[0]], constrain="domain", row=row, col=col)
    figure.update_yaxes(range=[high[1], low[1]], constrain="domain", row=row, col=col)
