"""`crystalnet pattern`: the powder pattern of a structure.

>>> import tempfile
>>> from click.testing import CliRunner
>>> from pymatgen.core import Lattice, Structure
>>> polonium = Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])
>>> with tempfile.TemporaryDirectory() as folder:
...     _ = polonium.to(f"{folder}/polonium.cif")
...     told = CliRunner().invoke(pattern, [f"{folder}/polonium.cif", "--high", "30"])
>>> told.output.splitlines()[1].split()[1:]  # the highest peak, and d
['100.000', '3.35000']
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("structure", type=click.Path(path_type=Path))
@click.option("-w", "--wavelength", default="CuKa", show_default=True, help="Å, or a name such as CuKa")
@click.option("--low", type=float, default=5.0, show_default=True, help="first angle, degrees of two_theta")
@click.option("--high", type=float, default=90.0, show_default=True, help="last angle")
@click.option("--profile", is_flag=True, help="a simulated measurement instead of the list of peaks")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="a text file instead of the screen")
def pattern(
    structure: Path, *, wavelength: str, low: float, high: float, profile: bool, out: Path | None
) -> None:
    """Peaks of a crystal (CIF, POSCAR): two_theta in degrees, intensity, d in Å, h k l."""
    from crystalnet.data.tables import read_crystals
    from crystalnet.patterns.simulation import simulated
    from crystalnet.patterns.wavelengths import wavelength_of
    from crystalnet.physics.diffraction import powder_peaks
    from crystalnet.runs.provenance import write_text

    crystal = read_crystals(structure).crystals[0]
    angles = low, high
    if profile:
        made = simulated(crystal.symmetrized, wavelength, angles)
        lines = ["# two_theta (deg), counts"]
        lines += [f"{x:.4f} {y:.0f}" for x, y in zip(made.two_theta, made.counts, strict=True)]
    else:
        peaks = powder_peaks(crystal.symmetrized, wavelength_of(wavelength), angles)
        lines = ["# two_theta (deg), intensity, d (A)"]
        lines += [f"{x:.4f} {y:.3f} {d:.5f}" for x, y, d in zip(*peaks[:3], strict=True)]
    if out:
        write_text(out, "\n".join([*lines, ""]))
    else:
        click.echo("\n".join(lines))
