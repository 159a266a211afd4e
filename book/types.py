"""Fit the structure types of the package: `python book/types.py`.

data/structures/{paper_split,seven_systems,large_cells}.jsonl.gz, mp20_leaks.json --training rows-->
    crystalnet/solving/types.safetensors, crystalnet/solving/types.md

CRYSTALNET_DATA names another folder than data. It takes ten minutes on one core.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from tqdm.auto import tqdm

from crystalnet.data.crystals import SYMPREC
from crystalnet.data.leakage import ENANTIOMORPHS, Formula, reduced_formula
from crystalnet.data.prototypes import library_crystals
from crystalnet.physics.atoms import Atoms
from crystalnet.runs.places import located
from crystalnet.runs.provenance import write_text
from crystalnet.scoring.coverage import coverage, ranks
from crystalnet.solving.clusters import fitted_types, members_of
from crystalnet.solving.fitted_types import FittedType
from crystalnet.solving.members import Member, lies_upon
from crystalnet.solving.relatives import bare, merged
from crystalnet.solving.structure_types import CARD, FILE, TypeFile
from crystalnet.solving.type_writing import in_order, write

FILES = "paper_split", "seven_systems", "large_cells"
RECORD = Path(__file__).with_name("types.csv")
NAMES = Path(__file__).with_name("type_names.yaml")
SOURCE = (
    "The Materials Project (materialsproject.org), by way of public repositories that carry its structures"
)
LICENCE = "CC BY 4.0, Materials Project"
CARD_TEXT = """# Structure types of the known world

A type is an anonymised formula, a space group and an arrangement of sites. It keeps mean and spread of the
cell and of the free coordinates of its compounds, how many there are, and how many of them have which
element in which role. Types of one formula and space group are told apart where no change of origin or axes
lays one upon the other, cells of equal volume within 12 % and atoms within a quarter of (V / n)^(1/3).

- **Fitted to** {rows} training crystals of all seven systems, up to 120 atoms in the primitive cell. Symmetry
  within 0.01 and 0.1 Å; where they differ a crystal counts in both types. A crystal with hydrogen counts
  without it, too, among those of the shorter formula.
- **Confirmed by relatives**: a type of one compound is kept if a crystal of another formula lies upon it
  when two of its elements that are alike are counted as one: SrAl4O7 and CaAlB3O7.
- **Left out**: every validation and test crystal of `paper_split`, `seven_systems` and `large_cells`, all
  that has the formula and a space group of one, and what MP-20's test split holds (`mp20_leaks.json`).
- **Holds** {fitted} types of at least two compounds, of {formulas} anonymised formulas, and {prototypes}
  prototypes of the AFLOW library that no fitted type stands for.
- **Source and licence**: crystals of the Materials Project (Jain et al. 2013, APL Materials 1, 011002), CC BY
  4.0, by way of public repositories that carry them. The file holds statistics of them.
- **Made by** `python book/types.py`; read by `crystalnet.solving.structure_types`.

Test crystals that are of a type of two or more compounds, and those that lie upon the mean of one:

| crystals | number | same type | same arrangement |
|---|---|---|---|
{coverage}
"""


class Part(NamedTuple):
    """A crystal, or what is left of it, and the formula of the whole."""

    name: str
    atoms: Atoms
    whole: Formula


class Row(NamedTuple):
    """A crystal of the files.

    Attributes:
        group: what it is counted with: a crystal system, or large cells.
        groups: space groups that the file names for it.
        certain: whether it is known to be the crystal of its name.
    """

    name: str
    group: str
    split: str
    formula: Formula
    groups: frozenset[int]
    atoms: Atoms
    certain: bool


def rows(folder: Path) -> Iterator[Row]:
    """All crystals, test ones too."""
    known = cache(reduced_formula)
    for name in FILES:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as file:
            for line in file:
                row = json.loads(line)
                groups = frozenset(filter(None, (row["spacegroup"], row.get("spacegroup_loose"))))
                atoms = Atoms(*(np.array(row[part]) for part in ("lattice", "frac_coords", "species")))
                identity = row["mp_id"] or f"{row['source']} {row['source_id']}"
                certain = row.get("match") != "ambiguous"
                group = "large cells" if name == "large_cells" else row["crystal_system"]
                yield Row(identity, group, row["split"], known(row["formula"]), groups, atoms, certain)


def held_out(all_rows: list[Row], leaks: set[str]) -> dict[Formula, set[int]]:
    """Formulas and space groups of what no type may be fitted to: validation and test crystals of every
    published split, and those of MP-20's."""
    held: dict[Formula, set[int]] = defaultdict(set)
    for row in tqdm(all_rows, "Held-out crystals", unit=" rows"):
        if not row.split.startswith("train") or row.name in leaks:
            held[row.formula] |= groups_of(row)
    return held


