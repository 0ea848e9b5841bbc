"""How fast an encoder runs, and how fast it starts.

    python benchmarks/encode.py                     # the default encoder
    python benchmarks/encode.py path/to/card.toml
    python benchmarks/encode.py --runs              # ways of using the cores, to choose one

Without options: the latency of one image, the throughput of ``encode`` beside the best that the
bare ONNX Runtime session reaches, and a cold start, each the median of several rounds. Other
programs on the machine show: run it when it is quiet.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from lookalike.encoders import OnnxEncoder, default_cache, load_encoder
from lookalike.encoders.preprocessing import tensor
from lookalike.encoders.weights import network

IMAGES = 96
ROUNDS = 5
COLD = """
import time; start = time.perf_counter()
import numpy, onnxruntime, PIL.Image; bare = time.perf_counter()
from lookalike.encoders import load_encoder; imported = time.perf_counter()
encoder = load_encoder({name!r}); loaded = time.perf_counter()
encoder.encode([encoder.prepare(PIL.Image.new("RGB", (500, 400)))]); done = time.perf_counter()
print(bare - start, imported - bare, loaded - imported, done - loaded)
"""


def median_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def session(encoder: OnnxEncoder, *, threads: int, spin: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    opened = network(encoder.card, cache=default_cache())
    return onnxruntime.InferenceSession(opened, options, providers=["CPUExecutionProvider"])


def compare_runs(encoder: OnnxEncoder, cores: int) -> None:
    """ImageSet per second for images in a run, runs at a time and threads in a run."""
    spec, wanted = encoder.card.input, [encoder.card.output.name]
    random = np.random.default_rng(0)
    shape = (IMAGES, spec.height, spec.width, 3)
    pixels = tensor(list(random.integers(0, 256, shape, dtype=np.uint8)), spec)
    for inside, spin, at_a_time in (
        (1, False, cores),
        (cores, False, 1),
        (cores, True, 1),
        (cores, False, cores),
        (1, False, 1),
    ):
        opened = session(encoder, threads=inside, spin=spin)
        one = median_ms(lambda s=opened: s.run(wanted, {spec.name: pixels[:1]}), 30)  # type: ignore[misc]
        rates = []
        with ThreadPoolExecutor(at_a_time) as pool:
            for size in (1, 2, 4, 8, 16, 32):

                def everything(s: onnxruntime.InferenceSession = opened, size: int = size) -> None:
                    parts = [pixels[i : i + size] for i in range(0, IMAGES, size)]
                    list(pool.map(lambda part: s.run(wanted, {spec.name: part}), parts))

                rates.append(f"{IMAGES / median_ms(everything, 3) * 1e3:5.0f} at {size}")
        print(
            f"{at_a_time} runs at a time of {inside} threads{', spinning' if spin else '':10}"
            f" one image {one:5.2f} ms; images/s {', '.join(rates)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("encoder", nargs="?", default="efficientnet-lite0")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--runs", action="store_true")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.encoder, threads=arguments.threads, device="cpu")
    cores = arguments.threads or os.cpu_count() or 1
    if arguments.runs:
        compare_runs(encoder, cores)
        return
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (600, 800, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    batch = [encoder.prepare(image)] * IMAGES
    print(f"prepare, 800 x 600:   {median_ms(lambda: encoder.prepare(image), 20):6.2f} ms")
    print(f"encode, one image:  {median_ms(lambda: encoder.encode(batch[:1]), 30):6.2f} ms")
    rate = IMAGES / median_ms(lambda: encoder.encode(batch)) * 1e3
    print(f"encode, {IMAGES} images:  {rate:6.0f} images/s")
    program = COLD.format(name=str(Path(arguments.encoder)))
    starts = [
        [
            float(part) * 1e3
            for part in subprocess.check_output([sys.executable, "-c", program]).split()
        ]
        for _ in range(ROUNDS)
    ]
    bare, imported, loaded, first = (
        statistics.median(column) for column in zip(*starts, strict=True)
    )
    print(
        f"cold start: bare imports {bare:.0f} ms, lookalike.encoders {imported:.0f} ms, "
        f"load {loaded:.0f} ms, first image {first:.0f} ms"
    )


if __name__ == "__main__":
    main()
