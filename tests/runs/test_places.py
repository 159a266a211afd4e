"""Paths in settings: seen from the repository, those below data/ wherever CRYSTALNET_DATA says."""

import os

import pytest

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.params import repository_root
from crystalnet.runs.places import data_folders, located


def test_data_is_a_folder_of_the_repository_or_others(tmp_path, monkeypatch):
    monkeypatch.delenv("CRYSTALNET_DATA", raising=False)
    assert data_folders() == [repository_root() / "data"]
    one, two = tmp_path / "one", tmp_path / "two"
    for file in (one / "structures" / "a.jsonl", two / "splits" / "cubic.json"):
        file.parent.mkdir(parents=True)
        file.touch()
    monkeypatch.setenv("CRYSTALNET_DATA", os.pathsep.join([str(one), str(two)]))
    assert located("data.source", "data/structures/a.jsonl") == one / "structures" / "a.jsonl"
    assert located("data.id_lists", "data/splits") == two / "splits"
    relative = os.path.relpath(one, repository_root())
    monkeypatch.setenv("CRYSTALNET_DATA", relative)
    assert located("data.source", "data/structures/a.jsonl").samefile(one / "structures" / "a.jsonl")
    with pytest.raises(CrystalNetError, match=r"data\.id_lists 'data/splits' does not exist"):
        located("data.id_lists", "data/splits")


def test_other_paths_are_seen_from_the_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYSTALNET_DATA", str(tmp_path))
    monkeypatch.chdir(repository_root() / "book")
    assert located("data.source", "params").samefile(repository_root() / "params")
    assert located("data.source", str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("data/structures/paper_split.jsonl.gz", "`python book/fetch.py structures`"),
        ("data/splits", "the authors' lists"),
        ("data/dft", "leave the setting out"),
        ("data/mine.csv", "CRYSTALNET_DATA may name another folder"),
        ("mine.csv", "data.source may also be"),
    ],
)
def test_what_is_missing_is_an_error_with_its_own_remedy(tmp_path, monkeypatch, value, remedy):
    monkeypatch.setenv("CRYSTALNET_DATA", str(tmp_path))
    with pytest.raises(CrystalNetError, match=rf"data\.source '{value}' does not exist.*") as error:
        located("data.source", value)
    assert remedy in str(error.value) and error.value.code is Code.FILE_MISSING
