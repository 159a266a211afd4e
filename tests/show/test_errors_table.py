"""The book's list of errors holds every code."""

from crystalnet.errors import Code
from crystalnet.show.errors_table import errors_table


def test_every_code_has_its_row():
    table = errors_table()
    assert list(table.index) == [code.name for code in Code]
    assert (table[["what is wrong", "what helps"]].map(len) > 10).all(axis=None)
