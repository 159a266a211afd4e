"""The package's networks, by what they are asked about.

>>> network_name("cubic", exact=True), network_name("hexagonal", exact=False)
('cubic-spectral', 'trigonal-laboratory')
>>> trained("cubic-spectral").reads
'profiles'
"""

from __future__ import annotations

from functools import cache

from crystalnet.model.library import load
from crystalnet.model.network import DensityNetwork

NETWORKS = {"cubic": "cubic", "hexagonal": "trigonal"}  # family of cells to the crystals that ours know


def network_name(family: str, exact: bool) -> str | None:
    """The network for cells of a family, of ideal patterns or of measured ones; None if there is none."""
    if family not in NETWORKS:
        return None
    return f"{NETWORKS[family]}-{'spectral' if exact else 'laboratory'}"


@cache
def trained(name: str) -> DensityNetwork:
    """A network of the package, loaded once."""
    return load(name)
