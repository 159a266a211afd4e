"""Densities from files against analytic ones and real CHGCARs."""

import gzip
import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Poscar

from crystalnet.data.chgcar import chgcar_cmed, read_chgcar
from crystalnet.data.crystals import Crystal
from crystalnet.data.densities import cmed_from_file, density_files, read_cmed, write_cmed
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
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
        with pytest.raises(CrystalNetError, match="whole CHGCAR"):
            chgcar_cmed(path)
    with pytest.raises(CrystalNetError, match="no file"):
        chgcar_cmed(tmp_path / "missing")
    with pytest.raises(CrystalNetError, match="'paper' or 'fourier'"):
        chgcar_cmed(whole, method="cubic")
    np.testing.assert_allclose(
        chgcar_cmed(whole, method="fourier"), chgcar_cmed(plane_wave, method="fourier"), atol=1e-4
    )


# ------------------------------------------------------------------ ready CMEDs in .npz files

ATOMS = Atoms(TRICLINIC.matrix, np.array([[0, 0.1, 0.2], [0.5, 0.4, 0.6]]), np.array(["Fe", "O"]))


def test_a_cmed_comes_back_with_its_crystal(tmp_path):
    cmed = np.random.default_rng(0).random((20, 20, 20)) * 30
    write_cmed(tmp_path / "a.npz", cmed, ATOMS)
    rho, atoms = read_cmed(tmp_path / "a.npz")
    np.testing.assert_array_equal(rho, cmed.astype(np.float16))
    for ours, theirs in zip(atoms, ATOMS, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(cmed_from_file(tmp_path / "a.npz", 20), rho.astype(float))
    write_cmed(tmp_path / "b.npz", np.asfortranarray(cmed), ATOMS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_another_grid_is_refused(tmp_path):
    write_cmed(tmp_path / "a.npz", np.ones((20, 20, 20)), ATOMS)
    with pytest.raises(CrystalNetError, match=r"20 voxels an axis, not 50. Set data.n_grid to 20"):
        cmed_from_file(tmp_path / "a.npz")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_a_density_that_half_precision_cannot_hold_is_not_written(tmp_path, value):
    cmed = np.ones((14, 14, 14))
    cmed[3, 4, 5] = value
    with pytest.raises(CrystalNetError, match="not finite or has spikes"):
        write_cmed(tmp_path / "a.npz", cmed, ATOMS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 0.3, 0.9, 0.999])
def test_a_cut_density_file_is_one_clear_error(tmp_path, kept):
    write_cmed(tmp_path / "a.npz", np.random.default_rng(0).random((14, 14, 14)), ATOMS)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CrystalNetError, match=r"not a whole density file .* Fetch or write it again"):
        read_cmed(tmp_path / "a.npz")


def test_foreign_density_files_are_one_clear_error(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(CrystalNetError, match="There is no file"):
        read_cmed(path)
    np.savez(path, rho=np.ones((4, 4, 4)))
    with pytest.raises(CrystalNetError, match=r"not a whole density file"):
        read_cmed(path)
    np.savez(path, rho=np.ones((4, 4, 4)), lattice=np.eye(3), frac_coords=np.ones((2, 3)), species=["Fe"])
    with pytest.raises(CrystalNetError, match="do not make a crystal"):
        read_cmed(path)
    pickled = {"rho": np.array([{"a": 1}], dtype=object), "lattice": np.eye(3)}
    np.savez(path, **pickled, frac_coords=np.ones((1, 3)), species=["Fe"])
    with pytest.raises(CrystalNetError, match=r"not a whole density file .*allow_pickle"):
        read_cmed(path)


def test_densities_are_found_by_id_where_the_cell_is_the_crystals(tmp_path):
    crystals = [Crystal(f"mp-{i}", ATOMS, 1, "triclinic") for i in range(4)]
    cmed = np.ones((14, 14, 14))
    whole_cells_away = ATOMS._replace(frac_coords=ATOMS.frac_coords + np.array([0, 1, -1]))
    write_cmed(tmp_path / "mp-0.npz", cmed, whole_cells_away)
    write_cmed(tmp_path / "mp-1.npz", cmed, ATOMS._replace(frac_coords=-ATOMS.frac_coords))
    write_cmed(tmp_path / "mp-2.npz", cmed, ATOMS._replace(lattice=1.02 * ATOMS.lattice))
    with pytest.warns(UserWarning, match=r"2 densities have another cell: mp-1, mp-2"):
        files = density_files(tmp_path, crystals)
    assert files == {"mp-0": tmp_path / "mp-0.npz"}
    with pytest.raises(CrystalNetError, match="holds no density of these crystals"):
        density_files(tmp_path, crystals[3:])
