"""The explorer of the latent space and what all explorers share, driven from Python."""

import json

import numpy as np
import pytest
from some_networks import salt_store, small, used

from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model.confidence import Confidence
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.physics.similarity import ssim
from crystalnet.show.explorers import LatentExplorer, display_stride


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return salt_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def model() -> DensityNetwork:
    return used(small("film"))


@pytest.fixture(scope="module")
def explorer(model, store) -> LatentExplorer:
    return LatentExplorer(model, store)


@pytest.fixture(autouse=True)
def at_rest(request):
    """Every test finds the explorer as it starts."""
    if "explorer" in request.fixturenames:
        explorer = request.getfixturevalue("explorer")
        start = explorer.state | {
            "crystal": explorer.materials[0],
            "first": 0,
            "second": 1,
            "t": 0,
            "noise": 1,
        }
        explorer.state = start | {
            "formula": "",
            "wavelength": "CuKa",
            "peaks": "",
            "surface": 20,
            "position": 0.5,
        }


def drawn(explorer) -> tuple:
    """What the reader sees of the prediction: surface, slices, strip."""
    surfaces, planes, strips = explorer._panels.values()
    return (
        np.array([len(trace.x) for trace in surfaces.data]),
        np.concatenate([trace.z for trace in planes.data[3:6]]),
        np.asarray(strips.data[0].z)[2],
    )


def test_explorer_offers_the_test_crystals_by_formula_and_space_group(explorer, store):
    labels = [label for label, _ in explorer._controls["crystal"].options]
    assert explorer.materials == [store.crystals[row].material_id for row in store.indices("test")]
    for label, material_id in zip(labels, explorer.materials, strict=False):
        crystal = next(c for c in store.crystals if c.material_id == material_id)
        assert crystal.formula in label and f"space group {crystal.space_group}" in label


def test_without_noise_it_shows_the_answer_whatever_the_sample(explorer, model, store):
    row = store.indices("test")[0]
    explorer.noise, explorer.first, explorer.t = 0, 7, 0.6
    answer = model.answer(store.patterns[row], store.compositions[row], len(explorer.truth)).numpy()
    np.testing.assert_allclose(explorer.prediction, answer, atol=1e-5)
    assert "latent mean" in explorer._message.value


def test_at_noise_one_it_shows_the_sample_of_the_network(explorer, model, store):
    row = store.indices("test")[0]
    for seed, t in ((5, 0.0), (6, 1.0)):
        explorer.first, explorer.second, explorer.t = 5, 6, t
        sampled = model.predict(store.patterns[row], store.compositions[row], 1, seed, len(explorer.truth))[0]
        np.testing.assert_allclose(explorer.prediction, sampled.numpy(), atol=1e-5)


def test_score_is_the_ssim_of_what_is_shown(explorer):
    expected = ssim(explorer.truth, explorer.prediction, float(np.ptp(explorer.truth)), periodic=True)
    assert explorer.similarity == pytest.approx(expected)
    assert f"{expected:.3f}" in explorer._message.value


@pytest.mark.parametrize(("control", "value"), [("first", 9), ("t", 1.0), ("noise", 3.0)])
def test_every_dial_changes_density_slices_and_pattern(explorer, control, value):
    before, planes_before, strip_before = explorer.prediction, *drawn(explorer)[1:]
    setattr(explorer, control, value)
    assert explorer.error == "" and getattr(explorer, control) == value
    assert not np.array_equal(explorer.prediction, before)
    _, planes, strip = drawn(explorer)
    assert not np.array_equal(planes, planes_before)
    assert not np.array_equal(strip, strip_before)


def test_surface_and_slices_can_be_moved(explorer):
    surfaces, planes, _ = explorer._panels.values()
    level, title = surfaces.data[1].name, planes.layout.annotations[0].text
    explorer.surface, explorer.position = 50, 0.25
    assert float(surfaces.data[1].name.split()[0]) < float(level.split()[0])
    assert planes.layout.annotations[0].text == "x = 0.25" != title
    n = len(explorer.truth)
    np.testing.assert_array_equal(planes.data[0].z, explorer.truth[round(0.25 * n)].T)


def test_another_crystal_changes_truth_input_and_levels(explorer, store):
    surfaces, planes, strips = explorer._panels.values()
    before = explorer.truth, surfaces.data[1].name, np.asarray(strips.data[0].z), planes.layout.coloraxis.cmax
    explorer._controls["crystal"].value = explorer.materials[1]  # as the menu does
    after = explorer.truth, surfaces.data[1].name, np.asarray(strips.data[0].z), planes.layout.coloraxis.cmax
    assert not np.array_equal(before[0], after[0]) and before[1] != after[1]
    assert not np.array_equal(before[2][0], after[2][0]) and before[3] != after[3]
    row = store.indices("test")[1]
    np.testing.assert_array_equal(explorer.truth, store.cmed[row].astype(np.float32))


# ---------------------------------------------------------------------- the view


def test_redrawing_keeps_the_readers_view(explorer):
    surfaces = explorer._panels["surfaces"]
    surfaces.layout.scene.camera.eye.x = 0.3  # as the browser reports a turn
    explorer.noise = 2.0
    assert explorer._panels["surfaces"] is surfaces and surfaces.layout.scene.camera.eye.x == 0.3


