"""The book as one PDF: every chapter, in order, with a bookmark."""

import shutil
import sys
from pathlib import Path

import pytest
from browser import CHROMIUM

sys.path.insert(0, str(Path(__file__).parents[2] / "book"))
import pdf

sys.path.pop(0)  # its types.py is not Python's

PAGE = "<title>it</title><h1>{title}<a>#</a></h1><p style='break-after: page'>one</p><p>two</p>"


@pytest.fixture
def site(tmp_path):
    for name, title in (("first", "The first"), ("second", "The second")):
        (tmp_path / f"{name}.html").write_text(PAGE.format(title=title), encoding="utf-8")
    return tmp_path


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_chapters_are_bound_in_order(site, tmp_path):
    out = pdf.bound(site, ["second", "first"], tmp_path / "book.pdf")
    book = pdf.PdfReader(out)
    assert [mark.title for mark in book.outline] == ["The second", "The first"]
    assert len(book.pages) == 4 and "The second" in book.pages[0].extract_text()
    assert "The first" in book.pages[2].extract_text()


def test_what_is_missing_is_said(site, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"lacks third.*make book"):
        pdf.bound(site, ["first", "third"], tmp_path / "book.pdf")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="needs Chromium or Chrome"):
        pdf.bound(site, ["first"], tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()
