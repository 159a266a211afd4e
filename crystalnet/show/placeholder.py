"""Where the pages' own explorer stands: a still figure, until the reader starts the script of the page."""

from __future__ import annotations

import html

from IPython.display import HTML

from crystalnet.show.densities import checked, default_levels
from crystalnet.show.render import picture


def placeholder(densities: dict, caption: str) -> HTML:
    """A figure of densities side by side, {title: cmed}, at the first one's levels, and how to explore them.

    Its class makes book/_extension/explorer_page.py add the scripts.

    Args:
        densities: (n, n, n) each, e/Å^3.
        caption: plain text.

    >>> import numpy as np
    >>> html = placeholder({"truth": np.random.default_rng(0).random((8, 8, 8))}, "What the page explores.")
    >>> "data:image/png" in html.data
    True
    """
    levels = default_levels(checked(next(iter(densities.values()))))
    pictures = "".join(
        f'<span><img class="dark-light" width="200" alt="isosurfaces" src="{picture(checked(cmed), levels)}">'
        f"<small>{html.escape(title)}</small></span>"
        for title, cmed in densities.items()
    )
    return HTML(
        f'<div class="latent-explorer"><figure>{pictures}'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        "<p>A still figure. The explorer itself runs in the built page, where the browser allows JavaScript;"
        " with a kernel, <code>make lab</code> opens this chapter and the explorer above.</p></div>"
    )
