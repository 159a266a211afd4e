"""Structures that a crystal may be an analogue of: templates sorted by type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from pathlib import Path

from tqdm.auto import tqdm

from crystalnet.data.crystals import Crystal, crystal_system_of
from crystalnet.errors import CrystalNetError
from crystalnet.solving.knowledge import Knowledge
from crystalnet.solving.structure_types import TypeFile
from crystalnet.solving.templates import Template


class Catalogue:
    """Templates by structure type: of crystals, and of a file of types, which is read when it is asked.

    Args:
        crystals: of any crystal systems.
        progress: show a progress bar.
        types: a file.

    >>> from crystalnet.data.prototypes import library_crystals
    >>> catalogue = Catalogue(library_crystals())
    >>> salts = catalogue.fitting(Knowledge.of("NaCl"), "cubic")
    >>> len(catalogue), sum(map(len, salts)) == len(list(catalogue.templates(Knowledge.of("NaCl"), "cubic")))
    (287, True)
    >>> len(catalogue.without(lambda template: template.space_group == 225)) < len(Catalogue.of(catalogue))
    True
    """

    def __init__(
        self, crystals: Iterable[Crystal] = (), progress: bool = False, types: TypeFile | None = None
    ):
        self._templates: dict[tuple[int, ...], list[Template]] = defaultdict(list)
        self._types = types
        self._withheld: tuple[Callable[[Template], bool], ...] = ()
        for crystal in tqdm(crystals, desc="templates", unit="crystal", disable=not progress):
            try:
                template = Template.of(crystal.atoms, f"{crystal.formula} ({crystal.material_id})")
            except CrystalNetError:
                continue  # a symmetry that changes with the last digits: it would be a poor template
            self._templates[template.amounts].append(template)

    @classmethod
    def of(cls, given: Catalogue | str | Path) -> Catalogue:
        """A catalogue as it is, or that of a file of types, as `crystalnet.catalogue` makes one."""
        return given if isinstance(given, cls) else cls(types=TypeFile(given))

    def __len__(self) -> int:
        if self._withheld:
            return sum(1 for _ in self.templates())
        return sum(map(len, self._templates.values())) + len(self._types or ())

    def fitting(self, knowledge: Knowledge, family: str, system: str | None = None) -> list[list[Template]]:
        """The types that what is known allows, in cells of that family, of one crystal system if given."""
        types: dict[tuple, list[Template]] = defaultdict(list)
        for template in self.templates(knowledge, family):
            if system in (None, crystal_system_of(template.space_group)):
                types[template.key].append(template)
        return list(types.values())

    def templates(self, knowledge: Knowledge | None = None, family: str | None = None) -> Iterator[Template]:
        """All of them, one after the other, or those that fit what is known, or of one family."""
        formulas = dict.fromkeys([*self._templates, *(self._types.formulas if self._types else ())])
        for amounts in formulas:
            if knowledge is not None and not knowledge.allows(amounts):
                continue
            of_file = self._types.templates(amounts, family) if self._types else []
            for template in [*self._templates.get(amounts, ()), *of_file]:
                if family in (None, template.family) and not any(held(template) for held in self._withheld):
                    yield template

    def without(self, withheld: Callable[[Template], bool]) -> Catalogue:
        """The same but for the templates that are withheld."""
        other = copy(self)
        other._withheld = (*self._withheld, withheld)
        return other
