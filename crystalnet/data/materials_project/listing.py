"""The list of materials: what is asked of the Materials Project once and then kept in a file."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from crystalnet.data.crystals import crystal_system_of
from crystalnet.data.download import write_whole
from crystalnet.data.materials_project.queries import MaterialsProject, id_value, legible
from crystalnet.errors import Code, CrystalNetError


def listed(
    project: MaterialsProject,
    crystal_system: str,
    with_density: bool,
    ids: Sequence[str] | None,
    folder: Path,
    *,
    progress: bool,
) -> tuple[str, list[dict]]:
    """The version of the database and its materials, from the file or asked anew. Arguments as in `fetch`.

    A material is a dictionary with name, material_id, space_group, stable and structure (as pymatgen's
    `Structure.as_dict`) or, where there is none to be had, with name and reason.

    Raises:
        CrystalNetError: a broken file, or an error of the MaterialsProject.
    """
    query = f"{crystal_system}-{'density' if with_density else 'all'}"
    if ids is not None:
        ids = list(dict.fromkeys(ids))
        query = f"{crystal_system}-ids-{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}"
    path = folder / f"materials-{query}.jsonl.gz"
    if not path.exists():
        if progress:
            tqdm.write(f"Asking the Materials Project for its {crystal_system} crystals.", file=sys.stderr)
        if ids is None:
            materials = _all_of(project, crystal_system, with_density)
        else:
            materials = _those_of(project, crystal_system, ids)
        lines = [{"database": project.database}, *materials]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_whole(path, gzip.compress(text.encode(), mtime=0))
    try:
        head, *materials = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
        return head["database"], materials
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise CrystalNetError(
            f"{path} can't be read ({error}). Delete it; it is asked for again.", Code.DAMAGED
        ) from None


def _all_of(project: MaterialsProject, crystal_system: str, with_density: bool) -> list[dict]:
    documents = project.summaries(crystal_system, with_density)
    return [
        _material(legible(document["material_id"]), document, crystal_system)
        for _, document in sorted(documents.items())
    ]


def _those_of(project: MaterialsProject, crystal_system: str, ids: list[str]) -> list[dict]:
    values, reasons = {}, {}
    for name in ids:
        try:
            values[name] = id_value(name)
        except CrystalNetError as error:
            reasons[name] = str(error)
    documents = project.summaries_of(values)
    merged = project.merged([name for name, value in values.items() if value not in documents])
    targets = project.summaries_of(dict.fromkeys(merged.values()))
    documents |= {
        value: targets[id_value(name)] for value, name in merged.items() if id_value(name) in targets
    }
    materials, names = [], {}
    for name in ids:
        document = documents.get(values.get(name))
        if document is None:
            reason = reasons.get(name, f"{name}: the Materials Project does not have it any more.")
            materials.append({"name": name, "reason": reason})
            continue
        first = names.setdefault(id_value(document["material_id"]), name)
        if first == name:
            materials.append(_material(name, document, crystal_system))
        else:
            materials.append({"name": name, "reason": f"{name}: it is the same material as {first} now."})
    return materials


def _material(name: str, document: dict, crystal_system: str) -> dict:
    try:
        space_group = int(document["symmetry"]["number"])
        system = crystal_system_of(space_group)
        if system != crystal_system:
            return {"name": name, "reason": f"{name}: it is {system} in the Materials Project now."}
        above_hull = document.get("energy_above_hull")
        return {
            "name": name,
            "material_id": legible(document["material_id"]),
            "space_group": space_group,
            "stable": bool(document.get("is_stable")) or not (above_hull or 0) > 0,
            "structure": document["structure"],
        }
    except (ValueError, TypeError, KeyError) as error:
        return {
            "name": name,
            "reason": f"{name}: its summary is not understood ({type(error).__name__}: {error}).",
        }
