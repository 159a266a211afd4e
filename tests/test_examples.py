"""Examples in docstrings print what they say, and every public function has one, and types for all it takes.

An example counts for a function if it stands in its docstring, or names it in another one of its module.
"""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crystalnet"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

# module or module::function that needs no example, and why
ELSEWHERE = {
    "command/main.py::Explained.invoke": "the command calls it: tests/command/test_main.py does",
    "errors.py::Code.__init__": "an enumeration's members are made by its class alone",
    "data/download.py::Bucket": "asks a server: tests/data/test_materials_project.py has one",
    "data/download.py::PassingError": "a server's fault",
    "data/download.py::patient_session": "asks a server",
    "data/materials_project/": "asks a server",
    "data/reference/": "needs GPAW and minutes",
    **{
        f"model/network.py::DensityNetwork.{name}": "an interface: its subclasses have one"
        for name in ("prepare", "tabulate", "encode", "decode", "density", "forward")
    },
    "model/devices.py": "starts processes: tests/model/test_distributed.py does",
    "model/training.py": "trains: tests/model/test_training.py does",
    "model/validation.py": "needs a data set: tests/model/test_training.py validates",
    "model/spectral.py::SpectralNet.prepare": "takes a whole data set: tests/model/test_spectral.py does",
    "runs/challenge_rows.py::publish_challenges": "solves for minutes; read_challenges reads what it kept",
    "runs/cluster.py": "asks a Dask scheduler: tests/runs/test_sweeps.py starts one",
    "runs/datasets.py": "computes data sets: tests/runs/test_datasets.py does",
    "runs/publishing.py": "needs a training: tests/runs/test_published_results.py reads what it published",
    "runs/run.py": "trains and scores: tests/runs/test_run.py does",
    "runs/showcase.py::write_showcase": "needs the crystals of a record; read_showcase reads what it kept",
    "runs/solvings.py": "builds data sets and solves: tests/runs/test_run.py does",
    "runs/sweeps.py::sweep": "trains: tests/runs/test_sweeps.py does",
    "runs/trainings.py": "trains: tests/runs/test_trainings.py does",
    "scoring/samples.py::row_of": "solves: tests/scoring/test_samples.py does",
    "solving/densities.py::from_density": "phases for seconds: tests/solving/test_solution.py does",
    "solving/profile_search.py::from_profile": "solves: tests/solving/test_profile_search.py does",
    "solving/solution.py": "solves for seconds: README's first example, tests/solving/test_solution.py",
    "solving/given_cell.py::from_cell": "solves: tests/solving/test_profile_search.py does",
    "solving/rietveld/files.py": "needs a refinement: tests/command/test_main.py does",
    **{
        f"solving/report/{name}": "needs a solution: tests/solving/test_report.py has one"
        for name in (
            *("__init__.py::write_report", "__init__.py::report", "facts.py::Facts", "html.py::page"),
            *("crystal.py::of_crystal", "lines.py", "markdown.py::page", "files.py::write_density"),
        )
    },
    "solving/rietveld/fits.py": "rietx's objects: tests/solving/test_rietveld.py refines",
    "solving/rietveld/plan.py": "rietx's objects: tests/solving/test_rietveld.py does",
    "solving/rietveld/__init__.py::refined": "takes seconds: tests/solving/test_rietveld.py does",
    "scoring/evaluation.py::Predictor": "a protocol",
    "show/report.py": "needs a solution: tests/solving/test_report.py has one",
    "show/again.py": "needs a gallery and its network: chapters 6 and 12 have both",
    **{
        f"show/explorers/{name}": f"widgets of a data set or a solution: tests/show/{test} has one"
        for name, test in (
            ("candidates.py", "test_candidates_explorer.py"),
            ("composition.py", "test_composition_explorer.py"),
            ("latent.py", "test_explorers.py"),
            ("stored.py::StoredCrystals", "test_explorers.py"),
        )
    },
    "show/variants.py": "needs a record with variants: tests/show/test_variants.py reads those of the book",
    "show/gallery.py": "draws a dozen pictures: tests/show/test_figures.py does",
    "physics/tables/make_form_factors.py::form_factors": "imports much of pymatgen, for seconds",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
HOLDERS = ast.Module | ast.ClassDef | Function


def functions(module: str) -> Iterator[tuple[str, Function, bool]]:
    """Name and code of each public function, method and constructor, and whether an example shows it."""
    tree = ast.parse((PACKAGE / module).read_text())
    shown = {name for node in ast.walk(tree) if isinstance(node, HOLDERS) for name in names(examples(node))}
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node, bool(examples(node)) or node.name in shown
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, Function) and (method.name == "__init__" or method.name[0] != "_"):
                    used = node.name if method.name in ("__init__", "forward") else method.name
                    yield f"{node.name}.{method.name}", method, bool(examples(method)) or used in shown


def examples(node: ast.AST) -> str:
    """The code of a docstring's examples."""
    return "".join(e.source for e in doctest.DocTestParser().get_examples(ast.get_docstring(node) or ""))


def names(code: str) -> set[str]:
    """Functions, attributes and other names that code uses."""
    return {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(ast.parse(code))}


def untyped(function: Function) -> list[str]:
    """The arguments, and 'return', that have no type."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    without = [a.arg for a in named + starred if a.annotation is None and a.arg not in ("self", "cls")]
    return without + ["return"] * (function.returns is None and function.name != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_has_an_example(module: str):
    without = [f"{module}::{name}" for name, _, shown in functions(module) if not shown]
    assert [name for name in without if not name.startswith(tuple(ELSEWHERE))] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_is_typed(module: str):
    assert {name: without for name, node, _ in functions(module) if (without := untyped(node))} == {}


@pytest.mark.parametrize("module", [m for m in MODULES if ">>> " in (PACKAGE / m).read_text()])
def test_examples_print_what_they_say(module: str):
    name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    tests = doctest.DocTestFinder().find(importlib.import_module(f"crystalnet.{name}"))
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    said: list[str] = []
    for test in tests:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries
