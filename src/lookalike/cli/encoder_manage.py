"""``lookalike encoder list``, ``show``, ``check`` and ``remove``."""

from pathlib import Path

import click

from lookalike.cli.encoder_add import comparison_lines
from lookalike.cli.options import json_option
from lookalike.cli.output import plain, print_json, print_table

__all__ = ["check_command", "list_command", "remove_command", "show_command"]


def _folder() -> Path:
    from lookalike.config import settings

    return settings().home / "encoders"


@click.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the encoders that have a name: those of lookalike, and your own.

    \b
      lookalike encoder list
    """
    from lookalike.encoders.adding import list_encoders

    listed = list_encoders(_folder())
    if as_json:
        from lookalike.output.encoder_documents import listed_json

        print_json({"encoders": [listed_json(one) for one in listed]})
        return
    print_table(
        ("name", "values", "pixels", "words", "licence", "state"),
        (
            (
                one.name,
                "" if one.card is None else one.card.output.dim,
                "" if one.card is None else f"{one.card.input.width} x {one.card.input.height}",
                "yes" if one.card is not None and one.card.words is not None else "",
                "" if one.card is None else plain(one.card.licence),
                "ready" if one.problem is None else plain(one.problem),
            )
            for one in listed
        ),
    )


@click.command("show")
@click.argument("name")
@json_option
def show_command(*, name: str, as_json: bool) -> None:
    """Print the card of an encoder.

    NAME is a name, the path of a card, or an ONNX file that was added.

    \b
      lookalike encoder show efficientnet-lite0
    """
    from lookalike.encoders.cards import card_text, find_card
    from lookalike.encoders.onnx_encoder import fingerprint_of

    card = find_card(name, folder=_folder())
    if as_json:
        from lookalike.output.encoder_documents import card_json

        print_json({**card_json(card), "fingerprint": fingerprint_of(card)})
        return
    comment = f"{card.path}\nfingerprint {fingerprint_of(card)}"
    click.echo(card_text(card, comment=comment), nl=False)


@click.command("check")
@click.argument("name")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Compare on these images, which lie in a folder for each label, instead of on drawn ones.",
)
@click.option("--no-compare", is_flag=True, help="Do not compare ways to prepare images.")
@click.option("--device", default="auto", show_default=True, help="The device to run it on.")
@json_option
@click.pass_context
def check_command(
    ctx: click.Context,
    *,
    name: str,
    images: Path | None,
    no_compare: bool,
    device: str,
    as_json: bool,
) -> None:
    """Try an encoder on images: files, digests, embeddings, and how images are prepared.

    Retrieval is compared with other ranges, orders of colours and ways to resize; a much better
    one is a sign that the card is wrong. Exits with 1 if there is such a sign.

    \b
      lookalike encoder check clip-b32
      lookalike encoder check clip-b32 --images images-by-label/
    """
    from lookalike.config import settings
    from lookalike.encoders.adding import check_encoder

    checked = check_encoder(
        name,
        images=images,
        comparing=not no_compare,
        device=device,
        folder=_folder(),
        cache=settings().cache,
    )
    notes = checked.trial.notes()
    if checked.trial.depends_on_batch:
        notes.append(
            "embeddings depend on the other images of a batch; set max_batch = 1 in [input]"
        )
    better = [one for one in checked.comparisons if one.better]
    notes += [
        f"{one.key} {one.value} fits better: mAP {checked.comparisons[0].map:.2f} → {one.map:.2f}"
        for one in better
    ]
    if as_json:
        from lookalike.output.encoder_documents import checked_json

        print_json({**checked_json(checked), "notes": notes, "ok": not notes})
    else:
        rows = [
            ("encoder", checked.fingerprint),
            ("card", str(checked.card.path)),
            ("device", checked.device),
            ("embedding", f"{checked.card.output.dim} values"),
        ]
        print_table(("", ""), [(what, plain(text)) for what, text in rows])
        for line in comparison_lines(checked.comparisons, checked.compared_on):
            click.echo(plain(line), err=True)
        for note in notes:
            click.echo(plain(f"problem: {note}"))
        click.echo("problems found" if notes else "no problems found")
    if notes:
        ctx.exit(1)


@click.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Remove it even if a collection uses it.")
@json_option
def remove_command(*, name: str, force: bool, as_json: bool) -> None:
    """Remove an encoder that was added or pulled: its card, and the copies of its files.

    A model that was added without --copy stays where it is. An encoder that a collection by name
    uses is not removed.

    \b
      lookalike encoder remove clip-b32
    """
    from lookalike.config import remove_encoder

    removed = remove_encoder(name, force=force)
    if as_json:
        from lookalike.output.encoder_documents import removed_json

        print_json(removed_json(removed))
        return
    for one in removed.deleted:
        click.echo(plain(f"deleted {one}"))
    for one in removed.kept:
        click.echo(plain(f"kept {one}"))
