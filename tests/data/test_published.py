"""The authors' id lists: read, checked, counted as in Table 3, and put on crystals."""

import json
from collections import Counter

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crystalnet.data.crystals import Crystal
from crystalnet.data.published import LISTS, PublishedSplit, read_id_lists
from crystalnet.errors import CrystalNetError
from crystalnet.physics.atoms import Atoms
from crystalnet.runs.params import repository_root

SMALL = {
    "train_stable": {"mp-1": "NaCl", "mp-2": "KCl"},
    "train_unstable": {"mp-3": "RbCl"},
    "val": {"mp-4": "CsCl"},
    "test": {"mp-5": "LiCl"},
}


def crystal(material_id: str, **facts) -> Crystal:
    return Crystal(
        material_id, Atoms(4 * np.eye(3), np.zeros((1, 3)), np.array(["Fe"])), 221, "cubic", **facts
    )


@pytest.fixture
def folder(tmp_path):
    for name, formulas in SMALL.items():
        (tmp_path / f"cubic_{name}.json").write_text(json.dumps(formulas))
    return tmp_path


def test_lists_are_read_and_counted(folder):
    lists = read_id_lists(str(folder), "cubic")
    assert lists == PublishedSplit("cubic", SMALL)
    assert lists.counts() == {"train_stable": 2, "train_unstable": 1, "val": 1, "test": 1}
    assert lists.formulas() == {"train": ["NaCl", "KCl", "RbCl"], "val": ["CsCl"], "test": ["LiCl"]}


def test_crystals_take_split_and_stability_from_the_lists(folder):
    given_crystals = [
        crystal("mp-5", stable=False, split="train", note="kept"),
        crystal("mp-3", stable=True),
        crystal("mp-05"),  # only the same id counts
        crystal("mp-1", source="here"),
        crystal("MP-2"),
    ]
    crystals, missing, n_unlisted = read_id_lists(folder, "cubic").label(given_crystals)
    assert [(c.material_id, c.split, c.stable, c.note, c.source) for c in crystals] == [
        ("mp-5", "test", True, "kept", ""),
        ("mp-3", "train", False, "", ""),
        ("mp-1", "train", True, "", "here"),
    ]
    assert missing == [("mp-2", "KCl", "train_stable"), ("mp-4", "CsCl", "val")]
    assert n_unlisted == 2
    assert given_crystals[0].split == "train" and not given_crystals[0].stable  # the given ones stay


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([*LISTS, None])), unique_by=lambda row: row[0]))
def test_every_crystal_is_labelled_missing_or_unlisted(rows):
    here, there = [f"mp-{i}" for i in range(5)], [f"mp-{i}" for i, name in rows if name]
    lists = {name: {f"mp-{i}": "Fe" for i, where in rows if where == name} for name in LISTS}
    crystals, missing, n_unlisted = PublishedSplit("cubic", lists).label(map(crystal, here))
    assert [c.material_id for c in crystals] == [i for i in here if i in there]
    assert {m.material_id for m in missing} == set(there) - set(here) and len(missing) == len(
        set(there) - set(here)
    )
    assert n_unlisted == len(set(here) - set(there))
    assert all(m.material_id in lists[m.list_name] for m in missing)


@pytest.mark.parametrize(
    "content, message",
    [
        (b'{"mp-1": "NaCl"', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["mp-1"]', "not a list of formulas by id"),
        (b'{"mp-1": 5}', "not a list of formulas by id"),
        (b"null", "not a list of formulas by id"),
        (b'{"mp-5": "LiCl", "mp-1": "NaCl"}', "lists train_stable and val share 1 ids, among them mp-1"),
    ],
)
def test_a_broken_list_is_one_clear_error(folder, content, message):
    (folder / "cubic_val.json").write_bytes(content)
    with pytest.raises(CrystalNetError, match=message):
        read_id_lists(folder, "cubic")


def test_a_missing_list_is_one_clear_error(folder):
    with pytest.raises(CrystalNetError, match=r"trigonal_train_stable.json can't be read .*named like"):
        read_id_lists(folder, "trigonal")
    (folder / "cubic_test.json").unlink()
    (folder / "cubic_test.json").mkdir()
    with pytest.raises(CrystalNetError, match=r"cubic_test.json can't be read"):
        read_id_lists(folder, "cubic")


@pytest.mark.parametrize("system", ["cubic", "trigonal"])
def test_the_authors_lists_hold_the_crystals_of_table_3(shared_data, system):
    lists = read_id_lists(shared_data / "reference" / "splits", system)
    counts = lists.counts()
    table_3 = yaml.safe_load((repository_root() / "book" / "published.yaml").read_text())["table_3"][system]
    assert counts["train_stable"] + counts["train_unstable"] == table_3["train"]
    assert (counts["val"], counts["test"]) == (table_3["val"], table_3["test"])
    # every second crystal is at hand
    ids = [material_id for name in LISTS for material_id in lists.lists[name]]
    crystals, missing, n_unlisted = lists.label(map(crystal, ids[::2]))
    assert n_unlisted == 0 and [m.material_id for m in missing] == ids[1::2]
    found = Counter(c.split for c in crystals) + Counter(m.list_name.split("_")[0] for m in missing)
    assert found == table_3
