r"""A pattern file as its readers get it: bytes, text, and how it is refused.

>>> file = File(Path("a.XY"), b"\xef\xbb\xbf10 1\r\n20 2")
>>> file.name, file.suffix, file.is_text, file.text
('a.XY', '.xy', True, '10 1\n20 2')
>>> import tempfile
>>> with tempfile.NamedTemporaryFile() as kept:
...     File.at(Path(kept.name)).data
b''
>>> refuse("a.xy", "it is empty", "Measure")
Traceback (most recent call last):
    ...
crystalnet.errors.CrystalNetError: a.xy: it is empty. Measure.
>>> refuse_cut("a.xy", "3 points promised, 2 there")
Traceback (most recent call last):
    ...
crystalnet.errors.CrystalNetError: a.xy: 3 points promised, 2 there. The file may be cut. ...
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from crystalnet.errors import Code, CrystalNetError

MOST_BYTES = 256 * 2**20  # of a pattern file, our choice: what a diffractometer packs into one
MOST_TEXT = 32 * 2**20  # bytes of text, our choice: ten times the longest synchrotron scan, some seconds
_CONTROL = bytes(c for c in range(32) if c not in b"\t\n\v\f\r\x1a\x1b")


def refuse(
    name: str,
    cause: str,
    remedy: str = "Export the pattern anew: two_theta in degrees, counts",
    code: Code = Code.NOT_A_PATTERN,
) -> NoReturn:
    """Raise the error of a file or pattern called `name`."""
    raise CrystalNetError(f"{name}: {cause}. {remedy}.", code) from None


def refuse_cut(name: str, cause: str) -> NoReturn:
    """Raise the error of a file that is cut or garbled."""
    refuse(name, f"{cause}. The file may be cut", code=Code.FILE_UNREADABLE)


@dataclass(frozen=True)
class File:
    """Name, place and bytes of a file."""

    path: Path
    data: bytes

    @classmethod
    def at(cls, path: Path) -> File:
        """Read whole; CrystalNetError if it is no file, too long, or can't be read."""
        try:
            if not path.is_file():
                raise CrystalNetError(f"{path} is no file. Correct the path.", Code.FILE_MISSING)
            if (size := path.stat().st_size) > MOST_BYTES:
                refuse(
                    path.name, f"its {size / 2**20:.0f} MB are more than any pattern has", code=Code.TOO_LARGE
                )
            return cls(path, path.read_bytes())
        except (OSError, ValueError) as error:
            if isinstance(error, CrystalNetError):
                raise
            raise CrystalNetError(
                f"{path}: it can't be read ({error}). Correct its path or permissions.", Code.FILE_UNREADABLE
            ) from None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def is_text(self) -> bool:
        """Whether there are hardly any control characters: titles hold some, binary files many."""
        if self._encoding.startswith("utf-16"):
            return True
        n_control = len(self.data) - len(self.data.translate(None, _CONTROL))
        return n_control <= len(self.data) / 20

    @cached_property
    def text(self) -> str:
        """Decoded, blanks for control characters and the end mark of DOS; latin-1 where it isn't UTF-8."""
        text = self.data.decode(self._encoding, errors="replace")
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2212", "-")
        return text.translate(dict.fromkeys([*_CONTROL, 0x1A], " "))  # not to join what they part

    @property
    def _encoding(self) -> str:
        data = self.data
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16"
        if len(data) > 8 and data[1::2].count(0) > 0.45 * len(data) > 2 * data[::2].count(0):
            return "utf-16-le"  # without its mark
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return "latin-1"
        return "utf-8-sig"
