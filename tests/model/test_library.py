"""Networks that come with the package: a round trip through float16, bad files, and their cards."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import crystalnet
from crystalnet.errors import Code, CrystalNetError
from crystalnet.model import checkpoints, library
from crystalnet.model.checkpoints import save_weights
from crystalnet.model.crystalnet import CrystalNet
from crystalnet.runs.cards import model_card

SMALL = {"width": 16, "growth": 2, "n_frequencies": 8, "n_blocks": 1}
COMMITTED = library.available()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty weights folder, which takes the place of the package's own."""
    monkeypatch.setattr(library, "FOLDER", tmp_path / "weights")
    return tmp_path / "weights"


def trained(seed: int = 0, **settings) -> CrystalNet:
    """A network with the statistics of some training, one of which no float16 can hold."""
    network = CrystalNet(**SMALL | settings, seed=seed).train()
    random = torch.Generator().manual_seed(seed)
    for _ in range(40):
        pattern, composition, coords = (torch.rand(6, *n, generator=random) for n in ([1024], [118], [40, 3]))
        latents = network.encode(pattern**8, composition / composition.sum(1, keepdim=True))
        network.decode(torch.cat([latent.mu for latent in latents], -1), coords)
    network.regressor.stem[1].running_var[0] = 1e6
    return network.eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    pattern = torch.rand(1024, generator=random) ** 8
    composition = torch.rand(118, generator=random)
    return pattern / pattern.max(), composition / composition.sum()


# ------------------------------------------------------------------ round trip


def test_answers_survive_the_rounding_to_float16(folder):
    """They are those of the network with NumPy's rounding of its parameters, near those without it."""
    network = trained()
    path = library.write("cubic", network, "# Card")
    read = crystalnet.load("cubic")
    assert path == folder / "cubic.safetensors"
    exact, answer = (n.answer(*inputs(), n=10) for n in (network, read))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(parameter.numpy().astype(np.float16)))
    assert all(p.dtype == torch.float32 for p in read.parameters())
    assert torch.equal(answer, network.answer(*inputs(), n=10))
    assert 0 < (answer - exact).square().mean().sqrt() < 0.02 * exact.std()


def test_statistics_and_frequencies_are_exact(folder):
    network = trained()
    library.write("cubic", network, "# Card")
    read = dict(library.load("cubic").named_buffers())
    for name, buffer in network.named_buffers():
        assert read[name].dtype == buffer.dtype and torch.equal(read[name], buffer), name
    assert sum("running_var" in name for name in read) > 10
    assert "position_encoder.frequencies" in read


@pytest.mark.parametrize("settings", [{"use_composition": False}, {"frequencies": "periodic"}])
def test_settings_come_from_the_file(folder, settings):
    network = CrystalNet(**SMALL | settings, seed=3)
    library.write("odd", network, "# Card")
    assert library.load("odd").settings == network.settings


def test_a_network_that_is_read_is_ready_to_answer(folder):
    library.write("cubic", trained().train(), "# Card")
    read = library.load("cubic")
    assert not any(module.training for module in read.modules())
    assert all(tensor.device.type == "cpu" for tensor in read.state_dict().values())
    assert read.predict(*inputs(), n_samples=2, n=7).shape == (2, 7, 7, 7)
    assert read.latent(*inputs()).mu.shape == (1, 32)


def test_writing_leaves_the_network_alone(folder):
    network = trained().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    library.write("cubic", network, "# Card")
    after = network.state_dict()
    assert network.training
    assert all(after[name].dtype == b.dtype and torch.equal(after[name], b) for name, b in before.items())


def test_the_file_has_half_the_size(folder, tmp_path):
    network = trained(width=64)
    path = library.write("cubic", network, "# Card")
    save_weights(tmp_path / "whole.safetensors", network)
    assert 0.45 < path.stat().st_size / (tmp_path / "whole.safetensors").stat().st_size < 0.6


def test_cards_are_kept_beside_the_weights(folder):
    assert library.available() == []
    for name in ("trigonal", "cubic"):
        library.write(name, trained(), f"# {name}: 2 Å\n")
    assert library.available() == ["cubic", "trigonal"]
    assert library.card("cubic") == "# cubic: 2 Å\n"
    assert sorted(p.name for p in folder.iterdir()) == [
        f"{name}.{kind}" for name in ("cubic", "trigonal") for kind in ("md", "safetensors")
    ]


