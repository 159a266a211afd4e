"""How first answers to measured patterns end once they are refined, and how long that takes.

    python tests/benchmarks/refinement.py FOLDER [--rows book/minerals.csv] [--most 20] [--workers 2]

FOLDER holds patterns and CIFs as `book/minerals.py` reads them. Each pattern whose first answer the rows call
right is solved and refined: Rwp before and after, whether the published structure still fits, what broke.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

import crystalnet
from crystalnet.solving.rietveld import refined_or_why


def row_of(path: Path, formula: str) -> dict:
    solution = crystalnet.solve(path, formula, "CuKa", progress=False)
    began = time.perf_counter()
    answer, why = refined_or_why(solution.fit, solution.structure)
    row = {"name": path.stem, "seconds": round(time.perf_counter() - began, 1), "why": " ".join(why)}
    if answer is None:
        return row
    truth = Structure.from_file(path.with_suffix(".cif"))
    return row | {
        "before": answer.before,
        "Rwp": answer.factors["Rwp"],
        "holds": StructureMatcher().fit(solution.structure, answer.structure),
        "right": StructureMatcher().fit(truth, answer.structure),
        "texture": answer.facts.get("texture (March-Dollase)", ""),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=Path, default=Path("book/minerals.csv"))
    parser.add_argument("--most", type=int, help="patterns, evenly taken; all of them unless given")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    kept = pd.read_csv(options.rows)
    kept = kept[kept["right"] == 1]
    tasks = [(options.folder / f"{one.Index}.xy", one.formula) for one in kept.set_index("name").itertuples()]
    if options.most:
        tasks = tasks[:: max(1, len(tasks) // options.most)]
    made = []
    for row in Parallel(options.workers, return_as="generator")(delayed(row_of)(*task) for task in tasks):
        print(row, flush=True)
        made.append(row)
    rows = pd.DataFrame(made)
    fell = rows["Rwp"] < rows["before"]
    print(f"{len(rows)} right answers: Rwp fell in {fell.mean():.1%}, {rows['Rwp'].isna().sum()} not refined")
    print(f"broken {(rows['holds'] == False).sum()}, right still {rows['right'].sum()}")  # noqa: E712
    print(f"median {rows['seconds'].median():.1f} s, 95 % within {rows['seconds'].quantile(0.95):.1f} s")


if __name__ == "__main__":
    main()
