"""The explorer from structure to pattern and density, and the drawing of atoms, driven from Python."""

import numpy as np
import pytest
from some_crystals import crystal, rock_salt

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.diffraction import binned_pattern, powder_peaks
from crystalnet.show.atoms import atoms_in_cell
from crystalnet.show.explorers import CrystalExplorer

SALT, CSCL = rock_salt("Na", "Cl", 5.64), crystal()


@pytest.fixture
def explorer() -> CrystalExplorer:
    return CrystalExplorer([SALT, CSCL])


def test_it_shows_what_the_network_reads_and_learns(explorer):
    peaks = powder_peaks(SALT.symmetrized)
    np.testing.assert_allclose(explorer.two_theta, peaks.two_theta)
    np.testing.assert_array_equal(explorer.pattern, binned_pattern(peaks))
    np.testing.assert_allclose(explorer.cmed, promolecule_cmed(SALT.atoms))
    assert "NaCl: 2 atoms" in explorer._message.value and explorer.error == ""


def test_a_larger_cell_scatters_to_smaller_angles(explorer):
    before, sticks = explorer.two_theta, np.asarray(explorer._panels["sticks"].data[0].x)
    explorer.scale = 1.1
    s = np.sin(np.radians([before[0] / 2, explorer.two_theta[0] / 2]))
    assert s[0] / s[1] == pytest.approx(1.1)
    assert explorer.cmed.mean() == pytest.approx(promolecule_cmed(SALT.atoms).mean() / 1.1**3)
    moved = np.asarray(explorer._panels["sticks"].data[0].x)
    assert moved.shape != sticks.shape or not np.array_equal(moved, sticks)
    assert "3.988" not in explorer._message.value and f"{1.1 * 5.64 / 2**0.5:.3f}" in explorer._message.value


def test_an_element_becomes_another(explorer):
    camera = explorer._panels["atoms"].layout.scene.camera
    camera.eye.x = 0.4
    explorer.element, explorer.by = "Na", "K"
    assert explorer.atoms.symbols.tolist() == ["K", "Cl"] and "KCl" in explorer._message.value
    assert "K" in explorer._panels["atoms"].data[0].text
    assert explorer._panels["atoms"].layout.scene.camera.eye.x == 0.4
    explorer.crystal = CSCL.material_id
    assert explorer.by == "as it is" and explorer._controls["element"].options == ("Cs", "Cl")


def test_copper_and_surface(explorer):
    n, name = len(explorer.two_theta), explorer._panels["density"].data[0].name
    explorer.wavelength = explorer._controls["wavelength"].options[1][1]
    assert len(explorer.two_theta) < n
    explorer.surface = 50
    assert explorer._panels["density"].data[0].name != name


def test_a_view_comes_back_and_wrong_values_do_not(explorer):
    explorer.state = {"crystal": CSCL.material_id, "element": "Cs", "by": "Rb", "scale": 0.95}
    kept, pattern = explorer.state, explorer.pattern
    explorer.crystal = SALT.material_id
    with pytest.raises(CrystalNetError, match="'Cs' is not among the choices of Element"):
        explorer.element = "Cs"
    with pytest.raises(CrystalNetError, match=r"Cell scale = 1.2 is out of range. Choose 0.9 to 1.1"):
        explorer.scale = 1.2
    explorer.state = kept
    assert explorer.state == kept
    np.testing.assert_array_equal(explorer.pattern, pattern)


def test_errors_stand_in_the_widget(explorer, monkeypatch):
    def fail(*_):
        raise CrystalNetError("No reflection lies there. Widen the range.", Code.BAD_ARGUMENT)

    monkeypatch.setattr("crystalnet.show.explorers.crystal.powder_peaks", fail)
    explorer.scale = 1.05
    assert explorer.error in explorer._message.value and explorer.error.startswith("No reflection")


def test_no_crystals_is_an_error():
    with pytest.raises(CrystalNetError, match="no crystal to explore"):
        CrystalExplorer([])


def test_atoms_on_faces_are_drawn_at_all_their_places():
    spots = atoms_in_cell(SALT.atoms).data[0]
    assert sorted(spots.text) == ["Cl"] + ["Na"] * 8  # the corners, and the centre
    places = np.stack([spots.x, spots.y, spots.z], 1) @ np.linalg.inv(SALT.atoms.lattice)
    corners = places[[text == "Na" for text in spots.text]].round(3) + 0.0
    assert len(np.unique(corners, axis=0)) == 8 and set(corners.ravel()) == {0, 1}
    assert len(set(spots.marker.color)) == 2
