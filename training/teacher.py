"""Compute the teacher's embeddings of all views, once.

    python -m training.teacher training/lite0.toml --run FOLDER [--worker 0/2]

Each worker takes every n-th view and appends to its own file in ``FOLDER/teacher-embeddings``;
start it again and it goes on where it stopped. Views are run one at a time: the teacher quantises
its activations over the batch, so a view's embedding would depend on its neighbours.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from training.config import Teacher, read_config
from training.crops import show
from training.kept import Kept, Writer
from training.rate import Rate
from training.sources import Reader, list_entries, list_views

__all__ = ["open_teacher", "pixels"]


def open_teacher(teacher: Teacher, threads: int) -> onnxruntime.InferenceSession:
    """Return the teacher's session. Raise ``ValueError`` for a file with another digest."""
    content = Path(teacher.file).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != teacher.sha256:
        raise ValueError(f"{teacher.file}: expected SHA-256 {teacher.sha256}, found {found}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def pixels(image: Image.Image, teacher: Teacher) -> NDArray[np.float32]:
    """Return what the teacher takes, (1, 3, side, side): the image squashed to a square."""
    size = (teacher.side, teacher.side)
    small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    scaled = np.asarray(small, np.float32) / 255
    mean, std = (np.array(three, np.float32) for three in (teacher.mean, teacher.std))
    normal = (scaled - mean) / std
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--part", choices=("train", "choose", "report"), help="only this part")
    parser.add_argument("--worker", default="0/1", help="this worker's number and how many")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = read_config(options.config, options.run)
    number, count = map(int, options.worker.split("/"))
    views = list_views(list_entries(config.data), config.data.crops)
    folder = config.run / "teacher-embeddings"
    kept = Kept(folder)
    if options.part:
        views = [view for view in views if view.entry.part == options.part]
    todo = [view for view in views[number::count] if view.key not in kept]
    session = open_teacher(config.teacher, options.threads)
    dim = session.get_outputs()[0].shape[-1]
    reader = Reader(Path(config.data.archives))
    rate = Rate("teacher", len(todo))
    with Writer(folder, f"worker-{options.part or 'all'}-{number}", dim) as writer:
        for view in todo:
            given = pixels(show(reader.image(view.entry), view), config.teacher)
            (rows,) = session.run([config.teacher.output], {config.teacher.input: given})
            writer.append(view.key, rows[0])
            rate.step()


if __name__ == "__main__":
    main()
