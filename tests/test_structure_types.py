"""Structure types that the solver adds to the library: what they say, and real crystals of them."""

import gzip
import json

import numpy as np
import pytest
import yaml
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from crystalnet.data.leakage import structure_type
from crystalnet.solving.solution import embedded
from crystalnet.solving.structure_types import FILE, frequent_types
from crystalnet.solving.templates import Template

ENTRIES = {entry["name"]: entry for entry in yaml.safe_load(FILE.read_text())}
TYPES = {crystal.material_id: crystal for crystal in frequent_types()}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_type_is_what_it_says(name):
    entry, crystal = ENTRIES[name], TYPES[name]
    assert crystal.space_group == entry["group"]
    assert crystal.composition.reduced_composition == Composition(entry["formula"]).reduced_composition
    orbits = sum(map(len, entry["sites"].values()))
    assert len(np.unique(Template.of(crystal.atoms).sites)) == orbits  # no two of them are one
    distances = crystal.structure.distance_matrix[np.triu_indices(len(crystal.structure), 1)]
    assert distances.min() > (0.8 if "H" in entry["sites"] else 1.2)  # Å: no closer than carbon and oxygen
    assert 8 < crystal.structure.volume / len(crystal.structure) < 40


def test_every_type_is_a_template_that_the_library_lacks():
    ours = {f"{crystal.formula} ({name})" for name, crystal in TYPES.items()}
    keys = {Template.of(crystal.atoms).key for crystal in TYPES.values()}
    assert {template.name for key in keys for template in embedded().types[key]} == ours


def test_real_crystals_are_of_each_type(shared_data):
    """Of the crystals with a type's amounts, space group and size some match it, with any elements."""
    some, matcher = {}, StructureMatcher()
    wanted = {structure_type(crystal): [] for crystal in TYPES.values()}
    wanted = {(group, size): [] for _, group, size in wanted}
    with gzip.open(shared_data / "data" / "structures" / "paper_split.jsonl.gz", "rt") as file:
        for line in file:
            record = json.loads(line)
            place = record["spacegroup"], len(record["species"])
            if len(wanted.get(place, [None] * 400)) < 400:
                wanted[place].append(record)
    for name, crystal in TYPES.items():
        amounts = sorted(crystal.composition.reduced_composition.values())
        for record in wanted[crystal.space_group, len(crystal.structure)]:
            if (
                name in some
                or sorted(Composition("".join(record["species"])).reduced_composition.values()) != amounts
            ):
                continue
            other = Structure(Lattice(record["lattice"]), record["species"], record["frac_coords"])
            if matcher.fit_anonymous(crystal.structure, other):
                some[name] = other.formula
    assert set(some) == set(TYPES)
