"""Train, evaluate and publish a profile: `python book/publish.py --profile cubic`.

    params/<profile>.yaml --Run--> _build/runs --publish--> book/results/<profile>/<system>/
                                               --weights--> crystalnet/weights/<system>.safetensors, .md

Whatever is in _build/runs is not made again: a publication that was broken off goes on where it was.
"""

import argparse
import sys

from crystalnet import library
from crystalnet.cards import model_card
from crystalnet.errors import CrystalNetError
from crystalnet.params import Params
from crystalnet.publishing import publish
from crystalnet.records import Record
from crystalnet.runs import Run


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, evaluate and publish a profile.")
    parser.add_argument("--profile", default="quick", help="params/PROFILE.yaml (default: %(default)s)")
    parser.add_argument("--weights", action="store_true", help="its networks become the package's own")
    options = parser.parse_args()
    try:
        run = Run(Params.load(options.profile))
        for folder in publish(run):
            print(folder)
            if options.weights:
                record = Record.read(folder)
                card = model_card(record.system, record)
                print(library.write(record.system, run.trained(record.system).model, card))
    except CrystalNetError as error:
        sys.exit(f"{options.profile}: {error}")


if __name__ == "__main__":  # networks side by side start processes that import this file
    main()
