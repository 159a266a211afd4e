"""Files of weights that keep in common what two networks have in common."""

import json
import re

import pytest
import torch
from some_networks import SMALL

from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints, library, networks, sharing
from crystalnet.model.rounding import rounded

LIMIT = 32 * 2**20  # bytes that all networks of the package may take together


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    return tmp_path


def pair(seed: int = 0):
    """A spectral network, and one of the paper's field with its encoders."""
    lender = networks.build(SMALL["spectral"] | {"seed": seed})
    taker = networks.build(SMALL["free film"] | {"code": 8, "hidden": 16, "seed": 1})
    taker.take_encoders(lender)
    return lender.eval(), taker.eval()


def kept(lender, taker):
    library.write("lender", lender, "# Card")
    return library.write("taker", taker, "# Card", beside="lender")


def same(model, loaded) -> bool:
    before, after = rounded(model), rounded(loaded)
    return before.keys() == after.keys() and all(
        torch.allclose(before[name].float(), after[name].float(), atol=1e-6) for name in before
    )


def test_what_is_shared_is_kept_once_and_comes_back(folder):
    lender, taker = pair()
    path = kept(lender, taker)
    own, facts = checkpoints.read(path)
    shared = json.loads(facts[sharing.SHARED])["tensors"]
    assert shared and not own.keys() & shared.keys()
    assert all(name.startswith(("xrd_encoder", "formula_encoder")) for name in shared)
    whole, facts = sharing.read_whole(path)
    assert whole.keys() == rounded(taker).keys() and sharing.SHARED not in facts
    assert same(taker, library.load("taker"))
    alone = library.write("alone", taker, "# Card")
    assert path.stat().st_size < alone.stat().st_size
    assert sharing.borrowers(folder / "lender.safetensors") == [path]


def test_nothing_is_shared_with_a_stranger_a_borrower_or_itself(folder):
    lender, taker = pair()
    kept(lender, taker)
    for beside, model in (("lender", networks.build(SMALL["film"])), ("taker", taker), ("none", taker)):
        path = library.write("third", model, "# Card", beside=beside)
        assert sharing.SHARED not in checkpoints.read(path)[1], beside
    assert sharing.SHARED not in checkpoints.read(library.write("third", model, "# Card", beside="third"))[1]


def test_a_lender_may_be_replaced(folder):
    """What takes from it is whole before."""
    lender, taker = pair()
    path = kept(lender, taker)
    library.write("lender", pair(seed=5)[0], "# Card")
    assert sharing.SHARED not in checkpoints.read(path)[1]
    assert same(taker, library.load("taker"))


def test_a_lender_that_changed_or_is_gone_is_one_clear_error(folder):
    path = kept(*pair())
    other, facts = checkpoints.read(folder / "lender.safetensors")
    for change in (lambda t: t.flip(0), None):
        name = next(iter(json.loads(checkpoints.read(path)[1][sharing.SHARED])["tensors"].values()))
        tensors = {n: t for n, t in other.items() if n != name or change}
        if change:
            tensors[name] = change(tensors[name])
        checkpoints.write(folder / "lender.safetensors", tensors, facts)
        message = re.escape(f"{path} takes tensors from lender.safetensors, which holds others now")
        with pytest.raises(CrystalNetError, match=message) as caught:
            library.load("taker")
        assert caught.value.code is Code.DAMAGED
    (folder / "lender.safetensors").unlink()
    with pytest.raises(CrystalNetError, match=r"lender\.safetensors is not a readable weights file"):
        library.load("taker")


def test_the_networks_of_the_package_are_small_together():
    assert sum(path.stat().st_size for path in library.FOLDER.glob("*.safetensors")) <= LIMIT
