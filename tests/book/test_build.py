"""The chapters as notebooks, and the way from chapter to page with a book of one or two tiny chapters."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
CHAPTERS = sorted(BOOK.glob("*.md"))
GROUPS = ["profile", "data", "model", "training", "evaluation", "ablations", "solving", "spectral"]
# chapters with so many parameters of their own
OWN = {"10_own_pattern": 6, "14_minerals": 2, "data_and_weights": 0, "errors": 0, "glossary": 0}
HEADER = """---
jupytext:
  formats: ipynb,md:myst
  notebook_metadata_filter: -jupytext.text_representation.jupytext_version
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A tiny chapter

It cites {cite:t}`guo2023`, has $x^2$ and found {glue:text}`answer`.

```{code-cell} ipython3
:tags: [parameters]

profile = "quick"
data = {}
```
"""
CHAPTER = (
    HEADER
    + """
```{code-cell} ipython3
from myst_nb import glue
from tqdm.notebook import tqdm
from crystalnet.errors import Code, CrystalNetError
import plotly.graph_objects as go

glue("answer", sum(tqdm(range(data["n"]))), display=False)
go.Figure(go.Scatter(y=[1, 3, 2]))
```

```{code-cell} ipython3
:tags: [live-only]

print("a kernel is needed for this")
```

```{bibliography}
```
"""
)
FAILING = (
    HEADER
    + """
```{code-cell} ipython3
from crystalnet.errors import Code, CrystalNetError
raise CrystalNetError("The pattern is empty. Give one with peaks.", Code.BAD_PEAKS)
```
"""
)
LONG = (
    HEADER
    + """
```{code-cell} ipython3
import time
time.sleep(300)
```
"""
)


spec = importlib.util.spec_from_file_location("build", BOOK / "build.py")
builder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(builder)


def build(book: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BOOK / "build.py"), "--book", str(book), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of one chapter, with its profile."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "quick.yaml").write_text("profile: quick\ndata: {n: 4}\nmodel: {}\n")
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    (folder / "references.bib").write_text((BOOK / "references.bib").read_text())
    (folder / "intro.md").write_text(CHAPTER)
    return folder


def test_a_chapter_becomes_a_page(book: Path):
    first = build(book)
    assert first.returncode == 0, first.stdout + first.stderr
    index = Path(first.stdout.splitlines()[-1])
    assert index == book.parent / "_build" / "html" / "index.html" and index.exists()

    page = (index.parent / "intro.html").read_text()
    assert ">6</span>" in page  # 0 + 1 + 2 + 3: the profile reached the cell, glue the prose
    assert page.count("Plotly.newPlot(") == 1
    assert page.index("vendor/plotly.min.js") < page.index("Plotly.newPlot(")
    assert "vendor/tex-svg-full.js" in page and "Guo" in page
    assert ">a kernel is needed for this" not in page  # the output; the code is shown
    assert '<a href="_sources/crystalnet/errors.py">crystalnet.errors</a>' in page
    assert (index.parent / "_sources" / "crystalnet" / "errors.py").exists()
    assert "thebe.js" not in page and "unpkg" not in page and "widget-view" not in page

    executed = book.parent / "_build" / "executed" / "intro.ipynb"
    notebook = nbformat.read(executed, 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("application/vnd.plotly.v1+json" in out.get("data", {}) for out in outputs)  # JupyterLab's
    assert str(book.parent) not in nbformat.writes(notebook)

    params = book.parent / "params" / "quick.yaml"
    assert builder.run(book / "intro.md", params, executed, fresh=False) == "unchanged"
    params.write_text("profile: quick\ndata: {n: 5}\n")
    assert builder.run(book / "intro.md", params, executed, fresh=False) != "unchanged"


def test_a_failing_chapter_says_what_to_do_and_no_more(book: Path):
    """It ends the build at once, with the chapters that run beside it."""
    (book / "_toc.yml").write_text(
        "format: jb-book\nroot: intro\nchapters:\n  - file: 01_long\n  - file: 02_bad\n"
    )
    (book / "01_long.md").write_text(LONG)
    (book / "02_bad.md").write_text(FAILING)
    result = build(book, "--chapters-at-once", "2")
    assert result.returncode == 1
    assert sorted(result.stdout.splitlines()) == ["[1/3] 01_long", "[2/3] 02_bad"]
    said = "The pattern is empty. Give one with peaks."
    assert result.stderr == f"02_bad: CrystalNetError [BAD_PEAKS]: {said}\n"
    assert not (book.parent / "_build" / "executed").exists()


def test_wrong_names_are_explained(book: Path, monkeypatch, capsys):
    def said(*options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["build.py", "--book", str(book), *options])
        with pytest.raises(SystemExit) as end:
            builder.main()
        return f"{capsys.readouterr().err}{end.value}"

    assert "Choose one of: quick." in said("--profile", "qiuck")
    assert "Choose one of: intro." in said("--only", "itnro")
    (book / "_toc.yml").write_text("format: jb-book\nroot: intro\nchapters:\n  - file: 01_data\n")
    assert "do not exist: 01_data" in said()


def test_toc_names_every_chapter():
    assert sorted(builder.chapters(BOOK)) == [chapter.stem for chapter in CHAPTERS]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_pairing_loses_nothing(chapter: Path):
    def cells(notebook):
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]

    notebook = jupytext.read(chapter)
    assert notebook.metadata["jupytext"]["formats"] == "ipynb,md:myst"
    as_ipynb = nbformat.reads(nbformat.writes(notebook), 4)
    assert cells(jupytext.reads(jupytext.writes(as_ipynb, "md:myst"), "md:myst")) == cells(notebook)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_parameters_cell_has_the_groups_of_a_profile(chapter: Path):
    notebook = jupytext.read(chapter)
    asked = papermill.inspect_notebook(notebook)
    if chapter.stem in OWN:
        assert len(asked) == OWN[chapter.stem]
    else:
        assert list(asked) == GROUPS
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not asked or "parameters" in code[0].metadata.get("tags", [])
    assert all(parameter["help"] for parameter in asked.values())  # papermill --help-notebook shows it


@pytest.mark.parametrize("profile", sorted((ROOT / "params").glob("*.yaml")), ids=lambda path: path.stem)
def test_profiles_have_the_groups_alone(profile: Path):
    assert set(yaml.safe_load(profile.read_text())) <= {*GROUPS}