def parts_of(row: Row) -> Iterator[tuple[bool, Part]]:
    """What a crystal tells of types of other formulas, and whether it may begin one: as it is without
    hydrogen, and then with two like elements as one."""
    if (heavy := bare(row.atoms)) is not None:
        yield True, Part(row.name, heavy, row.formula)
    for atoms in merged(row.atoms if heavy is None else heavy):
        yield False, Part(row.name, atoms, row.formula)


def groups_of(row: Row | Part) -> set[int]:
    """Space groups that a crystal has within a tolerance or another, by the file or by us; mirror images have
    one."""
    found = (member.template.space_group for member in members_of(row.atoms, row.name))
    return {ENANTIOMORPHS.get(group, group) for group in (*getattr(row, "groups", ()), *found)}


def lacking(types: list[FittedType]) -> list[FittedType]:
    """Types of the library of prototypes that no fitted one stands for."""
    write(FILE, in_order(types))
    file, more = TypeFile(FILE), []
    for crystal in tqdm(library_crystals(), "Prototypes", unit=" types"):
        member = members_of(crystal.atoms, crystal.material_id)[0]
        templates = file.templates(member.template.amounts)
        if not any(lies_upon(member, Member(template)) for template in templates):
            more += fitted_types([(crystal.material_id, crystal.atoms)], fewest=1, tolerances=(SYMPREC,))
    return more


def names_of(types: list[FittedType]) -> dict[int, str]:
    """Names by place. Of several types in question the most frequent one with the elements has it."""
    names: dict[int, str] = {}
    for name, (formula, space_group) in yaml.safe_load(NAMES.read_text()).items():
        compound = reduced_formula(formula)
        amounts = tuple(sorted(amount for _, amount in compound))
        asked = [
            place
            for place, one in enumerate(types)
            if (one.amounts, one.space_group) == (amounts, space_group) and place not in names
        ]
        if asked:
            best = max(asked, key=lambda place: (_holds(types[place], compound), types[place].n_compounds))
            names[best] = name
    return names


def _holds(one: FittedType, compound: Formula) -> bool:
    return all(
        any(n == amount and element in counts for n, counts in zip(one.amounts, one.elements, strict=True))
        for element, amount in compound
    )


def amounts_of(one: Row | Part) -> tuple[int, ...]:
    return tuple(sorted(amount for _, amount in reduced_formula(one)))


def main() -> None:
    folder = located("the rows", "data/structures/seven_systems.jsonl.gz").parent
    leaks = json.loads((folder / "mp20_leaks.json").read_text())
    all_rows = list(rows(folder))
    held = held_out(all_rows, {*leaks["ids"], *leaks["by_formula_and_space_group"]})

    def is_held(one: Row | Part) -> bool:
        formula = reduced_formula(one)
        return formula in held and not held[formula].isdisjoint(groups_of(one))

    rows_of = tqdm(all_rows, "Training crystals", unit=" rows")
    train = [row for row in rows_of if row.split.startswith("train") and row.certain and not is_held(row)]
    test = [row for row in all_rows if row.split == "test" and row.certain]
    crystals: dict[tuple, list[Part]] = defaultdict(list)
    relatives: dict[tuple, list[Part]] = defaultdict(list)
    for row in train:
        crystals[amounts_of(row)].append(Part(row.name, row.atoms, row.formula))
    for row in tqdm(train, "Relatives", unit=" rows"):
        for begins, part in parts_of(row):
            if amounts_of(part) in crystals and not is_held(part):
                (crystals if begins else relatives)[amounts_of(part)].append(part)
    fitted: list[FittedType] = []
    with tqdm(total=sum(map(len, crystals.values())), desc="Types", unit=" crystals") as bar:
        for amounts, group in crystals.items():
            fitted += fitted_types(group, relatives[amounts])
            bar.update(len(group))
    types = in_order([*fitted, *lacking(fitted)])
    fitted_to = {(row.formula, group) for row in train for group in row.groups}
    write(FILE, types, names_of(types), fitted_to, source=SOURCE, licence=LICENCE)
    table = coverage(ranks(((row.group, row.name, row.atoms) for row in test), TypeFile(FILE)))
    write_text(RECORD, table.to_csv(index=False))
    whole = table[table["kept"] == table["kept"].max()]
    lines = [
        f"| {row.kind} | {row.crystals} | {row.type:.1%} | {row.arrangement:.1%} |"
        for row in whole.itertuples()
    ]
    card = CARD_TEXT.format(
        rows=len(train),
        fitted=len(fitted),
        formulas=len({one.amounts for one in fitted}),
        prototypes=len(types) - len(fitted),
        coverage="\n".join(lines),
    )
    write_text(CARD, card)
    print(FILE, CARD, RECORD, sep="\n")


if __name__ == "__main__":
    main()
