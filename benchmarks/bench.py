"""Run the benchmarks, keep what they found, draw it, and write the tables of docs/benchmarks.md.

    python -m benchmarks.bench                       # all, about 40 minutes on two cores
    python -m benchmarks.bench indexing memory       # some
    python -m benchmarks.bench --quick               # a few minutes; keeps nothing
    python -m benchmarks.bench --draw                # only the image and the tables again
    eval "$(scripts/engines --fast up)" && python -m benchmarks.bench servers server_recall

Each runs in a process of its own, one after the other. What it found goes to
``benchmarks/results/<name>.json``, with a description of the machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import ROOT, describe

# name → what it is given for figures that are to be kept
BENCHMARKS = {
    "indexing": (),
    "cold_search": ("--large",),
    "second_run": (),
    "search_scale": (),
    "filters": (),
    "catalogues": (),
    "calibration": ("--all",),
    "categories": ("--all",),
    "words": (),
    "duplicates": (),
    "neighbours": (),
    "service": (),
    "servers": (),
    "server_recall": (),
    "memory": (),
    "quality": ("--all",),
    "encoders": (),
    "robustness": (),
    "search_options": (),
    "parts": (),
    "default_encoder": (),
    "mixed_queries": (),
}
SERVERS = ("servers", "server_recall")  # left out if no server is configured
PROGRAMS = ("decode", "encode")  # print tables of their own, kept as text
# Cores' worth of other programs that a run bears. With one core taken, a product over two threads
# waits for whole slices of the scheduler: 1 ms became 8 and 12, in multiples of 4.
QUIET = 0.1
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Result = dict[str, Any]  # a Report as JSON, with "machine", "seconds" and "command"


def busy_s() -> float:
    """Seconds that all cores together have been busy since the machine was started."""
    now = psutil.cpu_times()
    idle = now.idle + getattr(now, "iowait", 0.0)
    guests = getattr(now, "guest", 0.0) + getattr(now, "guest_nice", 0.0)  # in user and nice too
    return float(sum(now) - idle - guests)


def own_s() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    now = psutil.Process().cpu_times()
    return float(now.user + now.system + now.children_user + now.children_system)


def run(name: str, *, quick: bool) -> Result:
    """One benchmark in a process of its own. Raise ``CalledProcessError`` if it fails."""
    words = ("--quick",) if quick else BENCHMARKS.get(name, ())
    plain = name in PROGRAMS
    command = ["-m", f"benchmarks.{name}", *(() if plain else (*words, "--json"))]
    began, busy, own = time.perf_counter(), busy_s(), own_s()
    done = subprocess.run(
        [sys.executable, *command], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    took = time.perf_counter() - began
    others: float | None = round(max(busy_s() - busy - (own_s() - own), 0.0) / took, 3)
    if name in SERVERS:  # they are the other programs
        others = None
    if others is not None and others > QUIET:
        print(f"{name}: {noise(others)}", file=sys.stderr)
    result: Result = {"name": name, "output": done.stdout.splitlines()}
    if not plain:
        result = json.loads(done.stdout)
    return {
        **result,
        "command": f"python {' '.join(command)}",
        "seconds": round(took, 1),
        "other_programs_cores": others,
        "machine": describe(),
    }


def noise(cores: float) -> str:
    return f"other programs took {cores:.2f} cores meanwhile; do not trust its times"


def kept() -> list[Result]:
    """All results in their folder, in the order of the benchmarks."""
    order = [*BENCHMARKS, *PROGRAMS]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")]
    return sorted(
        (one for one in found if one.get("name") in order), key=lambda one: order.index(one["name"])
    )


# --- tables ------------------------------------------------------------------------------------


def goal_of(figure: Result) -> str:
    return "" if figure["goal"] is None else f"{figure['side']} {figure['goal']:g}"


def verdict(figure: Result) -> str:
    return {None: "", True: "met", False: "**missed**"}[figure["met"]]


def shown(value: object) -> str:
    """A cell: numbers to three or four digits."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value).replace("|", "\\|")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *([shown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure_rows(results: Sequence[Result]) -> list[list[object]]:
    return [
        [
            figure["name"],
            figure["what"],
            f"{figure['ratio']:.3g}",
            f"{figure['reference']:.4g}, {figure['measured']:.4g} {figure['unit']}",
            goal_of(figure),
            verdict(figure),
        ]
        for result in results
        for figure in result.get("figures", [])
    ]


