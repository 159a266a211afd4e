"""The explorer of what is known of a composition, driven from Python."""

import numpy as np
import pytest
from some_networks import salt_store, small, used

from crystalnet.data.composition import LEVELS, known_composition, known_level, partly_known
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.model.confidence import Confidence
from crystalnet.model.network import DensityNetwork
from crystalnet.physics.similarity import ssim
from crystalnet.physics.tables import SYMBOLS
from crystalnet.show.explorers import CompositionExplorer


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return salt_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def model() -> DensityNetwork:
    network = used(small("spectral"))
    network.confidence = Confidence((0.0, 1.0), (0.3, 0.9))
    return network


@pytest.fixture(scope="module")
def explorer(model, store) -> CompositionExplorer:
    return CompositionExplorer(model, store)


@pytest.fixture(autouse=True)
def whole(request):
    """Every test finds the first crystal with all that is known of it."""
    if "explorer" in request.fixturenames:
        explorer = request.getfixturevalue("explorer")
        explorer.crystal = explorer._controls["crystal"].options[0][1]
        explorer._controls["elements"].value = explorer._controls["elements"].options
        explorer.ratios = True


def test_what_is_left_of_a_composition_is_that_of_the_levels(store):
    ids = [crystal.material_id for crystal in store.crystals]
    for level in LEVELS[:3]:
        for whole, known in zip(
            store.compositions, known_composition(store.compositions, ids, level), strict=True
        ):
            elements, ratios = [SYMBOLS[i] for i in np.flatnonzero(known)], level == "baseline"
            np.testing.assert_allclose(partly_known(whole, elements, ratios), known, atol=1e-7)
            if np.count_nonzero(whole) > 1:
                assert known_level(whole, elements, ratios) == level
    assert not partly_known(whole, []).any() and known_level(whole, []) == "no_formula"
    three = np.zeros(118)
    three[[0, 7, 10]] = 1 / 3
    assert known_level(three, ["H", "O"], True) is None and known_level(three, ["H"], False) is None


def test_with_all_of_it_both_answers_are_one(explorer, model, store):
    row = store.indices("test")[0]
    answer = model.answer(store.profiles[row], store.compositions[row], len(explorer.truth)).numpy()
    np.testing.assert_allclose(explorer.full, answer, atol=1e-5)
    np.testing.assert_array_equal(explorer.full, explorer.prediction)
    assert explorer.level == "baseline" and explorer.similarity == explorer.similarity_full


def test_an_element_less_changes_answer_and_figures(explorer):
    surfaces, planes = explorer._panels.values()
    full, drawn = explorer.full, np.asarray(planes.data[3].z)
    check = explorer._controls["elements"].children[0]
    check.value = False  # as the hand does
    assert explorer.error == "" and check.description not in explorer.elements
    assert explorer.level in (None, "drop_element") and explorer.composition.sum() == pytest.approx(1)
    assert not np.array_equal(explorer.prediction, full) and not np.array_equal(planes.data[3].z, drawn)
    np.testing.assert_array_equal(explorer.full, full)
    score = ssim(explorer.truth, explorer.prediction, float(np.ptp(explorer.truth)), periodic=True)
    assert explorer.similarity == pytest.approx(score) and f"SSIM {score:.3f}" in explorer._message.value
    assert f"expected SSIM {explorer.expected:.2f}" in explorer._message.value
    check.value = True
    np.testing.assert_array_equal(explorer.prediction, full)
    assert surfaces is explorer._panels["surfaces"]


def test_ratios_can_be_taken_away(explorer):
    explorer.ratios = False
    known = explorer.composition[explorer.composition > 0]
    assert explorer.level == "no_ratios" and np.ptp(known) == 0
    explorer.elements = ()
    assert explorer.level == "no_formula" and not explorer.composition.any()
    assert "composition's sum is 0" in explorer.error  # the baseline's network has never seen none


def test_no_element_is_for_the_network_that_reads_none(model, store):
    other = used(small("spectral", seed=9, use_composition=False))
    both = CompositionExplorer({"baseline": model, "no_formula": other}, store)
    both.elements = ()
    assert both.error == "" and not np.array_equal(both.prediction, both.full)


def test_each_level_asks_its_own_network(model, store):
    other = used(small("spectral", seed=9))
    both = CompositionExplorer({"baseline": model, "no_ratios": other}, store)
    both.ratios = False
    row = store.indices("test")[0]
    expected = other.answer(store.profiles[row], both.composition, len(both.truth)).numpy()
    np.testing.assert_allclose(both.prediction, expected, atol=1e-5)
    assert both.expected is None and both.expected_full is not None  # it was not calibrated
    with pytest.raises(CrystalNetError, match="no network of the level 'baseline'"):
        CompositionExplorer({"no_ratios": other}, store)


def test_another_crystal_brings_its_elements_and_a_view_comes_back(explorer):
    names = [name for _, name in explorer._controls["crystal"].options]
    explorer.elements, explorer.ratios = explorer.elements[:1], False
    kept, prediction = explorer.state, explorer.prediction
    explorer.crystal = names[1]
    store = explorer._crystals.store
    present = np.flatnonzero(store.compositions[explorer._crystals.rows[names[1]]])
    assert explorer.elements == tuple(SYMBOLS[i] for i in present)
    explorer.state = kept
    assert explorer.state == kept
    np.testing.assert_array_equal(explorer.prediction, prediction)


def test_wrong_elements_are_refused(explorer):
    with pytest.raises(CrystalNetError, match="'Pu' is not among the choices of Elements"):
        explorer.elements = ("Pu",)
    with pytest.raises(CrystalNetError, match="ratios known = 'yes' is not True or False"):
        explorer.ratios = "yes"
