"""Difference surfaces lie where they should, enclose what they say, and stay light."""

import json

import numpy as np
import plotly.io as pio
import pytest

from crystalnet.errors import CrystalNetError
from crystalnet.show.difference import SHARE, difference_isosurfaces
from crystalnet.show.style import BLUE, RED

N = 50
HEXAGONAL = np.array([[4.0, 0.0, 0.0], [-2.0, 12**0.5, 0.0], [0.0, 0.0, 6.5]])


def atom(x: float, y: float = 0.5, z: float = 0.5) -> np.ndarray:
    """A smooth peak of height 1 at a place of a periodic cell."""
    grid = np.stack(np.meshgrid(*[np.arange(N) / N] * 3, indexing="ij"), -1)
    return np.exp(3 * (np.cos(2 * np.pi * (grid - [x, y, z])).sum(-1) - 3))


def meshes(figure) -> list:
    return [trace for trace in figure.data if trace.type == "mesh3d"]


def vertices(mesh) -> np.ndarray:
    return np.stack([mesh.x, mesh.y, mesh.z], 1)


def volume(mesh) -> float:
    a, b, c = vertices(mesh).astype(float)[np.stack([mesh.i, mesh.j, mesh.k]).astype(int)]
    return float(np.sum(a * np.cross(b, c)) / 6)


def test_each_colour_lies_where_its_density_is_higher():
    more, less = meshes(difference_isosurfaces({"X": (atom(0.25), atom(0.75), np.eye(3))}))
    assert (more.color, less.color) == (BLUE, RED)
    np.testing.assert_allclose(vertices(more).mean(0), [0.25, 0.5, 0.5], atol=0.01)
    np.testing.assert_allclose(vertices(less).mean(0), [0.75, 0.5, 0.5], atol=0.01)


@pytest.mark.parametrize("lattice", [np.eye(3), HEXAGONAL])
def test_surfaces_enclose_their_share_of_the_cell(lattice):
    figure = difference_isosurfaces({"X": (atom(0.25), atom(0.75), lattice)}, stride=1)
    share = sum(map(volume, meshes(figure))) / np.linalg.det(lattice)
    assert share == pytest.approx(SHARE, rel=0.02)


def test_each_crystal_has_its_own_level_and_the_legend_names_both_once():
    strong, flat = (2 * atom(0.3), atom(0.7), HEXAGONAL), (1e-3 * atom(0.3), 0 * atom(0.3), np.eye(3))
    figure = difference_isosurfaces({"A": strong, "B": flat}, ("DFT", "promolecule"))
    texts = [annotation.text for annotation in figure.layout.annotations]
    levels = [float(text.split("±")[1].split()[0]) for text in texts]
    for (first, second, _), level in zip((strong, flat), levels, strict=True):
        assert np.mean(np.abs(first - second) > level) == pytest.approx(SHARE, rel=0.1)
    assert [mesh.name for mesh in meshes(figure) if mesh.showlegend] == ["more in DFT", "more in promolecule"]
    assert len({mesh.scene for mesh in meshes(figure)}) == 2


def test_three_crystals_make_a_light_figure_without_network():
    rng = np.random.default_rng(0)
    pairs = [(sum(atom(*site) for site in rng.random((5, 3))), atom(0.5), HEXAGONAL) for _ in range(3)]
    figure = difference_isosurfaces(dict(zip("ABC", pairs, strict=True)))
    assert len(pio.to_html(figure, include_plotlyjs=False, full_html=False)) < 600_000
    assert "http" not in figure.to_json()
    layout = json.loads(figure.to_json())["layout"]
    assert "width" not in layout and layout["height"] <= 900


def test_equal_densities_draw_the_empty_cell():
    figure = difference_isosurfaces({"X": (atom(0.5), atom(0.5), None)})
    assert all(len(mesh.x) == 0 for mesh in meshes(figure))


def test_what_cannot_be_compared_is_one_clear_error():
    with pytest.raises(CrystalNetError, match="differ in shape"):
        difference_isosurfaces({"X": (atom(0.5), atom(0.5)[:25, :25, :25], None)})
    with pytest.raises(CrystalNetError, match="NaN"):
        difference_isosurfaces({"X": (atom(0.5), np.full((N, N, N), np.nan), None)})
    with pytest.raises(CrystalNetError, match="no densities"):
        difference_isosurfaces({})
