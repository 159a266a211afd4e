"""What is told of elements against tables of chemistry, and of compositions against plain Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Element

from crystalnet.data.composition import LEVELS, known_composition
from crystalnet.data.crystals import composition_vector
from crystalnet.data.elements import N_ELEMENTS, PROPERTIES, element_properties
from crystalnet.model.compositions import FLOOR, PRESENT, SLOTS, CompositionFeatures
from crystalnet.settings import TrainingParams

P = len(PROPERTIES)
FORMULAS = ["NaCl", "MgAl2O4", "Fe", "KRbCsLi", "La0.3Sr0.7MnO3", "Ca10P6O26H2", "LiNaKRbCsFClBrI", "XeF2"]


def vectors(*formulas: str) -> torch.Tensor:
    return torch.from_numpy(np.stack([composition_vector(Composition(f)) for f in formulas]))


def value(symbol: str, name: str) -> float:
    return float(element_properties()[Element(symbol).Z - 1, PROPERTIES.index(name)])


def slots_of(composition: torch.Tensor) -> list[tuple[str, float]]:
    """(element, fraction) of each filled slot, in order, of one composition (118,)."""
    raw = CompositionFeatures()._features(composition[None])[0, N_ELEMENTS + 2 * P :]
    raw = raw.numpy().reshape(SLOTS, 1 + P)
    for empty in raw[raw[:, 0] == 0]:
        assert (empty == 0).all()
    filled = raw[raw[:, 0] > 0]
    numbers = (100 * filled[:, 1 + PROPERTIES.index("atomic number")]).round().astype(int)
    np.testing.assert_array_equal(filled[:, 1:], element_properties()[numbers - 1])
    return [(Element.from_Z(z).symbol, float(share)) for z, share in zip(numbers, filled[:, 0], strict=True)]


# ------------------------------------------------------------------ elements


@pytest.mark.parametrize(
    ("symbol", "group", "period", "block", "electronegativity", "radius"),
    [
        ("H", 1, 1, "s", 2.20, 0.25), ("Na", 1, 3, "s", 0.93, 1.80), ("Mg", 2, 3, "s", 1.31, 1.50),
        ("Fe", 8, 4, "d", 1.83, 1.40), ("Zn", 12, 4, "d", 1.65, 1.35), ("Cl", 17, 3, "p", 3.16, 1.00),
        ("O", 16, 2, "p", 3.44, 0.60), ("Cs", 1, 6, "s", 0.79, 2.60), ("Au", 11, 6, "d", 2.54, 1.35),
        ("Gd", 3, 6, "f", 1.20, 1.80), ("U", 3, 7, "f", 1.38, 1.75), ("Ne", 18, 2, "p", 0, 0.38),
    ],
)  # fmt: skip
def test_elements_are_where_the_periodic_table_has_them(
    symbol, group, period, block, electronegativity, radius
):
    """Pauling's electronegativities and Slater's radii, from textbooks; neon has a calculated radius."""
    for name in (f"group {group}", f"period {period}", f"{block} block"):
        assert value(symbol, name) == 1
    assert 4 * value(symbol, "electronegativity") == pytest.approx(electronegativity, abs=1e-6)
    assert 2 * value(symbol, "atomic radius") == pytest.approx(radius, abs=1e-6)


@pytest.mark.parametrize("symbol", ["Li", "Si", "Ti", "Br", "Pd", "Nd", "Bi"])
def test_numbers_of_elements_are_pymatgens(symbol):
    element = Element(symbol)
    expected = {
        "electronegativity": element.X / 4,
        "atomic radius": element.atomic_radius / 2,
        "ionic radius": element.average_ionic_radius / 2,
        "atomic number": element.Z / 100,
        "Mendeleev number": element.mendeleev_no / 100,
    }
    for name, number in expected.items():
        assert value(symbol, name) == pytest.approx(float(number), abs=1e-6)


def test_each_element_has_one_group_one_period_one_block():
    table = element_properties()
    assert table.shape == (118, P) and table.dtype == np.float32
    for kind, count in (("group", 18), ("period", 7), ("block", 4)):
        columns = [i for i, name in enumerate(PROPERTIES) if kind in name.split()]
        assert len(columns) == count
        assert set(np.unique(table[:, columns])) == {0, 1}
        np.testing.assert_array_equal(table[:, columns].sum(1), 1)
        assert (table[:, columns].sum(0) > 0).all()
    lanthanoids = np.flatnonzero(table[:, PROPERTIES.index("lanthanoid")]) + 1
    np.testing.assert_array_equal(lanthanoids, range(57, 72))


def test_all_that_is_told_is_a_number_of_order_one():
    """Also of elements of which little is known; 2.98 Å is the calculated radius of caesium."""
    table = element_properties()
    assert np.isfinite(table).all() and table.min() == 0 and table.max() < 1.5
    assert len({row.tobytes() for row in table}) == 118
    assert value("Og", "electronegativity") == value("He", "electronegativity") == 0


# ------------------------------------------------------------------ order


@pytest.mark.parametrize(
    ("formula", "order"),
    [
        ("NaCl", "Na Cl"), ("ClNa", "Na Cl"), ("KCl", "K Cl"),  # equally scarce: the electropositive first
        ("MgAl2O4", "Mg Al O"), ("O4Al2Mg", "Mg Al O"), ("Al2MgO4", "Mg Al O"),
        ("CaF2", "Ca F"), ("Na2O", "O Na"), ("SrTiO3", "Sr Ti O"), ("CsPbI3", "Cs Pb I"), ("Fe", "Fe"),
        ("XeF2", "Xe F"), ("LiNaKCaMgAlO9", "K Na Li Ca Mg Al"),
    ],
)  # fmt: skip
def test_elements_in_like_roles_meet_in_like_places(formula, order):
    """Scarcest first, then electropositive: oxygen is left out of the last one, its seventh element."""
    composition = vectors(formula)[0]
    found = slots_of(composition)
    assert [symbol for symbol, _ in found] == order.split()
    for symbol, share in found:
        assert share == pytest.approx(Composition(formula).get_atomic_fraction(symbol), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(1, 96), st.integers(1, 9), min_size=1, max_size=10))
def test_slots_are_sorted_as_plain_python_sorts(counts):
    """By count, then by electronegativity."""
    pauling = {z: value(Element.from_Z(z).symbol, "electronegativity") for z in counts}
    counts = {z: counts[z] for z in {x: z for z, x in pauling.items()}.values()}  # no two alike
    composition = torch.zeros(118)
    for z, count in counts.items():
        composition[z - 1] = count / sum(counts.values())
    expected = sorted(counts, key=lambda z: (counts[z], pauling[z]))[:SLOTS]
    assert [Element(symbol).Z for symbol, _ in slots_of(composition)] == expected


def test_fractions_that_differ_by_noise_are_equally_scarce():
    """Thirds as sources write them."""
    composition = torch.zeros(118)
    composition[[10, 16, 25]] = torch.tensor([0.33335, 0.3333, 0.33335])  # Na, Cl, Fe
    assert [symbol for symbol, _ in slots_of(composition)] == ["Na", "Fe", "Cl"]


def test_traces_have_no_slot():
    composition = vectors("NaCl")[0]
    composition[8] = 0.9 * PRESENT
    assert [symbol for symbol, _ in slots_of(composition)] == ["Na", "Cl"]
    composition[8] = 1.1 * PRESENT
    assert [symbol for symbol, _ in slots_of(composition)] == ["F", "Na", "Cl"]


def test_elements_that_are_alike_in_order_of_atomic_number():
    """Potassium and rubidium have one electronegativity: no device may choose which of them comes first."""
    assert value("K", "electronegativity") == value("Rb", "electronegativity")
    assert [symbol for symbol, _ in slots_of(vectors("RbKBr2")[0])] == ["K", "Rb", "Br"]


def test_noise_of_the_training_does_not_pass_for_elements():
    """The paper's noise on every fraction, clamped at zero."""
    composition, noise = vectors("MgAl2O4")[0], TrainingParams().noise
    for seed in range(20):
        drawn = torch.randn(118, generator=torch.Generator().manual_seed(seed))
        noisy = torch.relu(composition + noise * drawn)
        assert [symbol for symbol, _ in slots_of(noisy)] == ["Mg", "Al", "O"]


