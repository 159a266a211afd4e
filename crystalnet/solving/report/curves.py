"""The pattern of a report as a drawing (SVG): measured, calculated, difference, reflections, strangers.

>>> import numpy as np
>>> x = np.linspace(10, 20, 300)
>>> drawn = drawing(x, 5 + np.sin(x), ticks=np.array([12.0]), unexplained=np.array([[15.0, 3.0]]))
>>> drawn.startswith("<svg"), drawn.count("▼"), drawn.count('class="measured"')
(True, 1, 1)
"""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 400, 64, 44  # units of the drawing, our choice
COLUMNS = 1600  # points across, the lowest and the highest of each; our choice: finer than a screen
NONE = np.zeros((0, 2))


def drawing(
    two_theta: np.ndarray,
    counts: np.ndarray,
    calculated: np.ndarray | None = None,
    *,
    ticks: np.ndarray,
    unexplained: np.ndarray = NONE,
    missing: np.ndarray = NONE,
) -> str:
    """The drawing, which scales with the page.

    Args:
        two_theta, counts: (N,) measured.
        calculated: (N,) of the refined structure; without it there is no difference.
        ticks: (T,) degrees, where reflections are.
        unexplained, missing: (P, 2) degrees and heights of lines that are marked.
    """
    low, high = float(min(counts.min(), 0)), float(counts.max())
    gap = 0.06 * (high - low)
    difference = None if calculated is None else counts - calculated
    tick_row = low - gap
    floor = tick_row - gap
    if difference is not None:
        offset = floor - gap - float(difference.max())
        floor = offset + float(difference.min())

    def x_of(angle):
        return LEFT + (WIDTH - LEFT - 10) * (angle - two_theta[0]) / (two_theta[-1] - two_theta[0])

    def y_of(value):
        return 12 + (HEIGHT - BOTTOM - 12) * (high - value) / max(high - floor, 1e-12)

    def path(curve: np.ndarray, name: str) -> str:
        x, y = _thinned(x_of(two_theta), y_of(curve))
        points = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
        return f'<path class="{name}" d="M{points}"/>'

    parts = [path(counts, "measured")]
    if calculated is not None:
        parts += [path(calculated, "calculated"), path(difference + offset, "difference")]
    marks = "".join(f"M{x_of(t):.1f} {y_of(tick_row) - 5:.1f}v10" for t in ticks)
    parts.append(f'<path class="ticks" d="{marks or "M0 0"}"/>')
    for name, sign, lines in (("unexplained", "▼", unexplained), ("missing", "△", missing)):
        for angle, height in lines:
            if two_theta[0] <= angle <= two_theta[-1]:
                y = max(y_of(low + height / 100 * (high - low)) - 6, 10)
                parts.append(f'<text class="{name}" x="{x_of(angle):.1f}" y="{y:.1f}">{sign}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Measured and calculated pattern">'
        + "".join([*_axes(two_theta, x_of, y_of, high), *parts])
        + "</svg>"
    )


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest point of each column, so that no peak is lost."""
    if len(x) <= 2 * COLUMNS:
        return x, y
    starts = np.linspace(0, len(x), COLUMNS, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    return np.repeat(x[starts], 2), np.stack([low, high], 1).ravel()


def _axes(two_theta: np.ndarray, x_of, y_of, high: float) -> list[str]:
    base = HEIGHT - BOTTOM + 8
    span = float(two_theta[-1] - two_theta[0])
    step = next(step for step in (1, 2, 5, 10, 20, 50) if span / step <= 10)
    marks = np.arange(np.ceil(two_theta[0] / step) * step, two_theta[-1] + 1e-9, step)
    parts = [f'<path class="axis" d="M{LEFT} {base}H{WIDTH - 10}M{LEFT} 8V{base}"/>']
    for mark in marks:
        x = x_of(mark)
        parts.append(f'<path class="axis" d="M{x:.1f} {base}v5"/>')
        parts.append(f'<text class="label" x="{x:.1f}" y="{base + 18}">{mark:g}</text>')
    parts.append(f'<text class="label" x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}">2θ (degrees)</text>')
    parts.append(f'<text class="label" x="{LEFT - 30}" y="{y_of(high) + 4:.1f}">{high:.3g}</text>')
    parts.append(f'<text class="label" x="{LEFT - 30}" y="{y_of(0) + 4:.1f}">0</text>')
    return parts
