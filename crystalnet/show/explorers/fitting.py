"""Figures that take the width of their place, wherever the notebook is read."""

from __future__ import annotations

from collections.abc import Sequence

import anywidget
import plotly.graph_objects as go
from ipywidgets import Box, Layout, VBox

WIDTH = "520px"  # of a column: two stand side by side on a desk, one fits a phone (our choice)

# plotly's widget draws itself before it has a place, 700 pixels wide, and looks again only when the window is
# resized
FIT = """
function render({ el }) {
  let fitted;
  const fit = () => {
    const place = el.parentElement, plot = place?.querySelector(".main-svg");
    if (plot && plot.clientWidth !== place.clientWidth && fitted !== place.clientWidth) {
      fitted = place.clientWidth;
      window.dispatchEvent(new Event("resize"));
    }
  };
  const drawn = new MutationObserver(fit);
  const sized = new ResizeObserver(() => {
    if (el.parentElement) drawn.observe(el.parentElement, { childList: true, subtree: true });
    fit();
  });
  sized.observe(el);
  return () => { drawn.disconnect(); sized.disconnect(); };
}
export default { render };
"""


class _Fit(anywidget.AnyWidget):
    """An invisible line below a figure that has it fitted to its place."""

    _esm = FIT


def columns(panels: Sequence[go.FigureWidget]) -> list[VBox]:
    """Places for figures, every other one on the left and on the right; one below the other on a phone.

    >>> len(columns([go.FigureWidget(), go.FigureWidget(), go.FigureWidget()]))
    2
    """
    sides = [[_place(panel) for panel in panels[start::2]] for start in (0, 1)]
    return [VBox(side, layout=Layout(width=WIDTH, max_width="100%")) for side in sides if side]


def _place(panel: go.FigureWidget) -> Box:
    panel._config = panel._config | {"responsive": True, "displayModeBar": False}
    return Box([panel, _Fit()], layout=Layout(width="100%", flex_flow="column", overflow="hidden"))
