"""Crystals of the Materials Project with their calculated densities.

`fetch` asks for the list of materials once and keeps it, then fetches the densities that are not there yet.
It may be stopped at any moment, and goes on where it was. It needs a key: `api_key` says where it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pymatgen.core import Structure

from crystalnet.data.crystals import CRYSTAL_SYSTEMS, Crystal, crystal_from_structure
from crystalnet.data.download import FailureLog
from crystalnet.data.materials_project.densities import Densities, Wanted
from crystalnet.data.materials_project.listing import listed
from crystalnet.data.materials_project.queries import MaterialsProject
from crystalnet.errors import Code, CrystalNetError, writing
from crystalnet.physics.density import GRID


class Fetched(NamedTuple):
    """Crystals in the order of the list, and by material_id why others could not be had."""

    crystals: list[Crystal]
    failures: dict[str, str]


def fetch(
    crystal_system: str,
    folder: str | Path,
    *,
    densities: bool,
    ids: Sequence[str] | None = None,
    n_grid: int = GRID,
    chgcar_method: str = "fourier",
    keep_chgcar: bool = False,
    limit: int | None = None,
    workers: int = 4,
    progress: bool = True,
    endpoint: str | None = None,
) -> Fetched:
    """Crystals of one crystal system, with their densities if wanted.

    Below `folder`: `materials-*.jsonl.gz` is the list, asked for once (delete it to ask again);
    `densities-<n_grid>-<chgcar_method>/<material_id>.npz` are the CMEDs; `chgcars/` holds kept originals;
    `failures.jsonl` tells what failed, why and since when. What failed is tried again by the next run.

    A crystal keeps the Materials Project's space group, and its cell or, with a density, the CHGCAR's.
    Without `ids` the list holds all materials that are not deprecated and, if densities are wanted, are said
    to have one; an id's number grows down the list.

    Args:
        ids: take these instead, in this order, deprecated or not; an id that has since been merged into
            another material stands for that one, but keeps its name.
        n_grid, chgcar_method: see `chgcar_cmed`.
        keep_chgcar: keep the CHGCARs fetched from now on, as zipped JSON. A kept one is not fetched again.
        limit: the first so many of the list.
        workers: densities fetched at a time.
        progress: say on stderr what will be fetched, and how far it is.
        endpoint: another server that answers like the Materials Project.

    Raises:
        CrystalNetError: no key, a refused key, no disk space, no connection, or a wrong argument. What has
            been fetched is kept.
    """
    if crystal_system not in CRYSTAL_SYSTEMS:
        raise CrystalNetError(
            f"There is no crystal system {crystal_system!r}. Choose one of {', '.join(CRYSTAL_SYSTEMS)}.",
            Code.BAD_ARGUMENT,
        )
    if chgcar_method not in ("fourier", "paper"):
        raise CrystalNetError(
            f"Unknown CHGCAR method {chgcar_method!r}. Choose 'fourier' or 'paper'.", Code.BAD_ARGUMENT
        )
    if workers < 1 or (limit is not None and limit < 1):
        raise CrystalNetError(
            f"{workers} workers and a limit of {limit} fetch nothing. Give 1 or more.", Code.BAD_ARGUMENT
        )
    folder = Path(folder).expanduser()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    project = MaterialsProject(endpoint, workers)
    database, materials = listed(project, crystal_system, densities, ids, folder, progress=progress)
    log = FailureLog(folder / "failures.jsonl")
    known, outcomes = log.read(), {}

    def settle(name: str, outcome: Crystal | CrystalNetError) -> None:
        outcomes[name] = outcome
        reason = None if isinstance(outcome, Crystal) else str(outcome)
        if reason != known.get(name):
            log.write(name, reason)

    wanted = []
    for material in materials[:limit]:
        try:
            crystal = _crystal(material, f"Materials Project {database}")
        except CrystalNetError as error:
            settle(material["name"], error)
            continue
        outcomes[crystal.material_id] = crystal
        wanted.append(Wanted(material["material_id"], crystal))
    if densities:
        store = Densities(project, folder, n_grid, chgcar_method, keep_chgcar)
        store.fetch(wanted, settle, known, workers, progress)
    return Fetched(
        [outcome for outcome in outcomes.values() if isinstance(outcome, Crystal)],
        {name: str(outcome) for name, outcome in outcomes.items() if not isinstance(outcome, Crystal)},
    )


def _crystal(material: dict, source: str) -> Crystal:
    """The crystal of a listed material."""
    name = material["name"]
    if "reason" in material:
        raise CrystalNetError(material["reason"], Code.NO_SERVER)
    try:
        structure = Structure.from_dict(material["structure"])
    except Exception as error:  # pymatgen fails in many ways on a foreign one
        raise CrystalNetError(
            f"{name}: its structure is not understood ({type(error).__name__}: {error}).",
            Code.BAD_STRUCTURE,
        ) from None
    return crystal_from_structure(
        structure,
        name,
        keep_cell=True,
        space_group=material["space_group"],
        stable=material["stable"],
        source=source,
    )
