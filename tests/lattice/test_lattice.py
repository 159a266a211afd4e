"""Cells from peak positions: textbook crystals, what may not change a cell, and what is no such crystal."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Element, Lattice, Structure

from crystalnet.data.tables import read_crystals
from crystalnet.errors import CrystalNetError
from crystalnet.lattice.lattice import CHANCE, Cell, centrings, find_cells
from crystalnet.lattice.lines import CENTRINGS, lines_of
from crystalnet.patterns.observed import Observed


def crystal(space_group, a, c, species, coords):
    lattice = Lattice.hexagonal(a, c) if 143 <= space_group <= 194 else Lattice.tetragonal(a, c)
    return Structure.from_spacegroup(space_group, lattice, species, coords)


ORIGIN, HALF = [0.0, 0, 0], [0.5, 0.5, 0.5]
QUARTZ = [[0.4697, 0, 2 / 3], [0.4135, 0.2669, 0.7858]]
TEXTBOOK = {  # structure, and the centring that is the most restrictive one allowed
    "Si": (crystal(227, 5.431, 5.431, ["Si"], [[1 / 8] * 3]), "F"),
    "NaCl": (crystal(225, 5.64, 5.64, ["Na", "Cl"], [ORIGIN, HALF]), "F"),
    "CsCl": (crystal(221, 4.123, 4.123, ["Cs", "Cl"], [ORIGIN, HALF]), "P"),
    "W": (crystal(229, 3.165, 3.165, ["W"], [ORIGIN]), "I"),
    "SrTiO3": (crystal(221, 3.905, 3.905, ["Sr", "Ti", "O"], [ORIGIN, HALF, [0.5, 0.5, 0]]), "P"),
    "Al2O3": (crystal(167, 4.76, 12.99, ["Al", "O"], [[0, 0, 0.352], [0.306, 0, 0.25]]), "R"),
    "quartz": (crystal(154, 4.913, 5.405, ["Si", "O"], QUARTZ), "P"),
    "calcite": (crystal(167, 4.99, 17.06, ["Ca", "C", "O"], [ORIGIN, [0, 0, 0.25], [0.257, 0, 0.25]]), "R"),
    "ZnO": (crystal(186, 3.25, 5.207, ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]), "P"),
    "Mg": (crystal(194, 3.209, 5.211, ["Mg"], [[1 / 3, 2 / 3, 0.25]]), "P"),
    "3R-MoS2": (crystal(160, 3.166, 18.41, ["Mo", "S", "S"], [ORIGIN, [0, 0, 0.247], [0, 0, 0.419]]), "R"),
    "rutile": (crystal(136, 4.594, 2.959, ["Ti", "O"], [ORIGIN, [0.305, 0.305, 0]]), "P"),
    "anatase": (crystal(141, 3.785, 9.514, ["Ti", "O"], [[0, 0.75, 1 / 8], [0, 0.75, 0.333]]), "I"),
}


def family_of(structure):
    if round(structure.lattice.gamma) == 120:
        return "hexagonal"
    return "cubic" if structure.lattice.a == structure.lattice.c else "tetragonal"


def is_at(cell: Cell, family, a, c, rel=1e-6):
    return cell.family == family and (cell.a, cell.c) == pytest.approx((a, c), rel=rel)


def measured(observed, rng, jitter=1e-4, kept=None, extra=(), shift=0.0):
    """Peaks as if measured: positions off by a part, some lost, some added, two_theta shifted by degrees."""
    kept = slice(None) if kept is None else kept
    s = observed.s[kept] * (1 + jitter * rng.standard_normal(len(observed.s[kept])))
    s = np.sin(np.arcsin(s * observed.wavelength) + np.radians(shift / 2)) / observed.wavelength
    s = np.append(s, extra)
    intensity = np.append(observed.intensity[kept], np.full(len(extra), np.median(observed.intensity)))
    order = np.argsort(s)
    return replace(observed, s=s[order], intensity=intensity[order], exact=False)


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_cells_come_first(name):
    structure, centring = TEXTBOOK[name]
    observed = Observed.of_structure(structure)
    family, lattice = family_of(structure), structure.lattice
    best = find_cells(observed, family)[0]
    assert is_at(best, family, lattice.a, lattice.c) and best.n_indexed == best.n_peaks
    assert best.convincing and best.figure_of_merit > 3 * CHANCE
    assert best.volume == pytest.approx(lattice.volume, rel=1e-6)
    np.testing.assert_allclose(Lattice(best.lattice).parameters, lattice.parameters, rtol=1e-6)
    allowed = centrings(best, observed)
    assert allowed[0] == centring and allowed[-1] == "P"


@pytest.mark.parametrize("name", ["NaCl", "quartz", "rutile"])
def test_families_compare(name):
    """A cubic crystal also has rhombohedral and tetragonal axes: the simplest comes first."""
    structure, _ = TEXTBOOK[name]
    best = find_cells(Observed.of_structure(structure))[0]
    assert is_at(best, family_of(structure), structure.lattice.a, structure.lattice.c)


@pytest.mark.parametrize("name", ["Si", "W", "Al2O3", "quartz", "ZnO", "3R-MoS2", "rutile"])
def test_measured_peaks_with_a_zero_shift(name):
    structure, centring = TEXTBOOK[name]
    family, lattice = family_of(structure), structure.lattice
    observed = Observed.of_structure(structure, 1.5406, (10, 120))
    rng = np.random.default_rng(0)
    seen = measured(observed, rng, kept=observed.peaks.intensity > 1, shift=0.03)
    cells = find_cells(seen, family)
    assert any(is_at(cell, family, lattice.a, lattice.c, 1e-3) for cell in cells[:6])
    assert centring in centrings(Cell(family, lattice.a, lattice.c, 0, 0, 0), seen)


@settings(max_examples=4, deadline=None)
@given(st.sampled_from(["NaCl", "quartz", "calcite"]), st.floats(0.7, 2), st.integers(0, 2**31))
def test_larger_crystals_have_larger_cells(name, factor, seed):
    """A lattice times a factor gives the axes times that factor."""
    structure, _ = TEXTBOOK[name]
    observed = Observed.of_structure(structure)
    near = observed.s < 0.7
    scaled = replace(observed, s=observed.s[near] / factor, intensity=observed.intensity[near])
    scaled = measured(scaled, np.random.default_rng(seed), jitter=1e-5)
    family, lattice = family_of(structure), structure.lattice
    best = find_cells(scaled, family)[0]
    assert is_at(best, family, lattice.a * factor, lattice.c * factor, 3e-4)


@settings(max_examples=4, deadline=None)
@given(st.sampled_from(["SrTiO3", "Al2O3", "quartz"]), st.integers(0, 2**31))
def test_missing_and_foreign_peaks_are_borne(name, seed):
    structure, _ = TEXTBOOK[name]
    rng = np.random.default_rng(seed)
    observed = Observed.of_structure(structure)
    kept = rng.random(len(observed.s)) > 0.1
    seen = measured(observed, rng, 1e-4, kept, extra=rng.uniform(0.15, 0.5, 2))
    family, lattice = family_of(structure), structure.lattice
    assert any(is_at(cell, family, lattice.a, lattice.c, 1e-3) for cell in find_cells(seen, family)[:3])


def test_multiples_are_among_the_cells():
    """Aluminium's few lines do not tell much: a half and a double axis follow."""
    structure = crystal(225, 4.05, 4.05, ["Al"], [ORIGIN])
    cells = find_cells(Observed.of_structure(structure, 1.5406, (20, 120)), "cubic")
    assert {round(cell.a / 4.05, 3) for cell in cells} >= {1.0, 2.0}
    assert len(find_cells(Observed.of_structure(structure), "cubic", most=2)) == 2


