"""Structures that a crystal may be an analogue of: templates sorted by type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import copy

from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal, crystal_system_of
from crystalnet.errors import CrystalNetError
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.templates import Template


class Catalogue:
    """Templates of crystals, by structure type.

    Args:
        crystals: of any crystal systems.
        progress: show a progress bar.
    """

    def __init__(self, crystals: Iterable[Crystal], progress: bool = False):
        self.types: dict[tuple, list[Template]] = defaultdict(list)
        for crystal in tqdm(crystals, desc="templates", unit="crystal", disable=not progress):
            try:
                template = Template.of(crystal.atoms, f"{crystal.formula} ({crystal.material_id})")
            except CrystalNetError:
                continue  # a symmetry that changes with the last digits: it would be a poor template
            self.types[template.key].append(template)

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
        """The same but for the templates that are withheld."""
        other = copy(self)
        kept = {key: [one for one in group if not withheld(one)] for key, group in self.types.items()}
        other.types = {key: group for key, group in kept.items() if group}
        return other
