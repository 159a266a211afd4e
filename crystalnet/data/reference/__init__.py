"""Densities of thirteen crystals by our own calculations with GPAW; `make_densities` writes the files."""

from pathlib import Path

FOLDER = Path(__file__).parent