def test_a_view_can_be_kept_and_restored(explorer):
    explorer.crystal, explorer.noise, explorer.position = explorer.materials[2], 0.4, 0.1
    explorer._panels["surfaces"].layout.scene2.camera.eye.y = 0.7
    kept, prediction = json.loads(json.dumps(explorer.state)), explorer.prediction
    explorer.crystal, explorer.noise, explorer.position = explorer.materials[0], 1, 0.9
    explorer._panels["surfaces"].layout.scene2.camera.eye.y = 1
    explorer.state = kept
    assert explorer.state == kept and kept["cameras"]["surfaces"][1]["eye"]["y"] == 0.7
    np.testing.assert_array_equal(explorer.prediction, prediction)


def test_a_view_that_cannot_be_changes_nothing(explorer):
    before = explorer.state
    with pytest.raises(CrystalNetError, match=r"no control 'nose'. The controls are crystal"):
        explorer.state = {"nose": 1}
    with pytest.raises(CrystalNetError, match=r"Slices at = 2 is out of range"):
        explorer.state = {"noise": 0.3, "position": 2}
    assert explorer.state == before


# ---------------------------------------------------------------------- a pattern of one's own


def test_pasted_peaks_take_the_place_of_a_crystal(explorer, store):
    crystal = store.crystals[store.indices("test")[0]]
    explorer.noise = 0
    answer = explorer.prediction
    assert explorer._controls["peaks"].layout.display == "none"
    explorer.crystal = "own"
    assert explorer.error.startswith("Type a formula and paste peaks")
    assert explorer._controls["peaks"].layout.display is None
    peaks = powder_peaks(crystal.symmetrized, 0.71073)
    explorer.state = {
        "formula": crystal.formula,
        "wavelength": "0.71073",
        "peaks": "".join(f"{angle:.9f}, {height:.9f}\n" for angle, height, _ in zip(*peaks, strict=True)),
    }
    assert explorer.error == ""
    np.testing.assert_allclose(explorer.prediction, answer, atol=1e-4)  # the input is the stored one
    assert explorer.truth is None and explorer.similarity is None and "not known" in explorer._message.value
    assert list(explorer._panels) == ["surfaces", "slices", "patterns"]
    explorer.crystal = explorer.materials[0]
    assert explorer.similarity is not None and len(explorer._panels["slices"].data) == 9


@pytest.mark.parametrize(
    ("formula", "wavelength", "peaks", "message"),
    [
        ("Nx", "CuKa", "20 5", "'Nx': it is no formula"),
        ("NaCl", "CuKb9", "20 5", "There is no wavelength 'CuKb9'"),
        ("NaCl", "CuKa", "20 5\n200 1", "Line 2 of the peaks, '200 1', is no angle"),
        ("NaCl", "CuKa", "20 five", "Line 1 of the peaks"),
        ("NaCl", "CuKa", "20 5", "At least two peaks"),
    ],
)
def test_an_input_that_cannot_be_is_explained(explorer, formula, wavelength, peaks, message):
    explorer.state = {"crystal": "own", "formula": formula, "wavelength": wavelength, "peaks": peaks}
    assert explorer.error.startswith(message) and 'role="alert"' in explorer._message.value


# ---------------------------------------------------------------------- confidence


def test_confidence_is_told_once_a_crystal(model, store, monkeypatch):
    calls = []
    monkeypatch.setattr(model, "confidence", Confidence((0.0, 1.0), (0.3, 0.3)))
    whole = type(model).expected_similarity
    monkeypatch.setattr(
        type(model), "expected_similarity", lambda self, *given: calls.append(0) or whole(self, *given)
    )
    explorer = LatentExplorer(model, store)
    assert explorer.expected == pytest.approx(0.3)
    assert "no confident answer, expected SSIM 0.30" in explorer._message.value
    explorer.noise, explorer.t, explorer.surface, explorer.position = 0.5, 0.5, 30, 0.2
    assert len(calls) == 1
    explorer.crystal = explorer.materials[1]
    assert len(calls) == 2


# ---------------------------------------------------------------------- errors


def test_a_failure_is_shown_and_forgotten_when_it_is_over(explorer, monkeypatch):
    kept = explorer.prediction

    def fail(*_):
        raise RuntimeError("out of <memory>\nand a long tale")

    with monkeypatch.context() as patched:
        patched.setattr(explorer._model, "density", fail)
        explorer.noise = 0.5
    assert explorer.error == "RuntimeError: out of <memory>"
    assert "&lt;memory&gt;" in explorer._message.value and 'role="alert"' in explorer._message.value
    assert explorer.prediction is kept
    explorer.noise = 0.6
    assert explorer.error == "" and "SSIM" in explorer._message.value


@pytest.mark.parametrize("value", [-0.1, 3.5, np.nan, "loud"])
def test_a_dial_refuses_what_is_out_of_range(explorer, value):
    with pytest.raises(CrystalNetError, match=r"Noise = .* is out of range. Choose 0 to 3"):
        explorer.noise = value
    assert explorer.noise == 1.0


def test_other_controls_refuse_what_they_do_not_offer(explorer):
    with pytest.raises(CrystalNetError, match="'mp-0' is not among the choices of Crystal"):
        explorer.crystal = "mp-0"
    with pytest.raises(CrystalNetError, match=r"Sample A = 0.5 is no whole number"):
        explorer.first = 0.5
    with pytest.raises(CrystalNetError, match="Formula = 3 is not text"):
        explorer.formula = 3


def test_an_empty_choice_is_named(model, store):
    with pytest.raises(CrystalNetError, match="no crystal to explore"):
        LatentExplorer(model, store, rows=[])


@pytest.mark.parametrize(("n", "stride"), [(50, 2), (20, 1), (25, 1), (24, 1), (75, 3), (47, 1)])
def test_display_grid_divides_the_stored_one(n, stride):
    assert display_stride(n) == stride
