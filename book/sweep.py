"""Table 1 of many settings: `python book/sweep.py quick --vary model.width=32,64 training.seed=0,1`.

    params/<profile>.yaml x values --Run--> _build/runs --> _build/sweep.csv, and the table on the screen

Runs that are in _build/runs are read, so that a sweep that was broken off goes on where it was.
"""

import argparse
import sys

from crystalnet.errors import CrystalNetError
from crystalnet.runs.params import repository_root
from crystalnet.runs.provenance import write_text
from crystalnet.runs.sweeps import COLUMNS, combinations, sweep

SHOWN = ["crystals", "paper_ssim", "paper_psnr", "honest_ssim", "honest_psnr"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Table 1 of many settings.")
    parser.add_argument("profiles", nargs="+", metavar="PROFILE", help="names of params/PROFILE.yaml")
    parser.add_argument("--vary", nargs="*", default=[], metavar="GROUP.KEY=VALUES", help="model.width=32,64")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side (default: %(default)s)")
    parser.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler whose workers do it instead")
    options = parser.parse_args()
    try:
        table = sweep(
            combinations(options.profiles, options.vary), workers=options.workers, scheduler=options.dask
        )
    except CrystalNetError as error:
        sys.exit(str(error))
    path = repository_root() / "_build" / "sweep.csv"
    write_text(path, table.to_csv(index=False))
    if "honest_ssim" in table:
        whole = table.dropna(subset="honest_ssim")[[*COLUMNS, *SHOWN]].astype({"crystals": int})
        print(whole.to_string(index=False, float_format="{:.3f}".format))
    for name, error in table.loc[table["error"] != "", ["run", "error"]].to_numpy():
        print(f"{name}: {error}", file=sys.stderr)
    print(path)
    sys.exit(int((table["error"] != "").any()))


if __name__ == "__main__":  # runs side by side start processes that import this file
    main()
