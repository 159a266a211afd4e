r"""From structures to powder patterns: reflections -> peaks -> the 1024 bins that the network reads.

    F(hkl) = \sum_j f_j(s) exp(2 pi i g . r_j),      s = sin(theta) / lambda = |g| / 2
    I      = |F|^2 (1 + cos^2 2 theta) / (sin^2 theta cos theta)

De Graef & McHenry, Structure of Materials, chapters 11-12. Many crystals are computed at once, in float64, on
any device that knows it; one crystal is a batch of one. There is no loop over reflections or atoms.

>>> from crystalnet.physics.atoms import Atoms
>>> cscl = Atoms(4.12 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Cs", "Cl"]))
>>> powder_peaks(cscl, wavelength=1.5406).d_spacing[:3].round(3)  # 4.12 / sqrt(1, 2, 3)
array([4.12 , 2.913, 2.379])
>>> np.array_equal(powder_pattern(cscl), binned_pattern(powder_peaks(cscl)))
True
>>> powder_patterns([cscl, cscl], n_bins=512).shape
torch.Size([2, 512])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import AtomsLike
from crystalnet.physics.cells import smallest_cells
from crystalnet.physics.reflections import half_box, half_sphere, reach
from crystalnet.physics.rings import MOST_CRYSTALS, Rings, merged
from crystalnet.physics.scattering import Sites, chunks, named, phase_sums, sites_by_element, slots
from crystalnet.physics.tables import SCATTERING, form_factor

MO_K_ALPHA = 0.71073  # Å, the paper's radiation (Methods, 'X-Ray Diffraction Patterns')
N_BINS = 1024  # the paper's pattern length
INTENSITY_TOLERANCE = 1e-3  # per cent of the highest peak; weaker peaks are dropped (pymatgen's constant)


class Peaks(NamedTuple):
    """Powder peaks by rising angle, (P,) each: degrees, highest intensity 100, and Å."""

    two_theta: np.ndarray
    intensity: np.ndarray
    d_spacing: np.ndarray


@torch.inference_mode()  # a sixth faster; no tensor leaves that a gradient could be asked of
def powder_peaks(
    structure: AtomsLike, wavelength: float = MO_K_ALPHA, two_theta_range: tuple[float, float] = (0, 180)
) -> Peaks:
    """Peaks of the ideal powder pattern, equal to pymatgen's XRDCalculator.

    Args:
        structure: an ordered pymatgen Structure, or Atoms; any cell of the crystal gives the same peaks.
        wavelength: Å.
        two_theta_range: lowest and highest angle, degrees, within [0, 180].

    Raises:
        CrystalNetError: a disordered or empty structure, an element without form factor, a range or
            wavelength that leaves no reflection.
    """
    ((_, rings, intensity),) = batch_peaks([structure], wavelength, two_theta_range)
    return _strong_peaks(rings, intensity)


def powder_patterns(
    structures: Sequence[AtomsLike],
    wavelength: float = MO_K_ALPHA,
    n_bins: int = N_BINS,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """The patterns of many crystals as the network reads them, (B, n_bins) float32: see `binned_pattern`.

    Args:
        structures, wavelength: as in `powder_peaks`.
        n_bins: bins over two_theta 0-180 degrees.
        device: where to compute and leave them, the CPU unless given.

    Raises:
        CrystalNetError: as in `powder_peaks`; the message counts out the crystal.
    """
    device = torch.device(device or "cpu")
    knows_float64 = device if device.type != "mps" else torch.device("cpu")
    patterns = torch.zeros(len(structures), n_bins, device=knows_float64)
    for rows, rings, intensity in batch_peaks(structures, wavelength, device=knows_float64):
        patterns[rows] = binned(rings.crystal, rings.two_theta, intensity, len(rows), n_bins)
    return patterns.to(device)


def powder_pattern(structure: AtomsLike, n_bins: int = N_BINS) -> np.ndarray:
    """Structure to the paper's 1024-bin pattern in one step, (n_bins,) float32."""
    return powder_patterns([structure], n_bins=n_bins)[0].numpy()


