"""Every figure of the book: data in, one plotly figure out."""

from crystalnet.show.architecture import architecture, system_overview
from crystalnet.show.confidence import calibration_scatter, risk_coverage_curves
from crystalnet.show.curves import (
    ablation_bars,
    curves_together,
    score_distribution,
    space_group_bars,
    training_curves,
)
from crystalnet.show.densities import isosurface, isosurfaces, slices
from crystalnet.show.difference import difference_isosurfaces
from crystalnet.show.gallery import gallery, multi_view
from crystalnet.show.patterns import pattern_overlay, pattern_strip, powder_sticks
from crystalnet.show.spectra import basis_curves, profile_overlay, ssim_against_seconds
from crystalnet.show.walk import latent_walk

__all__ = [
    "ablation_bars",
    "architecture",
    "basis_curves",
    "calibration_scatter",
    "curves_together",
    "difference_isosurfaces",
    "gallery",
    "isosurface",
    "isosurfaces",
    "latent_walk",
    "multi_view",
    "pattern_overlay",
    "pattern_strip",
    "powder_sticks",
    "profile_overlay",
    "risk_coverage_curves",
    "score_distribution",
    "slices",
    "space_group_bars",
    "ssim_against_seconds",
    "system_overview",
    "training_curves",
]