# ------------------------------------------------------------------ features


@pytest.mark.parametrize("formula", FORMULAS)
def test_mean_and_spread_are_those_of_the_atoms(formula):
    composition = vectors(formula)
    raw = CompositionFeatures()._features(composition)[0].numpy()
    atoms, table = composition[0].numpy().astype(float), element_properties().astype(float)
    np.testing.assert_array_equal(raw[:N_ELEMENTS], composition[0])
    mean = np.average(table, axis=0, weights=atoms)
    spread = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=atoms))
    np.testing.assert_allclose(raw[N_ELEMENTS : N_ELEMENTS + P], mean, atol=1e-5)
    np.testing.assert_allclose(raw[N_ELEMENTS + P : N_ELEMENTS + 2 * P], spread, atol=2e-3)


def test_fractions_are_the_vector_alone():
    features, composition = CompositionFeatures("fractions"), vectors(*FORMULAS)
    assert features.n_out == 118
    torch.testing.assert_close(features(composition), composition / (1 + FLOOR))
    assert (
        CompositionFeatures().n_out
        == 118 + 2 * P + SLOTS * (1 + P)
        == CompositionFeatures()(composition).shape[1]
    )


@pytest.mark.parametrize("elements", ["properties", "fractions"])
def test_features_come_in_units_of_their_spread(elements):
    features, compositions = CompositionFeatures(elements), vectors(*FORMULAS)
    raw = features._features(compositions).numpy()
    features.fit(compositions)
    spread = raw.std(axis=0, ddof=1)
    np.testing.assert_allclose(features.spread, spread, atol=1e-6)
    np.testing.assert_allclose(features(compositions), raw / (spread + FLOOR), rtol=1e-4, atol=1e-6)
    other = CompositionFeatures(elements)
    other.fit(compositions.flip(0))
    torch.testing.assert_close(other.spread, features.spread)


