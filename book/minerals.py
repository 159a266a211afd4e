"""Solve a folder of measured minerals: `python book/minerals.py FOLDER --out my.csv`.

    FOLDER: <name>.xy and <name>.cif of each, perhaps index.json --> my.csv, and my.json with what made it

Names end in the space group, as in NaCl_225. index.json is a list of name, formula, system, n_atoms and
formula_in_shared_structures, the last whether the formula occurs among the crystals that types are fitted to;
without it the CIFs say all this. The patterns behind book/minerals.csv are RRUFF's (Lafuente, Downs, Yang &
Stone 2015), Cu K-alpha; each is solved from its file and formula alone. A run that is broken off goes on
where it was.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd

from crystalnet.errors import CrystalNetError
from crystalnet.runs.mineral_folder import about_minerals
from crystalnet.runs.provenance import write_text
from crystalnet.runs.series import solve_series

OUT = Path(__file__).with_name("minerals.csv")
ABOUT = ["system", "n_atoms", "formula_in_shared_structures"]
KEPT = ["formula", *ABOUT, "found", "space group", "probability", "verdict", "right", "framework"]
KEPT += ["from", "seconds", "code"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Solve a folder of measured minerals.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=10, help="a source (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--rows", type=Path, help="where rows are kept till then")
    parser.add_argument("--out", type=Path, default=OUT, help="the table (default: %(default)s)")
    options = parser.parse_args()
    folder = options.folder.resolve()
    rows = options.rows or Path(tempfile.gettempdir()) / "minerals-solved.csv"
    try:
        about = about_minerals(folder)
        with tempfile.TemporaryDirectory() as place:
            table = about[["formula"]].assign(
                file=[str(folder / f"{name}.xy") for name in about.index],
                truth=[str(folder / f"{name}.cif") for name in about.index],
                wavelength="CuKa",
            )
            path = Path(place) / "minerals.csv"
            table.to_csv(path, index=False)
            solved = solve_series(path, rows, outside=True, workers=options.workers, seconds=options.seconds)
    except CrystalNetError as error:
        sys.exit(str(error))
    keep(solved, about, rows.with_suffix(".json").read_text(), options.out)


def keep(solved: pd.DataFrame, about: pd.DataFrame, made_by: str, out: Path) -> None:
    """Rows by name, with what is known of each mineral."""
    solved = solved.assign(name=[Path(file).stem for file in solved["file"]]).set_index("name")
    for judged in ("right", "framework"):
        solved[judged] = solved[judged].eq(True).astype(int)
    table = solved.join(about[ABOUT]).loc[about.index, KEPT]
    write_text(out, table.to_csv(float_format="%.5g"))
    write_text(out.with_suffix(".json"), made_by)
    print(out)


if __name__ == "__main__":
    main()
