"""What HTTP costs: the service against the bare encoder, and against a bare FastAPI route.

    python -m benchmarks.service [--quick] [--seconds 8] [--json]
    python -m benchmarks.service --sustained 60        # searches while another process indexes

A load generator of its own process asks the service (a process as well) over kept connections, each
client one request after the other. Upload search is compared with encoding prepared images on all
cores and nothing else ("encoding alone"), and with decoding, preparing and encoding them there
("bytes to vector"), which is the most that any service could achieve; `similar` with a FastAPI
route that returns a document of the same size.
Server, generator and the reference share the machine's cores, as they would on one machine: what
the generator itself could ask of a server that does nothing is measured and reported.
"""

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil

from benchmarks.machine import Json, Report, arguments, caltech, compared, indexed, scratch, seconds
from lookalike import images
from lookalike.analysis import neighbours
from lookalike.core.cpus import usable_cores
from lookalike.encoders import load_encoder

CLIENTS = (1, 8, 64)
GOAL = 0.85
COLD = 1.5

# A FastAPI route as anybody would write it, with a response of the given size.
BARE = """
import sys
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
document = {"hits": [{"id": str(n), "score": 0.5, "text": "x" * 300} for n in range(10)]}
app = FastAPI()
@app.get("/{path:path}")
async def respond(path: str, k: int = 10) -> JSONResponse:
    return JSONResponse(document)
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", http="h11", access_log=False)
"""
# The least that can be asked: what the generator does without any work on the other side.
NOTHING = """
import asyncio, sys
class Fixed(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 3600\\r\\n\\r\\n" + b"x" * 3600)
async def main():
    server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


# --- the load ----------------------------------------------------------------------------------


async def client(port: int, requests: Sequence[bytes], until: float, times: list[float]) -> None:
    """Ask over one connection, one request after the other, until it is time to end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = random.randrange(len(requests))
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None, head
        body = await reader.readexactly(int(length[1]))
        assert head.startswith(b"HTTP/1.1 200"), head + body
        times.append(time.perf_counter() - began)
        number += 1
    writer.close()


async def load(
    port: int, requests: Sequence[bytes], clients: int, lasting_s: float
) -> tuple[list[float], int]:
    """Seconds of each request after a moment to warm up, and how many came back in all."""
    warm: list[float] = []
    until = time.perf_counter() + min(1.0, lasting_s / 4)
    await asyncio.gather(*(client(port, requests, until, warm) for _ in range(clients)))
    times: list[float] = []
    until = time.perf_counter() + lasting_s
    await asyncio.gather(*(client(port, requests, until, times) for _ in range(clients)))
    return times, len(warm) + len(times)


def asked(
    port: int,
    requests: Path,
    clients: int,
    lasting_s: float,
    server: psutil.Process | None = None,
) -> dict[str, float]:
    """``load`` in a process of its own: requests a second, and milliseconds.

    Of ``server`` also the processor time of a request, which says something on a busy machine too.
    """
    words = [str(port), str(requests), str(clients), str(lasting_s)]
    command = [sys.executable, "-m", "benchmarks.service", "--load", *words]
    before = 0.0 if server is None else processor_ms(server)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    if server is not None:
        found["processor"] = (processor_ms(server) - before) / found["count"]
    return found


def generate(port: str, requests: str, clients: str, lasting_s: str) -> None:
    listed = [bytes.fromhex(line) for line in Path(requests).read_text().split()]
    times, count = asyncio.run(load(int(port), listed, int(clients), float(lasting_s)))
    p50, p95, p99 = np.percentile(np.array(times) * 1000, [50, 95, 99])
    rate = len(times) / float(lasting_s)
    print(json.dumps({"rate": rate, "p50": p50, "p95": p95, "p99": p99, "count": count}))


def written(path: Path, requests: Sequence[bytes]) -> Path:
    path.write_text("\n".join(request.hex() for request in requests))
    return path


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, data: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


# --- servers -----------------------------------------------------------------------------------


