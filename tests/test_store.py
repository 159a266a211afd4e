"""The data-set file: what goes in comes out, from parallel builds too, and half a file is never left."""

import json

import h5py
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Poscar

from crystalnet.data import store as module
from crystalnet.data.crystals import Crystal, composition_vector
from crystalnet.data.store import Store, build_store
from crystalnet.errors import CrystalNetError
from crystalnet.physics.density import chgcar_cmed, promolecule_cmed
from crystalnet.physics.diffraction import powder_pattern

N = 14
LATTICES = {
    "triclinic": (Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 107), 1),
    "monoclinic": (Lattice.monoclinic(4.1, 5.2, 6.3, 100), 3),
    "orthorhombic": (Lattice.orthorhombic(4.1, 5.2, 6.3), 16),
    "tetragonal": (Lattice.tetragonal(4.1, 6.3), 75),
    "trigonal": (Lattice.rhombohedral(5.2, 70), 146),
    "hexagonal": (Lattice.hexagonal(4.1, 6.3), 168),
    "cubic": (Lattice.cubic(4.1), 195),
}


def crystal(crystal_system: str = "cubic", species=("Cs", "Cl"), **facts) -> Crystal:
    lattice, space_group = LATTICES[crystal_system]
    structure = Structure(lattice, species, [[0, 0, 0], [0.5, 0.5, 0.48]])
    name = f"{crystal_system} {''.join(species)}"
    return Crystal(name, structure, space_group, crystal_system, **facts)


SPLITS = {
    "train": [crystal(system) for system in LATTICES],
    "val": [crystal(species=("Na", "Cl"), stable=False)],
    "test": [crystal(species=("Fe", "Al"), structure_type="B2", source="a test", split="test")],
}
CRYSTALS = [crystal for crystals in SPLITS.values() for crystal in crystals]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return build_store(SPLITS, tmp_path_factory.mktemp("data") / "all.h5", N, workers=1, progress=False)


def chgcar_file(path, structure: Structure, seed: int = 0) -> np.ndarray:
    """A smooth, made-up density of the structure's cell, e/Å^3, in a file."""
    x = np.arange(N) / N
    rho = 2 + np.cos(2 * np.pi * (x[:, None, None] + seed)) + 0.5 * np.sin(4 * np.pi * x)
    rho = np.broadcast_to(rho, (N, N, N)).copy()
    Chgcar(Poscar(structure), {"total": rho * structure.volume}).write_file(path)
    return rho


# ------------------------------------------------------------------ what goes in comes out


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


def test_a_rounded_cell_costs_the_pattern_nothing(tmp_path):
    """Axes that are not quite equal would split peaks; the density stays on the cell as given."""
    places = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    cells = Lattice.hexagonal(3.2, 5.2), Lattice.from_parameters(3.202, 3.199, 5.2, 90, 90, 119.98)
    exact, rounded = (Structure(cell, ["Mg", "Mg"], places) for cell in cells)
    splits = {"train": [Crystal("rounded", rounded, 194, "hexagonal")]}
    store = build_store(splits, tmp_path / "rounded.h5", N, workers=1, progress=False)
    n_bins = [
        np.count_nonzero(x) for x in (powder_pattern(exact), powder_pattern(rounded), store.patterns[0])
    ]
    assert n_bins[1] > 1.3 * n_bins[0] and n_bins[2] < 1.1 * n_bins[0]
    np.testing.assert_array_equal(store.cmed[0], promolecule_cmed(rounded, N).astype("f2"))


def test_densities_are_the_asked_voxels(store):
    rows, voxels = np.array([4, 0, 8]), np.random.default_rng(0).integers(0, N**3, (3, 50))
    expected = [[store.cmed[r].ravel()[v] for v in vs] for r, vs in zip(rows, voxels, strict=True)]
    densities = store.densities(rows, voxels)
    assert densities.dtype == np.float32
    np.testing.assert_array_equal(densities, np.array(expected, np.float32))


def test_densities_are_mapped_not_loaded(store):
    cmed = Store(store.path).cmed
    assert isinstance(cmed, np.memmap) and not cmed.flags.writeable
    with h5py.File(store.path) as file:
        np.testing.assert_array_equal(cmed, file["cmed"][:])


# ------------------------------------------------------------------ the same again


def test_a_parallel_build_is_the_serial_one(store, tmp_path):
    parallel = build_store(SPLITS, tmp_path / "parallel.h5", N, workers=2, progress=False)
    assert parallel.digest == store.digest
    np.testing.assert_array_equal(parallel.cmed, store.cmed)
    np.testing.assert_array_equal(parallel.patterns, store.patterns)
    assert [c.material_id for c in parallel.crystals] == [c.material_id for c in store.crystals]


def test_the_digest_names_the_data(store, tmp_path):
    def digest(splits, n=N):
        return build_store(splits, tmp_path / "other.h5", n, workers=1, progress=False).digest

    reversed_order = {"train": SPLITS["train"][::-1]} | {k: SPLITS[k] for k in ("val", "test")}
    digests = {store.digest, digest(reversed_order), digest(SPLITS, N + 1), digest({"train": CRYSTALS[:1]})}
    assert len(digests) == 4
    assert digest(SPLITS) == store.digest


