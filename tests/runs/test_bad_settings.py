"""Files of settings with whatever may stand in them: read right, or refused with the key."""

import pytest
import yaml
from hypothesis import strategies as st
from refusals import outcome, tried

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.params import Params
from crystalnet.runs.provenance import write_text
from crystalnet.runs.results import Results, alone

GROUPS = {
    name: field.default for name, field in Params.model_fields.items() if name not in ("profile", "spectral")
}
PLACES = [(group, key) for group, defaults in GROUPS.items() for key in type(defaults).model_fields]
JUNK = st.one_of(
    st.sampled_from([float("inf"), float("-inf"), float("nan"), True, False, None, "", "x", "1e-3", 0, -1]),
    st.sampled_from([1.5, 10**30, [], {}, [1], ["x"], {"x": 1}, {"others": -5}, [[]], {1: 2}]),
)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for folder in ("params", "book"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(content: str | bytes, repository) -> Params:
    path = repository / "params" / "spoilt.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return Params.load("spoilt")


def _setting_taken_or_refused_by_name(repository, given_):
    (group, key), value = given_
    result = outcome(loaded, yaml.safe_dump({group: {key: value}}), repository, names="spoilt")
    if isinstance(result, CrystalNetError):
        assert f"{group}.{key}" in str(result) or group == "model", result
    else:
        taken = getattr(getattr(result, group), key)
        assert taken == value or taken == type(taken)(value) or taken == tuple(value)


test_odd_values, test_many_odd_values = tried(st.tuples(st.sampled_from(PLACES), JUNK), 30, 300)(
    _setting_taken_or_refused_by_name
)


def _text_taken_or_refused(repository, given_):
    outcome(loaded, given_, repository, names="spoilt")


PIECES = [
    "data",
    "training",
    "seed",
    "epochs",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "\n",
    "  ",
    "1",
    "-",
    "&a",
    "*a",
    "!!",
    "?",
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join)
test_odd_texts, test_many_odd_texts = tried(st.one_of(TEXTS, st.binary(max_size=30)), 20, 200)(
    _text_taken_or_refused
)


def test_a_bomb_of_aliases_is_refused_at_once(repository):
    text = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "alias" in str(outcome(loaded, text, repository, names="spoilt.yaml"))


def test_what_cannot_be_written_is_one_clear_error(tmp_path):
    """A file stands where a folder is needed: the system refuses, whoever asks."""
    (tmp_path / "file").touch()

    def waits():
        with alone(tmp_path / "file" / "a", progress=False):
            raise AssertionError

    for write in (
        lambda: write_text(tmp_path / "file" / "a.csv", "x"),
        lambda: Results(Params(), tmp_path / "file" / "a"),
        waits,
    ):
        assert outcome(write, names="file").code is Code.NOT_WRITTEN


def test_a_damaged_result_is_one_clear_error(tmp_path):
    (tmp_path / "manifest.json").write_text('{"a": ')
    assert outcome(Results.manifest, tmp_path, names="manifest.json").code is Code.DAMAGED