@contextmanager
def running(command: Sequence[str], port: int, path: str = "/") -> Iterator[psutil.Process]:
    """A server that responds, in a process of its own."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, path)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def wait_for(port: int, path: str) -> None:
    """Wait until a server responds."""
    for _ in range(3000):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
                response.read()
        except OSError:
            time.sleep(0.01)
        else:
            return
    sys.exit(f"no server responds on port {port}")


def free_port() -> int:
    import socket  # noqa: PLC0415 - here alone

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def serve(address: str, port: int) -> list[str]:
    return [sys.executable, "-m", "lookalike", "serve", address, "--port", str(port)]


# --- figures -----------------------------------------------------------------------------------


def encoder_rate(image_set: Sequence[Path], lasting_s: float) -> float:
    """ImageSet a second that are encoded when nothing else is to be done."""
    encoder = load_encoder()
    decoded = [images.decode(images.read(one)).image for one in image_set[:64]]
    prepared = [encoder.prepare(image) for image in decoded]
    encoder.encode(prepared)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < lasting_s:
        encoder.encode(prepared)
        count += len(prepared)
    return count / (time.perf_counter() - began)


def whole_images(image_set: Sequence[Path], lasting_s: float) -> dict[str, float]:
    """ImageSet a second from bytes to vector, one at a time on each core, and nothing else done;
    and milliseconds of processor time for each.
    """
    encoder = load_encoder(threads=1)
    data = [images.read(one) for one in image_set]

    def work(thread: int, until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            one = data[(thread + count * cores) % len(data)]
            image = images.decode(one, at_least=encoder.decode_size).image
            encoder.encode([encoder.prepare(image)])
            count += 1
        return count

    cores = usable_cores()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, range(cores), [time.perf_counter() + 0.2] * cores))
        began, taken = time.perf_counter(), time.process_time()
        count = sum(pool.map(work, range(cores), [began + lasting_s] * cores))
        seconds_each = (time.process_time() - taken) / count
        rate = count / (time.perf_counter() - began)
    return {"rate": rate, "processor": seconds_each * 1000}


def processor_ms(process: psutil.Process) -> float:
    """Milliseconds of processor time that a process has taken so far."""
    taken = process.cpu_times()
    return (taken.user + taken.system) * 1000


def row(what: str, clients: int, found: dict[str, float]) -> dict[str, Json]:
    return {
        "asked": what,
        "clients": clients,
        "requests/s": round(found["rate"], 1),
        "p50 ms": round(found["p50"], 2),
        "p95 ms": round(found["p95"], 2),
        "p99 ms": round(found["p99"], 2),
        "processor ms": round(found["processor"], 2) if "processor" in found else None,
    }


def first_results(address: str, image: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a cold `lookalike search`, and from starting the service to its first."""
    search = [sys.executable, "-m", "lookalike", "search", str(image), "-c", address, "--json"]
    cold, first = [], []
    for _ in range(rounds):
        cold.append(seconds(lambda: subprocess.run(search, check=True, capture_output=True)) * 1000)
        port = free_port()
        began = time.perf_counter()
        with subprocess.Popen(serve(address, port), stderr=subprocess.DEVNULL) as process:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/search", image.read_bytes()
            )
            request.add_header("Content-Type", "image/jpeg")
            while True:
                try:
                    with urllib.request.urlopen(request) as response:  # noqa: S310 - ours
                        response.read()
                    break
                except OSError:
                    time.sleep(0.005)
            first.append((time.perf_counter() - began) * 1000)
            process.terminate()
    return cold, first


