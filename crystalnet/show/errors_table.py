"""All kinds of errors, as the book lists them."""

from __future__ import annotations

import pandas as pd

from crystalnet.errors import Code


def errors_table() -> pd.DataFrame:
    """A row a kind of error, by its code: the status that the command ends with, what is wrong, what helps.

    >>> errors_table().loc["NO_WAVELENGTH", "what helps"]
    "Give it in Å, or by a name such as 'CuKa'."
    """
    rows = {code.name: (code.status, code.cause, code.remedy) for code in Code}
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["exit status", "what is wrong", "what helps"]
    )
    return table.rename_axis("code")