def test_a_composition_has_its_features_in_any_batch():
    features, compositions = CompositionFeatures(), vectors(*FORMULAS)
    together = features(compositions)
    order = torch.randperm(len(FORMULAS), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(features(compositions[order]), together[order])
    for row, composition in zip(together, compositions, strict=True):
        torch.testing.assert_close(features(composition[None])[0], row)
    assert len({row.numpy().tobytes() for row in together}) == len(FORMULAS)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_of_known_composition_has_features(level):
    compositions = vectors(*FORMULAS, "NaCl")
    compositions[-1] = 0  # a crystal that could not be computed
    ids = [str(i) for i in range(len(compositions))]
    known = torch.from_numpy(known_composition(compositions.numpy(), ids, level))
    features = CompositionFeatures()
    features.fit(known)
    assert torch.isfinite(features(known)).all() and (features.spread >= 0).all()


def test_without_ratios_the_electropositive_come_first():
    compositions = vectors("MgAl2O4", "Na2O", "CaF2").numpy()
    known = torch.from_numpy(known_composition(compositions, ["a", "b", "c"], "no_ratios"))
    found = [[symbol for symbol, _ in slots_of(row)] for row in known]
    assert found == [["Mg", "Al", "O"], ["Na", "O"], ["Ca", "F"]]


def test_no_elements_are_no_numbers_but_zero():
    features = CompositionFeatures()
    assert (features(torch.zeros(3, 118)) == 0).all()


def test_mixed_precision_changes_no_feature():
    features, compositions = CompositionFeatures(), vectors(*FORMULAS)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = features(compositions)
    assert torch.equal(mixed, features(compositions))
