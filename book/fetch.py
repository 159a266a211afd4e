"""Fetch what the paper's profiles need: `python book/fetch.py structures`.

    data/splits (the authors' lists) --Materials Project--> data/structures/paper_split.jsonl.gz

It takes some minutes and a key (https://materialsproject.org/api) in MP_API_KEY. What was broken off goes on
where it was. CRYSTALNET_DATA may name another folder than data/.
"""

import argparse
import sys
from collections import Counter

from crystalnet.data.materials_project.table import fetch_table
from crystalnet.data.published import read_id_lists
from crystalnet.errors import CrystalNetError
from crystalnet.runs.places import LISTS, STRUCTURES, data_folders, located

SYSTEMS = ("cubic", "trigonal")  # of the paper


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch what the paper's profiles need.")
    parser.add_argument("what", choices=["structures"], help="the crystals of the authors' lists")
    parser.parse_args()
    inside = STRUCTURES.removeprefix("data/")
    for folder in data_folders():
        if (folder / inside).exists():
            print(f"{folder / inside} is there. Move it away to fetch it anew.")
            return
    path = data_folders()[0] / inside
    try:
        lists = located("The folder of the authors' lists", LISTS)
        splits = [read_id_lists(lists, system) for system in SYSTEMS]
        failures = fetch_table(splits, path, path.parent / "fetched")
    except (CrystalNetError, OSError) as error:
        sys.exit(str(error))
    reasons = Counter(reason.removeprefix(f"{name}: ") for name, reason in failures.items())
    for reason, count in reasons.most_common():
        print(f"left out {count}: {reason}", file=sys.stderr)
    print(path)


if __name__ == "__main__":
    main()
