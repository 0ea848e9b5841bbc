"""``lookalike version``."""

import click

from lookalike import __version__
from lookalike.cli.options import json_option
from lookalike.cli.output import print_json

__all__ = ["version_command"]


@click.command("version")
@json_option
def version_command(*, as_json: bool) -> None:
    """Print the version of lookalike."""
    if as_json:
        print_json({"version": __version__})
    else:
        click.echo(__version__)
