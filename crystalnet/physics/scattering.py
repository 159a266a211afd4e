r"""What pattern and density share: the phase sums of many crystals at once, element by element.

    S(hkl) = \sum_j exp(2 pi i (h x_j + k y_j + l z_j)),    j over the atoms of one element of one crystal

A phase factor splits into one factor an axis, so that S over a whole box of Miller indices is one matrix
product. Crystals are computed in chunks of bounded memory, each chunk in one box.

>>> bcc = Atoms(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["Fe", "Fe"]))
>>> crystals = sites_by_element([bcc], lambda symbol: np.zeros(1))
>>> cpu, index = torch.device("cpu"), np.arange(2)
>>> list(chunks(crystals, np.array([[2, 2, 2]]), cpu))
[[0]]
>>> (slot,) = slots(crystals)
>>> sums = phase_sums(slot, [index] * 3, cpu, torch.complex128).real.round().long()
>>> sums.flatten().tolist()  # 000, 001, 010, 011 ...: 0 where h + k + l is odd
[2, 0, 0, 2, 0, 2, 2, 0]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import torch

from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.atoms import Atoms, AtomsLike

CHUNK = {
    "cpu": 2**17,
    "accelerator": 2**20,
}  # indices a chunk, some 150 bytes each; our choice: a CPU's cache


class Sites(NamedTuple):
    """A crystal by element: its `lattice` (3, 3) in Å, and for each element its table entry and its
    fractional coordinates (A, 3)."""

    lattice: np.ndarray
    elements: list[tuple[np.ndarray, np.ndarray]]


class Slot(NamedTuple):
    """One element of each crystal of a chunk: table `entries` (b, ...), `frac_coords` (b, A, 3), and
    `present` (b, A, 1), one for an atom and zero for the padding of crystals that have fewer."""

    entries: np.ndarray
    frac_coords: np.ndarray
    present: np.ndarray


def named(index: int, n_crystals: int) -> str:
    """How an error message begins: it names the crystal where there are several.

    >>> named(2, 5)
    'Crystal 2 of 5, counted from 0: '
    """
    return f"Crystal {index} of {n_crystals}, counted from 0: " if n_crystals > 1 else ""


def sites_by_element(structures: Sequence[AtomsLike], table: Callable[[str], np.ndarray]) -> list[Sites]:
    """Ordered pymatgen Structures, or Atoms, sorted by element; `table` gives an element's entry.

    Raises:
        CrystalNetError: a structure that is no ordered crystal, or an element that `table` does not hold.
    """
    crystals = []
    for index, structure in enumerate(structures):
        try:
            crystals.append(_sites(Atoms.of(structure), table))
        except CrystalNetError as error:
            raise CrystalNetError(f"{named(index, len(structures))}{error}", error.code) from None
    return crystals


def _sites(atoms: Atoms, table: Callable[[str], np.ndarray]) -> Sites:
    lattice, frac_coords = np.asarray(atoms.lattice, float), np.asarray(atoms.frac_coords, float)
    finite = np.isfinite(lattice).all() and np.isfinite(frac_coords).all()
    if not (finite and len(frac_coords) and abs(np.linalg.det(lattice)) > 0):
        raise CrystalNetError(
            "There are no atoms, the cell has no volume, or a number is not finite. Correct the structure.",
            Code.BAD_STRUCTURE,
        )
    rows: dict[str, list[int]] = {}
    for row, symbol in enumerate(np.asarray(atoms.symbols).tolist()):
        rows.setdefault(symbol, []).append(row)
    by_number = sorted(rows.items(), key=lambda item: -len(item[1]))  # like numbers share a slot
    return Sites(lattice, [(table(symbol), frac_coords[at]) for symbol, at in by_number])


def chunks(
    crystals: Sequence[Sites], boxes: np.ndarray, device: torch.device, most: int | None = None
) -> Iterator[list[int]]:
    """The crystals (their positions) in groups of up to `most`, sorted as `slots` needs them.

    Each in the box that holds the boxes (B, 3) of all of its group, the crystals of a group have up to CHUNK
    indices together, or there is only one. Groups are of like boxes.
    """
    limit = CHUNK.get(device.type, CHUNK["accelerator"])

    def group_of(members):
        return sorted(members, key=lambda i: -len(crystals[i].elements))

    members, box = [], (0, 0, 0)
    for i in np.lexsort(boxes.T[::-1]).tolist()[::-1]:
        wider = tuple(map(max, box, boxes[i].tolist()))
        if members and (len(members) == most or (len(members) + 1) * prod(wider) > limit):
            yield group_of(members)
            members, wider = [], tuple(boxes[i].tolist())
        members.append(i)
        box = wider
    if members:
        yield group_of(members)


def slots(crystals: Sequence[Sites]) -> Iterator[Slot]:
    """The first element of every crystal, the second of those that have two, and so on.

    The crystals must be sorted by falling number of elements: a slot of b entries is of the first b crystals.
    """
    for number in range(len(crystals[0].elements)):
        entries, coords = zip(
            *[c.elements[number] for c in crystals if len(c.elements) > number], strict=True
        )
        n_atoms = np.array([len(atoms) for atoms in coords])
        present = np.arange(n_atoms.max()) < n_atoms[:, None]
        padded = np.zeros((*present.shape, 3))
        padded[present] = np.concatenate(coords)
        yield Slot(np.array(entries), padded, present[..., None].astype(float))


def phase_sums(
    slot: Slot, axes: Sequence[np.ndarray], device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """S on the box of three axes of Miller indices (H,), (K,), (L,): (b, H, K, L) of the complex `dtype`.

    The phases are float64 whatever `dtype` is: they are few, and a rounded angle would be a moved atom.
    """
    sizes = [len(axis) for axis in axes]
    angles = 2 * np.pi * np.concatenate(axes) * np.repeat(slot.frac_coords, sizes, axis=-1)
    phases = torch.polar(torch.from_numpy(slot.present), torch.from_numpy(angles))  # (b, A, H + K + L)
    h, k, l = phases.to(dtype).to(device).split(sizes, -1)  # noqa: E741
    plane = (k[..., None] * l[..., None, :]).flatten(2)  # (b, A, K L)
    return (h.mT @ plane).view(-1, *sizes)
