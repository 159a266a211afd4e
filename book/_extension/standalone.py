"""Sphinx extension: pages that stand alone, with every script taken from an installed wheel.

A built book asks nothing from beyond its own folder, so it reads the same offline and from a server.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

from PIL import Image, ImageDraw
from sphinx.application import Sphinx

STATIC = Path(__file__).parent / "static"
VENDORED = {  # wheel -> the one file of it that pages load
    "sphinx-mathjax-offline": "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js",  # brings its glyphs
    "plotly": "plotly/package_data/plotly.min.js",
}


def copy_files(app: Sphinx) -> None:
    """Put the vendored scripts into _static/vendor and our own beside them."""
    app.config.html_static_path.append(str(STATIC))
    folder = Path(app.outdir, "_static", "vendor")
    folder.mkdir(parents=True, exist_ok=True)
    for wheel, file in VENDORED.items():
        shutil.copy(distribution(wheel).locate_file(file), folder)


def draw_icon(app: Sphinx, error: Exception | None) -> None:
    """The favicon once more, at the root: browsers ask for it there before a page has named its own."""
    cell = [(16, 3), (27, 9.5), (27, 22.5), (16, 29), (5, 22.5), (5, 9.5), (16, 3)]
    image = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(image)
    for line in (cell, [(5, 9.5), (16, 16), (27, 9.5)], [(16, 16), (16, 29)]):
        draw.line([(2 * x, 2 * y) for x, y in line], fill="#0072b2", width=4)
    draw.ellipse((24, 24, 40, 40), fill="#e69f00")
    image.save(Path(app.outdir, "favicon.ico"), sizes=[(32, 32)])


def choose_files(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Load plotly.js on pages with figures alone, and never thebe, which asks a CDN for its code."""
    if "Plotly.newPlot" in context.get("body", ""):
        app.add_js_file("vendor/plotly.min.js")  # in the head, so before the figures' own scripts
        app.add_js_file("figures.js", loading_method="defer")
    context["favicon_url"] = context["pathto"]("_static/favicon.svg", 1)
    context["script_files"] = [
        script for script in context["script_files"] if "thebe" not in f"{script} {script.attributes}"
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", copy_files)
    app.connect("build-finished", draw_icon)
    app.connect("html-page-context", choose_files, priority=900)  # after every extension has added its own
    app.add_css_file("book.css")
    app.add_js_file("access.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