def machine_line(machine: Result) -> str:
    versions = ", ".join(
        f"{name} {version}" for name, version in machine["versions"].items() if version
    )
    return (
        f"{machine['date'][:10]}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']:g} GB, {machine['system']}; {versions}."
    )


def document(results: Sequence[Result]) -> str:
    """The generated part of docs/benchmarks.md."""
    if not results:
        return "No figures have been kept yet; `scripts/bench` makes them."
    parts = ["![ratios](../benchmarks/results/ratios.png)"]
    machines: dict[str, list[str]] = {}
    for result in results:
        machines.setdefault(machine_line(result["machine"]), []).append(f"`{result['name']}`")
    parts += [
        line if len(machines) == 1 else f"{', '.join(names)}: {line}"
        for line, names in machines.items()
    ]
    columns = ["figure", "ratio of", "ratio", "reference, measured", "goal", ""]
    parts.append(markdown(columns, figure_rows(results)))
    for result in results:
        took = "" if result["seconds"] is None else f", {result['seconds']:.0f} s"
        parts.append(f"### {result['name']}\n\n`{result['command']}`{took}")
        others = result["other_programs_cores"]
        if others is not None and others > QUIET:
            parts.append(f"**Not quiet:** {noise(others)}.")
        if "output" in result:
            parts.append("\n".join(["```", *result["output"], "```"]))
            continue
        for name, rows in result["tables"].items():
            keys = list(dict.fromkeys(key for row in rows for key in row))
            table = markdown(keys, [[row.get(key) for key in keys] for row in rows])
            parts.append(f"{name[:1].upper()}{name[1:]}:\n\n{table}")
        parts.append("\n".join(f"- {note}" for note in result["notes"]))
    return "\n\n".join(parts)


