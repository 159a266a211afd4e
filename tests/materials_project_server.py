"""A Materials Project on 127.0.0.1: the REST and S3 requests that mp-api and boto3 send, with faults at will.

Ids are translated by our own base 26, not by emmet's.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import string
import struct
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEY = "ThisIsAKeyOf32LettersAndDigits42"
BUCKET = "/materialsproject-parsed/"
LONGEST_URI = 2000
LAST_NUMBER = 3347529  # ids beyond are written in letters


def number(identifier: str) -> int:
    """The number of 'mp-149', 'mp-ft', 'ft' or '149'."""
    text = identifier.rpartition("-")[2]
    if text.isdigit():
        return int(text)
    value = 0
    for letter in text:
        value = 26 * value + string.ascii_lowercase.index(letter)
    return value


def written(value: int) -> str:
    """The id of a number, as the Materials Project writes it."""
    if value <= LAST_NUMBER:
        return f"mp-{value}"
    letters = ""
    while value:
        value, letter = divmod(value, 26)
        letters = string.ascii_lowercase[letter] + letters
    return f"mp-{letters}"


def chgcar_path(task_id: str) -> str:
    return f"{BUCKET}chgcars/{task_id}.json.gz"


def zipped(content) -> bytes:
    return gzip.compress(json.dumps(content).encode(), mtime=0)


@dataclass
class Material:
    """What the server knows of a material; `chgcar` is `Chgcar.as_dict()` as JSON can hold it."""

    material_id: str
    structure: dict
    space_group: int
    chgcar: dict | None
    energy_above_hull: float = 0.0
    deprecated: bool = False
    other_ids: tuple[str, ...] = ()  # tasks, and materials that were merged into this one

    @property
    def task_id(self) -> str:
        """The latest task, which holds the density."""
        return written(number(self.material_id) + 1000)

    @property
    def older_task_id(self) -> str:
        return written(number(self.material_id) + 2000)

    @property
    def path(self) -> str:
        return chgcar_path(self.task_id)

    @property
    def older_path(self) -> str:
        return chgcar_path(self.older_task_id)

    def summary(self) -> dict:
        return {
            "material_id": self.material_id,
            "structure": self.structure,
            "symmetry": {"number": self.space_group},
            "energy_above_hull": self.energy_above_hull,
            "is_stable": self.energy_above_hull == 0,
        }

    def core(self) -> dict:
        kinds = {
            "mp-3": "GGA Structure Optimization",
            self.older_task_id: "GGA Static",
            self.task_id: "GGA+U Static",
        }
        return {
            "material_id": self.material_id,
            "task_ids": [*kinds, *self.other_ids],
            "calc_types": kinds if self.chgcar else {"mp-3": "GGA Structure Optimization"},
        }

    def tasks(self) -> list[dict]:
        return [
            {"task_id": self.task_id, "last_updated": "2024-05-06T07:08:09"},
            {"task_id": self.older_task_id, "last_updated": "2021-02-03T04:05:06"},
        ]


class Server:
    """Serves `materials` from its start to `close`. `requests` counts by path, `served` whole bodies."""

    def __init__(self, materials: Iterable[Material]):
        self.materials = list(materials)
        self.objects = {m.path: zipped({"data": m.chgcar}) for m in self.materials if m.chgcar}
        self.requests: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.longest_uri = 0
        self.key_sent_to_s3 = False
        self.pause = 0.0  # s, before every answer of the S3 side
        self._faults: dict[str, deque[Callable]] = defaultdict(deque)
        self._lasting: dict[str, Callable] = {}
        self._lock = threading.Lock()
        server = self

        class Handler(_Handler):
            project = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fault(self, path: str, *faults: Callable) -> None:
        """The next requests of a path, or of paths that hold it with a query, meet these faults."""
        self._faults[path].extend(faults)

    def lasting_fault(self, path: str, fault: Callable | None) -> None:
        """Every request of a path meets this fault, until it is None."""
        self._lasting[path] = fault

    def next_fault(self, uri: str) -> Callable | None:
        with self._lock:
            for path, faults in self._faults.items():
                if path in uri and faults:
                    return faults.popleft()
        return next((fault for path, fault in self._lasting.items() if path in uri), None)

    def requests_below(self, path: str) -> int:
        return sum(count for at, count in self.requests.items() if at.startswith(path))

    def count(self, counter: Counter, path: str) -> None:
        with self._lock:
            counter[path] += 1

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Status and body of a request without a fault."""
        if path.startswith(BUCKET):
            body = self.objects.get(path)
            return (200, body) if body is not None else (404, _s3_error("NoSuchKey"))
        if path == "/heartbeat":
            heartbeat = {"version": "0.87.3", "db_version": "2026.10.1", "access_controlled_batch_ids": []}
            return 200, json.dumps(heartbeat).encode()
        asked = [self._in(material, query) for material in self.materials]
        materials = [material for material, wanted in zip(self.materials, asked, strict=True) if wanted]
        if path == "/materials/summary/":
            documents = [material.summary() for material in materials]
        elif path == "/materials/core/":
            documents = [material.core() for material in materials]
        elif path == "/materials/tasks/":
            wanted = {number(task) for task in query["task_ids"].split(",")}
            documents = [
                task for m in self.materials for task in m.tasks() if number(task["task_id"]) in wanted
            ]
        else:
            return 404, b'{"detail": "Not Found"}'
        start = int(query.get("_skip", 0))
        fields = query["_fields"].split(",")
        page = [{name: doc[name] for name in fields} for doc in documents]
        page = page[start : start + int(query["_limit"])]
        return 200, json.dumps({"data": page, "meta": {"total_doc": len(documents)}}).encode()

    @staticmethod
    def _in(material: Material, query: dict[str, str]) -> bool:
        def among(ids: Iterable[str], key: str) -> bool:
            return key not in query or bool(
                {number(i) for i in ids} & {number(i) for i in query[key].split(",")}
            )

        cubic = material.space_group >= 195
        return (
            among([material.material_id], "material_ids")
            and among(material.core()["task_ids"], "task_ids")
            and query.get("crystal_system", "Cubic" if cubic else "Trigonal")
            == ("Cubic" if cubic else "Trigonal")
            and not ("has_props" in query and material.chgcar is None)
            and not (query.get("deprecated") == "False" and material.deprecated)
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    project: Server

    def do_GET(self):
        project, uri = self.project, urlsplit(self.path)
        project.count(project.requests, uri.path)
        project.longest_uri = max(project.longest_uri, len(self.path))
        if uri.path.startswith(BUCKET):
            project.key_sent_to_s3 |= KEY in str(self.headers) + self.path
            time.sleep(project.pause)
        if fault := project.next_fault(self.path):
            fault(self)
        else:
            self.answer_truly()

    def answer_truly(self):
        uri = urlsplit(self.path)
        if uri.path.startswith("/materials/") and self.headers.get("x-api-key") != KEY:
            self.send(401, b'{"message": "Invalid authentication credentials"}')
        elif len(self.path) > LONGEST_URI:
            self.send(414, b"URI too long")
        else:
            self.send(*self.true_answer())

    def true_answer(self) -> tuple[int, bytes]:
        uri = urlsplit(self.path)
        return self.project.answer(uri.path, {key: values[0] for key, values in parse_qs(uri.query).items()})

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if status == 200:
            self.project.count(self.project.served, urlsplit(self.path).path)

    def hang_up(self):
        """A reset instead of a proper end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def handle(self):
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True  # the client was killed, or `hang_up`

    def finish(self):
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *args):
        pass


def _s3_error(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()


def status(code: int, retry_after: str | None = None) -> Callable:
    """An error status, with a body that fits the server asked."""

    def fault(handler: _Handler):
        s3 = urlsplit(handler.path).path.startswith(BUCKET)
        body = _s3_error(f"Error{code}") if s3 else json.dumps({"detail": f"error {code}"}).encode()
        handler.send(code, body, {"Retry-After": retry_after} if retry_after else None)

    return fault


def reset(handler: _Handler):
    """The connection breaks before the answer."""
    handler.hang_up()


def cut(handler: _Handler):
    """The connection breaks in the middle of the body."""
    code, body = handler.true_answer()
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.close_connection = True


def slow(handler: _Handler):
    """The body trickles."""
    code, body = handler.true_answer()
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for start in range(0, len(body), len(body) // 5 + 1):
        time.sleep(0.02)
        handler.wfile.write(body[start : start + len(body) // 5 + 1])
        handler.wfile.flush()


def instead(body: bytes) -> Callable:
    """Another body, said to be whole."""
    return lambda handler: handler.send(200, body)


def make_schemas_once(setattr_: Callable = setattr) -> None:
    """Keep the fields of mp-api's documents, which it finds anew for every field of a query, 0.1 s each."""
    from mp_api.client.core.client import BaseRester

    fields = cache(lambda model: list(model.model_json_schema()["properties"]))
    setattr_(BaseRester, "available_fields", property(lambda self: fields(self.document_model)))


def in_child(target: Callable, environment: dict[str, str], *args, **kwargs) -> None:
    """Run `target` in a child process that may be older than the environment of its parent."""
    from tqdm import tqdm

    os.environ.update(environment)
    make_schemas_once()
    tqdm.set_lock(threading.RLock())  # its own lock is a semaphore, which a kill would leave behind
    target(*args, **kwargs)
