"""The figures: each is light, valid and self-contained, and draws what its data say."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
import torch
from PIL import Image

from crystalnet.errors import CrystalNetError
from crystalnet.model.confidence import Confidence
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.show import figures
from crystalnet.show.architecture import layers, n_parameters
from crystalnet.show.densities import default_levels, surface_mesh
from crystalnet.show.gallery import add_picture
from crystalnet.show.render import REACH, SIZE, VIEWS, picture, project

N = 50
HEXAGONAL = np.array([[4.0, 0.0, 0.0], [-2.0, 12**0.5, 0.0], [0.0, 0.0, 6.5]])


def ball(centre: float = 0.5, n: int = N) -> np.ndarray:
    """Minus the distance to a point of the cell and its periodic images: its isosurface is a sphere."""
    axis = np.arange(n) / n - centre
    axis -= np.round(axis)
    return -np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)


def crystal_like(seed: int) -> np.ndarray:
    """A few Gaussian atoms at random places of a periodic cell."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(N) / N] * 3, indexing="ij"), -1)
    rho = np.zeros((N, N, N))
    for site, height in zip(rng.random((4, 3)), rng.uniform(1, 9, 4), strict=True):
        offset = grid - site - np.round(grid - site)
        rho += height * np.exp(-np.sum(offset**2, -1) / 0.012)
    return rho


def pattern(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(1024) < 0.05, rng.random(1024), 0).astype(np.float32)
    return values / values.max()


def history() -> pd.DataFrame:
    epoch = np.arange(1, 21)
    score = np.where(epoch % 5 == 0, 0.6 - 0.01 * (epoch - 15) ** 2 / 25, np.nan)  # best at epoch 15
    decay = np.exp(-epoch / 5)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "loss": 2 * decay,
            "reconstruction": decay,
            "kl": 0 * decay,
            "learning_rate": 1e-3,
            "val_ssim": score,
        }
    )


def inputs(model: CrystalNet) -> tuple:
    shapes = (1024,), (118,), (6, 3), (model.n_latent,)
    return tuple(torch.rand(2, *shape) for shape in shapes)


@pytest.fixture(scope="module")
def model() -> CrystalNet:
    return CrystalNet(width=32)


A, B = crystal_like(0), crystal_like(1)
ROWS = [
    {"label": f"X{k}", "truth": crystal_like(k), "prediction": crystal_like(k + 9), "pattern": pattern(k)}
    | {"caption": "SSIM 0.90"}
    for k in range(6)
]
SCORES = [{"protocol": p, "ssim": s} for p in ("paper", "honest") for s in np.linspace(0.2, 1, 500)]
TABLE = pd.DataFrame({"space_group": [225, 221], "n": [100, 3], "ssim": [0.9, 0.7], "ssim_std": [0.1, 0.2]})
SURE = pd.DataFrame(
    {"formula": "X", "agreement": np.linspace(0.5, 1, 500), "honest_ssim": np.linspace(0, 1, 500)}
)
COST = pd.DataFrame({"core_seconds": [60.0, 120.0], "val_ssim": [0.5, 0.7]})
ABLATIONS = pd.DataFrame({"ablation": ["none", "no formula"], "ssim": [0.9, 0.8], "psnr": [40.0, 30.0]})

