"""Densities from files against analytic ones and real CHGCARs."""

import gzip
import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Poscar

from crystalnet.data.densities import chgcar_cmed, read_chgcar
from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import n_electrons

TRICLINIC = Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107)


@pytest.fixture
def plane_wave() -> Chgcar:
    """3 + cos 2 pi (x - 2 z) + sin 2 pi (3 y), e/Å^3 (a band-limited density), on a 24 x 20 x 28 grid."""
    x, y, z = np.meshgrid(*[np.arange(n) / n for n in (24, 20, 28)], indexing="ij")
    rho = 3 + np.cos(2 * np.pi * (x - 2 * z)) + np.sin(6 * np.pi * y)
    structure = Structure(TRICLINIC, ["Si"], [[0, 0, 0]])
    return Chgcar(Poscar(structure), {"total": rho * structure.volume})  # VASP stores rho times volume


def test_fourier_way_is_exact_for_a_plane_wave(plane_wave):
    x, y, z = np.meshgrid(*[np.arange(50) / 50] * 3, indexing="ij")
    expected = 3 + np.cos(2 * np.pi * (x - 2 * z)) + np.sin(6 * np.pi * y)
    np.testing.assert_allclose(chgcar_cmed(plane_wave, method="fourier"), expected, atol=1e-8)


def test_paper_way_interpolates_linearly(plane_wave):
    error = np.abs(chgcar_cmed(plane_wave, method="paper") - chgcar_cmed(plane_wave, method="fourier"))
    assert 1e-4 < error.max() < 0.1


def test_real_chgcars_keep_their_electrons(shared_data):
    folder = shared_data / "data" / "chgcar"
    for entry in json.loads((folder / "index.json").read_text()):
        chgcar = read_chgcar(folder / entry["file"])
        cmed = chgcar_cmed(chgcar)
        electrons = n_electrons(cmed, chgcar.structure.lattice.matrix)
        assert electrons == pytest.approx(entry["electrons"], rel=1e-3), entry["file"]
        if cmed.max() < 100:  # e/Å^3: a pseudized valence density; linear interpolation misses sharper cores
            released = n_electrons(chgcar_cmed(chgcar, method="paper"), chgcar.structure.lattice.matrix)
            assert released == pytest.approx(entry["electrons"], rel=1e-3), entry["file"]


def test_bad_chgcars_are_one_clear_error(tmp_path, plane_wave):
    whole = tmp_path / "CHGCAR"
    plane_wave.write_file(str(whole))
    text = whole.read_text()
    cut = tmp_path / "cut.CHGCAR"
    cut.write_text(text[: len(text) // 2])
    foreign = tmp_path / "CHGCAR.gz"
    foreign.write_bytes(gzip.compress(b"not a density"))
    for path in (cut, foreign):
        with pytest.raises(CrystalNetError, match="not a whole CHGCAR"):
            chgcar_cmed(path)
    with pytest.raises(CrystalNetError, match="no file"):
        chgcar_cmed(tmp_path / "missing")
    with pytest.raises(CrystalNetError, match="'paper' or 'fourier'"):
        chgcar_cmed(whole, method="cubic")
    np.testing.assert_allclose(
        chgcar_cmed(whole, method="fourier"), chgcar_cmed(plane_wave, method="fourier"), atol=1e-4
    )
