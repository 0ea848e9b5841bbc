"""``lookalike encoder pull``."""

from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import json_option
from lookalike.cli.output import plain, print_json, print_table, size_text
from lookalike.cli.progress import Meter
from lookalike.core.progress import Progress

if TYPE_CHECKING:
    from lookalike.encoders.hub import CuratedEncoder, PulledEncoder

__all__ = ["pull_command"]


class _Display:
    """Shows the progress of one file after another, in megabytes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._meter: Meter | None = None
        self._file = ""

    def __call__(self, progress: Progress) -> None:
        if self._meter is None or progress.stage != self._file:
            self.stop()
            self._file = progress.stage
            self._meter = Meter(progress.stage, quiet=self._quiet)
        total = progress.total or 0
        self._meter.show(progress.done // 1_000_000, total // 1_000_000, "MB")

    def stop(self) -> None:
        if self._meter is not None:
            self._meter.stop()


@click.command("pull")
@click.argument("name", required=False)
@click.option("--list", "listing", is_flag=True, help="List the encoders that have a name.")
@click.option("--name", "own_name", help="The encoder's name. [default: as in the list]")
@click.option(
    "--preset",
    help="How images are prepared for hf:OWNER/NAME/FILE, such as clip, siglip2 or imagenet.",
)
@click.option("--words", is_flag=True, help="Pull what encodes words too, to search by words.")
@click.option(
    "--accept-licence",
    is_flag=True,
    help="Accept a licence that restricts what the encoder may be used for.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
def pull_command(
    *,
    name: str | None,
    listing: bool,
    own_name: str | None,
    preset: str | None,
    words: bool,
    accept_licence: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Download an encoder from a hub, and write its card.

    NAME is one of the list (--list), an ONNX file of a hub as hf:OWNER/NAME/FILE or
    hf:OWNER/NAME/FILE@REVISION, or a model of timm as timm:NAME. The first pull notes the revision
    and the SHA-256 of every file; they are checked ever after. Interrupted, the same command
    continues. Needs: pip install 'lookalike[hub]', and for timm 'lookalike[export]'

    \b
      lookalike encoder pull --list
      lookalike encoder pull clip-vit-b-32
      lookalike index photos/ -c shop --encoder clip-vit-b-32
      lookalike encoder pull siglip2-b-16 --words
      lookalike encoder pull hf:onnx-community/dinov2-large/onnx/model.onnx --preset dinov2
    """
    if listing == (name is not None):
        raise click.UsageError("give a NAME, or --list")
    if name is None:
        _print_list(as_json=as_json)
        return
    from lookalike.config import pull_encoder

    display = _Display(quiet=quiet)
    try:
        pulled = pull_encoder(
            name,
            name=own_name,
            preset=preset,
            words=words,
            accept_licence=accept_licence,
            progress=display,
        )
    finally:
        display.stop()
    if as_json:
        print_json({**asdict(pulled), "card": str(pulled.card)})
    else:
        _print_pulled(pulled)


def _print_list(*, as_json: bool) -> None:
    from lookalike.encoders.hub import curated_encoders

    listed = list(curated_encoders().values())
    if as_json:
        print_json({"encoders": [_document(one) for one in listed]})
        return
    print_table(
        ("name", "MB", "values", "words", "licence", "good for"),
        (
            (
                one.name,
                f"{one.megabytes:,.0f}",
                one.dim or "",
                "yes" if one.words else "",
                f"{one.licence} *" if one.terms else one.licence,
                one.good_for,
            )
            for one in listed
        ),
    )
    click.echo("* restricts use; it must be accepted with --accept-licence", err=True)


def _document(one: "CuratedEncoder") -> dict[str, object]:
    return {
        "name": one.name,
        "title": one.title,
        "good_for": one.good_for,
        "licence": one.licence,
        "terms": one.terms,
        "source": one.source,
        "facts": one.facts,
        "megabytes": one.megabytes,
        "words_megabytes": one.words.megabytes if one.words else None,
        "dim": one.dim,
        "repository": one.repository or None,
        "revision": one.revision,
        "files": [path for path in (one.graph, *one.data) if path],
        "timm": one.timm,
    }


def _print_pulled(pulled: "PulledEncoder") -> None:
    rows = [
        ("encoder", pulled.name if pulled.changed else f"{pulled.name}, which was there already"),
        ("licence", pulled.licence or "not named; see the repository"),
        ("from", f"{pulled.repository}, revision {pulled.revision}"),
        *(("file", f"{one.path}, {size_text(one.bytes)}") for one in pulled.files),
        ("words", "yes" if pulled.words else "no"),
        ("card", str(pulled.card)),
        *(("guess", one) for one in pulled.notes),
    ]
    print_table(("", ""), [(what, plain(text)) for what, text in rows])
    click.echo(f"use it with --encoder {pulled.name}", err=True)
    if pulled.words and not all(map(find_spec, ("ftfy", "tokenizers"))):
        click.echo("search by words needs: pip install 'lookalike[words]'", err=True)
