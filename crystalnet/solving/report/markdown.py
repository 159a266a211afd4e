"""A report as Markdown."""

from __future__ import annotations

import re

import pandas as pd

from crystalnet.solving.report.facts import Facts


def page(facts: Facts) -> str:
    """The whole page."""
    lines = [f"# {plain(facts.title)}", "", plain(facts.verdict), ""]
    for told in facts.assumed:
        lines += [plain(told), ""]
    for section in facts.sections:
        lines += [f"## {section.title}", ""]
        if section.facts:
            lines += [*(f"- {name}: {plain(told)}" for name, told in section.facts.items()), ""]
        if section.table is not None:
            lines += [*_table(section.table), ""]
        for remark in section.remarks:
            lines += [plain(remark), ""]
    return "\n".join(lines)


def _table(table: pd.DataFrame) -> list[str]:
    rows = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    return rows + [
        "| " + " | ".join(plain(str(value)) for value in row) + " |" for row in table.itertuples(index=False)
    ]


def plain(text: str) -> str:
    r"""A name or a remark, whose characters mean nothing to Markdown and HTML.

    >>> plain("a <b> | c")
    'a \\<b\\> \\| c'
    """
    return re.sub(r"([\\`<>|\[\]])", r"\\\1", " ".join(text.split()))
