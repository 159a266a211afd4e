"""Widgets that answer the reader's hand: they need a kernel, and so live in JupyterLab, not on the pages."""

from crystalnet.show.explorers.candidates import CandidatesExplorer
from crystalnet.show.explorers.composition import CompositionExplorer
from crystalnet.show.explorers.crystal import CrystalExplorer
from crystalnet.show.explorers.explorer import Explorer
from crystalnet.show.explorers.latent import LatentExplorer
from crystalnet.show.explorers.stored import display_stride

__all__ = [
    "CandidatesExplorer",
    "CompositionExplorer",
    "CrystalExplorer",
    "Explorer",
    "LatentExplorer",
    "display_stride",
]
