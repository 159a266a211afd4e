"""What made a result: code, versions, hardware, input files.

>>> import tempfile
>>> sorted(environment())
['commit', 'crystalnet', 'hardware', 'numpy', 'python', 'torch']
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "deep" / "note.txt"
...     write_text(path, "whole or not at all")
...     file_digest(path)[:12], fingerprint(path)[0][:2]
('bf07049f24b6', ('note.txt', 19))
>>> len(code_digest("physics"))
12
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import torch

from crystalnet import __version__, hardware
from crystalnet.errors import writing

# the rooms whose code an answer and its score depend on
SCIENCE = ("physics", "data", "patterns", "lattice", "model", "solving", "scoring")


def environment() -> dict:
    """Versions and hardware, as every manifest records them."""
    return {
        "crystalnet": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "hardware": hardware.description(),
    }


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all.

    Raises:
        CrystalNetError: it could not be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(text)
        os.replace(part, path)


@cache
def code_digest(*rooms: str) -> str:
    """Hash of the source of some rooms of the package: changed code makes new results."""
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((Path(__file__).parents[1] / room).rglob("*")):
            if path.suffix in (".py", ".json"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> list:
    """Name, size and time of a file, or of every file of a folder: changed input makes new results."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]


def _commit() -> str | None:
    """The checkout's commit, with a + where files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
