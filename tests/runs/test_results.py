"""Results are made once: of two processes that ask one makes it, and nobody waits for the dead."""

import os
import signal
import threading
import time
from multiprocessing import get_context
from pathlib import Path

from crystalnet.runs.params import Params
from crystalnet.runs.results import Results

processes = get_context("fork")  # spares them the imports


def make(folder: Path, begun) -> None:
    """A result that takes half a second, which notes in a file who made it; `begun` is set meanwhile."""
    results = Results(Params.load("smoke"), folder, progress=False)
    place = results.place("number", "cubic", {"of": 1})
    with results.making(place) as missing:
        if missing:
            started = time.perf_counter()
            with (place / "makers").open("a") as file:
                file.write(f"{os.getpid()}\n")
            begun.set()
            time.sleep(0.5)
            results.finish(place, started)
    assert results.is_finished(place)


def test_two_processes_make_it_once(tmp_path):
    asking = [processes.Process(target=make, args=(tmp_path, processes.Event())) for _ in range(2)]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
    assert [process.exitcode for process in asking] == [0, 0]
    (makers,) = tmp_path.glob("*/makers")
    assert len(makers.read_text().splitlines()) == 1


def test_who_waits_says_so_and_not_for_the_dead(tmp_path, capsys):
    begun = processes.Event()
    other = processes.Process(target=make, args=(tmp_path, begun))
    other.start()
    assert begun.wait(60)
    os.kill(other.pid, signal.SIGSTOP)  # it would finish
    threading.Timer(0.5, os.kill, (other.pid, signal.SIGKILL)).start()
    results = Results(Params.load("smoke"), tmp_path)
    with results.making(results.place("number", "cubic", {"of": 1})) as missing:
        assert missing
    other.join()
    assert "Waiting for another process, which works in number-cubic-" in capsys.readouterr().err


def test_what_is_finished_is_not_made_again_unless_asked(tmp_path):
    results = Results(Params.load("smoke"), tmp_path)
    place = results.place("number", "cubic", {"of": 1})
    for anew, expected in ((False, True), (False, False), (True, True)):
        with results.making(place, anew) as missing:
            assert missing is expected
            results.finish(place, time.perf_counter())
