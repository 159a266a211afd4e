"""What several test modules share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder of real crystals, densities and patterns that not every machine has."""
    beside = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("CRYSTALNET_SHARED", beside))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data in {folder}; CRYSTALNET_SHARED tells where they are")
    return folder