def test_another_folder_may_be_named(folder, tmp_path):
    library.write("cubic", trained(), "# Card", tmp_path / "elsewhere" / "deep")
    assert library.available() == []
    assert (tmp_path / "elsewhere" / "deep" / "cubic.md").read_text() == "# Card"


@pytest.mark.parametrize(("room", "lines"), [(100, 100), (4000, 100), (10**6, 10**6)])
def test_a_full_disk_keeps_the_old_network_and_card(folder, room, lines):
    """The card does not fit; the weights do not; the weights would, but not the card."""
    resource = pytest.importorskip("resource", reason="no limits on the size of files here")
    library.write("cubic", trained(0), "# Old card")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert 4000 < len(before["cubic.safetensors"]) < 10**6
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(CrystalNetError, match=r"could not be written .*Free disk space"):
            library.write("cubic", trained(1), "# New card\n" * lines)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("read", [library.load, library.card])
def test_a_wrong_name_lists_the_right_ones(folder, read):
    with pytest.raises(CrystalNetError, match=r"no trained network 'cubic'\. .* none: train one"):
        read("cubic")
    for name in ("cubic", "trigonal"):
        library.write(name, trained(), "# Card")
    for wrong in ("hexagonal", "", "../weights/cubic", None):
        with pytest.raises(CrystalNetError, match=r"no trained network .*one of cubic, trigonal\."):
            read(wrong)


def test_a_missing_card_is_one_clear_error(folder):
    library.write("cubic", trained(), "# Card")
    (folder / "cubic.md").unlink()
    with pytest.raises(CrystalNetError, match=r"cubic\.md is missing"):
        library.card("cubic")


@pytest.mark.parametrize("name", ["../cubic", "a/b", "", "cubic.safetensors", "."])
def test_a_name_that_is_none_is_refused(folder, name):
    with pytest.raises(CrystalNetError, match="cannot name a network"):
        library.write(name, trained(), "# Card")
    assert not folder.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])  # float16 ends at 65504
def test_a_weight_that_float16_cannot_hold_is_not_written(folder, value):
    network = trained()
    with torch.no_grad():
        network.regressor.head.weight[0, 3] = value
    with pytest.raises(CrystalNetError, match=r"regressor\.head\.weight is not finite"):
        library.write("cubic", network, "# Card")
    assert library.available() == []


@pytest.mark.parametrize("part", ["regressor.head.weight", "gamma.1.running_mean"])
def test_a_nan_in_a_file_is_one_clear_error(folder, part):
    network = trained()
    folder.mkdir()
    with torch.no_grad():
        network.state_dict()[part].view(-1)[2] = float("nan")
    save_weights(folder / "cubic.safetensors", network)
    with pytest.raises(CrystalNetError, match=f"is damaged: {re.escape(part)} is not finite"):
        library.load("cubic")


@pytest.mark.parametrize("left", [0, 4, 40, 2000, -1])
def test_a_cut_file_is_one_clear_error(folder, left):
    path = library.write("cubic", trained(), "# Card")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CrystalNetError, match=r"cubic\.safetensors is not a readable weights file"):
        library.load("cubic")


@pytest.mark.parametrize("content", [b"not weights at all" * 9, b"\xff" * 200, b"\x80\x04K\x01."])
def test_a_damaged_file_is_one_clear_error(folder, content):
    path = library.write("cubic", trained(), "# Card")
    path.write_bytes(content)
    with pytest.raises(CrystalNetError, match=r"cubic\.safetensors is not a readable weights file"):
        library.load("cubic")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_is_found(folder, data):
    """In header and weights alike; where it breaks the format, the format says so."""
    path = folder / "cubic.safetensors"
    if not path.exists():
        library.write("cubic", trained(), "# Card")
    whole = path.read_bytes()
    position = data.draw(st.one_of(st.integers(0, len(whole) - 1), st.integers(0, 300)))
    path.write_bytes(flipped(whole, position, data.draw(st.integers(0, 7))))
    try:
        with pytest.raises(CrystalNetError, match=r"checksum|not a readable") as caught:
            library.load("cubic")
        assert caught.value.code is Code.DAMAGED
    finally:
        path.write_bytes(whole)


