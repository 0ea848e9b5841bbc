"""``lookalike version``."""

import click

from lookalike import __version__

__all__ = ["version_command"]


@click.command("version")
def version_command() -> None:
    """Print the version."""
    click.echo(__version__)
