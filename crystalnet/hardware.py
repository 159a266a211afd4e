"""What this process may compute on.

>>> n_cores() >= 1, device("cpu"), bool(description())
(True, 'cpu', True)
"""

from __future__ import annotations

import os
import platform
from pathlib import Path


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(accelerator: str) -> str:
    """Where torch computes under a setting 'auto', 'cpu', 'gpu' or 'mps'."""
    import torch

    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return "cuda"
    return "mps" if accelerator in ("auto", "mps") and torch.backends.mps.is_available() else "cpu"


def description() -> str:
    """One line, e.g. '2 cores of AMD EPYC', or the accelerator's name where there is one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    return f"{n_cores()} cores of {name}"
