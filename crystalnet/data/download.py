"""Downloads that outlast faults: patient requests, a bounded pool that stops when nothing works, a log.

Knows nothing of crystals; `materials_project` uses it.

>>> list(in_parallel(lambda n: patiently(lambda: n**2, "a square"), [1, 2, 3], workers=2))
[(1, 1), (2, 4), (3, 9)]
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from crystalnet.errors import Code, CrystalNetError, writing

if TYPE_CHECKING:
    import requests

T, Item = TypeVar("T"), TypeVar("Item")

TRIES = 5  # our choice, with the waits below: a fault may last half a minute
FIRST_WAIT = 1.0  # s, our choice; doubled at every try
LONGEST_WAIT = 120.0  # s, our choice; also where a server asks for more
IN_A_ROW = 20  # our choice: requests that fail one after the other until the run stops
TIMEOUT = 60  # s without a byte, our choice


class StopError(CrystalNetError):
    """Nothing more can be fetched until the remedy it names is applied."""


class UnreachableError(CrystalNetError):
    """A request that failed at every try, though nothing says that it always will."""


class PassingError(Exception):
    """A request that may work when tried again; `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait

    @classmethod
    def of_status(cls, status: int, retry_after: str | None) -> PassingError | None:
        """The fault that an HTTP status tells of, if it tells of a passing one: 429 and 5xx."""
        if status == 429 or status >= 500:
            return cls(f"the server answers {status}", _seconds(retry_after or ""))
        return None


def _seconds(retry_after: str) -> float:
    """The header Retry-After, a number of seconds or a date (RFC 9110), in seconds; 0 if it is neither."""
    with suppress(ValueError):
        return float(retry_after)
    with suppress(ValueError, TypeError):
        return (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
    return 0.0


def patiently(request: Callable[[], T], what: str) -> T:
    """The answer of a request that is tried again after every PassingError, with growing pauses.

    Raises:
        UnreachableError: TRIES faults.
    """
    for attempt in range(TRIES):
        try:
            return request()
        except PassingError as error:
            fault = error
        if attempt + 1 < TRIES:
            # at random, so that the workers, refused together, do not come back together
            pause = FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)
            time.sleep(min(max(pause, fault.wait), LONGEST_WAIT))
    raise UnreachableError(
        f"{what} failed {TRIES} times: {fault}. Run again later.", Code.NO_SERVER
    ) from None


def patient_session(name: str, refusals: dict[int, str]) -> requests.Session:
    """A requests.Session each of whose requests is sent `patiently`, the body included.

    Args:
        name: of the server, for errors.
        refusals: HTTP statuses that stop everything, with the message of each.
    """
    import requests

    class PatientSession(requests.Session):
        def send(self, request, **kwargs):
            def once():
                try:
                    response = requests.Session.send(self, request, **kwargs)
                except requests.RequestException as error:
                    raise PassingError(f"{type(error).__name__}: {error}") from None
                if response.status_code in refusals:
                    raise StopError(refusals[response.status_code], Code.NO_SERVER)
                if fault := PassingError.of_status(response.status_code, response.headers.get("Retry-After")):
                    raise fault
                return response

            return patiently(once, f"A request to {name}")

    return PatientSession()


class Bucket:
    """An S3 bucket that anyone may read. The endpoint may be set by AWS_ENDPOINT_URL_S3."""

    def __init__(self, name: str, connections: int, region: str = "us-east-1"):
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        self.name = name
        once = {"total_max_attempts": 1}  # `patiently` tries again, and the body with it
        config = Config(
            signature_version=UNSIGNED,
            retries=once,
            max_pool_connections=connections,
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
        )
        self._client = boto3.client("s3", region_name=region, config=config)

    def get(self, key: str) -> bytes | None:
        """The whole object, or None where there is none."""
        from botocore.exceptions import BotoCoreError, ClientError

        def once() -> bytes | None:
            try:
                return self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                answer = error.response["ResponseMetadata"]
                status, retry_after = answer["HTTPStatusCode"], answer["HTTPHeaders"].get("retry-after")
            except (BotoCoreError, OSError) as error:
                raise PassingError(f"{type(error).__name__}: {error}") from None
            if status == 404:
                return None
            if fault := PassingError.of_status(status, retry_after):
                raise fault
            raise UnreachableError(
                f"The bucket {self.name} answers {status}. Run again later.", Code.NO_SERVER
            )

        return patiently(once, f"A request to the bucket {self.name}")


def in_parallel(
    work: Callable[[Item], T], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, T | CrystalNetError]]:
    """Each item with its result, or the CrystalNetError that `work` raised for it, in the order of `items`.

    At most twice as many items as workers are taken ahead. On an error or when the caller leaves, what has
    not begun is dropped.

    Raises:
        StopError: raised by `work`, or IN_A_ROW items were UnreachableError.
    """
    unreachable, pending = 0, deque()
    pool = ThreadPoolExecutor(workers)

    def outcome() -> tuple[Item, T | CrystalNetError]:
        nonlocal unreachable
        item, future = pending.popleft()
        try:
            result = future.result()
        except StopError:
            raise
        except CrystalNetError as error:
            result = error
        unreachable = unreachable + 1 if isinstance(result, UnreachableError) else 0
        if unreachable == IN_A_ROW:
            raise StopError(
                f"{IN_A_ROW} requests failed one after the other, the last so: {result} Check the network."
                " What is here is kept, and the next run goes on from it.",
                Code.NO_SERVER,
            )
        return item, result

    try:
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) == 2 * workers:
                yield outcome()
        while pending:
            yield outcome()
    finally:
        pool.shutdown(cancel_futures=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        CrystalNetError: it could not be written.
    """
    with writing(path):
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        os.replace(part, path)


class FailureLog:
    """What failed, why and since when: JSON lines with id, reason and time. The latest line of an id holds,
    and a reason of null says that it has come right. A line cut by a kill is passed over.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "mp-1.json", b"{}")
    ...     log = FailureLog(Path(folder) / "failures.jsonl")
    ...     log.write("mp-149", "no density")
    ...     log.read()
    {'mp-149': 'no density'}
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[str, str]:
        """Reason by id of what still fails."""
        reasons = {}
        for line in self.path.read_bytes().splitlines() if self.path.exists() else []:
            with suppress(ValueError, TypeError, KeyError):
                entry = json.loads(line)
                reasons[entry["id"]] = entry["reason"]
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def write(self, name: str, reason: str | None) -> None:
        """Add a line that is on the disk when this returns."""
        entry = {"id": name, "reason": reason, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        with writing(self.path), self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
