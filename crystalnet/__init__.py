"""CrystalNet: crystal structures from powder diffraction, as a research book."""

__version__ = "0.1.0"
