"""Compute what an EfficientNet-Lite's frozen pass tells of all views, once.

    python -m training.features training/lite0.toml --run FOLDER \
        [--card efficientnet-lite0] [--side 224]

Rows go to ``FOLDER/features/<card>-<side>``; start it again and it goes on where it stopped.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import onnxruntime

from lookalike.encoders.cards import find_card
from lookalike.encoders.efficientnet_lite import IMAGE, build_network
from lookalike.encoders.pooled_embedding import add_output, all_parts, dim_of
from lookalike.encoders.preprocessing import prepare, tensor
from lookalike.encoders.weights import read_weights
from training.config import read_config
from training.crops import show
from training.kept import Kept, Writer
from training.rate import Rate
from training.sources import Reader, list_entries, list_views

_OUTPUT = "parts"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--card", default="efficientnet-lite0")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--part", choices=("train", "choose", "report"), help="only this part")
    parser.add_argument("--worker", default="0/1", help="this worker's number and how many")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = read_config(options.config, options.run)
    number, count = map(int, options.worker.split("/"))
    folder = config.run / "features" / f"{options.card}-{options.side}"
    kept = Kept(folder)
    views = list_views(list_entries(config.data), config.data.crops)
    if options.part:
        views = [view for view in views if view.entry.part == options.part]
    todo = [view for view in views[number::count] if view.key not in kept]
    spec = replace(find_card(options.card).input, width=options.side, height=options.side)
    arrays = read_weights(find_card(options.card))
    parts = all_parts(arrays)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    model = build_network(arrays, width=options.side, height=options.side)
    add_output(model, parts, output=_OUTPUT, lengths=None)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        settings,
        providers=["CPUExecutionProvider"],
    )
    reader = Reader(Path(config.data.archives))
    rate = Rate(folder.name, len(todo))
    with Writer(folder, f"worker-{options.part or 'all'}-{number}", dim_of(parts)) as writer:
        for view in todo:
            prepared = prepare(show(reader.image(view.entry), view), spec)
            (rows,) = session.run([_OUTPUT], {IMAGE: tensor([prepared], spec)})
            writer.append(view.key, rows[0])
            rate.step()


if __name__ == "__main__":
    main()
