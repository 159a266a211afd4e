"""A refinement on disk: for other programs and for people, with a page that says how good it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystalnet import __version__
from crystalnet.data.crystals import SYMPREC
from crystalnet.errors import writing
from crystalnet.solving.report import absent
from crystalnet.solving.rietveld.result import AXES, UNITS, Refined


def write_refined(refined: Refined, folder: str | Path, name: str = "refinement") -> Path:
    """Files for GSAS-II, FullProf and TOPAS, a CIF, sites.csv, profile.csv and refinement.md; the folder is
    written whole or not at all.

    Args:
        folder: must not exist.
        name: what the page is called.

    Raises:
        CrystalNetError: the folder exists, or cannot be written.
    """
    folder = absent(folder)
    part = None
    try:
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            for end, text in refined.files.items():
                (part / f"refined{end}").write_text(text, encoding="utf-8")
            refined.sites.to_csv(part / "sites.csv", index=False)
            curves = ("two_theta", "observed", "calculated", "background")
            profile = pd.DataFrame({curve: getattr(refined, curve) for curve in curves})
            profile.to_csv(part / "profile.csv", index=False, float_format="%.6g")
            (part / "refinement.md").write_text(refinement_page(refined, name), encoding="utf-8")
            os.chmod(part, 0o755)
            os.replace(part, folder)
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def refinement_page(refined: Refined, name: str) -> str:
    """The page: group, cell with uncertainties, R factors, shift, sites, and what to know before it is
    believed."""
    structure = refined.structure
    symbol, number = structure.get_space_group_info(symprec=SYMPREC)
    formula, units = structure.composition.get_reduced_formula_and_factor()
    conventional = SpacegroupAnalyzer(structure, SYMPREC).get_conventional_standard_structure()
    z = round(units * len(conventional) / len(structure))
    lines = [
        f"# {' '.join(name.split())}",
        "",
        f"{formula}, {symbol} ({number}), Z = {z}, density {structure.density:.3f} g/cm³.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {axis} ({UNITS[axis]}) | {refined.cell[axis]} |" for axis in AXES),
        *(f"| {name} | {told} |" for name, told in refined.facts.items()),
        "",
        "| " + " | ".join(refined.sites.columns) + " |",
        "|" + "---|" * len(refined.sites.columns),
        *("| " + " | ".join(map(str, row)) + " |" for row in refined.sites.itertuples(index=False)),
        "",
        *(f"- {remark}" for remark in refined.remarks),
        "",
        f"CrystalNet {__version__} by rietx, {refined.seconds:.1f} s.",
        "",
    ]
    return "\n".join(lines)
