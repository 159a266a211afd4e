"""A density as a still picture: its isosurfaces, ray-cast by NumPy.

A gallery of twelve interactive surfaces would need twelve WebGL contexts, and a browser gives a page about
sixteen before it drops the oldest. Pictures weigh little, print, and need no WebGL.

>>> camera(azimuth=0.0, elevation=0.0).round(2)[2] + 0.0  # the viewer stands along x
array([1., 0., 0.])
>>> project(np.array([0.5, 0.5, 0.5]), 30.0, 20.0).round(1)  # the middle of the cell
array([119.5, 119.5,   0. ])
>>> picture(np.random.default_rng(0).random((8, 8, 8)), (0.5, 0.9))[:22]
'data:image/png;base64,'
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import numpy as np
from scipy.ndimage import map_coordinates

from crystalnet.show.style import surface_colours

VIEWS = {"front": (30.0, 20.0), "side": (120.0, 20.0), "top": (30.0, 70.0)}
"""Camera angles, degrees: azimuth about c from a, elevation above the a-b plane."""

SIZE = 240  # pixels a side: pages show it smaller, which smooths its edges
DEPTH = 100  # samples along a line of sight
REACH = 0.87  # half the diagonal of the unit cube and a little: the picture holds the cell from any angle


def camera(azimuth: float, elevation: float) -> np.ndarray:
    """Rows: the picture's right, its up, and the way to the viewer, as unit vectors of the cell's cube."""
    a, e = np.radians([azimuth, elevation])
    right = [-np.sin(a), np.cos(a), 0.0]
    up = [-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)]
    towards = [np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)]
    return np.array([right, up, towards])


def project(points: np.ndarray, azimuth: float, elevation: float) -> np.ndarray:
    """Pixel (x, y) and depth (towards the viewer) of points (..., 3) in fractional coordinates."""
    x, y, depth = np.moveaxis((np.asarray(points) - 0.5) @ camera(azimuth, elevation).T, -1, 0)
    to_pixel = (SIZE - 1) / (2 * REACH)
    return np.stack([(x + REACH) * to_pixel, (REACH - y) * to_pixel, depth], -1)


@lru_cache(maxsize=4)  # 40 MB each
def _rays(azimuth: float, elevation: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (m,) whose line of sight meets the cell, and points along it, (m, DEPTH, 3), near to far."""
    right, up, towards = camera(azimuth, elevation)
    axis = np.linspace(-REACH, REACH, SIZE)
    down, across = np.meshgrid(axis, axis, indexing="ij")
    start = 0.5 + across.reshape(-1, 1) * right - down.reshape(-1, 1) * up
    to_faces = np.sort([-start / -towards, (1 - start) / -towards], axis=0)  # distances to the six faces
    enter, leave = to_faces[0].max(1), to_faces[1].min(1)
    pixel = np.flatnonzero(enter < leave)
    distance = np.linspace(enter[pixel], leave[pixel], DEPTH, axis=1)
    points = start[pixel, None, :] - distance[..., None] * towards
    return pixel, np.clip(points, 0, 1).astype(np.float32)


def picture(cmed: np.ndarray, levels: tuple[float, ...], view: tuple[float, float] = VIEWS["front"]) -> str:
    """Nested isosurfaces of a CMED as the data URI of a PNG with a transparent ground.

    Args:
        cmed: (n, n, n), e/Å^3; drawn in the unit cube and cut at its faces.
        levels: e/Å^3, rising; all but the highest are seen through.
        view: azimuth and elevation, degrees.
    """
    cmed = np.asarray(cmed, np.float32)
    pixel, points = _rays(*view)
    values = _interpolated(cmed, points)
    slopes = [np.roll(cmed, -1, axis) - np.roll(cmed, 1, axis) for axis in range(3)]
    right, up, towards = camera(*view)
    light = towards - 0.45 * right + 0.6 * up  # from above the viewer's left shoulder
    image = np.zeros((SIZE**2, 4))
    nearest = np.full(len(pixel), DEPTH)  # the sample that covers each pixel so far
    for level, (colour, alpha) in reversed(list(zip(levels, surface_colours(len(levels)), strict=True))):
        above = values > level
        first = np.where(above.any(1), above.argmax(1), DEPTH)  # the first sample within the surface
        seen = np.flatnonzero(first < nearest)  # where a face cuts two surfaces open, the inner one shows
        at = nearest[seen] = first[seen]
        hits = points[seen, at]
        normals = -np.stack([_interpolated(slope, hits) for slope in slopes], -1)
        normals[at == 0] = _face_normals(hits[at == 0])
        cosine = normals @ light / (np.linalg.norm(normals, axis=1) * np.linalg.norm(light) + 1e-12)
        shade = 0.55 + 0.45 * np.clip(cosine, 0, 1)[:, None]
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        surface = np.concatenate([rgb * shade, np.full_like(shade, alpha)], 1)
        image[pixel[seen]] = _over(surface, image[pixel[seen]])
    return _png(image.reshape(SIZE, SIZE, 4))


def _interpolated(values: np.ndarray, frac_coords: np.ndarray) -> np.ndarray:
    grid_coords = np.moveaxis(frac_coords, -1, 0) * values.shape[0]
    return map_coordinates(values, grid_coords, order=1, mode="grid-wrap")


def _face_normals(hits: np.ndarray) -> np.ndarray:
    """Outward normal of the cube's face that each point lies on."""
    offset = hits - 0.5
    axis = np.abs(offset).argmax(1)
    normals = np.zeros_like(hits)
    rows = np.arange(len(hits))
    normals[rows, axis] = np.sign(offset[rows, axis])
    return normals


def _over(front: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Porter-Duff 'over' of RGBA rows."""
    a, b = front[:, 3:], back[:, 3:] * (1 - front[:, 3:])
    colour = (front[:, :3] * a + back[:, :3] * b) / np.maximum(a + b, 1e-12)
    return np.concatenate([colour, a + b], 1)


def _png(image: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((image * 255).round().astype(np.uint8), "RGBA").save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