def flipped(content: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def test_a_file_without_checksum_is_one_clear_error(folder):
    path = library.write("cubic", trained(), "# Card")
    tensors, header = checkpoints.read(path)
    save_file(tensors, path, header)
    with pytest.raises(CrystalNetError, match="differs from its checksum, or has none"):
        library.load("cubic")


def with_header(path, model: str | None) -> None:
    """Put other settings into a file's header."""
    tensors, _ = checkpoints.read(path)
    checkpoints.write(path, tensors, {} if model is None else {"model": model})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depth": 3}, "unexpected keyword argument 'depth'"),
        ({"width": 32}, "size mismatch"),
        ({"use_composition": False}, "Unexpected key"),
        ({"n_blocks": 2}, "Missing key"),
        ({"width": "16"}, ""),
        ({"width": -16}, ""),
        ({"seed": 10**30}, ""),
    ],
    ids=str,
)
def test_a_file_of_another_network_is_one_clear_error(folder, change, reason):
    network = trained()
    path = library.write("cubic", network, "# Card")
    with_header(path, json.dumps(network.settings))
    library.load("cubic")  # the header alone is exchanged
    with_header(path, json.dumps(network.settings | change))
    with pytest.raises(CrystalNetError, match=f"does not hold a network of this version .*{reason}") as error:
        library.load("cubic")
    assert len(str(error.value)) < 600 and "\n" not in str(error.value)


@pytest.mark.parametrize("model", [None, "{}", "[1]", "{", "null", json.dumps(SMALL)])
def test_a_file_without_its_settings_is_one_clear_error(folder, model):
    with_header(library.write("cubic", trained(), "# Card"), model)
    with pytest.raises(CrystalNetError, match="does not hold a network of this version"):
        library.load("cubic")


# ------------------------------------------------------------------ the package


def test_importing_the_package_is_quick_and_loads_no_torch():
    code = (
        "import sys, crystalnet; assert 'load' in dir(crystalnet); slow = {'torch', 'numpy', 'pandas'};"
        "assert not slow & set(sys.modules); from crystalnet import load; assert 'torch' in sys.modules;"
        "from crystalnet.model import library; assert load is library.load is crystalnet.load"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == done.stderr == "", done.stderr


def test_other_names_are_not_made_up():
    with pytest.raises(AttributeError, match="'crystalnet' has no attribute 'loda'"):
        _ = crystalnet.loda


@pytest.mark.parametrize("name", COMMITTED or [pytest.param("", marks=pytest.mark.skip("no weights here"))])
def test_networks_that_come_with_the_package_answer(name):
    network = library.load(name)
    pattern = inputs()[0][: network.n_bins]
    answer = network.answer(pattern / pattern.max(), inputs()[1], n=10)
    assert answer.shape == (10, 10, 10) and torch.isfinite(answer).all()
    assert library.card(name).startswith(f"# CrystalNet {name}\n")


# ------------------------------------------------------------------ cards


def record(seed: int, ids: str = "mp", dft: bool = True) -> SimpleNamespace:
    """What `model_card` reads of a record; all its numbers depend on the seed."""
    random = np.random.default_rng(seed)
    n_test, epochs = 30 + seed, 57 + 20 * seed
    params = {
        "data": {"cell": "given", "n_grid": 46 + seed},
        "model": {"width": 16 + 8 * seed, "growth": 2 + seed},
        "training": {"epochs": epochs, "batch_size": 91 + seed},
    }
    scores = [
        pd.DataFrame(
            {
                "predictor": predictor,
                "material_id": [f"{ids}-{i}" for i in range(n_test)],
                **{
                    f"{protocol}_{kind}": size * random.random(n_test)
                    for protocol in ("paper", "honest")
                    for kind, size in (("ssim", 1), ("psnr", 40))
                },
            }
        )
        for predictor in ("CrystalNet", "nearest neighbour")
    ]
    return SimpleNamespace(
        system="cubic",
        profile="cubic",
        manifest={
            "history.csv": {
                "model": SMALL | params["model"] | {"n_bins": 128 + 2 * seed},
                "epochs": f"{epochs - 3} of {epochs}",
                "training_seconds": 122.6 * 74 * seed,
                "environment": {"hardware": f"GPU H{700 + seed}"},
                "params": params,
            },
            "scores.csv": {"CrystalNet": {"n_samples": 5 + seed}},
            **{"train": 1100 + seed, "val": 210 + seed, "test": n_test},
            **{"density_source": "promolecule", "split": "published", "data_hash": "abcdef" * 11},
        },
        scores=pd.concat(scores),
        scores_dft=scores[0].iloc[: 9 + seed] if dft else None,
        provenance=lambda: f"from commit c{810 + seed}",
    )


def test_a_card_says_what_the_record_says():
    one = record(1)
    text = model_card("cubic", one)
    n_parameters = sum(p.numel() for p in CrystalNet(**one.manifest["history.csv"]["model"]).parameters())
    for fact in (
        *(f"{n_parameters:,} trainable", "1,101 train, 211 val, 31 test", "published split"),
        *("74 of 77 epochs", "GPU H701", "2:31:12 (h:min:s)", "batch_size: 92", "best of 6 samples"),
        *("promolecule", "from commit c811", "MIT", "CC BY 4.0", "APL Materials 1, 011002 (2013)"),
        *("the setting that the Materials Project gives", 'crystalnet.load("cubic")', "n=47"),
    ):
        assert fact in text, fact
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[:3] for row in rows[:4]] == [
        [predictor, protocol, "31"]
        for predictor in ("CrystalNet", "nearest neighbour")
        for protocol in ("paper", "honest")
    ]
    ssim = one.scores.loc[one.scores["predictor"] == "nearest neighbour", "honest_ssim"].tolist()
    assert rows[3][3:7] == [
        f"{sum(ssim) / 31:.3f}",
        f"{sorted(ssim)[15]:.3f}",
        f"{100 * sum(s > 0.9 for s in ssim) / 31:.1f}%",
        f"{100 * sum(s < 0.5 for s in ssim) / 31:.1f}%",
    ]


