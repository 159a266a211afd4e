"""Train, evaluate and publish a profile: `python book/publish.py --profile cubic`.

    params/<profile>.yaml --Run--> _build/runs --publish--> book/results/<profile>/<system>/
                                               --weights--> crystalnet/weights/<network>.safetensors, .md

With --challenges crystals are solved instead, and their rows go to book/solved (see `solvings`).

Whatever is in _build/runs is not made again: a publication that was broken off goes on where it was.
"""

import argparse
import sys

from crystalnet import library
from crystalnet.cards import model_card
from crystalnet.errors import CrystalNetError
from crystalnet.model.confidence import FEWEST, Confidence
from crystalnet.params import Params
from crystalnet.publishing import publish
from crystalnet.records import Record
from crystalnet.runs import Run
from crystalnet.solvings import Solvings, publish_challenges


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, evaluate and publish a profile.")
    parser.add_argument("--profile", default="quick", help="params/PROFILE.yaml (default: %(default)s)")
    parser.add_argument("--weights", action="store_true", help="its networks become the package's own")
    parser.add_argument("--challenges", action="store_true", help="solve crystals instead (chapter 9)")
    parser.add_argument("--missing", action="store_true", help="add to the records what they lack")
    options = parser.parse_args()
    try:
        if options.challenges:
            print(publish_challenges(Solvings(Params.load(options.profile))))
            return
        run = Run(Params.load(options.profile))
        for folder in publish(run, only_missing=options.missing):
            print(folder)
            if options.weights:
                record = Record.read(folder)
                model, name = run.trained(record.system).model, record.network
                if len(record.validation) >= FEWEST:
                    known = record.validation
                    model.confidence = Confidence.fit(known["agreement"], known["honest_ssim"])
                print(library.write(name, model, model_card(name, record)))
    except CrystalNetError as error:
        sys.exit(f"{options.profile}: {error}")


if __name__ == "__main__":  # networks side by side start processes that import this file
    main()
