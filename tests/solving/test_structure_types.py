"""Structure types that the solver adds to the library: what they say, and real crystals of them."""

import gzip
import json

import numpy as np
import pytest
import yaml
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

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
    names = {_type(crystal.structure, crystal.space_group): [] for crystal in TYPES.values()}
    for name, crystal in TYPES.items():
        names[_type(crystal.structure, crystal.space_group)].append(name)
    found, matcher = set(), StructureMatcher()
    with gzip.open(shared_data / "data" / "structures" / "paper_split.jsonl.gz", "rt") as file:
        for record in map(json.loads, file):
            size = len(record["species"])
            if record["spacegroup"] not in {group for _, group, n in names if n == size}:
                continue
            structure = Structure(Lattice(record["lattice"]), record["species"], record["frac_coords"])
            for name in names.get(_type(structure, record["spacegroup"]), ()):
                if name not in found and matcher.fit_anonymous(TYPES[name].structure, structure):
                    found.add(name)
    assert found == set(TYPES)


def _type(structure: Structure, group: int) -> tuple:
    amounts = structure.composition.reduced_composition.values()
    return tuple(sorted(amounts)), group, len(structure)