def test_no_number_of_a_card_is_typed():
    """Cards of two records that share no number share the constants of the method and of the references."""
    one, other = (set(re.findall(r"\d[\d.,:]*\d|\d", prose(model_card("cubic", record(s))))) for s in (1, 2))
    references = {"2312.15136", "4.0", "1", "011002", "2013", "10.1063", "1.4812323"}
    assert one & other <= references | {"3", "118", "0.71073"}  # Å^3, elements, Å
    assert len(one - other) > 12


def prose(text: str) -> str:
    """A card without its tables: their numbers may agree by chance."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


def test_a_card_has_the_calculated_truth_only_where_there_is_one():
    assert "DFT" in model_card("cubic", record(1))
    without = model_card("cubic", record(1, dft=False))
    assert "DFT" not in without and len(without) < len(model_card("cubic", record(1)))


def test_a_card_claims_no_structures_of_the_materials_project_that_are_not():
    text = model_card("cubic", record(1, ids="my"))
    assert "Materials Project" not in text and "CC BY" not in text and "licence of their source" in text


def test_a_card_says_what_training_began_with_and_saw():
    one = record(1)
    assert "begin with" not in model_card("cubic", one) and "texture" in model_card("cubic", one)
    training = one.manifest["history.csv"]["params"]["training"]
    training |= {"begins_with": "cubic-spectral", "degraded": 0.37}
    text = model_card("cubic-laboratory", one)
    assert "begin with the network `cubic-spectral`" in text and "37% of them as a laboratory's" in text


def test_a_card_names_the_chosen_cell():
    one = record(1)
    one.manifest["history.csv"]["params"]["data"]["cell"] = "canonical"
    assert "one origin and choice of axes" in model_card("cubic", one)


def test_the_lines_of_a_card_load_the_network(folder):
    one = record(1)
    network = CrystalNet(**one.manifest["history.csv"]["model"])
    text = model_card("cubic", one)
    library.write("cubic", network, text)
    pattern, composition = torch.ones(130), inputs()[1]
    names = {"pattern": pattern, "composition": composition}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    assert names["density"].shape == (47, 47, 47)
    assert library.card("cubic") == text
