"""The data-set file: what went in comes out, and damage is found and named."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from some_crystals import CRYSTALS, SPLITS, N

from crystalnet.data import store as module
from crystalnet.data.building import build_store
from crystalnet.data.crystals import composition_vector
from crystalnet.data.store import Store
from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import promolecule_cmed
from crystalnet.physics.diffraction import powder_pattern


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return build_store(SPLITS, tmp_path_factory.mktemp("data") / "all.h5", N, workers=1, progress=False)


def test_crystals_come_back(store):
    assert len(store) == len(CRYSTALS)
    assert [c.as_dict() for c in Store(store.path).crystals] == [c.as_dict() for c in CRYSTALS]


def test_splits_come_back(store):
    names = {name: [store.crystals[i] for i in store.indices(name)] for name in SPLITS}
    assert {k: [c.material_id for c in v] for k, v in names.items()} == {
        k: [c.material_id for c in v] for k, v in SPLITS.items()
    }
    assert store.indices("train", 2).tolist() == [0, 1] and store.indices("train", None).size == 7


@pytest.mark.parametrize("row", range(len(CRYSTALS)), ids=[c.material_id for c in CRYSTALS])
def test_arrays_are_those_of_the_crystal(store, row):
    structure = CRYSTALS[row].structure
    np.testing.assert_allclose(store.patterns[row], powder_pattern(structure), atol=1e-6)
    np.testing.assert_array_equal(store.compositions[row], composition_vector(structure))
    exact = promolecule_cmed(structure, N)
    # half precision: 11 significant bits, absolute 2^-25 near zero
    assert (abs(store.cmed[row].astype(float) - exact) <= abs(exact) * 2**-11 + 2**-25).all()
    assert np.ptp(exact) > 1


def test_densities_are_the_asked_voxels(store):
    rows, voxels = np.array([4, 0, 8]), np.random.default_rng(0).integers(0, N**3, (3, 50))
    expected = [[store.cmed[r].ravel()[v] for v in vs] for r, vs in zip(rows, voxels, strict=True)]
    densities = store.densities(rows, voxels)
    assert densities.dtype == np.float32
    np.testing.assert_array_equal(densities, np.array(expected, np.float32))


def test_densities_are_mapped_not_loaded(store):
    opened = Store(store.path)
    with h5py.File(store.path) as file:
        for name in ("cmed", "patterns", "compositions"):
            array = getattr(opened, name)
            assert isinstance(array, np.memmap)
            np.testing.assert_array_equal(array, file[name][:])
            array[:] = 0  # in this process alone
    store.verify(progress=False)


@pytest.mark.parametrize("kept", [0, 0.3, 0.9, 0.999])
def test_a_cut_file_is_one_clear_error(store, tmp_path, kept):
    content = store.path.read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(
        CrystalNetError, match=r"cut.h5 is not a whole data set .*Delete it and build it again"
    ):
        Store(cut)


def test_a_foreign_or_missing_file_is_one_clear_error(store, tmp_path, monkeypatch):
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["patterns"] = np.zeros(3)
    with pytest.raises(CrystalNetError, match="not a whole data set"):
        Store(foreign)
    foreign.write_text(json.dumps({"a": 1}))
    with pytest.raises(CrystalNetError, match="not a whole data set"):
        Store(foreign)
    with pytest.raises(CrystalNetError, match="There is no data set"):
        Store(tmp_path / "missing.h5")
    monkeypatch.setattr(module, "FORMAT", 1)
    with pytest.raises(CrystalNetError, match="data format 3, this version reads 1"):
        Store(store.path)


# ------------------------------------------------------------------ damage


@pytest.fixture(scope="module")
def damaged(store, tmp_path_factory):
    """A function that returns the file with one bit turned over."""
    path, content = tmp_path_factory.mktemp("damaged") / "all.h5", store.path.read_bytes()

    def flip(position: int, bit: int):
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        path.write_bytes(changed)
        return path

    return flip


def test_a_whole_file_agrees_with_its_checksums(store):
    store.verify(progress=False)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_flipped_bit_is_found(store, damaged, data):
    position = data.draw(st.integers(0, store.path.stat().st_size - 1))
    with pytest.raises(CrystalNetError, match=r"Delete"):
        Store(damaged(position, data.draw(st.integers(0, 7)))).verify(progress=False)


@pytest.mark.parametrize("name", ["patterns", "compositions", "cmed", "failures", "checksums"])
@pytest.mark.parametrize("row", [0, 4, 8])
def test_a_flipped_bit_names_the_crystal(store, damaged, name, row):
    with h5py.File(store.path) as file:
        offset, size = file[name].id.get_offset(), file[name].dtype.itemsize * file[name][0].size
    with pytest.raises(CrystalNetError) as caught:
        Store(damaged(offset + row * size + size // 2, 3)).verify(progress=False)
    assert f"changed since it was built: {CRYSTALS[row].material_id} (row {row})." in str(caught.value)


def test_a_changed_description_is_found_before_it_is_read(store, damaged):
    position = store.path.read_bytes().index(b"trigonal CsCl")
    with pytest.raises(CrystalNetError, match=r"its table of contents or of crystals changed"):
        Store(damaged(position + 4, 0))


def test_any_hdf5_reader_finds_the_same_arrays(store):
    with h5py.File(store.path) as file:
        arrays = {"patterns", "profiles", "compositions", "cmed"}
        assert set(file) == {"crystals", "split", "failures", "checksums"} | arrays
        for name in arrays:
            np.testing.assert_array_equal(file[name][:], getattr(store, name))


def test_damage_is_found_where_it_is_read(store, damaged):
    with h5py.File(store.path) as file:
        offset, size = file["cmed"].id.get_offset(), 2 * N**3
    opened, voxels = Store(damaged(offset + 4 * size + 7, 3)), np.zeros((1, 1), int)
    opened.densities(np.array([0]), voxels)
    opened.check(np.array([3, 5]))
    for _ in range(2):
        with pytest.raises(CrystalNetError, match=rf"changed .*: {CRYSTALS[4].material_id} \(row 4\)\."):
            opened.densities(np.array([4]), voxels)
    with pytest.raises(CrystalNetError, match=r"row 4"):
        opened.check(np.arange(len(opened)))