def batch_peaks(
    structures: Sequence[AtomsLike],
    wavelength: float = MO_K_ALPHA,
    two_theta_range: tuple[float, float] = (0, 180),
    device: torch.device | None = None,
) -> Iterator[tuple[list[int], Rings, torch.Tensor]]:
    """The peaks of many crystals, a chunk of them at a time; arguments and errors as in `powder_peaks`.

    Yields:
        the places (b,) of the chunk's crystals among the structures; their `Rings`, where crystal 0 is the
        first of the chunk; and the intensity of each, the highest of a crystal 100, a weak one 0.

    >>> from crystalnet.physics.atoms import Atoms
    >>> polonium = Atoms(3.35 * np.eye(3), np.zeros((1, 3)), np.array(["Po"]))
    >>> ((rows, rings, intensity),) = batch_peaks([polonium], two_theta_range=(0, 20))
    >>> rows, rings.n_reflections.tolist()  # 100 and 110, one of each Friedel pair
    ([0], [3, 6])
    """
    device = device or torch.device("cpu")
    low, high = (2 * np.sin(np.radians(float(t) / 2)) / wavelength for t in two_theta_range)
    crystals = smallest_cells(sites_by_element(structures, _form_factor_row))
    lattices = np.array([crystal.lattice for crystal in crystals]).reshape(-1, 3, 3)
    reaches = reach(lattices, high)
    for rows in chunks(crystals, reaches * (1, 2, 2) + 1, device, MOST_CRYSTALS):
        axes = half_box(reaches[rows].max(0))
        positions, crystal, g = half_sphere(lattices[rows], axes, low, high, device)
        n_reflections = crystal.bincount(minlength=len(rows)).tolist()
        if 0 in n_reflections:
            raise CrystalNetError(
                f"{named(rows[n_reflections.index(0)], len(structures))}No reflection lies between two_theta"
                f" {two_theta_range[0]} and {two_theta_range[1]} degrees at wavelength {wavelength}"
                " Å. Widen the range or shorten the wavelength.",
                Code.BAD_ARGUMENT,
            )
        order, ring, rings = merged(g, crystal, wavelength)
        positions = positions.index_select(0, order)
        chunk = [crystals[row] for row in rows]
        structure_factor = _structure_factors(
            chunk, n_reflections, axes, positions=positions, ring=ring, rings=rings
        )
        squared_amplitude = structure_factor.real**2 + structure_factor.imag**2
        yield rows, rings, _intensity(rings, squared_amplitude, len(rows))


def merged_peaks(g: np.ndarray, squared_amplitude: np.ndarray, wavelength: float) -> Peaks:
    """One crystal's reflections to peaks: equal angles added, Lorentz-polarisation factor, no weak peaks.

    Args:
        g: (M,), 1/Å, in any order.
        squared_amplitude: (M,) |F|^2.
        wavelength: Å.

    >>> merged_peaks(np.array([0.25, 0.25, 0.5]), np.array([4.0, 4.0, 1.0]), wavelength=1.5406).d_spacing
    array([4., 2.])
    """
    order, _, rings = merged(torch.from_numpy(g), torch.zeros(len(g), dtype=torch.int32), wavelength)
    return _strong_peaks(rings, _intensity(rings, torch.from_numpy(squared_amplitude)[order], 1))


def binned_pattern(peaks: Peaks, n_bins: int = N_BINS) -> np.ndarray:
    """The network's input: (n_bins,) float32 over two_theta 0-180 degrees, highest bin 1.

    Bin = int(n_bins * two_theta / 180); where two peaks meet the higher stays (paper, Methods).
    """
    two_theta, intensity = torch.from_numpy(peaks.two_theta), torch.from_numpy(peaks.intensity)
    return binned(torch.zeros(len(two_theta), dtype=int), two_theta, intensity, 1, n_bins)[0].numpy()


