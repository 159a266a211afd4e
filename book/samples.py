"""Solve simulated samples of validation crystals: `python book/samples.py`.

data/structures/{paper_split,seven_systems}.jsonl.gz --validation rows, drawn by a seed, simulated, solved-->
    book/samples.csv, and .json with what made it

The probability of answers to measured curves is fitted to these rows (`crystalnet.solving.evidence`); the
weights are printed. CRYSTALNET_DATA names another folder than data. A run that is broken off goes on where it
was.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from crystalnet.data.crystals import CRYSTAL_SYSTEMS, Crystal
from crystalnet.data.rows import json_records
from crystalnet.errors import CrystalNetError
from crystalnet.runs.places import located
from crystalnet.runs.provenance import SCIENCE, code_digest, environment, write_text
from crystalnet.scoring.samples import met, row_of
from crystalnet.solving.evidence import features_of_clues
from crystalnet.solving.ranking import fitted

FILES = "paper_split", "seven_systems"
OUT = Path(__file__).with_name("samples.csv")
MOST_ATOMS = 60  # our choice
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Solve simulated samples of validation crystals.")
    parser.add_argument("--each", type=int, default=16, help="of a crystal system (default: %(default)s)")
    parser.add_argument("--first", type=int, help="rows, by default all: systems come in turn")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    options = parser.parse_args()
    kept = Path("_build") / f"samples-{code_digest(*SCIENCE)[:12]}"
    kept.mkdir(parents=True, exist_ok=True)
    drawn = met(drawn_crystals(options.each), SEED)[: options.first]
    jobs = (delayed(_kept)(kept / f"{k:04}.json", *one) for k, one in enumerate(drawn))
    rows = Parallel(options.workers, return_as="generator")(jobs)
    table = pd.DataFrame(list(tqdm(rows, "samples", len(drawn), unit=" patterns")))
    print(table.groupby("crystal_system")["right"].agg(["sum", "size"]))
    print("weights:", np.round(weights(table), 3).tolist())
    write_text(OUT, table.to_csv(index=False, float_format="%.5g"))
    made_by = {"each": options.each, "rows": len(drawn), "seed": SEED, "code": code_digest(*SCIENCE)}
    made_by |= {"environment": environment()}
    write_text(OUT.with_suffix(".json"), json.dumps(made_by, indent=1))
    print(OUT)


def weights(table: pd.DataFrame) -> np.ndarray:
    """Of the evidence, fitted to the rows that have an answer."""
    answered = table[table["code"].eq("") & table["left"].notna()]
    return fitted(features_of_clues(answered), answered["right"].to_numpy(float))


def drawn_crystals(each: int) -> list[Crystal]:
    """Validation crystals, as many of each system, in turn; the first ones stay if more are asked for."""
    by_system: dict[str, list] = {system: [] for system in CRYSTAL_SYSTEMS}
    for name in FILES:
        for record in json_records(located("FILES", f"data/structures/{name}.jsonl.gz")):
            if record.split == "val":
                by_system[record.crystal_system].append(record)
    drawn = {system: _some(records, each) for system, records in by_system.items()}
    return [drawn[system][k] for k in range(each) for system in CRYSTAL_SYSTEMS]


def _some(records: list, n: int) -> list[Crystal]:
    crystals = []
    for k in np.random.default_rng(SEED).permutation(len(records)):
        try:
            crystal = records[k].read()
        except CrystalNetError:
            continue
        crystals += [crystal] if len(crystal.atoms.symbols) <= MOST_ATOMS else []
        if len(crystals) == n:
            break
    return crystals


def _kept(path: Path, *one) -> dict:
    """The row of a sample, solved unless it was before."""
    if not path.exists():
        write_text(path, json.dumps(row_of(*one)))
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
