"""The densities of listed materials: CHGCARs fetched, turned into CMEDs and kept as files."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pymatgen.core import Structure
from tqdm import tqdm

from crystalnet.data.chgcar import chgcar_cmed
from crystalnet.data.crystals import Crystal, crystal_from_structure
from crystalnet.data.densities import read_cmed, write_cmed
from crystalnet.data.download import StopError, in_parallel, write_whole
from crystalnet.data.materials_project.queries import IDS_AT_ONCE, MaterialsProject
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms

CMED_BYTES = 1.2  # a voxel of an .npz file: the mean of 102 densities, with files from 0.6 to 1.6
CHGCAR_BYTES = 50e3  # an Å^3 of a zipped CHGCAR, roughly: four have 8 to 63 kB


class Wanted(NamedTuple):
    """A crystal whose density is wanted; `tasks` that may hold it, once they are known."""

    material_id: str
    crystal: Crystal
    tasks: list[str] | None = None


@dataclass(frozen=True)
class Densities:
    """CMEDs below `folder`, fetched where they are not there."""

    project: MaterialsProject
    folder: Path
    n_grid: int
    chgcar_method: str
    keep_chgcar: bool

    def path(self, material_id: str) -> Path:
        return self.folder / f"densities-{self.n_grid}-{self.chgcar_method}" / f"{material_id}.npz"

    def kept_chgcar(self, material_id: str) -> Path:
        return self.folder / "chgcars" / f"{material_id}.json.gz"

    def fetch(
        self,
        wanted: list[Wanted],
        settle: Callable[[str, Crystal | CrystalNetError], None],
        known_failures: dict[str, str],
        workers: int,
        progress: bool,
    ) -> None:
        """Call `settle` with the name of each crystal and, when it is there, the crystal with its density."""
        missing = []
        for item in tqdm(
            wanted, desc="Reading densities", unit="density", delay=2, leave=False, disable=not progress
        ):
            try:
                settle(item.crystal.material_id, self.read(item))
            except CrystalNetError:
                missing.append(item)
        if not missing:
            return
        self.announce(missing, len(wanted), known_failures, progress)
        self.path("").parent.mkdir(exist_ok=True)
        with tqdm(total=len(missing), desc="Fetching densities", unit="density", disable=not progress) as bar:
            for item, outcome in in_parallel(self.fetch_one, self.with_tasks(missing), workers):
                settle(item.crystal.material_id, outcome)
                bar.update()

    def announce(self, missing: list[Wanted], n: int, known_failures: dict[str, str], progress: bool) -> None:
        """Say what will be fetched and what it needs; an error if the disk is too full."""
        download = CHGCAR_BYTES * sum(item.crystal.atoms.volume for item in missing)
        needed = CMED_BYTES * self.n_grid**3 * len(missing) + (download if self.keep_chgcar else 0)
        free = shutil.disk_usage(self.folder).free
        again = sum(item.crystal.material_id in known_failures for item in missing)
        plan = (
            f"{n} densities: {n - len(missing)} are here, {len(missing)} to fetch"
            + (f" ({again} of them failed before)" if again else "")
            + f". Roughly {download / 1e9:.2g} GB to download. {needed / 1e9:.2g} GB of disk needed in"
            f" {self.folder}, {free / 1e9:.2g} GB free."
        )
        if needed > free:
            raise CrystalNetError(
                f"{plan} Free disk space, or choose a folder on another disk.", Code.TOO_LARGE
            )
        if progress:
            tqdm.write(plan, file=sys.stderr)

    def with_tasks(self, missing: list[Wanted]) -> Iterator[Wanted]:
        """Ask for the tasks of many crystals at once, which takes a fiftieth of the requests."""
        for start in range(0, len(missing), IDS_AT_ONCE):
            some = missing[start : start + IDS_AT_ONCE]
            try:
                tasks = self.project.density_tasks([item.material_id for item in some])
            except StopError:
                raise
            except CrystalNetError:  # one of them may be to blame: `fetch_one` asks for each alone
                tasks = {}
            yield from (item._replace(tasks=tasks.get(item.material_id)) for item in some)

    def fetch_one(self, item: Wanted) -> Crystal:
        """Fetch a density, and its crystal.

        The latest task counts. Others are tried only where the Materials Project does not hold its density,
        so that no passing fault decides which one is taken.
        """
        name, kept = item.crystal.material_id, self.kept_chgcar(item.material_id)
        if kept.exists():
            bodies = iter([kept.read_bytes()])
        else:
            tasks = item.tasks
            if tasks is None:
                tasks = self.project.density_tasks([item.material_id])[item.material_id]
            bodies = (self.project.chgcar(task) for task in tasks)
        with _only_whole_chgcars(name):
            for body in bodies:
                if (chgcar := _chgcar(body)) is not None:
                    break
            else:
                raise CrystalNetError(
                    f"{name}: the Materials Project holds no charge density of it, though it may say so.",
                    Code.NO_SERVER,
                )
            path = self.path(item.material_id)
            crystal = _on_density(item.crystal, chgcar.structure, path)
            cmed = chgcar_cmed(chgcar, self.n_grid, self.chgcar_method)
        try:
            if self.keep_chgcar and not kept.exists():
                kept.parent.mkdir(exist_ok=True)
                write_whole(kept, body)
            write_cmed(path, cmed, chgcar.structure)
        except OSError as error:
            raise StopError(
                f"{path} could not be written ({error}). Free disk space and run again. What is here is"
                " kept.",
                Code.NOT_WRITTEN,
            ) from None
        return crystal

    def read(self, item: Wanted) -> Crystal:
        """The crystal of a density that is here."""
        path = self.path(item.material_id)
        _, atoms = read_cmed(path)
        return _on_density(item.crystal, atoms, path)


def _on_density(listed: Crystal, atoms: Structure | Atoms, path: Path) -> Crystal:
    """The listed crystal on the cell that its density is given on."""
    crystal = crystal_from_structure(
        atoms,
        listed.material_id,
        keep_cell=True,
        space_group=listed.space_group,
        stable=listed.stable,
        source=listed.source,
        density_file=path,
    )
    if crystal.formula != listed.formula:
        raise CrystalNetError(
            f"{listed.material_id}: its density is that of {crystal.formula}, not {listed.formula}.",
            Code.CONTRADICTION,
        )
    if crystal.note:
        raise CrystalNetError(
            f"{crystal.material_id}: {crystal.note}, which would mirror its density.", Code.BAD_DENSITY
        )
    return crystal


def _chgcar(body: bytes | None):
    """A pymatgen Chgcar from its zipped JSON; None if that holds none."""
    from pymatgen.io.vasp import Chgcar

    data = None if body is None else json.loads(gzip.decompress(body))["data"]
    return None if data is None else Chgcar.from_dict(data)


@contextmanager
def _only_whole_chgcars(name: str) -> Iterator[None]:
    try:
        yield
    except CrystalNetError:
        raise
    except Exception as error:  # gzip, json, pymatgen and mp-pyrho fail in many ways on a cut or foreign file
        raise CrystalNetError(
            f"{name}: its charge density is no whole CHGCAR ({type(error).__name__}: {str(error)[:200]}).",
            Code.BAD_DENSITY,
        ) from None
