"""One process for each device that a training asks for. An error of one of them is raised as it was there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch.multiprocessing import ProcessExitedException, ProcessRaisedException, get_context

from crystalnet.errors import Code, CrystalNetError
from crystalnet.settings import MIXED, TrainingParams

Task, Result = TypeVar("Task"), TypeVar("Result")


def on_devices(work: Callable[..., Result], task: Task, settings: TrainingParams) -> Result:
    """`work(fabric, task)` in this process or, with several devices, in a new one each.

    Args:
        work: a function of a module, with a Lightning Fabric as its first argument.
        task: what all processes are told; it can be pickled. Networks lie in it as such or in tuples, where
            Fabric gives each process a copy.
        settings: accelerator, devices and precision.

    Returns:
        What the process of the first device returned.

    Raises:
        CrystalNetError: devices that are not there, a process that died, or an error of `work`, which ends
            all processes.
    """
    fabric = _fabric(settings)
    if settings.devices == 1:
        return work(fabric, task)
    errors = get_context("spawn").SimpleQueue()
    try:
        return fabric.launch(_telling, work, task, errors)
    except ProcessRaisedException:
        if errors.empty():
            raise
        raise errors.get() from None
    except ProcessExitedException as error:
        raise CrystalNetError(
            f"A process of the training died ({error}), often for want of memory. Run again: it goes on from"
            " there; smaller batches need less.",
            Code.PROCESS_DIED,
        ) from None


def _telling(fabric, work: Callable, task, errors):
    """The part of one process, which tells its errors: of an exception there only a text arrives here."""
    try:
        return work(fabric, task)
    except CrystalNetError as error:
        errors.put(error)
        raise


def _fabric(settings: TrainingParams):
    from lightning_fabric import Fabric  # a second to import, wanted only where something is trained

    strategy = "auto" if settings.devices == 1 else "ddp_spawn"
    try:
        return Fabric(
            accelerator=settings.accelerator,
            strategy=strategy,
            devices=settings.devices,
            # products in bfloat16 are the training's own: Fabric would round the coordinates as well
            precision="32-true" if settings.precision == MIXED else settings.precision,
        )
    except (RuntimeError, ValueError) as error:  # Lightning's own errors are both
        raise CrystalNetError(
            f"training.devices = {settings.devices} with accelerator {settings.accelerator!r} is not to be"
            f" had ({error}). Ask for what there is; several devices need `make results`, not a notebook.",
            Code.NO_DEVICE,
        ) from None
