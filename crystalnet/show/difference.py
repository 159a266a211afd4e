"""Where the two densities of a crystal differ, for several crystals side by side."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crystalnet.errors import Code, CrystalNetError
from crystalnet.show.densities import CAMERA, cell_edges, checked, mesh_trace, surface_mesh
from crystalnet.show.style import BLUE, RED, styled

SHARE = 0.1  # of the cell's volume, our choice: less shows cores alone, more hides the bonds behind them


def difference_isosurfaces(
    crystals: dict[str, tuple], names: tuple[str, str] = ("first", "second"), stride: int = 2
) -> go.Figure:
    """Surfaces around the tenth of each cell's volume where its two densities differ most.

    Blue where the first has more, red where the second has. Four crystals at most: see `isosurfaces`.

    Args:
        crystals: {title: (first, second, lattice)}, densities (n, n, n) in e/Å^3, lattice (3, 3) rows in Å.
        names: of the two, for the legend.
        stride: draw every stride-th voxel.

    Raises:
        CrystalNetError: no crystals, or two densities on different grids.

    >>> rho = np.random.default_rng(0).random((2, 8, 8, 8))
    >>> figure = difference_isosurfaces({"two guesses": (rho[0], rho[1], 4 * np.eye(3))})
    >>> sorted({trace.name for trace in figure.data if trace.name})
    ['more in first', 'more in second']
    """
    if not crystals:
        raise CrystalNetError(
            "There are no densities to compare. Pass at least one crystal.", Code.BAD_ARGUMENT
        )
    differences = {title: _difference(first, second) for title, (first, second, _) in crystals.items()}
    levels = {
        title: float(np.quantile(np.abs(difference), 1 - SHARE)) for title, difference in differences.items()
    }
    figure = make_subplots(
        1,
        len(crystals),
        specs=[[{"type": "scene"}] * len(crystals)],
        subplot_titles=[f"{title}, ±{level:.2g} e/Å³" for title, level in levels.items()],
        horizontal_spacing=0.01,
    )
    for col, (title, (_, _, lattice)) in enumerate(crystals.items(), 1):
        for sign, colour, name in ((1, BLUE, names[0]), (-1, RED, names[1])):
            mesh = surface_mesh(sign * differences[title], levels[title], stride)
            trace = mesh_trace(*mesh, lattice, style=(colour, 0.8), name=f"more in {name}")
            figure.add_trace(trace.update(legendgroup=name, showlegend=col == 1), 1, col)
        figure.add_trace(cell_edges(lattice), 1, col)
    eye = {axis: 1.25 * x for axis, x in CAMERA["eye"].items()}  # long cells need room
    figure.update_scenes(camera={"eye": eye})
    return styled(figure, 380, legend=True, margin={"l": 0, "r": 0, "t": 56, "b": 0}, legend_y=1.08)


def _difference(first, second) -> np.ndarray:
    first, second = checked(first), checked(second)
    if first.shape != second.shape:
        raise CrystalNetError(
            f"The densities differ in shape: {first.shape}, {second.shape}. Use one grid.", Code.BAD_ARGUMENT
        )
    return first.astype(float) - second
