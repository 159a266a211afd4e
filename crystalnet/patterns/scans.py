"""Scans of one file: which one is meant, and which ones are parts of one pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from crystalnet.errors import Code
from crystalnet.patterns.files import refuse
from crystalnet.patterns.units import TWO_THETA, Axis

WIDEST_GAP = 10  # steps between the parts of one pattern, our choice
LISTED = 8  # scans that a message names, our choice


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan as a file has it.

    Attributes:
        x: (N,) of what `axis` says.
        counts: (N,) on any scale.
        sigma: (N,) standard deviations of the counts where the file has them.
        wavelength: Å, if the file states it.
        title: what the file calls it.
        seconds: counting time of a point if the intensities are counts.
        said: what was taken for granted or left out.
    """

    x: np.ndarray
    counts: np.ndarray
    sigma: np.ndarray | None = None
    axis: Axis = TWO_THETA
    wavelength: float | None = None
    title: str = ""
    seconds: float | None = None
    said: tuple[str, ...] = ()


def the_one(scans: Sequence[Scan], chosen: int | None, name: str) -> Scan:
    """The scan that is chosen, 1 for the first, or the whole that continued scans make, or the only one.

    Raises:
        CrystalNetError: there is no such scan, or none is chosen of several that are no parts of one pattern.

    >>> parts = [Scan(10 * k + np.arange(0, 10, 0.1), np.ones(100)) for k in (1, 2)]
    >>> the_one(parts, None, "a.xy").said, the_one(parts, 2, "a.xy").x[0]
    (('2 scans continue each other and are joined',), np.float64(20.0))
    """
    if chosen is not None:
        whole = isinstance(chosen, int | np.integer) and not isinstance(chosen, bool)
        if not (whole and 1 <= chosen <= len(scans)):
            remedy = f"Choose scan=1 to {len(scans)}: {_listing(scans)}"
            refuse(name, f"it has no scan {chosen!r}", remedy, Code.BAD_ARGUMENT)
        return scans[chosen - 1]
    different = _different(scans)
    if len(different) == 1:
        said = () if len(scans) == 1 else (f"{len(scans)} scans of the file are the same, one is taken",)
        return replace(different[0], said=different[0].said + said)
    if (whole := _joined(different)) is not None:
        return whole
    refuse(
        name,
        f"it holds {len(scans)} scans that do not continue each other",
        f"Choose one with scan=1 to {len(scans)}: {_listing(scans)}",
        Code.SEVERAL_SCANS,
    )


def _listing(scans: Sequence[Scan]) -> str:
    """A line that names scans, their ranges and titles."""
    told = [
        f"{i}: {np.nanmin(scan.x):g} to {np.nanmax(scan.x):g}, {len(scan.x)} points"
        + f" {scan.title[:30]}".rstrip()
        for i, scan in enumerate(scans[:LISTED], 1)
        if len(scan.x)
    ]
    return "; ".join(told) + ("; ..." if len(scans) > LISTED else "")


def _different(scans: Sequence[Scan]) -> list[Scan]:
    kept: list[Scan] = []
    for scan in scans:
        if not any(np.array_equal(scan.x, one.x) and np.array_equal(scan.counts, one.counts) for one in kept):
            kept.append(scan)
    return kept


def _joined(scans: Sequence[Scan]) -> Scan | None:
    """One scan of parts that continue each other; None if they don't."""
    if any(len(scan.x) < 2 or scan.axis != scans[0].axis for scan in scans):
        return None
    if len({scan.wavelength for scan in scans}) > 1:
        return None
    rising = [_rising(scan) for scan in scans]
    rising.sort(key=lambda scan: scan.x[0])
    for before, after in pairwise(rising):
        step = max(np.median(np.diff(part.x)) for part in (before, after))
        if not -1.5 * step <= after.x[0] - before.x[-1] <= WIDEST_GAP * step:
            return None
    times = [scan.seconds for scan in rising]
    scaled = None not in times and max(times) > 1.001 * min(times)
    said = [f"{len(scans)} scans continue each other and are joined"]
    if scaled:
        said.append("their counts are scaled to one counting time")
    parts = []
    for scan in rising:
        keep = scan.x > parts[-1][0][-1] if parts else np.full(len(scan.x), True)
        scale = times[0] / scan.seconds if scaled else 1.0
        sigma = np.full(len(scan.x), np.nan) if scan.sigma is None else scan.sigma
        if scaled and scan.sigma is None:
            sigma = np.sqrt(np.maximum(scan.counts, 1))  # of counting, which the scale would hide
        parts.append((scan.x[keep], scan.counts[keep] * scale, sigma[keep] * scale))
    x, counts, sigma = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    told = tuple(dict.fromkeys([remark for scan in scans for remark in scan.said] + said))
    return replace(
        rising[0], x=x, counts=counts, sigma=sigma if np.isfinite(sigma).all() else None, said=told
    )


def _rising(scan: Scan) -> Scan:
    order = np.argsort(scan.x, kind="stable")
    sigma = None if scan.sigma is None else scan.sigma[order]
    return replace(scan, x=scan.x[order], counts=scan.counts[order], sigma=sigma)
