"""What several test modules share."""

import os
import threading
from pathlib import Path

import pytest
from tqdm.auto import tqdm

# Tests kill processes that they forked. One that was drawing a bar would leave tqdm's lock between processes
# locked for ever.
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0  # its thread might hold the lock when a process is forked


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder of real crystals, densities and patterns that not every machine has."""
    beside = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("CRYSTALNET_SHARED", beside))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data in {folder}; CRYSTALNET_SHARED tells where they are")
    return folder