def test_a_volume_range_rules_cells_out():
    observed = Observed.of_structure(TEXTBOOK["quartz"][0])
    cells = find_cells(observed, "hexagonal", (200, 500))
    assert cells and all(200 < cell.volume < 500 for cell in cells)


def orthorhombic():
    return Structure(Lattice.orthorhombic(4.35, 5.27, 7.91), ["Fe", "O"], [[0.1, 0.2, 0.3], [0.4, 0.1, 0.8]])


def two_phases():
    one, two = (Observed.of_structure(TEXTBOOK[name][0], 1.5406, (10, 100)) for name in ("quartz", "calcite"))
    order = np.argsort(s := np.concatenate([one.s, two.s]))
    return replace(one, s=s[order], intensity=np.concatenate([one.intensity, two.intensity])[order])


def random_peaks():
    s = np.sort(np.random.default_rng(3).uniform(0.15, 0.5, 30))
    return Observed(s, np.ones(30), 0, 0.6, 1.5406)


@pytest.mark.parametrize(
    ("observed", "family"),
    [
        (Observed.of_structure(orthorhombic()), None),
        (two_phases(), "cubic"),
        (random_peaks(), None),
        (Observed.of_structure(TEXTBOOK["quartz"][0]), "cubic"),
    ],
    ids=["orthorhombic", "two phases", "random", "quartz as cubic"],
)
def test_what_is_no_such_crystal(observed, family):
    with pytest.raises(CrystalNetError, match=r"explains the peaks\. Is the system another"):
        find_cells(observed, family)


