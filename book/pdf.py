"""The built book as one PDF: `python book/pdf.py`, after `make book`.

    _build/html/<chapter>.html --Chromium--> one PDF a chapter --pypdf--> _build/crystalnet.pdf

Chapters stand in the order of _toc.yml, each with a bookmark. Explorers and crystals that turn are stills.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup
from build import ROOT, chapters
from pypdf import PdfReader, PdfWriter
from tqdm.auto import tqdm

BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
SETTLED = "--virtual-time-budget=15000"  # milliseconds of the page's own clock, our choice: formulas are set
LONGEST = 180  # seconds that a page may take, our choice


def browser() -> str:
    """The path of a Chromium."""
    if not (found := next(filter(None, map(shutil.which, BROWSERS)), None)):
        sys.exit(f"Printing needs Chromium or Chrome. Install one of {', '.join(BROWSERS)}.")
    return found


def printed(page: Path, pdf: Path, program: str) -> PdfReader:
    """A page as a PDF, as the browser prints it."""
    with tempfile.TemporaryDirectory() as profile:
        words = [
            program,
            *FLAGS,
            SETTLED,
            f"--user-data-dir={profile}",
            f"--print-to-pdf={pdf}",
            page.as_uri(),
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST, check=False)
    if not pdf.exists():
        sys.exit(f"{page.name} was not printed:\n{done.stderr[-2000:]}")
    return PdfReader(pdf)


def bound(html: Path, names: list[str], out: Path) -> Path:
    """The chapters of a built site as one file, whole or not at all."""
    if missing := [name for name in names if not (html / f"{name}.html").exists()]:
        sys.exit(f"{html} lacks {', '.join(missing)}. Build the book first: make book.")
    program, writer = browser(), PdfWriter()
    with tempfile.TemporaryDirectory() as folder:
        for name in tqdm(names, unit="chapter"):
            page = html / f"{name}.html"
            title = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").h1
            first = len(writer.pages)
            paper = printed(page.resolve(), Path(folder) / f"{name}.pdf", program)
            writer.append(paper, import_outline=False)
            writer.add_outline_item(title.get_text().rstrip("#¶ ") if title else name, first)
        part = out.with_name(out.name + ".part")
        writer.write(part)
        part.replace(out)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "crystalnet.pdf")
    print(bound(ROOT / "_build" / "html", chapters(ROOT / "book"), parser.parse_args().out))
