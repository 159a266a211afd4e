"""Structures that a crystal may be an analogue of: templates sorted by type, and the elements' volumes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import copy

import numpy as np
from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal, crystal_system_of
from crystalnet.errors import CrystalNetError
from crystalnet.physics.tables import ATOMIC_NUMBERS, SYMBOLS
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.templates import FAMILIES, Template

FILL = 0.55, 2.2  # of the volume that its elements should take, our choice: lithium in itself takes twice
UNNAMED_VOLUME = 4.0, 100.0  # Å^3 that an atom of any element may take, our choice
USUAL_VOLUME = 15.0  # Å^3 an atom, which the fit of the elements' volumes leans to; our choice
SMALLEST_VOLUME = 8.0  # Å^3 an atom that a prediction may fall to, our choice: diamond has 5.7, iron 11.8


class Catalogue:
    """Templates of crystals, by structure type.

    Args:
        crystals: of any crystal systems; those whose cells have more than two lengths are passed over.
        progress: show a progress bar.
    """

    def __init__(self, crystals: Iterable[Crystal], progress: bool = False):
        self.types: dict[tuple, list[Template]] = defaultdict(list)
        usable = [crystal for crystal in crystals if crystal.crystal_system in FAMILIES]
        for crystal in tqdm(usable, desc="templates", unit="crystal", disable=not progress):
            try:
                template = Template.of(crystal.atoms, f"{crystal.formula} ({crystal.material_id})")
            except CrystalNetError:
                continue  # a symmetry that changes with the last digits: it would be a poor template
            self.types[template.key].append(template)
        self._volumes = self._fitted()

    def __len__(self) -> int:
        return sum(map(len, self.types.values()))

    def fitting(self, knowledge: Knowledge, family: str, system: str | None = None) -> list[list[Template]]:
        """The types that what is known allows, in cells of that family, of one crystal system if given."""
        return [
            templates
            for (space_group, *_), templates in self.types.items()
            if templates[0].family == family
            and knowledge.fits(templates[0])
            and system in (None, crystal_system_of(space_group))
        ]

    def without(self, withheld: Callable[[Template], bool]) -> Catalogue:
        """The same, the volumes of elements too, but for the templates that are withheld."""
        other = copy(self)
        kept = {key: [one for one in group if not withheld(one)] for key, group in self.types.items()}
        other.types = {key: group for key, group in kept.items() if group}
        return other

    def volume(self, amounts: Mapping[str, float]) -> float:
        """The volume, Å^3, that so many atoms should take."""
        total = sum(n * self._volumes[ATOMIC_NUMBERS[element] - 1] for element, n in amounts.items())
        return max(total, SMALLEST_VOLUME * sum(amounts.values()))

    def fills(self, amounts: Mapping[str | None, float], volume: float) -> bool:
        """Whether so many atoms may take a volume, Å^3; those that nobody named are under None."""
        least, most = (n * amounts.get(None, 0) for n in UNNAMED_VOLUME)
        if known := {element: n for element, n in amounts.items() if element is not None}:
            usual = self.volume(known)
            least, most = least + FILL[0] * usual, most + FILL[1] * usual
        return least < volume < most

    def _fitted(self) -> np.ndarray:
        """Volumes of the elements (118,), Å^3, that add up best to the templates' cells: ridge regression."""
        templates = [template for group in self.types.values() for template in group]
        fractions = np.zeros((len(templates), len(SYMBOLS)))
        volumes = np.zeros(len(templates))
        for row, template in enumerate(templates):
            n_atoms = len(template.symbols)
            for element, n in template.counts.items():
                fractions[row, ATOMIC_NUMBERS[element] - 1] = n / n_atoms
            volumes[row] = abs(np.linalg.det(template.lattice)) / template.n_points / n_atoms
        normal = fractions.T @ fractions + np.eye(len(SYMBOLS))
        return np.linalg.solve(normal, fractions.T @ volumes + USUAL_VOLUME)
