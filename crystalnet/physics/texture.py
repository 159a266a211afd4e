"""Grains that lie on a face: what it does to intensities.

    P(alpha) = (r^2 cos^2 alpha + sin^2 alpha / r)^(-3/2)

March and Dollase (J. Appl. Cryst. 19, 267, 1986); alpha is the angle between a reflection's plane and the
face, r is 1 where grains lie as they fall, less for plates, more for needles (flat samples, in reflection).
"""

from __future__ import annotations

import numpy as np


def march_dollase(cosine2: np.ndarray, r: float | np.ndarray) -> np.ndarray:
    """P of the squares of cosines, any shape. Over the sphere its mean is 1:

    >>> cosine = np.linspace(0, 1, 100_001)
    >>> float(march_dollase(cosine**2, 0.6).mean().round(3))
    1.0
    >>> march_dollase(np.array([0.0, 1.0]), 0.5).round(2)  # plates: the face itself is strongest
    array([0.35, 8.  ])
    """
    return (r**2 * cosine2 + (1 - cosine2) / r) ** -1.5
