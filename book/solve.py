"""Solve a table of patterns: `python book/solve.py patterns.csv`.

    patterns.csv (file, formula, wavelength, crystal_system, truth) --> patterns-solved.csv, and on the screen

A .json beside the result says what made it. Chapter 10 shows the one that is kept as book/measured.csv.
"""

import argparse
import json
import sys
from pathlib import Path

from crystalnet.errors import CrystalNetError
from crystalnet.runs.provenance import environment, write_text
from crystalnet.solving.series import solve_series

SHOWN = ["file", "formula", "found", "space group", "distance", "probability", "right", "seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Solve a table of patterns.")
    parser.add_argument("table", type=Path, help="CSV: file, formula, wavelength, crystal_system, truth")
    parser.add_argument("--out", type=Path, help="where the result goes (default: beside the table)")
    parser.add_argument("--seconds", type=float, default=30, help="a source (default: %(default)s)")
    options = parser.parse_args()
    out = options.out or options.table.with_name(f"{options.table.stem}-solved.csv")
    try:
        rows = solve_series(options.table, seconds=options.seconds)
        write_text(out, rows.to_csv(index=False, float_format="%.5g"))
        made_by = {"seconds": options.seconds, "environment": environment()}
        write_text(out.with_suffix(".json"), json.dumps(made_by, indent=1))
    except (CrystalNetError, OSError) as error:
        sys.exit(str(error))
    print(rows[SHOWN].to_string(index=False))
    for row in rows[rows["error"] != ""].itertuples():
        print(f"{row.file}: {row.error}", file=sys.stderr)
    print(out)


if __name__ == "__main__":
    main()
