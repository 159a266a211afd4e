"""Where files are that settings name: below data/ of the repository, or in the folders of CRYSTALNET_DATA.

>>> from unittest.mock import patch
>>> with patch.dict(os.environ, {VARIABLE: "/one:/two"}):
...     [str(folder) for folder in data_folders()]
['/one', '/two']
>>> located("data.source", "params/quick.yaml").name
'quick.yaml'
"""

from __future__ import annotations

import os
from pathlib import Path

from crystalnet.errors import Code, CrystalNetError
from crystalnet.runs.params import repository_root

VARIABLE = "CRYSTALNET_DATA"
STRUCTURES, LISTS = "data/structures/paper_split.jsonl.gz", "data/splits"
DENSITIES = ("data/dft", "data/chgcar")
REMEDIES = {
    STRUCTURES: "`python book/fetch.py structures` makes it from the Materials Project.",
    LISTS: "Put the authors' lists there, which come with their released code: cubic_train_stable.json and"
    " the seven others.",
    **dict.fromkeys(DENSITIES, "Put densities there, or leave the setting out: null, or an empty list."),
}


def data_folders() -> list[Path]:
    """What stands for data/: the folders of CRYSTALNET_DATA, written as in PATH, else that of the repository.

    Relative ones are seen from the repository.
    """
    names = os.environ.get(VARIABLE) or "data"
    return [repository_root() / Path(name).expanduser() for name in names.split(os.pathsep) if name]


def located(setting: str, value: str) -> Path:
    """The file or folder that a setting names: relative paths are seen from the repository, and those below
    data/ from the first of `data_folders` that has them.

    Raises:
        CrystalNetError: nothing is there; names the setting, and what makes it.
    """
    path = Path(value).expanduser()
    below_data = path.parts[:1] == ("data",)
    folders = data_folders() if below_data else [repository_root()]
    inside = Path(*path.parts[1:]) if below_data else path
    for folder in folders:
        if (folder / inside).exists():
            return folder / inside
    if below_data:
        remedy = f"{REMEDIES.get(value, 'Put it there.')} {VARIABLE} may name another folder than data/."
    else:
        remedy = (
            "Give a file or folder that does; data.source may also be 'prototypes' or 'materials_project'."
        )
    raise CrystalNetError(
        f"{setting} {value!r} does not exist, seen from the repository. {remedy}", Code.FILE_MISSING
    )
