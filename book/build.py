"""Run the chapters and build the pages: `python book/build.py --profile quick`.

    book/<chapter>.md
      --jupytext, papermill-->  _build/executed/<chapter>.ipynb   (opens in JupyterLab)
      --for_page-->             _build/pages/<chapter>.ipynb
      --jupyter-book-->         _build/html/<chapter>.html

A chapter runs again only when its text, the params file or crystalnet/ has changed since it last ran.
Chapters run side by side; what two of them need is made by one, and the other waits for it.
"""

import argparse
import copy
import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
import papermill
import plotly.io as pio
import yaml
from loky import ProcessPoolExecutor
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from crystalnet.hardware import n_cores
from crystalnet.show.modules import PACKAGE, linked, modules_of

ROOT = Path(__file__).resolve().parent.parent
READ = (".py", ".json", ".yaml", ".csv", ".npz", ".safetensors")  # what chapters read
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
GLUED = "application/papermill.record/"  # how myst_nb.glue marks what it keeps for elsewhere


def chapters(book: Path) -> list[str]:
    """Chapter names in the order of _toc.yml, the root page first."""
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    entries = [entry for part in toc.get("parts", [toc]) for entry in part.get("chapters", [])]
    names = [toc["root"], *(entry["file"] for entry in entries)]
    if missing := [name for name in names if not (book / f"{name}.md").exists()]:
        sys.exit(f"_toc.yml names chapters that do not exist: {', '.join(missing)}. Write or remove them.")
    return names


