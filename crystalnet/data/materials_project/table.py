"""The crystals that the authors' lists name, as a table of structures."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from crystalnet.data.crystals import Crystal
from crystalnet.data.download import write_whole
from crystalnet.data.materials_project import fetch
from crystalnet.data.published import PublishedSplit
from crystalnet.errors import Code, CrystalNetError

PORTION = 1000  # ids of a list that are kept when they are here, our choice: half a minute of requests
CELL = ("lattice", "species", "frac_coords")


def fetch_table(
    splits: Iterable[PublishedSplit],
    path: str | Path,
    folder: str | Path,
    *,
    progress: bool = True,
    endpoint: str | None = None,
) -> dict[str, str]:
    """Write the listed crystals, as the Materials Project has them now, as JSON lines for `read_crystals`.

    It may be stopped at any moment, and goes on where it was. The cells are those of the Materials Project;
    of listed ids that it has since made one material, the first stands.

    Args:
        splits: the authors' lists, see `published.read_id_lists`.
        path: of the table, .jsonl.gz; it is there when all lists are.
        folder: keeps what has been fetched (see `fetch`); not needed afterwards.
        progress: say on stderr what is asked for.
        endpoint: another server that answers like the Materials Project.

    Returns:
        Why others could not be had, by material_id.

    Raises:
        CrystalNetError: no key, a refused key, no connection; none of the crystals is there.
    """
    rows, failures, names = [], {}, {}
    for split in splits:
        for list_name, formulas in split.lists.items():
            ids = list(formulas)
            for start in range(0, len(ids), PORTION):
                fetched = fetch(
                    split.crystal_system,
                    folder,
                    densities=False,
                    ids=ids[start : start + PORTION],
                    progress=progress,
                    endpoint=endpoint,
                )
                failures |= fetched.failures
                for crystal in fetched.crystals:
                    row = _row(crystal, list_name)
                    first = names.setdefault(json.dumps([row[key] for key in CELL]), crystal.material_id)
                    if first == crystal.material_id:
                        rows.append(row)
                    else:
                        failures[crystal.material_id] = (
                            f"{crystal.material_id}: it is the same as {first} now."
                        )
    if not rows:
        raise CrystalNetError(
            "The Materials Project has none of the listed crystals. Check the lists.", Code.NOTHING_LEFT
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0))
    return failures


def _row(crystal: Crystal, list_name: str) -> dict:
    """A line of the table."""
    facts = crystal.as_dict()
    return {
        "mp_id": crystal.material_id,
        "split": list_name,
        "crystal_system": crystal.crystal_system,
        "formula": crystal.formula,
        "spacegroup": crystal.space_group,
        "source": crystal.source,
        **{key: facts[key] for key in CELL},
    }
