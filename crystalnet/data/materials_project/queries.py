"""What is asked of the Materials Project, and the key it asks for: REST through mp-api, densities from S3.

Ids are compared by their value, because the Materials Project writes them in two ways: the numbers up to
mp-3347529 as such, later ones in letters (mp-99999999 is mp-ikvozv).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from crystalnet.data.download import Bucket, PassingError, patient_session, patiently
from crystalnet.errors import Code, CrystalNetError

GET_A_KEY = (
    "Get one at https://materialsproject.org/api and put it in the environment variable MP_API_KEY, or in"
    " pymatgen's settings: pmg config --add PMG_MAPI_KEY <key>."
)
REFUSALS = {  # by HTTP status
    401: f"The Materials Project does not accept the API key. {GET_A_KEY}",
    403: "The Materials Project refuses access (403). It does not know the API key, or blocks this address"
    f" after too many requests. Wait an hour and run again, or take a new key. {GET_A_KEY}",
}
IDS_AT_ONCE = 50  # our choice: mp-api writes task ids twice, and the URI still stays below 2,000 characters
PAGE = 500  # our choice: documents with a structure, about 2 MB
DENSITY_CALCULATIONS = ("GGA Static", "GGA+U Static")  # those that mp-api takes densities from
SUMMARY = ["material_id", "structure", "symmetry", "energy_above_hull", "is_stable"]


def api_key() -> str:
    """The key, from the environment (MP_API_KEY) or else from pymatgen's settings (PMG_MAPI_KEY).

    Raises:
        CrystalNetError: there is none, or it is not 32 letters and digits.
    """
    from pymatgen.core import SETTINGS

    key = str(os.environ.get("MP_API_KEY") or SETTINGS.get("PMG_MAPI_KEY") or "").strip()
    if not re.fullmatch("[0-9A-Za-z]{32}", key):
        trouble = "is not one of 32 letters and digits" if key else "is missing"
        raise CrystalNetError(f"The API key of the Materials Project {trouble}. {GET_A_KEY}", Code.NO_SERVER)
    return key


def id_value(identifier: str) -> tuple[str, int]:
    """Prefix and number of an id in either way of writing, e.g. ('mp', 149) of mp-149 and of mp-ft.

    Raises:
        CrystalNetError: not an id.

    >>> id_value("mp-149"), id_value("mp-ft")  # silicon, in both ways of writing
    (('mp', 149), ('mp', 149))
    """
    from emmet.core.mpid import AlphaID

    if not re.fullmatch(r"[a-z]+-([0-9]+|[a-z]+)", identifier):
        raise CrystalNetError(
            f"{identifier} is no id of the Materials Project. Write one such as mp-149.", Code.BAD_ARGUMENT
        )
    return AlphaID(identifier).parts


@contextmanager
def _understood() -> Iterator[None]:
    """Make whatever mp-api and its answers may fail with one clear error."""
    from mp_api.client.core.exceptions import MPRestError

    try:
        yield
    except CrystalNetError:
        raise
    except (MPRestError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CrystalNetError(
            f"The Materials Project's answer is not understood ({type(error).__name__}: {str(error)[:300]})."
            " Run again later. If that does not help, update mp-api.",
            Code.NO_SERVER,
        ) from None


class MaterialsProject:
    """The queries that crystals and densities need; nothing is opened before the first.

    Every query raises StopError where access is refused, UnreachableError where no try brought an answer, and
    CrystalNetError where the answer is not understood.
    """

    def __init__(self, endpoint: str | None = None, connections: int = 4):
        self.endpoint = endpoint
        self.connections = connections

    @cached_property
    def _servers(self) -> tuple:
        """MPRester and Bucket, opened together: not by several threads, which boto3 forbids."""
        key = api_key()
        import requests
        from mp_api.client import MPRester

        session = patient_session("the Materials Project", REFUSALS)

        def connect():
            try:
                return MPRester(
                    key, self.endpoint, session=session, use_document_model=False, mute_progress_bars=True
                )
            except (requests.RequestException, KeyError) as error:  # its first request takes no session
                raise PassingError(f"{type(error).__name__}: {error}") from None

        with _understood():
            rester = patiently(connect, "The connection to the Materials Project")
        return rester, Bucket("materialsproject-parsed", self.connections)

    @property
    def _rester(self):
        return self._servers[0]

    @property
    def database(self) -> str:
        """The version of the database, a date."""
        return self._rester.db_version

    def summaries(self, crystal_system: str, with_density: bool) -> dict[tuple, dict]:
        """Summary documents of a crystal system by `id_value`, without deprecated materials."""
        search = self._rester.materials.summary.search
        with _understood():
            documents = search(
                crystal_system=crystal_system.capitalize(),
                has_props=["charge_density"] if with_density else None,
                deprecated=False,
                fields=SUMMARY,
                chunk_size=PAGE,
            )
            return {id_value(doc["material_id"]): doc for doc in documents}

    def summaries_of(self, ids: Iterable[str]) -> dict[tuple, dict]:
        """Summary documents by `id_value`, of those ids that are a material's."""
        search = self._rester.materials.summary.search
        with _understood():
            documents = [doc for some in _batches(ids) for doc in search(material_ids=some, fields=SUMMARY)]
            return {id_value(doc["material_id"]): doc for doc in documents}

    def merged(self, ids: Iterable[str]) -> dict[tuple, str]:
        """Material by `id_value`, of those ids that are not a material's any more but one of its tasks'."""
        search, materials = self._rester.materials.search, {}
        with _understood():
            for some in _batches(ids):
                for doc in search(task_ids=some, fields=["material_id", "task_ids"]):
                    numbers = {_number(task) for task in doc["task_ids"]}
                    asked = [id_value(name) for name in some]
                    materials |= {value: doc["material_id"] for value in asked if value[1] in numbers}
        return materials

    def density_tasks(self, material_ids: list[str]) -> dict[str, list[str]]:
        """Tasks that may hold each material's density, the latest first, as mp-api takes them.

        A material that is not there any more has none.
        """
        materials = self._rester.materials
        with _understood():
            tasks = {
                id_value(doc["material_id"]): [
                    task
                    for task, kind in (doc.get("calc_types") or {}).items()
                    if kind in DENSITY_CALCULATIONS
                ]
                for doc in materials.search(
                    material_ids=material_ids, deprecated=None, fields=["material_id", "calc_types"]
                )
            }
            dated = {
                _number(doc["task_id"]): (str(doc["last_updated"]), doc["task_id"])
                for some in _batches(task for of_one in tasks.values() for task in of_one)
                for doc in materials.tasks.search(task_ids=some, fields=["task_id", "last_updated"])
            }
            found = {}
            for name in material_ids:
                candidates = [dated.get(_number(task), ("", task)) for task in tasks.get(id_value(name), [])]
                found[name] = [task for _, task in sorted(candidates, reverse=True)]
            return found

    def chgcar(self, task_id: str) -> bytes | None:
        """The zipped JSON of a task's CHGCAR, or None where there is none."""
        from emmet.core.mpid import AlphaID

        bucket = self._servers[1]
        return bucket.get(f"chgcars/{AlphaID(task_id.split('-')[-1], prefix='mp').string}.json.gz")


def legible(identifier: str) -> str:
    """An id as mp-api writes it: a number where it may be one.

    >>> legible("mp-ft")
    'mp-149'
    """
    from emmet.core.mpid import AlphaID

    return AlphaID(identifier).string


def _number(task_id: str) -> int:
    """The number of a task's id, which may come without a prefix."""
    from emmet.core.mpid import AlphaID

    return int(AlphaID(task_id.split("-")[-1]))


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    ids = list(ids)
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