def _structure_factors(
    crystals: list[Sites],
    n_reflections: list[int],
    axes: list[np.ndarray],
    *,
    positions: torch.Tensor,
    ring: torch.Tensor,
    rings: Rings,
) -> torch.Tensor:
    """F (M,), complex, of the reflections at `positions` of the box, by crystal; each belongs to a `ring`."""
    device = positions.device
    structure_factor = torch.zeros(len(positions), dtype=torch.complex128, device=device)
    # of the first crystal, of the first two, and so on
    m_ends, p_ends = np.cumsum(n_reflections), rings.crystal.bincount().cumsum(0).tolist()
    s_squared = (rings.g / 2) ** 2
    for slot in slots(crystals):
        m, p = m_ends[len(slot.entries) - 1], p_ends[len(slot.entries) - 1]
        # within a peak |g| is one number to 1e-7, so that its form factor is computed once
        f = _form_factors(slot.entries, rings.crystal[:p], s_squared[:p]).to(torch.complex128)
        phases = phase_sums(slot, axes, device, torch.complex128).view(-1)
        structure_factor[:m].addcmul_(f.index_select(0, ring[:m]), phases.index_select(0, positions[:m]))
    return structure_factor


def _form_factors(elements: np.ndarray, crystal: torch.Tensor, s_squared: torch.Tensor) -> torch.Tensor:
    """f(s) (P,), electrons, of one element a crystal: s = sin(theta) / lambda in 1/Å (De Graef & McHenry)."""
    z, a, b = torch.from_numpy(elements).to(crystal.device).index_select(0, crystal).split([1, 4, 4], 1)
    s_squared = s_squared[:, None]
    return torch.addcmul(z, s_squared, (b * s_squared).exp_().mul_(a).sum(1, keepdim=True)).squeeze(1)


@cache
def _form_factor_row(symbol: str) -> np.ndarray:
    """z, -41.78214 a and -b of f(s) = z - 41.78214 s^2 sum_k a_k exp(-b_k s^2), in one row (9,)."""
    atom = form_factor(symbol)
    return np.array([atom.z, *(-SCATTERING * atom.a), *-atom.b])


def _intensity(rings: Rings, squared_amplitude: torch.Tensor, n_crystals: int) -> torch.Tensor:
    """Intensity (P,) of each peak, the highest of its crystal 100; weak peaks are set to zero."""
    intensity = torch.segment_reduce(squared_amplitude, "sum", lengths=rings.n_reflections, unsafe=True)
    intensity *= lorentz_polarisation(rings.two_theta)
    highest = torch.zeros(n_crystals, dtype=intensity.dtype, device=intensity.device)
    highest.scatter_reduce_(0, rings.crystal.long(), intensity, "amax")
    intensity *= 100 / highest.index_select(0, rings.crystal)
    return intensity * (intensity > INTENSITY_TOLERANCE)


def lorentz_polarisation(two_theta: torch.Tensor) -> torch.Tensor:
    """(1 + cos^2 2 theta) / (sin^2 theta cos theta) at two_theta in degrees, no monochromator.

    >>> lorentz_polarisation(torch.tensor([20.0, 90.0])).round(decimals=2)  # low angles gain
    tensor([63.4100,  2.8300])
    """
    theta = torch.deg2rad(two_theta / 2)
    return (1 + (2 * theta).cos() ** 2) / (theta.sin() ** 2 * theta.cos())


def _strong_peaks(rings: Rings, intensity: torch.Tensor) -> Peaks:
    """The peaks of one crystal that are not too weak."""
    peaks = torch.stack([rings.two_theta, intensity, 1 / rings.g]).numpy()
    return Peaks(*peaks[:, peaks[1] > 0])


def binned(
    crystal: torch.Tensor, two_theta: torch.Tensor, intensity: torch.Tensor, n_crystals: int, n_bins: int
) -> torch.Tensor:
    """The highest peak of each bin, (n_crystals, n_bins) float32, the highest of a crystal 1.

    >>> binned(torch.tensor([0, 0]), torch.tensor([10.0, 170.0]), torch.tensor([100.0, 50.0]), 1, n_bins=4)
    tensor([[1.0000, 0.0000, 0.0000, 0.5000]])
    """
    patterns = torch.zeros(n_crystals * n_bins, device=intensity.device)
    bins = (n_bins * two_theta / 180).long().clamp_(max=n_bins - 1) + n_bins * crystal
    patterns.scatter_reduce_(0, bins, intensity.float(), "amax")
    patterns = patterns.view(n_crystals, n_bins)
    return patterns / patterns.amax(1, keepdim=True)
