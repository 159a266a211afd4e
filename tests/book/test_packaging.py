"""The two lists of dependencies agree, imports run downwards, and the readme names commands that exist."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"pytorch": "torch"}  # conda -> PyPI
CONDA_ONLY = {"python", "pip"}
# the rooms of crystalnet/, each importing only from itself and those before it; the first three: the ground
ROOMS = [
    *("errors", "hardware", "settings", "physics", "data", "patterns", "lattice", "model"),
    *("solving", "scoring", "runs", "show", "command"),
]
SOURCES = sorted(set((ROOT / "crystalnet").rglob("*.py")) - {ROOT / "crystalnet" / "__init__.py"})


def specifiers(lines: list[str]) -> dict[str, str]:
    requirements = [Requirement(line) for line in lines]
    return {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in requirements}


def test_conda_and_pip_install_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = [line for entry in conda if isinstance(entry, dict) for line in entry["pip"]]
    assert by_pip.pop() == "--editable ."
    listed = specifiers([entry for entry in conda if isinstance(entry, str)] + by_pip)
    assert listed["python"] == str(Requirement(f"python{project['requires-python']}").specifier)
    listed = {name: specifier for name, specifier in listed.items() if name not in CONDA_ONLY}
    extras = project["optional-dependencies"]
    assert listed == specifiers(project["dependencies"] + extras["book"] + extras["test"])


def imported(source: Path) -> set[str]:
    """Names below `crystalnet` that a file imports at any depth of its code, e.g. {'physics', 'errors'}."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("crystalnet.")} - {"__version__"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(source: Path):
    room = source.relative_to(ROOT / "crystalnet").parts[0].removesuffix(".py")
    assert room in ROOMS, f"{source} lies in no room"
    assert imported(source) <= set(ROOMS[: ROOMS.index(room) + 1])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_take_few_arguments_by_position(source: Path):
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            assert len([name for name in names if name not in ("self", "cls")]) <= 5, ast.unparse(node)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_can_be_read_in_one_sitting(source: Path):
    assert len(source.read_text().splitlines()) <= 250


@pytest.mark.parametrize("source", sorted((ROOT / "crystalnet" / "runs").glob("*.py")), ids=lambda p: p.name)
def test_runs_call_by_name_nothing(source: Path):
    """No method of `self` is chosen by a string."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            assert ast.unparse(node.args[0]) != "self", ast.unparse(node)


def test_readme_names_commands_that_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z]+)", readme))
    assert {"book", "test"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def test_no_notebook_is_tracked():
    git = subprocess.run(["git", "ls-files", "*.ipynb"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout")
    assert git.stdout == ""