BUILDERS = {  # the figure, and the most that its HTML may weigh in kB
    "isosurface": (lambda m: figures.isosurface(A, lattice=HEXAGONAL, title="X"), 400),
    "isosurfaces": (lambda m: figures.isosurfaces({"truth": A, "prediction": B}), 800),
    "gallery": (lambda m: figures.gallery(ROWS), 1500),
    "gallery of one": (lambda m: figures.gallery(ROWS[:1]), 300),
    "multi_view": (lambda m: figures.multi_view(A, [B, A, B], "X"), 700),
    "slices": (lambda m: figures.slices(A), 60),
    "slices compared": (lambda m: figures.slices(A, B), 160),
    "difference_isosurfaces": (lambda m: figures.difference_isosurfaces({"X": (A, B, HEXAGONAL)}), 600),
    "powder_sticks": (lambda m: figures.powder_sticks(np.linspace(5, 170, 300), np.ones(300)), 40),
    "pattern_strip": (lambda m: figures.pattern_strip({"a": pattern(0), "b": pattern(1)}), 20),
    "pattern_overlay": (lambda m: figures.pattern_overlay({"a": pattern(0), "b": pattern(1)}), 40),
    "basis_curves": (lambda m: figures.basis_curves([0.5, 0.1], {"a": pd.Series([0.8, 0.9], [1, 2])}), 15),
    "calibration_scatter": (
        lambda m: figures.calibration_scatter(SURE, SURE, Confidence((0.5, 1.0), (0.1, 0.9))),
        50,
    ),
    "profile_overlay": (lambda m: figures.profile_overlay({"a": np.ones(768), "b": np.zeros(768)}), 30),
    "risk_coverage_curves": (lambda m: figures.risk_coverage_curves(SURE), 30),
    "ssim_against_seconds": (lambda m: figures.ssim_against_seconds({"a": COST, "b": COST}), 15),
    "curves_together": (lambda m: figures.curves_together({"a": history(), "b": history()}), 30),
    "training_curves": (lambda m: figures.training_curves(history()), 20),
    "score_distribution": (lambda m: figures.score_distribution(SCORES), 40),
    "space_group_bars": (lambda m: figures.space_group_bars(TABLE), 10),
    "ablation_bars": (lambda m: figures.ablation_bars(ABLATIONS, ABLATIONS), 20),
    "latent_walk": (lambda m: figures.latent_walk([A, B, A], ["0", "0.5", "1"]), 700),
    "architecture": (lambda m: figures.architecture(m, inputs(m)), 40),
    "system_overview": (lambda m: figures.system_overview(m), 20),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_figure_is_valid_light_and_self_contained(name, model):
    build, kilobytes = BUILDERS[name]
    figure = build(model)
    assert isinstance(figure, go.Figure)
    content = json.loads(figure.to_json())
    html = pio.to_html(figure, include_plotlyjs=False, full_html=False, auto_play=False)
    assert len(html) < 1000 * kilobytes
    assert not re.search(r"https?://", figure.to_json())
    layout = content["layout"]
    assert "width" not in layout and layout["height"] <= 900  # a phone's width, no more than a screen or so
    assert layout["template"]["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"


def test_every_figure_of_the_facade_is_tested():
    assert set(figures.__all__) == {name.split()[0] for name in BUILDERS}


def signed_volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = np.asarray(vertices, float)[triangles.astype(int)].transpose(1, 0, 2)
    return float(np.sum(a * np.cross(b, c)) / 6)


def mesh_of(trace: go.Mesh3d) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([trace.x, trace.y, trace.z], 1), np.stack([trace.i, trace.j, trace.k], 1)


@pytest.mark.parametrize("stride", [1, 2])
def test_isosurface_of_a_sphere_has_its_radius_and_volume(stride):
    edge, radius = 4.0, 1.2  # Å
    figure = figures.isosurface(ball() * edge, level=-radius, lattice=edge * np.eye(3), stride=stride)
    vertices, triangles = mesh_of(figure.data[0])
    distance = np.linalg.norm(vertices - edge / 2, axis=1)
    np.testing.assert_allclose(distance, radius, rtol=3e-3)
    assert signed_volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.015)


@pytest.mark.parametrize("centre", [0.5, 0.0, 0.25])
def test_isosurface_is_closed_where_the_cell_cuts_it(centre):
    vertices, triangles = surface_mesh(ball(centre), -0.3)
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    _, shared = np.unique(sides, axis=0, return_counts=True)
    assert set(shared) == {2}  # every side belongs to two triangles: watertight
    assert signed_volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.01)
    assert vertices.min() >= 0 and vertices.max() <= 1


def test_lattice_gives_the_surface_its_true_shape():
    plain, *_ = (trace for trace in figures.isosurface(ball(), level=-0.3).data)
    shaped, *_ = (trace for trace in figures.isosurface(ball(), level=-0.3, lattice=HEXAGONAL).data)
    volumes = [signed_volume(*mesh_of(trace)) for trace in (plain, shaped)]
    assert volumes[1] / volumes[0] == pytest.approx(np.linalg.det(HEXAGONAL), rel=1e-4)


