"""Sphinx extension: a page with the placeholder of `show.placeholder` gets the scripts of the explorer."""

from pathlib import Path

from sphinx.application import Sphinx

MARK = 'class="latent-explorer"'  # of the placeholder


def add_explorer(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """The scripts, on pages with a placeholder alone."""
    body = context.get("body", "")
    if MARK not in body:
        return
    from explorer_data import SCRIPTS, STYLE, write_explorer  # slow to import, and few pages need it

    size = write_explorer(Path(app.outdir, "_static", "explorer"))
    if "Plotly.newPlot" not in body:  # otherwise `standalone` has it
        app.add_js_file("vendor/plotly.min.js")
    app.add_js_file(None, body=f"window.CrystalNet = {{megabytes: {size:.1f}}};")
    for name in SCRIPTS:
        app.add_js_file(f"explorer/{name}", loading_method="defer")
    app.add_css_file(f"explorer/{STYLE}")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_explorer, priority=800)  # before `standalone` looks over the scripts
    return {"parallel_read_safe": True, "parallel_write_safe": True}
