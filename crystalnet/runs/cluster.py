"""A Dask cluster that somebody has started, to compute on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crystalnet.errors import Code, CrystalNetError


@contextmanager
def cluster(scheduler: str) -> Iterator:
    """A client of the scheduler at an address, which has workers.

    Raises:
        CrystalNetError: none answers there, or it has no workers.
    """
    from distributed import Client  # a second to import, and few have a cluster

    try:
        client = Client(scheduler, timeout="5s")
    except (OSError, TimeoutError, ValueError) as error:
        raise CrystalNetError(
            f"No Dask scheduler answers at {scheduler!r} ({error}). Start one (dask scheduler), or leave the"
            " address out to compute on this machine.",
            Code.NO_DEVICE,
        ) from None
    with client:
        if not client.ncores():
            raise CrystalNetError(
                f"The scheduler {scheduler} has no workers. Start some (dask worker).", Code.NO_DEVICE
            )
        yield client