def test_default_levels_enclose_their_shares_of_the_cell():
    outer, inner = default_levels(A)
    assert np.mean(outer < A) == pytest.approx(0.20, abs=1e-3)
    assert np.mean(inner < A) == pytest.approx(0.04, abs=1e-3)
    names = [trace.name for trace in figures.isosurface(A).data if trace.type == "mesh3d"]
    assert names == [f"{inner:.3g} e/Å³", f"{outer:.3g} e/Å³"]


def test_level_beyond_the_density_draws_the_empty_cell():
    figure = figures.isosurface(A, level=1e6)
    assert len(figure.data[0].x) == 0
    assert not np.isnan(np.array(figure.data[1].x, float)).all()  # the cell's edges


def test_slices_show_the_plane_that_they_name():
    rho = np.zeros((10, 10, 10))
    rho[5, 1, 2] = 1.0
    x_plane, y_plane, z_plane = (np.asarray(trace.z) for trace in figures.slices(rho, 0 * rho).data[:3])
    assert x_plane[2, 1] == 1.0 and x_plane.sum() == 1.0  # z upwards, y to the right
    assert y_plane.sum() == z_plane.sum() == 0.0
    differences = [np.asarray(trace.z) for trace in figures.slices(rho, rho).data[6:]]
    assert len(differences) == 3 and not np.any(differences)


