"""Formulas as people write them: read as they are meant, or refused."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition
from refusals import outcome

from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.formulas import amounts_of
from crystalnet.solving.knowledge import Knowledge

MEANT = {
    "CuSO4.5H2O": "CuSO4(H2O)5",
    "CuSO4·5H2O": "CuSO4(H2O)5",
    "CuSO4*5H2O": "CuSO4(H2O)5",
    "CuSO4 • 5 H2O": "CuSO4(H2O)5",
    "CuSO4 5H2O": "CuSO4(H2O)5",
    "MgCl2.6H2O": "MgCl2(H2O)6",
    "Na2CO3.10H2O": "Na2CO3(H2O)10",
    "BaCl2.2(H2O)": "BaCl2(H2O)2",
    "MgSO4.H2O": "MgSO4H2O",
    "CaSO4.0.5H2O": "Ca2S2O8H2O",
    "CaSO4·1/2H2O": "Ca2S2O8H2O",
    "CaSO4·½H2O": "Ca2S2O8H2O",
    "K4[Fe(CN)6]·3H2O": "K4FeC6N6H6O3",
    "2MgO·SiO2": "Mg2SiO4",
    "Al2O3·2SiO2·2H2O": "Al2Si2O9H4",
    "MgO.Al2O3": "MgAl2O4",
    "[Co(NH3)6]Cl3": "CoN6H18Cl3",
    "Mg₂Si": "Mg2Si",
    "Mg$_2$Si": "Mg2Si",
    "Na+Cl-": "NaCl",
    "Ca²⁺O²⁻": "CaO",
    "KD2PO4": "KH2PO4",
    "LiNi1.5Mn0.5O4": "Li2Ni3MnO8",
    "Li1.2Ni0.2Mn0.6O2": "Li6NiMn3O10",
    "YBa2Cu3O6.5": "Y2Ba4Cu6O13",
    "La0.7Sr0.3MnO3": "La7Sr3Mn10O30",
    "TiN": "TiN",
    "K2CO3": "K2CO3",
}  # fmt: skip


@pytest.mark.parametrize("text", MEANT)
def test_formulas_are_read_as_they_are_meant(text):
    expected = Composition(MEANT[text]).get_integer_formula_and_factor()[0]
    assert Composition(amounts_of(text)[0]) == Composition(expected)


REFUSED = [
    "", "  ", "Mg0", "Mg2Si0", "Mg-2", "Na+", "SO4^2-", "Fe3+2O3", "Fe1-xO", "MgO + SiO2", "quartz",
    "Quartz", "QUARTZ", "iron", "IRON", "Tin", "TIN", "nacl", "NACL", "SIO2", "CUO", "NIO", "Mg1e5", "(Mg",
    "Mg)2", "Mg()2", "[Mg)", "Mg2.", ".5", "2", "Xx2", "T2O", "Mg99999999", "Mg(2)", "MgSi2:Eu",
    "SiO2/TiO2", "?", "x", "Mg2Si!", "Al2O3.2SiO2.2H2O", "CuX1.5H2O", "0H2O", "1/0H2O", "(" * 40,
    "Mg" * 400, "Mg0.0000001Si", {"Mg": 0}, {"Mg": -1}, {"Mg": float("nan")}, {"Mg": float("inf")},
    {"mg": 1}, {}, {"Mg": "many"}, {1: 2}, 5, 3.2, True, b"Mg",
]  # fmt: skip


@pytest.mark.parametrize("formula", REFUSED, ids=str)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(CrystalNetError) as raised:
        Knowledge.of(formula)
    assert raised.value.code in (Code.BAD_FORMULA, Code.UNKNOWN_ELEMENT) and str(raised.value).endswith(".")


def test_what_is_taken_for_granted_is_said():
    assert any("hydrogen" in told for told in Knowledge.of("D2O").assumptions)
    assert any("CuSO4 + 5H2O" in told for told in Knowledge.of("CuSO4.5H2O").assumptions)
    assert any("rounded" in told for told in Knowledge.of("Fe0.947O").assumptions)
    assert Knowledge.of(["D", "O"]).elements == ("H", "O") and not Knowledge.of("NaCl").assumptions


ELEMENTS = st.sampled_from(["H", "Li", "O", "Mg", "Si", "Cl", "Fe", "La", "U"])
GROUPS = st.recursive(
    st.tuples(ELEMENTS, st.integers(1, 12)),
    lambda inner: st.tuples(st.lists(inner, min_size=1, max_size=3), st.integers(1, 4)),
    max_leaves=6,
)


def written(group) -> str:
    inside, n = group
    text = inside if isinstance(inside, str) else f"({''.join(map(written, inside))})"
    return text + (str(n) if n > 1 else "")


@given(st.lists(GROUPS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_plain_formulas_agree_with_pymatgen(groups):
    text = "".join(map(written, groups))
    counted = {str(element): round(n) for element, n in Composition(text).items()}
    if max(counted.values()) / min(counted.values()) < 100 and sum(counted.values()) < 9_000:
        divisor = math.gcd(*counted.values())
        assert amounts_of(text)[0] == {element: n // divisor for element, n in counted.items()}


TEXTS = st.lists(
    st.sampled_from(
        [*"MgSiOHDxe0123456789.·*()[]{}+-^_/ ,", "H2O", "Na", "Cl", "½", "²", "⁺", "\n", "\0", "Å", "₂"]
    ),
    max_size=12,
).map("".join)


@given(TEXTS | st.text(max_size=20))
@example("Mg2Si")
@settings(deadline=None, max_examples=150)
def test_anything_is_a_formula_or_refused(text):
    read_or_refused(text)


@pytest.mark.long
@given(TEXTS | st.text(max_size=20))
@settings(deadline=None, max_examples=1500)
def test_anything_at_length_is_a_formula_or_refused(text):
    read_or_refused(text)


def read_or_refused(text: str) -> None:
    knowledge = outcome(Knowledge.of_formula, text)
    assert isinstance(knowledge, CrystalNetError) or min(knowledge.amounts) >= 1
