"""The structure of a CIF, and all that the CIF says about it."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from crystalnet.data.checks import MAX_ATOMS
from crystalnet.data.statements import check_statements, first, number
from crystalnet.errors import Code, CrystalNetError

if TYPE_CHECKING:
    from pymatgen.io.cif import CifParser

MOST = 20_000_000  # bytes, our choice: with its reflections a CIF has a few MB
LONGEST_LINE = 100_000  # characters, our choice: the standard allows 2,048
MAX_OPERATIONS = 4 * 192  # our choice: the most that a space group has in its cell, and larger cells
FULL = 1.01  # an occupancy refined as 1.003 is 1
NAMES = (
    "_space_group_name_H-M_alt",
    "_space_group_name_H-M",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_Hall",
    "_symmetry_space_group_name_Hall",
)
OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_magn_operation.xyz",
    "_space_group_symop_magn_operation_xyz",
)
OPERATION = re.compile(r"[-+xyz\d./*\s]+(,[-+xyz\d./*\s]+){2,3}", re.IGNORECASE)  # a fourth: of time


def cif_structure(lines: Iterable[str], name: str) -> Structure:
    r"""The one structure of a CIF; `name` is for the error.

    Raises:
        CrystalNetError: no structure or several, an occupancy that is no number, no symmetry (a file that
            lists all atoms of its cell says so with the space group 'P 1'), or a statement that the atoms
            contradict (see `check_statements`).

    >>> text = "data_po\n_cell_length_a 3.35\n_cell_length_b 3.35\n_cell_length_c 3.35\n"
    >>> text += "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
    >>> text += "_symmetry_space_group_name_H-M 'P m -3 m'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
    >>> text += "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nPo1 Po 0 0 0\n"
    >>> cif_structure([text], "po.cif").composition.reduced_formula
    'Po'
    """
    from pymatgen.io.cif import CifFile, CifParser  # 80 MB and seconds that other sources do without

    text = _one_block("".join(lines), name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            (block,) = CifFile.from_str(text).data.values()
            facts = block.data
            _check_sites(facts, name)
            parser = CifParser.from_str(text)
            (structure,) = parser.parse_structures(primitive=False)
        except CrystalNetError:
            raise
        except Exception as error:  # the parser raises whatever its parts do, or warns of it
            cause = " ".join(str(caught[-1].message if caught else error).split())[:300]
            raise CrystalNetError(
                f"{name}: this CIF gives no structure ({cause}). Correct it.", Code.FILE_UNREADABLE
            ) from None
    operations = _check_symmetry_is_known(facts, parser, name)
    _check_elements_are_known(facts, parser, name)
    check_statements(facts, structure, operations, first(facts, *NAMES), name)
    return structure


def _one_block(text: str, name: str) -> str:
    """The text of the one block that lists atoms; each of its data names stands there once."""
    if any(len(line) > LONGEST_LINE for line in text.splitlines()):
        raise CrystalNetError(
            f"{name}: it has lines of more than {LONGEST_LINE} characters. Export the CIF again.",
            Code.TOO_LARGE,
        )
    blocks = re.split(r"^\s*data_", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
    with_atoms = [block for block in blocks if "_atom_site_fract_x" in block]
    if len(with_atoms) > 1:
        raise CrystalNetError(
            f"{name}: the CIF holds {len(with_atoms)} structures. Give each its own file.",
            Code.FILE_UNREADABLE,
        )
    if not with_atoms:
        raise CrystalNetError(
            f"{name}: this CIF gives no structure (no block lists _atom_site_fract_x). Correct it.",
            Code.FILE_UNREADABLE,
        )
    bare = re.sub(r"^;.*?^;", "", with_atoms[0], flags=re.MULTILINE | re.DOTALL)  # without its text fields
    names = Counter(re.findall(r"^\s*(_(?:atom_site|cell|chemical|space|symmetry)_\S+)", bare, re.MULTILINE))
    if doubled := [name for name, count in names.items() if count > 1]:
        raise CrystalNetError(
            f"{name}: {doubled[0]} stands there {names[doubled[0]]} times. Keep one of them.",
            Code.CONTRADICTION,
        )
    return "data_" + with_atoms[0]


def _check_sites(facts: dict, name: str) -> None:
    """As many sites and operations as a crystal may have, and a number for each occupancy."""
    sites = len(facts["_atom_site_fract_x"])
    operations = max(len(facts[key]) if isinstance(facts.get(key), list) else 0 for key in OPERATIONS)
    if sites > MAX_ATOMS or operations > MAX_OPERATIONS:
        raise CrystalNetError(
            f"{name}: {sites} atom sites and {operations} symmetry operations, more than {MAX_ATOMS} and"
            f" {MAX_OPERATIONS}. Give the primitive cell, or leave this crystal out.",
            Code.TOO_LARGE,
        )
    numbers = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy")
    for key in numbers:
        for site, text in enumerate(facts.get(key, []), start=1):
            value = number(text)
            if value is None or (key == numbers[-1] and not 0 <= value <= FULL):
                raise CrystalNetError(
                    f"{name}: {key} of atom site {site} is {text!r}. Write a number, as 0.5; an occupancy is"
                    " from 0 to 1.",
                    Code.FILE_UNREADABLE,
                )
    for operation in given if isinstance(given := _operations(facts), list) else [given or "x,y,z"]:
        if not OPERATION.fullmatch(operation):
            raise CrystalNetError(
                f"{name}: the symmetry operation {operation!r} can't be read. Write it as in 'x, -y, z+1/2'.",
                Code.NO_SYMMETRY,
            )


def _operations(facts: dict) -> list[str] | str | None:
    return next((facts[key] for key in OPERATIONS if facts.get(key)), None)


def _check_symmetry_is_known(facts: dict, parser: CifParser, name: str) -> list | None:
    """The rotations of the operations that the file lists; None if it names its space group alone.

    The parser takes what it does not understand for P 1, and a number for its first setting.
    """
    if _operations(facts):
        return [operation.rotation_matrix for operation in parser.symmetry_operations]
    said = first(facts, *NAMES)
    by_name = any("Spacegroup from" in warning for warning in parser.warnings)
    guessed = any("Defaulting to P1" in warning for warning in parser.warnings)
    if guessed or (said and not by_name):
        what = f"the space group {said!r} is not known" if said else "no symmetry is stated"
        raise CrystalNetError(
            f"{name}: {what}. Give the operations, _space_group_symop_operation_xyz; if all atoms of the cell"
            " are listed, give _space_group_name_H-M_alt 'P 1'.",
            Code.NO_SYMMETRY,
        )
    return None


def _check_elements_are_known(facts: dict, parser: CifParser, name: str) -> None:
    """The parser reads CO1 as cobalt and Wat as oxygen; only a formula tells whether that is right."""
    guesses = [warning for warning in parser.warnings if " parsed as " in warning]
    if guesses and first(facts, "_chemical_formula_sum") is None:
        raise CrystalNetError(
            f"{name}: an atom site would be guessed ({guesses[0]}). Give _atom_site_type_symbol, or"
            " _chemical_formula_sum to compare with.",
            Code.UNKNOWN_ELEMENT,
        )
