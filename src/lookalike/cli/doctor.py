"""``lookalike doctor``."""

import importlib.metadata
import platform
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike import __version__
from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import encoder_text, print_json, print_table
from lookalike.config import DEFAULT_ENCODER, encoder_of, settings
from lookalike.core.cpus import usable_cores
from lookalike.core.records import Json
from lookalike.encoders.qualities import FORMER_DEFAULTS
from lookalike.errors import CollectionNotFoundError, LookalikeError

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["doctor_command"]

_PACKAGES = (
    *("numpy", "pillow", "pillow-heif", "onnx", "onnxruntime", "openvino"),
    *("usearch", "elasticsearch", "opensearch-py"),
)


@click.command("doctor")
@collection_option
@click.option("--repair", is_flag=True, help="Repair what can be repaired.")
@json_option
@click.pass_context
def doctor_command(
    ctx: click.Context, *, collection: str | None, repair: bool, as_json: bool
) -> None:
    """Check the installation and a collection: versions, devices, encoder, stored data.

    No item is ever removed. An item that has lost its embedding is marked, and the next
    `lookalike index` encodes it again. Exits with 1 if a problem was found and not repaired.

    \b
      lookalike doctor
      lookalike doctor -c shop --repair
    """
    facts, problems = _installation()
    encoder: str | None = DEFAULT_ENCODER
    stored: int | None = None
    found: list[str] = []
    try:
        with opened(collection) as shop:
            found = shop.check(repair=repair)  # first: what is wrong may be in the way of the rest
            problems += [f"collection: {one}" for one in found]
            left = shop.check() if found and repair else found
            facts["collection"] = str(shop.store.facts()["address"])
            facts["items"] = len(shop)
            encoder = _encoder_of(shop, problems)
            facts["embeddings"] = encoder_text(shop.info())
            stored = shop.info().dim
            if encoder in FORMER_DEFAULTS:
                facts["advice"] = (
                    "the default encoder has become better; `lookalike migrate --quality balanced` "
                    "moves this collection to it"
                )
    except CollectionNotFoundError as error:
        facts["collection"] = f"none ({error})"
        left = []
        if collection is not None:
            raise
    if encoder is not None:
        problems += _check_encoder(encoder, facts, stored=stored)
    wrong = bool(problems) if not repair else bool(left) or len(problems) > len(found)
    if as_json:
        document: dict[str, Json] = {"facts": facts, "problems": [*problems], "repaired": repair}
        print_json({**document, "left": [f"collection: {one}" for one in left], "ok": not wrong})
    else:
        print_table(("", ""), list(facts.items()))
        for problem in problems:
            click.echo(f"problem: {problem}")
        if repair:
            for problem in left:
                click.echo(f"not repaired: collection: {problem}")
        click.echo("problems found" if wrong else "no problems found")
    if wrong:
        ctx.exit(1)


def _installation() -> tuple[dict[str, Json], list[str]]:
    """Return facts about this machine and installation, and its problems."""
    known = settings()
    problems: list[str] = []
    facts: dict[str, Json] = {
        "lookalike": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {usable_cores()} cores",
        "sqlite": sqlite3.sqlite_version,
    }
    for package in _PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts[package] = "not installed"
    facts["home"] = str(known.home)
    facts["cache"] = str(known.cache)
    return facts, problems


def _encoder_of(shop: "Collection", problems: list[str]) -> str | None:
    """Return the collection's encoder, or ``None`` if it cannot be opened by name or card."""
    from lookalike.encoders import available_encoders

    try:
        name = encoder_of(shop.store)
    except LookalikeError as error:
        problems.append(f"encoder: {error}")
        return None
    by_name = name in available_encoders() or Path(name).suffix == ".toml"
    return name if by_name else None  # else one that a program made and passed in


def _check_encoder(name: str, facts: dict[str, Json], *, stored: int | None) -> list[str]:
    """Open an encoder by its name or card and add it to ``facts``. Return its problems.

    ``stored`` are the values of the collection's embeddings: fewer where they are projected.
    """
    from lookalike.encoders import load_encoder

    try:
        encoder = load_encoder(name, cache=settings().cache)
    except LookalikeError as error:
        return [f"encoder: {error}"]
    values = f"{encoder.dim:,} values"
    if stored not in (None, encoder.dim):
        values += f", stored as {stored:,}"
    facts["encoder"] = f"{encoder.name} ({values}) on {encoder.device}"
    return []
