"""Catalogues of a reader's own crystals: made, interrupted, used."""

import json

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

import crystalnet
from crystalnet.data.leakage import reduced_formula
from crystalnet.errors import Code, CrystalNetError
from crystalnet.patterns.observed import Observed
from crystalnet.runs import catalogues
from crystalnet.solving.structure_types import TypeFile

SALTS = {name: Structure.from_spacegroup(225, Lattice.cubic(a), symbols, [[0, 0, 0], [0.5, 0.5, 0.5]])
         for name, a, symbols in (("NaCl", 5.64, ["Na", "Cl"]), ("KBr", 6.6, ["K", "Br"]))}  # fmt: skip
ODD = Structure.from_spacegroup(  # no known compound: only a catalogue of one's own has such a type
    63, Lattice.orthorhombic(3.9, 10.3, 4.4), ["Ba", "Se"], [[0, 0.36, 0.25], [0, 0.07, 0.25]]
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, structure in {**SALTS, "odd": ODD}.items():
        structure.to(str(folder / f"{name}.cif"))
    (folder / "broken.cif").write_text("data_broken")
    return folder


@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_folder_becomes_a_file_of_types(folder, tmp_path):
    file = crystalnet.catalogue(folder, tmp_path / "mine.safetensors", progress=False)
    types = TypeFile(file)
    assert len(types) == 2 and sorted(types.sizes.tolist()) == [1, 2]
    assert types.is_fitted_to(reduced_formula("KBr"), 225) and not types.is_fitted_to(
        reduced_formula("KBr"), 1
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.safetensors"]
    (salt,) = types.templates((1, 1), "cubic")
    assert salt.roles[salt.symbols[0]].total() == 2
    only = crystalnet.catalogue(folder, tmp_path / "two.safetensors", fewest=2, progress=False)
    assert TypeFile(only).sizes.tolist() == [2]
    answer = crystalnet.solve(Observed.of_structure(SALTS["KBr"]), "KBr", catalogue=file, progress=False)
    assert StructureMatcher().fit(answer.structure, SALTS["KBr"])


@pytest.mark.filterwarnings("ignore:.*left out")
def test_an_interrupted_catalogue_goes_on(folder, tmp_path, monkeypatch):
    whole = crystalnet.catalogue(folder, tmp_path / "whole.safetensors", progress=False).read_bytes()
    file = tmp_path / "mine.safetensors"
    monkeypatch.setattr(catalogues, "BETWEEN_COMMITS", 1)
    read, every = [], catalogues.each_crystal

    def interrupted(source):
        for number, (name, reader) in enumerate(every(source)):
            if number == 2:
                raise KeyboardInterrupt
            yield name, reader

    def noted(source):
        for name, reader in every(source):
            yield name, lambda name=name, reader=reader: read.append(name) or reader()

    monkeypatch.setattr(catalogues, "each_crystal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        crystalnet.catalogue(folder, file, progress=False)
    assert not file.exists()
    monkeypatch.setattr(catalogues, "each_crystal", noted)
    assert crystalnet.catalogue(folder, file, progress=False).read_bytes() == whole
    assert len(read) == 2  # of four: two had been read before
    assert not file.with_name(file.name + ".work").exists()


def test_sources_that_give_nothing_are_one_clear_error(tmp_path):
    with pytest.raises(CrystalNetError) as error:
        crystalnet.catalogue(tmp_path / "none", tmp_path / "it.safetensors")
    assert error.value.code is Code.FILE_MISSING
    (tmp_path / "bad.jsonl").write_text(json.dumps({"id": "it"}) + "\n")
    with pytest.raises(CrystalNetError, match="no crystal") as error:
        crystalnet.catalogue(tmp_path / "bad.jsonl", tmp_path / "it.safetensors", progress=False)
    assert error.value.code is Code.NOTHING_LEFT


def test_without_a_name_the_file_lies_in_the_user_s_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (folder / "broken.cif").unlink()
    file = crystalnet.catalogue(folder, progress=False)
    assert file == tmp_path / "cache" / "crystalnet" / "catalogues" / "mine.safetensors" and file.is_file()