def test_errors():
    few = Observed(np.array([0.2, 0.3]), np.ones(2), 0, 0.6)
    with pytest.raises(CrystalNetError, match="2 peaks are too few for a cubic cell: at least 3"):
        find_cells(few)
    with pytest.raises(CrystalNetError, match="at least 6"):
        find_cells(few, "hexagonal")
    with pytest.raises(CrystalNetError, match=r"no family 'monoclinic'\. Choose one of cubic, hexagonal"):
        find_cells(few, "monoclinic")


@pytest.mark.parametrize(("family", "centring"), [(f, c) for f in CENTRINGS for c in CENTRINGS[f]])
def test_lines_against_all_reflections(family, centring):
    """Counts and nearest lines of rows are those of a plain list of h, k, l."""
    h, k, l = np.mgrid[-9:10, -9:10, -9:10].reshape(3, -1)  # noqa: E741
    rules = {"P": h > -99, "I": (h + k + l) % 2 == 0, "R": (-h + k + l) % 3 == 0}
    rules["F"] = (h % 2 == k % 2) & (h % 2 == l % 2)
    n = h * h + k * k + {"cubic": l * l, "hexagonal": h * k, "tetragonal": 0}[family]
    m = 0 * l if family == "cubic" else l * l
    kept = rules[centring] & (n + m > 0)
    pairs = np.unique(np.stack([n, m])[:, kept], axis=1)
    cell = np.array([[1.0, 0.737]])
    lines = lines_of(family, centring)
    at = cell @ pairs
    at = np.sort(at)[:60]
    q = at + np.random.default_rng(0).uniform(-1e-3, 1e-3, len(at))
    n, l, offset = (part[0] for part in lines.nearest(cell, q[None]))  # noqa: E741
    np.testing.assert_allclose(np.abs(offset), np.abs(q[:, None] - at).min(1), atol=1e-12)
    np.testing.assert_allclose(n + 0.737 * l**2 + offset, q, atol=1e-12)
    at = cell @ pairs
    assert lines.count(cell, 20.3)[0] == (at < 20.3).sum()


def test_real_crystals(shared_data):
    """Of some real crystals, the true cell comes first."""
    path = shared_data / "data" / "structures" / "paper_split.jsonl.gz"
    moyopy = pytest.importorskip("moyopy")
    for crystal_system, n in (("cubic", 12), ("trigonal", 8)):
        right = 0
        crystals = read_crystals(path, crystal_system, limit=n, progress=False).crystals
        for one in crystals:
            atoms = one.symmetrized
            numbers = [Element(str(symbol)).Z for symbol in atoms.symbols]
            cell = moyopy.Cell(
                np.asarray(atoms.lattice).tolist(), np.asarray(atoms.frac_coords).tolist(), numbers
            )
            a, _, c = np.linalg.norm(moyopy.MoyoDataset(cell, symprec=1e-3).std_cell.basis, axis=1)
            family = "cubic" if crystal_system == "cubic" else "hexagonal"
            right += is_at(find_cells(Observed.of_structure(atoms), family)[0], family, a, c)
        assert right >= len(crystals) - 1
