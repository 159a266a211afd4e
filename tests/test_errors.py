"""Each kind of error says what is wrong and what helps, and keeps its code between processes."""

import ast
import pickle
from pathlib import Path

import pytest

from crystalnet.errors import Code, CrystalNetError

PACKAGE = Path(__file__).parents[1] / "crystalnet"
CALLS = [
    node
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "CrystalNetError"
]


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_every_code_is_explained(code):
    assert code.cause.endswith(".") and code.remedy.endswith(".")
    assert code.name.isupper() and code.cause[0].isupper() and code.remedy[0].isupper()


def test_every_code_is_used():
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert [code.name for code in Code if f"Code.{code.name}" not in sources] == []


def test_statuses_are_different_and_free():
    statuses = [code.status for code in Code]
    assert len(set(statuses)) == len(statuses)
    assert all(2 < status < 126 for status in statuses)  # shells have meanings for the others


def test_every_error_has_a_code():
    assert CALLS and all(len(call.args) + len(call.keywords) == 2 for call in CALLS)
    with pytest.raises(TypeError):
        CrystalNetError("Without a code.")


def test_errors_travel_between_processes():
    there = CrystalNetError("No peaks. Measure again.", Code.NO_PEAKS)
    back = pickle.loads(pickle.dumps(there))
    assert str(back) == str(there) and back.code is Code.NO_PEAKS
    assert back._render_traceback_() == ["CrystalNetError [NO_PEAKS]: No peaks. Measure again."]
