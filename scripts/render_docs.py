"""Write the help of every command into docs/cli.md, the commented run file into docs/run.md, the
encoders that can be pulled into docs/encoders.md, and what `python -m benchmarks.encoders` measured
into docs/encoder-quality.md: python scripts/render_docs.py

Tests fail when the pages are not what this would write.
"""

import json
import re
from pathlib import Path
from typing import Any

import click

from lookalike.cli import cli
from lookalike.encoders.hub import curated_encoders
from lookalike.runfile.template import start_with, template

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
RUN_PAGE = PAGE.with_name("run.md")
ENCODERS_PAGE = PAGE.with_name("encoders.md")
QUALITY_PAGE = PAGE.with_name("encoder-quality.md")
MEASURED = PAGE.parents[1] / "benchmarks" / "results" / "encoders.json"
BEGIN = "<!-- begin: written by scripts/render_docs.py -->"
END = "<!-- end -->"


def rendered(page: str) -> str:
    """The page with the part between the marks made anew."""
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    context = click.Context(cli, info_name="lookalike")
    return head + BEGIN + "\n" + "\n".join(_parts(cli, context)) + END + tail


def _parts(group: click.Group, context: click.Context) -> list[str]:
    """A section for each command of a group, and after it for each of its own."""
    parts = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(name)
        inner = click.Context(command, info_name=name, parent=context, terminal_width=88)
        text = command.get_help(inner)
        parts.append(f"## {inner.command_path}\n\n```text\n{text}\n```\n")
        if isinstance(command, click.Group):
            parts += _parts(command, inner)
    return parts


def with_run_file(page: str) -> str:
    """The page with what `lookalike init` writes made anew."""
    start = start_with(None, kind="auto", folder=PAGE.parent, name="shop")
    text = template(start.values, name="lookalike.yaml")
    block = re.compile(r"```yaml\n# `lookalike run lookalike.yaml`.*?```", re.DOTALL)
    return block.sub(lambda _: f"```yaml\n{text}```", page)


def with_encoders(page: str) -> str:
    """The page with the table of the curated encoders between the marks made anew."""
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    columns = ("name", "MB", "values", "words (MB)", "licence", "good for")
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for one in curated_encoders().values():
        words = f"{one.words.megabytes:,.0f}" if one.words else ""
        licence = f"{one.licence} *" if one.terms else one.licence
        cells = (f"`{one.name}`", f"{one.megabytes:,.0f}", one.dim or "", words, licence)
        lines.append(f"| {' | '.join(map(str, cells))} | {one.good_for} |")
    return head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail


def with_measurements(page: str) -> str:
    """The page with the table of the measured encoders between the marks made anew."""
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))["tables"]["frontier"]
    rows: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for row in measured:
        rows.setdefault(row["encoder"], {})[row["images"], row["space"]] = row
    lines = [
        "| encoder | time | Caltech mAP | Myntra mAP | P@10 | mAP raw |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in sorted(rows.items(), key=lambda one: _time(one[1])):
        fitted = [found[images, "projected"] for images in ("Caltech", "Myntra")]
        # Encoders side by side are centred before they are put together: there is no raw space.
        raw = [found[images, "raw"] for images in ("Caltech", "Myntra") if " + " not in name]
        cells = [re.sub(r"-pooled-(\d+)$", r"-pooled@\1", name), f"{_time(found):.2f}"]
        cells += [
            f"{one['mAP']:.3f} ({one['mAP from']:.3f} to {one['mAP to']:.3f})" for one in fitted
        ]
        cells.append(", ".join(f"{one['P@10']:.3f}" for one in fitted))
        cells.append(", ".join(f"{one['mAP']:.3f}" for one in raw))
        lines.append(f"| {' | '.join(cells)} |")
    return head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail


def _time(found: dict[tuple[str, str], dict[str, Any]]) -> float:
    return float(found["Caltech", "projected"]["time"])


if __name__ == "__main__":
    QUALITY_PAGE.write_text(
        with_measurements(QUALITY_PAGE.read_text(encoding="utf-8")), encoding="utf-8"
    )
    ENCODERS_PAGE.write_text(
        with_encoders(ENCODERS_PAGE.read_text(encoding="utf-8")), encoding="utf-8"
    )
    RUN_PAGE.write_text(with_run_file(RUN_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
