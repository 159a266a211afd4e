"""The explorer driven from Python, the codes behind it, and the pattern of a density."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from crystalnet.errors import CrystalNetError
from crystalnet.model.encoders import Latent
from crystalnet.params import Params
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.density_pattern import density_pattern, density_peaks
from crystalnet.physics.diffraction import powder_peaks
from crystalnet.physics.similarity import ssim
from crystalnet.runs import Run
from crystalnet.show.explorers import LatentExplorer, display_stride
from crystalnet.solving.sampling import sample, walk

# ---------------------------------------------------------------------- codes

LATENT = Latent(torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, -1.0, 0.0]]))


def test_sample_scales_the_noise_and_repeats():
    z = sample(LATENT, seed=3)
    torch.testing.assert_close(sample(LATENT, seed=3), z)
    assert not torch.equal(sample(LATENT, seed=4), z)
    assert torch.equal(sample(LATENT, seed=3, noise=0), LATENT.mu)
    torch.testing.assert_close(sample(LATENT, seed=3, noise=2) - LATENT.mu, 2 * (z - LATENT.mu))
    assert z[0, 2] == LATENT.mu[0, 2]  # sigma 0


def test_walk_is_the_straight_line_between_two_samples():
    line = walk(LATENT, 0, 1, [0.0, 0.25, 1.0])
    first, second = sample(LATENT, 0), sample(LATENT, 1)
    torch.testing.assert_close(line, torch.cat([first, 0.75 * first + 0.25 * second, second]))
    torch.testing.assert_close(walk(LATENT, 0, 1, 0.5, noise=0), LATENT.mu)


# ---------------------------------------------------------------------- the explorer


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return Run(Params.load("smoke"), tmp_path_factory.mktemp("runs"), progress=False)


@pytest.fixture(scope="module")
def explorer(run) -> LatentExplorer:
    return LatentExplorer(run.trained("cubic").model, run.store("cubic"))


@pytest.fixture(autouse=True)
def at_rest(request):
    """Every test finds the explorer as it starts."""
    if "explorer" in request.fixturenames:
        explorer = request.getfixturevalue("explorer")
        explorer.crystal = explorer.materials[0]
        explorer.first, explorer.second, explorer.t, explorer.noise = 0, 1, 0.0, 1.0


def drawn(explorer) -> tuple:
    """What the reader sees of the prediction: surface, slices, strip."""
    surfaces, planes, strips = explorer._panels
    return (
        np.array([len(trace.x) for trace in surfaces.data]),
        np.concatenate([trace.z for trace in planes.data[3:6]]),
        np.asarray(strips.data[0].z)[2],
    )


def test_explorer_offers_the_test_crystals_by_formula_and_space_group(explorer, run):
    store = run.store("cubic")
    labels = [label for label, _ in explorer._crystal.options]
    assert explorer.materials == [store.crystals[row].material_id for row in store.indices("test")]
    for label, material_id in zip(labels, explorer.materials, strict=True):
        crystal = next(c for c in store.crystals if c.material_id == material_id)
        assert crystal.formula in label and f"space group {crystal.space_group}" in label


def test_without_noise_it_shows_the_answer_whatever_the_sample(explorer, run):
    model, store = run.trained("cubic").model, run.store("cubic")
    row = store.indices("test")[0]
    explorer.noise, explorer.first, explorer.t = 0, 7, 0.6
    answer = model.answer(store.patterns[row], store.compositions[row], len(explorer.truth)).numpy()
    np.testing.assert_allclose(explorer.prediction, answer, atol=1e-5)
    assert "latent mean" in explorer._message.value


def test_at_noise_one_it_shows_the_sample_of_the_network(explorer, run):
    model, store = run.trained("cubic").model, run.store("cubic")
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


def test_another_crystal_changes_truth_input_and_levels(explorer, run):
    surfaces, planes, strips = explorer._panels
    before = explorer.truth, surfaces.data[0].name, np.asarray(strips.data[0].z), planes.layout.coloraxis.cmax
    explorer._crystal.value = explorer._crystal.options[1][1]  # as the menu does
    assert explorer.crystal == explorer.materials[1]
    after = explorer.truth, surfaces.data[0].name, np.asarray(strips.data[0].z), planes.layout.coloraxis.cmax
    assert not np.array_equal(before[0], after[0]) and before[1] != after[1]
    assert not np.array_equal(before[2][0], after[2][0]) and before[3] != after[3]
    row = run.store("cubic").indices("test")[1]
    np.testing.assert_array_equal(explorer.truth, run.store("cubic").cmed[row].astype(np.float32))


def test_redrawing_keeps_the_readers_view(explorer):
    surfaces = explorer._panels[0]
    surfaces.layout.scene.camera.eye.x = 0.3  # as the browser reports a turn
    explorer.noise = 2.0
    assert surfaces.layout.scene.camera.eye.x == 0.3


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


def test_our_own_errors_are_shown_bare(explorer):
    pattern = explorer._store.patterns[explorer._crystal.value]
    kept = pattern.copy()
    pattern[0] = np.nan
    explorer.noise = 0.7
    pattern[:] = kept
    assert explorer.error.startswith("The pattern holds NaN")


@pytest.mark.parametrize("value", [-0.1, 3.5, np.nan])
def test_a_dial_refuses_what_is_out_of_range(explorer, value):
    with pytest.raises(CrystalNetError, match=r"Noise = .* is out of range. Choose 0 to 3"):
        explorer.noise = value
    assert explorer.noise == 1.0


def test_unknown_crystals_and_empty_choices_are_named(explorer, run):
    with pytest.raises(CrystalNetError, match="'mp-0' is not among the crystals"):
        explorer.crystal = "mp-0"
    with pytest.raises(CrystalNetError, match="no crystal to explore"):
        LatentExplorer(run.trained("cubic").model, run.store("cubic"), rows=[])


@pytest.mark.parametrize(("n", "stride"), [(50, 2), (20, 1), (25, 1), (24, 1), (75, 3), (47, 1)])
def test_display_grid_divides_the_stored_one(n, stride):
    assert display_stride(n) == stride


# ---------------------------------------------------------------------- the pattern of a density

HEXAGONAL = np.array([[3.0, 0.0, 0.0], [-1.5, 3.0 * 0.75**0.5, 0.0], [0.0, 0.0, 4.2]])


def gaussian_atoms(lattice, sites, electrons: float = 2.0, exponent: float = 4.0, n: int = 32) -> np.ndarray:
    """electrons (exponent / pi)^(3/2) exp(-exponent r^2) around each site and its images, (n, n, n)."""
    axis = np.arange(n) / n
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    rho = np.zeros((n, n, n))
    images = np.stack(np.meshgrid(*[[-2, -1, 0, 1, 2]] * 3, indexing="ij"), -1).reshape(-1, 3)
    for site in sites:
        for image in images:
            rho += np.exp(-exponent * np.sum(((grid - site - image) @ lattice) ** 2, -1))
    return electrons * (exponent / np.pi) ** 1.5 * rho


@pytest.mark.parametrize("lattice", [3.2 * np.eye(3), HEXAGONAL])
def test_single_gaussian_atom_scatters_as_its_fourier_transform(lattice):
    # F(g) = N exp(-pi^2 g^2 / exponent), whatever the site
    peaks = density_peaks(gaussian_atoms(lattice, [[0.1, 0.27, 0.6]]), lattice)
    g = 1 / peaks.d_spacing
    np.testing.assert_allclose(2 * np.degrees(np.arcsin(0.71073 * g / 2)), peaks.two_theta)
    indices = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3, indexing="ij"), -1).reshape(-1, 3)
    lengths = np.linalg.norm(indices @ np.linalg.inv(lattice).T, axis=1)
    multiplicity = np.array([np.sum(np.abs(lengths - length) < 1e-7) for length in g])
    theta = np.radians(peaks.two_theta / 2)
    expected = multiplicity * np.exp(-2 * np.pi**2 * g**2 / 4.0)
    expected *= (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    np.testing.assert_allclose(peaks.intensity, 100 * expected / expected.max(), rtol=1e-6)


CENTRED = {
    "body": ([[0, 0, 0], [0.5, 0.5, 0.5]], lambda h: h.sum() % 2 == 0),
    "face": ([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], lambda h: len(set(h % 2)) == 1),
}


@pytest.mark.parametrize("centring", CENTRED)
def test_centred_cells_extinguish_their_reflections(centring):
    sites, allowed = CENTRED[centring]
    edge = 3.6
    peaks = density_peaks(gaussian_atoms(edge * np.eye(3), np.array(sites) + 0.13), edge * np.eye(3))
    found = set(np.round((edge / peaks.d_spacing) ** 2).astype(int))
    indices = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), -1).reshape(-1, 3)[1:]
    lengths = np.sum(indices**2, 1)
    permitted = {int(length) for h, length in zip(indices, lengths, strict=True) if allowed(h)}
    within = max(found)
    assert found == {length for length in permitted if length <= within} and len(found) > 4


def test_peaks_stand_where_those_of_the_crystal_stand():
    structure = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    primitive = structure.get_primitive_structure()
    conventional, reduced = (
        density_peaks(promolecule_cmed(cell, 48), cell.lattice.matrix) for cell in (structure, primitive)
    )
    few = 8
    np.testing.assert_allclose(reduced.two_theta[:few], conventional.two_theta[:few])
    np.testing.assert_allclose(reduced.intensity[:few], conventional.intensity[:few], rtol=1e-3)
    xray = powder_peaks(structure).two_theta
    assert all(np.abs(xray - angle).min() < 1e-4 for angle in reduced.two_theta)


def test_density_pattern_is_binned_like_the_input():
    pattern = density_pattern(gaussian_atoms(3.2 * np.eye(3), [[0, 0, 0]]), 3.2 * np.eye(3))
    assert pattern.shape == (1024,) and pattern.dtype == np.float32 and pattern.max() == 1
    first = int(1024 * 2 * np.degrees(np.arcsin(0.71073 / 6.4)) / 180)
    assert np.flatnonzero(pattern)[0] == first


@pytest.mark.parametrize(
    ("cmed", "wavelength", "message"),
    [
        (np.ones((8, 8, 8)), 0.71073, "same everywhere"),
        (np.full((8, 8, 8), np.nan), 0.71073, "finite"),
        (np.ones((8, 8)), 0.71073, r"\(n, n, n\)"),
        (np.random.default_rng(0).random((8, 8, 8)), 100.0, "No reflection"),
    ],
)
def test_densities_without_a_pattern_are_named(cmed, wavelength, message):
    with pytest.raises(CrystalNetError, match=message):
        density_peaks(cmed, 3 * np.eye(3), wavelength)