def measure(report: Report, lasting_s: float, rounds: int) -> None:
    image_set = caltech()
    with indexed(image_set) as shop:
        neighbours.build(shop)  # as for a collection whose items are asked for often
        address, ids = shop.info().address, [item.id for item in shop]
    paths = image_set.paths()
    chosen = random.Random(5).sample(range(len(paths)), min(200, len(paths)))
    with scratch() as folder:
        similar = written(
            folder / "similar",
            [get(f"/v1/items/{quote(ids[n % len(ids)], safe='')}/similar") for n in chosen],
        )
        upload = written(
            folder / "upload", [post("/v1/search", paths[n].read_bytes()) for n in chosen]
        )
        bare_port, port, nothing_port = free_port(), free_port(), free_port()
        with (
            running([sys.executable, "-c", NOTHING, str(nothing_port)], nothing_port),
            running([sys.executable, "-c", BARE, str(bare_port)], bare_port),
            running(serve(address, port), port, "/health/ready") as process,
        ):
            rows: list[dict[str, Json]] = []
            for clients in CLIENTS:
                limit = asked(nothing_port, similar, clients, lasting_s / 2)
                rows.append(row("nothing (the generator's limit)", clients, limit))
                bare, ours, alone, whole, uploads = [], [], [], [], []
                for _ in range(rounds):
                    bare.append(asked(bare_port, similar, clients, lasting_s))
                    ours.append(asked(port, similar, clients, lasting_s, process))
                    alone.append(encoder_rate([paths[n] for n in chosen], lasting_s))
                    whole.append(whole_images([paths[n] for n in chosen], lasting_s))
                    uploads.append(asked(port, upload, clients, lasting_s, process))
                for what, found in (
                    ("a bare FastAPI route", bare),
                    ("similar", ours),
                    ("search by upload", uploads),
                ):
                    middle = sorted(found, key=lambda one: one["rate"])[len(found) // 2]
                    rows.append(row(what, clients, middle))
                report.figures.append(
                    compared(
                        f"similar, {clients} clients",
                        [one["rate"] for one in bare],
                        [one["rate"] for one in ours],
                        unit="requests/s",
                        what="similar / bare FastAPI route",
                    )
                )
                most = [one["rate"] for one in whole]
                for against, rates in (("encoding alone", alone), ("bytes to vector", most)):
                    report.figures.append(
                        compared(
                            f"search by upload, {clients} clients, against {against}",
                            rates,
                            [one["rate"] for one in uploads],
                            unit="images/s",
                            what=f"uploads / {against}",
                            goal=GOAL if clients > 1 else None,
                            side="at least",
                        )
                    )
                report.figures.append(
                    compared(
                        f"search by upload, {clients} clients, processor time",
                        [one["processor"] for one in whole],
                        [one["processor"] for one in uploads],
                        unit="ms",
                        what="an upload / its image from bytes to vector",
                    )
                )
        report.tables["asked"] = rows
    cold, first = first_results(address, paths[chosen[0]], 3 * rounds)
    report.figures.append(
        compared(
            "first response after start",
            cold,
            first,
            unit="ms",
            what="serve until its first response / cold search",
            goal=COLD,
        )
    )


# --- sustained ---------------------------------------------------------------------------------


def sustained(lasting_s: float) -> None:
    """Eight clients search while another process indexes into the collection and files go."""
    with scratch() as folder:
        image_set = folder / "images"
        image_set.mkdir()
        source = caltech().paths()
        for number, path in enumerate(source[:400]):
            shutil.copyfile(path, image_set / f"{number}.jpg")
        index = [
            sys.executable,
            "-m",
            "lookalike",
            "index",
            str(image_set),
            "-q",
            "-c",
            f"{folder}/c",
        ]
        subprocess.run(index, check=True, capture_output=True)
        port = free_port()
        requests = [post("/v1/search", path.read_bytes()) for path in source[400:440]]
        with running(serve(f"{folder}/c", port), port, "/health/ready") as process:
            over, turns = threading.Event(), [0]

            def change() -> None:
                at = 400
                while not over.is_set():
                    for number in range(at, at + 60):
                        shutil.copyfile(source[number % len(source)], image_set / f"{number}.jpg")
                        (image_set / f"{number - 400}.jpg").unlink()
                    at += 60
                    subprocess.run(index, check=True, capture_output=True)
                    turns[0] += 1

            writer = threading.Thread(target=change)
            writer.start()
            resident = [process.memory_info().rss]
            times: list[float] = []
            until = time.perf_counter() + lasting_s
            while time.perf_counter() < until:
                times += asyncio.run(load(port, requests, 8, 5.0))[0]
                resident.append(process.memory_info().rss)
            over.set()
            writer.join()
            subprocess.run(index, check=True, capture_output=True)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/items?limit=1") as response:
                total = json.load(response)["total"]
        there = len(list(image_set.glob("*.jpg")))
        assert total == there, f"{total} items, {there} files"
        megabytes = [round(one / 2**20) for one in resident]
        print(
            f"{len(times)} searches in {lasting_s:g} s, none failed; {turns[0]} runs of indexing "
            f"meanwhile, {60 * turns[0]} images came and as many went, {total} items at the end; "
            f"resident MB every 6 s: {megabytes}"
        )


def main() -> None:
    if sys.argv[1:2] == ["--load"]:
        generate(*sys.argv[2:])
        return
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, help="of each measurement; default 8, quick 2")
    parser.add_argument("--rounds", type=int, help="default: 3; quick: 1")
    parser.add_argument("--sustained", type=float, metavar="SECONDS", help="load, and nothing else")
    options = parser.parse_args()
    if options.sustained is not None:
        sustained(options.sustained)
        return
    lasting_s = options.seconds or (2.0 if options.quick else 8.0)
    rounds = options.rounds or (1 if options.quick else 3)
    report = Report(
        name="service",
        question="What does HTTP cost?",
        notes=[
            f"{os.cpu_count()} cores, shared by server, generator and reference",
            f"medians of {rounds} rounds in turn, {lasting_s:g} s each; ten results per search",
            "similar is read from the neighbour table",
            "each client asks over one connection, one request after the other",
            caltech().source,
        ],
    )
    measure(report, lasting_s, rounds)
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
