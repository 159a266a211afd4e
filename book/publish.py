"""Train, evaluate and publish a profile: `python book/publish.py --profile cubic`.

    params/<profile>.yaml --Run--> _build/runs --publish--> book/results/<profile>/<system>/
                                               --weights--> crystalnet/weights/<network>.safetensors, .md

With --explorer the record gets the crystals that the pages' explorer shows (see `showcase`).
With --challenges crystals are solved instead, and their rows go to book/solved (see `challenge_rows`): those
of the challenges that follow it, or of all that the profile names.

Whatever is in _build/runs is not made again: a publication that was broken off goes on where it was.
"""

import argparse
import sys
from pathlib import Path

from crystalnet.errors import CrystalNetError
from crystalnet.model import library
from crystalnet.model.confidence import FEWEST, Confidence
from crystalnet.runs.cards import model_card
from crystalnet.runs.challenge_rows import publish_challenges
from crystalnet.runs.params import Params
from crystalnet.runs.publishing import publish
from crystalnet.runs.records import Record
from crystalnet.runs.run import Run
from crystalnet.runs.showcase import FILE, write_showcase
from crystalnet.runs.solvings import Solvings

RESULTS = Path(__file__).parent / "results"
SPLITS = ("val", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, evaluate and publish a profile.")
    parser.add_argument("--profile", default="quick", help="params/PROFILE.yaml (default: %(default)s)")
    parser.add_argument("--weights", action="store_true", help="its networks become the package's own")
    parser.add_argument("--challenges", nargs="*", metavar="NAME", help="solve crystals instead (chapter 9)")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS, help="of crystals to solve")
    parser.add_argument("--missing", action="store_true", help="add to the records what they lack")
    parser.add_argument("--explorer", action="store_true", help="write the explorer's crystals alone")
    options = parser.parse_args()
    try:
        if options.challenges is not None:
            solvings = Solvings(Params.load(options.profile))
            print(publish_challenges(solvings, options.challenges, options.splits))
            return
        run = Run(Params.load(options.profile))
        folders = [RESULTS / options.profile / system for system in run.systems]
        shown = [folder for folder in folders if options.explorer or (folder / FILE).exists()]
        for folder in [] if options.explorer else publish(run, only_missing=options.missing):
            print(folder)
            if options.weights:
                record = Record.read(folder)
                model, name = run.trained(record.system).model, record.network
                if len(record.validation) >= FEWEST:
                    known = record.validation
                    model.confidence = Confidence.fit(known["agreement"], known["honest_ssim"])
                training = run.params.training
                relative = training.encoders_from or training.begins_with
                print(library.write(name, model, model_card(name, record), beside=relative))
        for folder in shown:  # a new record holds none
            print(write_showcase(run, Record.read(folder), folder))
    except CrystalNetError as error:
        sys.exit(f"{options.profile}: {error}")


if __name__ == "__main__":  # networks side by side start processes that import this file
    main()
