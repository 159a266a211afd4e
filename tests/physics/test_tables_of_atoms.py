"""The tables of atoms: against their source, against sum rules, and against known atoms."""

import numpy as np
import pytest

from crystalnet.errors import CrystalNetError
from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS, form_factor, valence
from crystalnet.physics.tables.make_form_factors import form_factors
from crystalnet.physics.tables.make_valence import FIT_L1, pseudize, table_entry
from crystalnet.physics.tables.radial_atom import (
    SPEED_OF_LIGHT,
    gaussian_basis,
    orbitals,
    radial_grid,
    shells,
    solve_atom,
)

RADII = np.linspace(0, 16, 1601)
VALENCE_SYMBOLS = SYMBOLS[:94]  # H to Pu
FORM_FACTOR_SYMBOLS = SYMBOLS[:98]  # H to Cf


def density(atom) -> np.ndarray:
    return np.exp(-np.outer(RADII**2, atom.exponents)) @ atom.coefficients


def relative_l1(rho: np.ndarray, reference: np.ndarray) -> float:
    return np.sum(RADII**2 * abs(rho - reference)) / np.sum(RADII**2 * reference)


@pytest.mark.parametrize("symbol", VALENCE_SYMBOLS)
def test_valence_density_holds_its_electrons_and_is_not_negative(symbol):
    atom = valence(symbol)
    assert atom.z == ATOMIC_NUMBERS[symbol]
    assert float(atom.n_electrons).is_integer() and 1 <= atom.n_electrons <= atom.z
    charge = np.sum(atom.coefficients * (np.pi / atom.exponents) ** 1.5)
    assert charge == pytest.approx(atom.n_electrons, rel=1e-9)
    rho = density(atom)
    assert rho.min() > -1e-6 * rho.max()


@pytest.mark.parametrize("symbol", ["H", "O", "Fe"])
def test_script_makes_the_stored_valence_density(symbol):
    stored, made = valence(symbol), table_entry(symbol)
    again = np.exp(-np.outer(RADII**2, made["exponents"])) @ made["coefficients"]
    assert made["n_electrons"] == stored.n_electrons
    assert relative_l1(again, density(stored)) < 1e-6


def test_hydrogen_outside_its_core_is_the_self_consistent_1s_density():
    _, densities = solve_atom(1, shells("1s1"))
    r, _ = radial_grid(1)
    exact = np.interp(RADII, r, *densities.values())
    outside = RADII > 1.0  # Bohr; the pseudization ends at 0.81
    error = np.sum((RADII**2 * abs(density(valence("H")) - exact))[outside])
    assert error / np.sum(RADII**2 * exact) < FIT_L1


@pytest.mark.parametrize("ell", [0, 1, 2])
def test_solver_finds_the_levels_of_the_bare_coulomb_potential(ell):
    z = 4  # the basis reaches far enough for n = 3 from here on
    r, weights = radial_grid(z)
    energies, _ = orbitals(-z / r, ell, gaussian_basis(z, ell, r, weights), r, weights, relativistic=False)
    n = np.arange(ell + 1, 4)
    np.testing.assert_allclose(energies[: len(n)], -(z**2) / (2 * n**2), rtol=1e-3)


def test_relativistic_1s_level_obeys_the_exact_zora_relation():
    z, rest = 30, SPEED_OF_LIGHT**2
    r, weights = radial_grid(z)
    energies, _ = orbitals(-z / r, 0, gaussian_basis(z, 0, r, weights), r, weights)
    dirac = rest * (np.sqrt(1 - (z / SPEED_OF_LIGHT) ** 2) - 1)
    assert energies[0] == pytest.approx(2 * rest * dirac / (2 * rest + dirac), rel=1e-3)
    assert abs(energies[0] / (-(z**2) / 2) - 1) > 0.02  # relativity is there to be seen


def test_neon_levels_agree_with_the_nist_atomic_reference_data():
    energies, _ = solve_atom(10, shells("1s2 2s2 2p6"), relativistic=False)
    nist = {"1s": -30.305855, "2s": -1.322809, "2p": -0.498034}  # LDA; NIST Standard Reference Database 141
    found = {f"{shell.n}{'spdf'[shell.ell]}": energy for shell, energy in energies.items()}
    for level, energy in nist.items():
        assert found[level] == pytest.approx(energy, rel=1e-3)


def test_pseudization_keeps_the_charge_and_the_outside():
    r, weights = radial_grid(1)
    bare = np.exp(-2 * r) / np.pi
    smooth = pseudize(bare, r, weights, radius=1.0)
    assert weights @ (r**2 * smooth) == pytest.approx(weights @ (r**2 * bare), rel=1e-5)
    np.testing.assert_array_equal(smooth[r > 1.01], bare[r > 1.01])
    assert smooth[0] < bare[0]


@pytest.mark.parametrize("symbol", FORM_FACTOR_SYMBOLS)
def test_form_factor_is_pymatgens(symbol):
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS

    factor = form_factor(symbol)
    np.testing.assert_array_equal(np.stack([factor.a, factor.b], axis=1), ATOMIC_SCATTERING_PARAMS[symbol])


@pytest.mark.parametrize("symbol", FORM_FACTOR_SYMBOLS)
def test_form_factor_falls_from_the_atomic_number(symbol):
    factor = form_factor(symbol)
    s = np.linspace(0, 0.7, 50)[:, None]  # 1/Å; MoKa ends at 1.4, but hydrogen's fit turns up beyond 0.8
    f = factor.z - 41.78214 * s[:, 0] ** 2 * np.sum(factor.a * np.exp(-factor.b * s**2), axis=1)
    assert f[0] == ATOMIC_NUMBERS[symbol]
    assert np.all(np.diff(f) < 0) and f[-1] > 0


def test_form_factor_script_covers_the_table():
    assert list(form_factors()) == list(FORM_FACTOR_SYMBOLS)


def test_symbols_are_the_periodic_table():
    from pymatgen.core import Element

    assert list(SYMBOLS) == [Element.from_Z(z).symbol for z in range(1, 119)]


def test_deuterium_is_hydrogen():
    assert form_factor("D").z == 1
    np.testing.assert_array_equal(valence("D").exponents, valence("H").exponents)


@pytest.mark.parametrize(
    ("accessor", "symbol", "message"),
    [
        (valence, "Am", "no valence density for Am.*H to Pu"),
        (form_factor, "Es", "no X-ray form factor for Es.*H to Cf"),
        (valence, "Xx", "'Xx' is not an element.*H to Pu"),
    ],
)
def test_unknown_element_is_named_with_the_supported_range(accessor, symbol, message):
    with pytest.raises(CrystalNetError, match=message):
        accessor(symbol)


def test_tables_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        valence("H").coefficients[0] = 0.0