# ------------------------------------------------------------------ densities from files


def test_a_crystal_with_a_chgcar_takes_its_density_from_it(tmp_path):
    path = tmp_path / "CHGCAR"
    rho = chgcar_file(path, CRYSTALS[0].structure)
    splits = {"train": [crystal("triclinic", chgcar=path), CRYSTALS[1]]}
    store = build_store(splits, tmp_path / "mixed.h5", N, workers=1, progress=False)
    np.testing.assert_allclose(store.cmed[0].astype(float), rho, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(store.cmed[1], promolecule_cmed(CRYSTALS[1].structure, N).astype("f2"))
    assert store.density_source == "CHGCAR and promolecule"
    assert store.crystals[0].chgcar == path


def test_the_way_to_read_a_chgcar_is_chosen(tmp_path):
    path = tmp_path / "CHGCAR"
    chgcar_file(path, CRYSTALS[0].structure)
    splits = {"train": [crystal("triclinic", chgcar=path)]}
    for method in ("fourier", "paper"):
        store = build_store(splits, tmp_path / f"{method}.h5", 20, method, workers=1, progress=False)
        np.testing.assert_allclose(
            store.cmed[0].astype(float), chgcar_cmed(path, 20, method), rtol=1e-3, atol=1e-3
        )


def test_a_crystal_that_fails_is_kept_without_a_split(tmp_path):
    lost = crystal("cubic", ("K", "Br"), chgcar=tmp_path / "nowhere")
    splits = {"train": [CRYSTALS[0], lost, CRYSTALS[1]], "test": [CRYSTALS[2]]}
    with pytest.warns(
        UserWarning, match=r"1 of 4 crystals could not be computed: 1 x There is no file .*nowhere"
    ):
        store = build_store(splits, tmp_path / "partly.h5", N, workers=1, progress=False)
    assert store.split.tolist() == ["train", "", "train", "test"]
    assert store.indices("train").tolist() == [0, 2]
    assert [c.material_id for c in store.crystals] == [c.material_id for c in [*splits["train"], CRYSTALS[2]]]
    np.testing.assert_allclose(store.patterns[2], powder_pattern(CRYSTALS[1].structure), atol=1e-6)
    assert not store.patterns[1].any() and not store.cmed[1].any()


def test_a_crystal_without_symmetry_search_fails_alone(tmp_path):
    """Two atoms in one place: the search refuses."""
    structure = Structure(Lattice.cubic(4), ["Na", "Na"], [[0, 0, 0], [0, 0, 1e-6]])
    splits = {"train": [Crystal("doubled", structure, 221, "cubic"), CRYSTALS[1]]}
    with pytest.warns(UserWarning, match="1 of 2 crystals .* symmetry could not be found"):
        store = build_store(splits, tmp_path / "doubled.h5", N, workers=1, progress=False)
    assert store.split.tolist() == ["", "train"]


def test_a_density_beyond_half_precision_fails_alone(tmp_path):
    path = tmp_path / "CHGCAR"
    structure = CRYSTALS[0].structure
    spike = np.ones((N, N, N))
    spike[0, 0, 0] = 1e6
    Chgcar(Poscar(structure), {"total": spike * structure.volume}).write_file(path)
    splits = {"train": [crystal("triclinic", chgcar=path), CRYSTALS[1]]}
    with pytest.warns(UserWarning, match="1 of 2 crystals .* spikes above 65504"):
        store = build_store(splits, tmp_path / "spike.h5", N, workers=1, progress=False)
    assert store.split.tolist() == ["", "train"] and np.isfinite(store.cmed).all()


# ------------------------------------------------------------------ whole or not at all


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError(28, "No space left on device"), RuntimeError])
def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch, reason):
    calls = []

    def interrupted(structure):
        calls.append(structure)
        if len(calls) == 3:
            raise reason
        return composition_vector(structure)

    monkeypatch.setattr(module, "composition_vector", interrupted)
    expected = CrystalNetError if isinstance(reason, OSError) else reason
    with pytest.raises(expected):
        build_store(SPLITS, tmp_path / "all.h5", N, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_keeps_the_file_before(store, tmp_path, monkeypatch):
    path = tmp_path / "all.h5"
    path.write_bytes(store.path.read_bytes())
    monkeypatch.setattr(module, "composition_vector", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        build_store(SPLITS, path, N, workers=1, progress=False)
    assert Store(path).digest == store.digest and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0, 0.3, 0.9, 0.999])
def test_a_cut_file_is_one_clear_error(store, tmp_path, kept):
    content = store.path.read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(
        CrystalNetError, match=r"cut.h5 is not a whole data set .*Delete it and build it again"
    ):
        Store(cut)


def test_a_foreign_or_missing_file_is_one_clear_error(store, tmp_path):
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
    foreign.write_bytes(store.path.read_bytes())
    with h5py.File(foreign, "a") as file:
        file.attrs["format"] = module.FORMAT + 1
    with pytest.raises(CrystalNetError, match=f"data format {module.FORMAT + 1}"):
        Store(foreign)


def test_an_empty_data_set_is_refused(tmp_path):
    with pytest.raises(CrystalNetError, match="would be empty"):
        build_store({"train": [], "test": []}, tmp_path / "empty.h5")