def fingerprint(files: list[Path]) -> str:
    """SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def run(source: Path, params: Path, executed: Path, fresh: bool) -> str:
    """Execute one chapter with papermill, unless nothing it depends on has changed; how that went, in a word.

    A failure ends the build with the chapter's name and the error as the notebook shows it: one line for a
    CrystalNetError, the cell's traceback otherwise. What had run until then stays in _build/running.
    """
    package = sorted(f for f in PACKAGE.rglob("*") if f.suffix in READ)
    beside = sorted(f for f in source.parent.rglob("*") if f.suffix in READ)  # published numbers, results
    key = fingerprint([source, params, *package, *beside])
    if executed.exists() and not fresh and nbformat.read(executed, 4).metadata.get("fingerprint") == key:
        return "unchanged"
    notebook = jupytext.read(source)
    values = {"profile": params.stem, **yaml.safe_load(params.read_text())}
    known = papermill.inspect_notebook(notebook)
    running = executed.parent.parent / "running" / executed.name
    running.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        with TemporaryDirectory() as sockets:
            notebook = papermill.execute_notebook(
                notebook,
                running,
                parameters={name: value for name, value in values.items() if name in known},
                kernel_name="python3",
                cwd=source.parent,  # where JupyterLab would run it
                progress_bar=False,
                config=Config(
                    KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"},  # no port to guard
                    NotebookClient={"store_widget_state": False},  # megabytes that no page shows
                ),
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],  # it calls its own shutdown an error
            )
    except papermill.PapermillExecutionError as error:
        sys.exit(f"{source.stem}: " + "\n".join(error.traceback))
    except DeadKernelError:
        sys.exit(f"{source.stem}: its Python process died, often for lack of memory. Try a smaller profile.")
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)  # paths of this machine
    notebook.metadata["fingerprint"] = key
    nbformat.write(notebook, running)
    executed.parent.mkdir(parents=True, exist_ok=True)
    os.replace(running, executed)
    return f"{time.monotonic() - start:.0f} s"


def run_all(chapters: dict[str, tuple], at_once: int) -> None:
    """Run chapters, the arguments of `run` by name, so many at once; an error of one stops the others."""
    pool = ProcessPoolExecutor(at_once)
    waiting = list(enumerate(chapters.items(), 1))[::-1]
    running: set[Future] = set()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:  # none begins before it is known that none has failed
                number, (name, chapter) = waiting.pop()
                running.add(pool.submit(announced, f"[{number}/{len(chapters)}] {name}", chapter))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for job in done:
                job.result()
    finally:
        pool.shutdown(kill_workers=True)  # and the kernels with them


def announced(label: str, chapter: tuple) -> None:
    """Run a chapter in a worker, which says so, since others begin and end meanwhile."""
    print(label, flush=True)
    print(f"{label}: {run(*chapter)}", flush=True)


def figure_html(figure: dict, div_id: str) -> str:
    """Static HTML of a plotly figure; the page brings plotly.js and, around the figure, the ground."""
    figure["layout"]["paper_bgcolor"] = "rgba(0,0,0,0)"
    options = {"include_plotlyjs": False, "include_mathjax": False, "full_html": False, "auto_play": False}
    config = {"responsive": True, "displaylogo": False}
    return pio.to_html(figure, config=config, validate=False, div_id=div_id, **options)


def for_page(notebook: NotebookNode, name: str) -> NotebookNode:
    """The copy that jupyter-book reads: figures as HTML, links to modules, nothing that needs a kernel."""
    page = copy.deepcopy(notebook)
    page.metadata.pop("widgets", None)
    for number, cell in enumerate(page.cells):
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            tags.append("hide-input")
            cell.metadata["mystnb"] = {"code_prompt_show": "Parameters of this build"}
        live = "live-only" in tags
        cell.outputs = [] if live else [out for out in cell.outputs if WIDGET not in out.get("data", {})]
        for k, output in enumerate(cell.outputs):
            for prefix in ("", GLUED):
                if figure := output.get("data", {}).pop(prefix + PLOTLY, None):
                    output.data[prefix + "text/html"] = figure_html(figure, f"{name}-{number}-{k}")
    code = "\n".join(cell.source for cell in page.cells if cell.cell_type == "code")
    if modules := modules_of(code):
        links = ", ".join(map(linked, modules))
        page.cells.append(nbformat.v4.new_markdown_cell(f"<p class='modules'>Behind this page: {links}.</p>"))
    return page


def build_pages(book: Path, names: list[str]) -> Path:
    """Turn executed chapters into HTML, from scratch; the path of the first page.

    The whole book goes to _build/html. One chapter alone goes to _build/only, and its warnings fail nothing,
    since its links to other chapters lead nowhere.
    """
    whole = names == chapters(book)
    site = book.parent if whole else book.parent / "_build" / "only"
    build = site / "_build"  # jupyter-book adds this name
    for folder in ("pages", "html", ".doctrees"):
        shutil.rmtree(build / folder, ignore_errors=True)
    pages, html = build / "pages", build / "html"
    pages.mkdir(parents=True)
    for name in names:
        nbformat.write(for_page(nbformat.read(executed_path(book, name), 4), name), pages / f"{name}.ipynb")
    alone = yaml.safe_dump({"format": "jb-book", "root": names[0]})
    (pages / "_toc.yml").write_text((book / "_toc.yml").read_text() if whole else alone)
    shutil.copy(book / "references.bib", pages)
    call = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", call, "build", str(pages), "--config", str(ROOT / "_config.yml")]
    command += ["--path-output", str(site), "--quiet", "-n", "--keep-going"] + ["-W"] * whole
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:  # stderr has the warnings
        sys.exit("The pages were not built. The warnings above say why (:20004 is cell 2, line 4).")
    for name in names:  # the page's download button gives the notebook that JupyterLab can show
        shutil.copy(executed_path(book, name), html / "_sources")
    shutil.copytree(PACKAGE, html / "_sources" / PACKAGE.name, ignore=but_source)  # chapters link to it
    return html / "index.html"


def but_source(folder: str, names: list[str]) -> list[str]:
    """What is neither a folder nor a module, as `shutil.copytree` asks."""
    return [n for n in names if n == "__pycache__" or not (n.endswith(".py") or Path(folder, n).is_dir())]


def executed_path(book: Path, name: str) -> Path:
    return book.parent / "_build" / "executed" / f"{name}.ipynb"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the chapters and build the pages.")
    parser.add_argument("--profile", default="quick", help="params/PROFILE.yaml (default: %(default)s)")
    parser.add_argument("--only", metavar="CHAPTER", help="this chapter alone; warnings fail nothing")
    parser.add_argument("--fresh", action="store_true", help="run even what has not changed")
    parser.add_argument(
        "--chapters-at-once",
        metavar="N",
        type=int,
        default=min(2, n_cores()),  # two take 5 GB
        help="run so many side by side (default: %(default)s)",
    )
    parser.add_argument("-n", "--notebooks-only", action="store_true", help="pair each .md with .ipynb")
    parser.add_argument("--book", type=Path, default=ROOT / "book", help="folder of chapters (default: book)")
    options = parser.parse_args()
    book, names = options.book.resolve(), chapters(options.book)
    if options.only:
        if options.only not in names:
            parser.error(f"no chapter {options.only!r}. Choose one of: {', '.join(names)}.")
        names = [options.only]
    if options.notebooks_only:
        sources = [book / f"{name}.md" for name in names]
        sys.exit(subprocess.run([sys.executable, "-m", "jupytext", "--sync", *sources]).returncode)
    params = book.parent / "params" / f"{options.profile}.yaml"
    if not params.exists():
        profiles = sorted(file.stem for file in params.parent.glob("*.yaml"))
        parser.error(f"no params/{params.name}. Choose one of: {', '.join(profiles)}.")
    if options.chapters_at_once < 1:
        parser.error("--chapters-at-once runs nothing. Give 1 or more.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small steps; training sets its own number of threads
    os.environ |= {"PLOTLY_RENDERER": "plotly_mimetype", "JUPYTER_PREFER_ENV_PATH": "1"}
    # workers that are killed leave locks behind; what clears them away afterwards says so, which helps nobody
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:loky.backend.resource_tracker"
    order = [*names[1:], names[0]]  # the first page shows what the others found
    jobs = {name: (book / f"{name}.md", params, executed_path(book, name), options.fresh) for name in order}
    run_all(jobs, options.chapters_at_once)
    print(build_pages(book, names))


if __name__ == "__main__":
    main()