def rgba(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


@pytest.mark.parametrize("view", VIEWS)
def test_picture_of_a_sphere_is_its_disc(view):
    image = rgba(picture(ball(), (-0.3,), VIEWS[view]))
    covered = image[..., 3] > 0
    pixels_per_edge = (SIZE - 1) / (2 * REACH)
    assert covered.sum() == pytest.approx(np.pi * (0.3 * pixels_per_edge) ** 2, rel=0.02)
    rows, columns = np.nonzero(covered)
    np.testing.assert_allclose([columns.mean(), rows.mean()], (SIZE - 1) / 2, atol=1)


def test_picture_and_cell_edges_agree_on_where_things_are():
    site = np.array([0.8, 0.3, 0.6])
    offset = np.stack(np.meshgrid(*[np.arange(N) / N] * 3, indexing="ij"), -1) - site
    image = rgba(picture(-np.linalg.norm(offset, axis=-1), (-0.1,)))
    rows, columns = np.nonzero(image[..., 3])
    x, y, _ = project(site, *VIEWS["front"])
    np.testing.assert_allclose([columns.mean(), rows.mean()], [x, y], atol=1)


def test_inner_surface_shows_through_the_outer_one():
    shades = rgba(picture(ball(), (-0.4, -0.2)))
    middle, rim = shades[SIZE // 2, SIZE // 2], shades[SIZE // 2, SIZE // 2 + int(0.35 * SIZE / (2 * REACH))]
    assert middle[3] == 255 and 0 < rim[3] < 255


def test_hidden_cell_edges_are_dotted():
    figure = go.Figure().set_subplots(1, 1)
    add_picture(figure, A, default_levels(A), VIEWS["front"], (1, 1))
    _, visible, hidden = figure.data
    assert (visible.line.dash, hidden.line.dash) == ("solid", "dot")
    assert (np.isnan(visible.x).sum(), np.isnan(hidden.x).sum()) == (9, 3)


def test_gallery_draws_both_densities_at_the_levels_of_the_truth():
    row = ROWS[0]
    pictures = [trace.source for trace in figures.gallery([row]).data if trace.type == "image"]
    levels = default_levels(row["truth"])
    assert pictures == [picture(row[key], levels) for key in ("truth", "prediction")]


def test_strip_keeps_the_peaks_in_their_place():
    peaks = np.zeros(1024)
    peaks[[100, 700]] = [3.0, 1.5]
    (strip,) = figures.pattern_strip({"a": peaks}).data
    shown = np.asarray(strip.z)[0]
    at = np.flatnonzero(shown)
    np.testing.assert_allclose(shown[at], [1.0, 0.5])
    np.testing.assert_allclose(np.asarray(strip.x)[at], (np.array([100, 700]) + 0.5) * 180 / 1024, atol=0.4)


def test_sticks_stand_on_zero_and_reach_their_intensity():
    (sticks,) = figures.powder_sticks([20.0, 30.0], [100.0, 40.0]).data
    x, y = np.asarray(sticks.x).reshape(2, 3), np.asarray(sticks.y).reshape(2, 3)
    np.testing.assert_array_equal(x[:, :2], [[20, 20], [30, 30]])
    np.testing.assert_array_equal(y[:, :2], [[0, 100], [0, 40]])
    assert np.isnan(y[:, 2]).all()


def test_training_curves_mark_the_best_epoch_and_skip_what_was_not_validated():
    figure = figures.training_curves(history())
    marks = [trace for trace in figure.data if trace.marker.symbol == "star"]
    assert [list(mark.x) for mark in marks] == [[15]]
    curve = next(trace for trace in figure.data if trace.mode == "lines+markers")
    assert list(curve.x) == [5, 10, 15, 20]


def test_training_curves_without_a_validation_have_no_mark():
    figure = figures.training_curves(history().assign(val_ssim=np.nan))
    assert not [trace for trace in figure.data if trace.marker.symbol == "star"]


def test_distribution_holds_every_crystal_of_each_protocol():
    violins = figures.score_distribution(SCORES).data
    assert [violin.name for violin in violins] == ["paper (n = 500)", "honest (n = 500)"]
    assert all(len(violin.y) == 500 for violin in violins)


def test_bars_carry_their_numbers_and_whiskers():
    (bars,) = figures.space_group_bars(TABLE).data
    assert list(bars.text) == ["100", "3"]
    np.testing.assert_allclose(bars.error_y.array, TABLE["ssim_std"], rtol=1e-6)
    names = {bar.name for bar in figures.ablation_bars(ABLATIONS).data}
    assert names == {"ours"}


def test_walk_has_a_frame_and_a_slider_step_for_each_density():
    figure = figures.latent_walk([A, B, A], ["0", "0.5", "1"])
    assert [frame.name for frame in figure.frames] == [
        step.args[0][0] for step in figure.layout.sliders[0].steps
    ]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["0", "0.5", "1"]
    first, second, third = ([np.asarray(frame.data[0].x), frame.data[1].z] for frame in figure.frames)
    assert len(first[0]) != len(second[0]) and not np.array_equal(first[1], second[1])
    np.testing.assert_array_equal(first[0], third[0])
    assert [trace.type for trace in figure.frames[0].data] == [trace.type for trace in figure.data[:2]]


def numbers(text: str) -> int:
    """'2 × 416,457' -> 832914."""
    return int(np.prod([int(part) for part in re.sub(r"[^\d×]", "", text).split("×")]))


@pytest.mark.parametrize("use_composition", [True, False])
def test_architecture_accounts_for_every_parameter(use_composition):
    model = CrystalNet(width=32, use_composition=use_composition)
    total = sum(p.numel() for p in model.parameters())
    assert layers(model, inputs(model))["n_parameters"].sum() == total == n_parameters(model)
    notes = figures.architecture(model, inputs(model)).layout.annotations
    headings = [note.text for note in notes if note.x == 1 and note.text.startswith("<b>")]
    assert sum(numbers(text.strip("</b>")) for text in headings) == total
    boxes = [shape.label.text for shape in figures.system_overview(model).layout.shapes]
    counts = [text.split("<br>")[1] for text in boxes if re.fullmatch(r".*<br>[\d,]+", text)]
    assert sum(numbers(text) for text in counts) == total


def test_layers_come_in_order_with_their_output_shapes(model):
    table = layers(model, inputs(model)).set_index("name")
    assert table.loc["position_encoder.layers.0", "output_shape"] == (32,)
    assert table.loc["regressor.head", ["kind", "n_parameters"]].tolist() == ["Linear", 33]
    assert table.index[-1] == "regressor.head" and table.index[0].startswith("xrd_encoder.mu")


def test_layers_leave_the_model_as_it_was(model):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers(model, inputs(model))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.isosurface(np.zeros((5, 5))), r"is \(n, n, n\), not \(5, 5\)"),
        (lambda: figures.slices(np.full((5, 5, 5), np.nan)), "NaN or infinite"),
        (lambda: figures.multi_view(np.zeros((5, 5)), []), r"is \(n, n, n\)"),
        (lambda: figures.pattern_strip({"a": np.zeros((2, 1024))}), r"is \(n_bins,\)"),
    ],
)
def test_wrong_data_are_named(draw, message):
    with pytest.raises(CrystalNetError, match=message):
        draw()
