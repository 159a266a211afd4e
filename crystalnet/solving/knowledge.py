"""What is known of a sample's elements, and the ways to fill a template with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations, product

from pymatgen.core import Composition

from crystalnet.data.checks import supported_elements
from crystalnet.data.chemistry import unlikeness
from crystalnet.errors import Code, CrystalNetError
from crystalnet.solving.formulas import amounts_of
from crystalnet.solving.relatives import HYDROGEN
from crystalnet.solving.templates import Template

UNNAMED = "?"
MOST_FILLINGS = 48  # of a template, the chemically most alike; our choice: all of a formula with 4 elements


@dataclass(frozen=True)
class Knowledge:
    """Elements, perhaps with amounts, perhaps with some that are not named.

    Attributes:
        elements: (k,) symbols.
        amounts: (k,) atoms of each in the reduced formula; None if the ratios are not known.
        n_hidden: further elements that the sample has; None if nothing is known of it, not even how many.
        assumptions: what was taken for granted when it was read.

    >>> salt = Knowledge.of_formula("NaCl")
    >>> salt.is_complete, salt.formula, salt.allows((1, 1)), salt.allows((1, 2))
    (True, {'Na': 1, 'Cl': 1}, True, False)
    >>> Knowledge.of_elements(["Na", "?"]).n_hidden, Knowledge.nothing().allows((1, 2, 7))
    (1, True)
    >>> import numpy as np
    >>> from crystalnet.physics.atoms import Atoms
    >>> kbr = Atoms(3.3 * (1 - np.eye(3)), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(["K", "Br"]))
    >>> template = Template.of(kbr)
    >>> salt.fillings(template)[0][1]
    {'K': 'Na', 'Br': 'Cl'}
    """

    elements: tuple[str, ...]
    amounts: tuple[int, ...] | None = None
    n_hidden: int | None = 0
    assumptions: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, said: Said) -> Knowledge:
        """Of a formula, a list of elements or text with commas between them, None for nothing, or a Knowledge
        as it is; errors as below.

        >>> Knowledge.of("Mg2Si").formula, Knowledge.of("Mg, Si").amounts
        ({'Mg': 2, 'Si': 1}, None)
        """
        if isinstance(said, str) and "," in said:
            said = [element.strip() for element in said.split(",")]
        if said is None:
            return cls.nothing()
        if isinstance(said, Knowledge):
            return said
        return cls.of_elements(said) if isinstance(said, list | tuple | set) else cls.of_formula(said)

    @classmethod
    def of_formula(cls, formula: str | Mapping[str, float] | Composition) -> Knowledge:
        """Elements and whole amounts; hydrates, brackets and deuterium as in `formulas.amounts_of`.

        Raises:
            CrystalNetError: no formula of known elements, an amount that is not above 0.
        """
        if not isinstance(formula, str | Mapping | Composition):
            raise CrystalNetError(
                f"{str(formula)[:60]!r} is no formula. Write elements and amounts, as in 'Mg2Si'.",
                Code.BAD_FORMULA,
            )
        amounts, said = amounts_of(formula)
        if unknown := set(amounts) - supported_elements():
            raise CrystalNetError(
                f"{str(formula)[:60]!r}: there are no tables for {', '.join(sorted(unknown))}. Write"
                " elements and amounts, as in 'Mg2Si'.",
                Code.UNKNOWN_ELEMENT,
            )
        return cls(tuple(amounts), tuple(amounts.values()), assumptions=said)

    @classmethod
    def of_elements(cls, elements: Iterable[str]) -> Knowledge:
        """Elements without ratios; a '?' for each further one that is not named.

        Raises:
            CrystalNetError: an element that there is none of, or none at all.
        """
        elements = [str(element).strip() for element in elements]
        said = ("deuterium D is read as hydrogen",) if "D" in elements else ()
        elements = ["H" if symbol == "D" else symbol for symbol in elements]
        named = tuple(dict.fromkeys(symbol for symbol in elements if symbol != UNNAMED))
        if unknown := [symbol for symbol in named if symbol not in supported_elements()]:
            raise CrystalNetError(
                f"There are no tables for {', '.join(map(repr, unknown))}. List symbols of elements, as in"
                f" ['Mg', 'Si'], and a '{UNNAMED}' for each that is not known.",
                Code.UNKNOWN_ELEMENT,
            )
        if not elements:
            raise CrystalNetError(
                "The list of elements is empty. Name some, or give None instead of it.", Code.BAD_FORMULA
            )
        return cls(named, None, elements.count(UNNAMED), said)

    @classmethod
    def nothing(cls) -> Knowledge:
        """The pattern alone."""
        return cls((), None, None)

    @property
    def is_complete(self) -> bool:
        return self.amounts is not None and self.n_hidden == 0

    @property
    def formula(self) -> dict[str, int]:
        """Amounts by element, where they are known."""
        return dict(zip(self.elements, self.amounts or (), strict=False))

    @property
    def bare(self) -> Knowledge | None:
        """The same without hydrogen, which X-rays hardly see; None where there is none, or too little else.

        >>> Knowledge.of("Mg(OH)2").bare.formula, Knowledge.of("NaCl").bare, Knowledge.of("LiH").bare
        ({'Mg': 1, 'O': 2}, None, None)
        """
        left = {element: n for element, n in self.formula.items() if element != HYDROGEN}
        if not self.is_complete or len(left) == len(self.elements) or len(left) < 2:
            return None
        divisor = math.gcd(*left.values())
        return Knowledge(tuple(left), tuple(n // divisor for n in left.values()))

    def allows(self, amounts: tuple[int, ...]) -> bool:
        """Whether an anonymised formula has the right number of elements, and the right amounts if known."""
        if self.n_hidden is None:
            return True
        if self.is_complete:
            return amounts == tuple(sorted(self.amounts))
        return len(amounts) == len(self.elements) + self.n_hidden

    def fillings(self, template: Template) -> list[tuple[float, dict[str, str | None]]]:
        """What a template's elements may become: unlikeness and a map from old to new, most alike first.

        The unlikeness is that of the roles, see `_strangeness`. A template that does not fit has none. An
        element that nobody named is None, and its likeness does not count; `naming` finds it.
        """
        if not self.allows(template.amounts):
            return []
        old = list(template.counts)
        if self.is_complete:
            choices = self._permuted(template, old)
        elif not self.elements:
            choices = [(None,) * len(old)]
        else:  # any order, each once
            n_unnamed = len(old) - len(self.elements)
            choices = dict.fromkeys(permutations((*self.elements, *[None] * n_unnamed)))
        unlike = {
            (role, element): _strangeness(template.roles[role], element)
            for role in old
            for element in self.elements
        }
        ranked = [
            (sum(unlike[pair] for pair in zip(old, new, strict=True) if pair[1]), new) for new in choices
        ]
        ranked.sort(key=lambda pair: pair[0])
        return [(unlike, dict(zip(old, new, strict=True))) for unlike, new in ranked[:MOST_FILLINGS]]

    def _permuted(self, template: Template, old: list[str]) -> list[tuple[str, ...]]:
        """Elements take the place of elements with equal amounts."""
        formula, units = self.formula, template.n_formula_units
        groups: dict[int, list[str]] = {}
        for element in old:
            groups.setdefault(template.counts[element] // units, []).append(element)
        new = {n: [element for element in formula if formula[element] == n] for n in groups}
        orders = [
            [dict(zip(group, order, strict=True)) for order in permutations(new[n])]
            for n, group in groups.items()
        ]
        maps = [{k: v for part in parts for k, v in part.items()} for parts in product(*orders)]
        return [tuple(one[element] for element in old) for one in maps]


def _strangeness(role: Mapping[str, int], element: str) -> float:
    r"""How strange an element is in a role that others have filled, counts by element: -ln of

        \sum_e (n_e / n) exp(-unlikeness of e)

    So in the role of one element alone it is the unlikeness of the two.
    """
    likeness = sum(n * math.exp(-unlikeness(other, element)) for other, n in role.items())
    return -math.log(likeness / sum(role.values()))


Said = str | Mapping[str, float] | Composition | Iterable[str] | Knowledge | None
