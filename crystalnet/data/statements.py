"""What a CIF states beside its atoms, held against what they give: formula, Z, volume, density, group."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import NoReturn

import moyopy
import numpy as np
from pymatgen.core import Structure

from crystalnet.data.checks import MAX_ATOMS, checked_atoms
from crystalnet.data.crystals import symmetry_of
from crystalnet.errors import Code, CrystalNetError
from crystalnet.physics.tables import SYMBOLS

AMOUNT = 0.5 / MAX_ATOMS  # relative error of an element's share, less than one atom makes in any cell
VOLUME = 0.01  # relative, our choice: old files give cell and volume to a few digits
DENSITY = 0.05  # relative, our choice: many files give it to two digits
IDENTITY = 3, 1  # its trace and determinant


def check_statements(
    facts: dict, structure: Structure, operations: list | None, group: str | None, name: str
) -> None:
    """Compare the items of a CIF with the structure that was made of it.

    Args:
        facts: the block's texts by data name, lists of them in loops.
        structure: all atoms of the cell. A disordered one has neither formula nor symmetry to compare.
        operations: rotations (3, 3) that the file lists, if it does.
        group: Hermann-Mauguin symbol that the file gives, if it does.
        name: what errors call the crystal.

    Raises:
        CrystalNetError: a statement that differs; also what is no crystal, see `checked_atoms`.

    >>> from pymatgen.core import Lattice
    >>> polonium = Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])
    >>> check_statements({"_cell_volume": "38"}, polonium, None, None, "po.cif")
    Traceback (most recent call last):
        ...
    crystalnet.errors.CrystalNetError: po.cif: it states the cell volume 38 Å^3, but ...
    """
    volume = number(first(facts, "_cell_volume"))
    if volume is not None and abs(volume / structure.volume - 1) > VOLUME:
        _contradict(
            name, "cell volume", f"{volume:g} Å^3", f"cell gives {structure.volume:.4g} Å^3", "_cell_volume"
        )
    if not structure.is_ordered:
        return
    atoms = checked_atoms(structure, name)
    _check_formula(facts, Counter(atoms.symbols.tolist()), name)
    density = number(first(facts, "_exptl_crystal_density_diffrn"))
    if density is not None and abs(density / float(structure.density) - 1) > DENSITY:
        _contradict(
            name,
            "density",
            f"{density:g} g/cm^3",
            f"atoms give {structure.density:.4g}",
            "_exptl_crystal_density_diffrn",
        )
    if (stated := _stated_group(facts, group, name)) is None:
        return
    kinds, built = _kinds(stated), symmetry_of(atoms, name)
    if not kinds <= _kinds(built.number):
        _contradict(
            name, "space group", f"number {stated}", f"atoms make number {built.number}", "the space group"
        )
    listed = Counter(map(_kind, operations or []))
    if len(listed) > 1 and listed != Counter({kind: n * listed[IDENTITY] for kind, n in kinds.items()}):
        _contradict(name, "space group", f"number {stated}", "operations are of another", "the space group")


def _check_formula(facts: dict, built: Counter, name: str) -> None:
    """The formula, of one unit or of the whole cell, and the number of units."""
    text = first(facts, "_chemical_formula_sum")
    if text is None:
        return
    parts = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", text)
    stated = Counter()
    for symbol, amount in parts:
        stated["H" if symbol in "DT" else symbol] += float(amount or 1)
    in_cell = "".join(f"{symbol}{built[symbol]} " for symbol in sorted(built)).strip()
    item = "_chemical_formula_sum"
    if "".join(a + b for a, b in parts) != re.sub(r"[\s,]", "", text) or not set(stated) <= set(SYMBOLS):
        _contradict(name, "formula", repr(text), f"cell holds {in_cell}, and this is no formula", item)
    stated = +stated
    units = built.total() / stated.total()
    same = stated.keys() == built.keys() and all(
        abs(stated[symbol] * units / count - 1) < AMOUNT for symbol, count in built.items()
    )
    if not same or abs(units - max(1, round(units))) > 0.01:
        _contradict(name, "formula", repr(text), f"cell holds {in_cell}", item)
    z = number(first(facts, "_cell_formula_units_Z"))
    if z is not None and min(abs(units - z), abs(units - 1)) > 0.01:
        _contradict(
            name, "number of formula units", f"{z:g}", f"cell holds {units:.4g}", "_cell_formula_units_Z"
        )


def _stated_group(facts: dict, symbol: str | None, name: str) -> int | None:
    """Number of the space group that a file names, by number or symbol."""
    text = first(facts, "_space_group_IT_number", "_symmetry_Int_Tables_number")
    by_number = None if text is None else number(text)
    if text is not None and by_number not in range(1, 231):
        _contradict(name, "space group", f"number {text}", "number can be 1 to 230", "the space group")
    by_symbol = _numbers().get(_bare(symbol or ""))
    if by_number and by_symbol and by_number != by_symbol:
        _contradict(
            name, "space group", f"number {text}", f"symbol {symbol!r} is number {by_symbol}", "the wrong one"
        )
    return by_symbol if by_number is None else int(by_number)


def _contradict(name: str, what: str, stated: str, built: str, item: str) -> NoReturn:
    raise CrystalNetError(
        f"{name}: it states the {what} {stated}, but its {built}. Correct the file; if the atoms are right,"
        f" take {item} out of it.",
        Code.CONTRADICTION,
    )


def first(facts: dict, *names: str) -> str | None:
    """The text of the first of some items that is given, in whatever case its name is written.

    >>> first({"_Cell_Length_A": "5.64(1)"}, "_cell_length_a"), number("5.64(1)"), number("?")
    ('5.64(1)', 5.64, None)
    """
    lower = {key.lower(): value for key, value in facts.items()}
    values = (lower.get(name.lower()) for name in names)
    texts = (value[0] if isinstance(value, list) and value else value for value in values)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip() not in "?."), None)


def number(text: str | None) -> float | None:
    """A CIF's number without its standard uncertainty, as in 5.64(2); None for what is none."""
    match = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d*\)?)?", (text or "").strip())
    return float(match[1]) if match else None


@cache
def _numbers() -> dict[str, int]:
    """Numbers of the space groups by symbol, in all the settings of the International Tables."""
    entries = [moyopy.HallSymbolEntry(i) for i in range(1, 531)]
    return {_bare(text): entry.number for entry in entries for text in (entry.hm_full, entry.hm_short)}


def _bare(symbol: str) -> str:
    """A symbol as files differ in writing it: blanks, underscores, case, the setting after a colon."""
    return re.sub(r"[\s_]|:.*|\(.*", "", symbol).lower()


@cache
def _kinds(space_group: int) -> Counter:
    """How many operations of each kind the point group of a space group has."""
    operations = moyopy.operations_from_number(space_group, primitive=True)
    return Counter(map(_kind, operations.rotations))


def _kind(rotation) -> tuple[int, int]:
    """Trace and determinant tell the kind of a crystallographic rotation, in whatever axes."""
    rotation = np.asarray(rotation, float)
    return round(float(np.trace(rotation))), round(float(np.linalg.det(rotation)))