def write_document(results: Sequence[Result]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{document(results)}\n\n{END}{after}", encoding="utf-8")


# --- the image -------------------------------------------------------------------------------

INK, SOFT, GRID = "#1f2933", "#6b7785", "#e4e8ec"
GOOD, BAD = "#2a9d8f", "#e76f51"
COLOURS = {
    "store.search": "#2a9d8f",
    "collection.similar": "#8ab17d",
    "store.search, exact": "#a8dadc",
    "numpy, exact": "#6b7785",
    "USearch f16": "#e9c46a",
    "USearch f32": "#f4a261",
    "FAISS HNSW f32": "#e76f51",
}


def draw_goals(axes: Any, figures: Sequence[Result]) -> None:  # noqa: ANN401 - matplotlib's
    """How far each figure with a goal is on its good side: 1 is just met."""
    margins = [
        one["ratio"] / one["goal"] if one["side"] == "at least" else one["goal"] / one["ratio"]
        for one in figures
    ]
    places = range(len(figures))[::-1]
    for place, margin, one in zip(places, margins, figures, strict=True):
        colour = GOOD if one["met"] else BAD
        axes.plot([1, margin], [place, place], color=colour, linewidth=6, solid_capstyle="butt")
        axes.plot(margin, place, "o", color=colour, markersize=9)
        axes.annotate(
            f"{one['ratio']:.3g}  ({goal_of(one)})",
            (max(margin, 1), place),
            xytext=(11, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    low, high = min([*margins, 0.5]) * 0.8, max([*margins, 1.5]) * 2.6
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low < tick < high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(low, high)
    axes.set_yticks(list(places), [one["name"] for one in figures])
    axes.set_ylim(-0.7, len(figures) - 0.3)
    axes.set_title("Ratios against their goals", loc="left")
    axes.set_xlabel("times better than the goal, which is the line")


def draw_search(axes: Any, rows: Sequence[Result]) -> None:  # noqa: ANN401 - matplotlib's
    """Median time of a query by the number of items."""
    sizes = list(dict.fromkeys(row["items"] for row in rows))
    counts = {size: int(size.partition(" x ")[0].replace(",", "")) for size in sizes}
    for way, colour in COLOURS.items():
        points = [(counts[row["items"]], row["p50 ms"]) for row in rows if row["way"] == way]
        if points:
            ours = way in ("store.search", "collection.similar")
            axes.plot(
                *zip(*points, strict=True),
                "o-",
                color=colour,
                label=way,
                linewidth=2.6 if ours else 1.5,
                markersize=6 if ours else 4,
                zorder=3 if ours else 2,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(counts.values()), [size.replace(" x ", "\nx ") for size in sizes])
    axes.minorticks_off()
    axes.set_title("One query, ten results: median", loc="left")
    axes.set_xlabel("items x dimensions")
    axes.set_ylabel("ms")
    axes.legend(frameon=False, fontsize=8.5)


def draw(results: Sequence[Result], path: Path) -> None:
    """One image of the ratios that have goals, and of search as collections grow."""
    import matplotlib as mpl  # noqa: PLC0415 - only here, and slow

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice above

    figures = [
        figure
        for result in results
        for figure in result.get("figures", [])
        if figure["goal"] is not None
    ]
    searches = [
        row
        for result in results
        if result["name"] == "search_scale"
        for row in result["tables"]["searching"]
    ]
    panels = [bool(figures), bool(searches)]
    if not any(panels):
        return
    style: dict[Any, Any] = {
        "font.size": 9.5,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.edgecolor": SOFT,
        "axes.labelcolor": SOFT,
        "text.color": INK,
        "xtick.color": SOFT,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": GRID,
        "axes.axisbelow": True,
    }
    with plt.rc_context(style):
        height = max(4.2, 0.36 * len(figures) + 1.6)
        drawing, grid = plt.subplots(
            1,
            sum(panels),
            figsize=(7 * sum(panels), height),
            width_ratios=[1.15, 1][: sum(panels)],
            squeeze=False,
            layout="constrained",
        )
        axes = list(grid[0])
        if figures:
            draw_goals(axes.pop(0), figures)
        if searches:
            draw_search(axes.pop(0), searches)
        machine = results[-1]["machine"]
        drawing.supxlabel(
            f"lookalike {machine['versions']['lookalike']}, {machine['processor']}, "
            f"{machine['cores']} cores, {machine['date'][:10]}",
            fontsize=8,
            color=SOFT,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing.savefig(path, dpi=150, facecolor="white", metadata={"Software": None})
        plt.close(drawing)


# --- all of it ---------------------------------------------------------------------------------


def print_table(results: Sequence[Result]) -> None:
    rows = [[str(cell) for cell in row] for row in figure_rows(results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).replace("**", "").rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*BENCHMARKS, *PROGRAMS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="less of everything; keep nothing")
    parser.add_argument("--draw", action="store_true", help="run nothing")
    options = parser.parse_args()
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    default = list(BENCHMARKS) if options.quick else names
    if not any(
        os.environ.get(f"LOOKALIKE_TEST_{kind}") for kind in ("ELASTICSEARCH", "OPENSEARCH")
    ):
        default = [name for name in default if name not in SERVERS]
    results, failed = [], []
    for name in () if options.draw else options.names or default:
        print(f"==> {name}", file=sys.stderr)
        try:
            result = run(name, quick=options.quick)
        except subprocess.CalledProcessError as error:
            print(f"{name} failed with exit code {error.returncode}", file=sys.stderr)
            failed.append(name)
            continue
        results.append(result)
        if not options.quick:
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps(result, indent=1, ensure_ascii=False)
            (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    if not options.quick:
        results = kept()
        draw(results, RESULTS / "ratios.png")
        write_document(results)
    print_table(results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
