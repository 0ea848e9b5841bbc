"""``lookalike encoder`` and its commands."""

import click

from lookalike.cli.encoder_add import add_command
from lookalike.cli.encoder_bench import bench_command
from lookalike.cli.encoder_manage import (
    check_command,
    list_command,
    remove_command,
    show_command,
)
from lookalike.cli.encoder_pull import pull_command
from lookalike.cli.encoder_quantize import quantize_command

__all__ = ["encoder_command"]


@click.group("encoder")
def encoder_command() -> None:
    """Get and manage encoders."""


for _command in (
    add_command,
    bench_command,
    pull_command,
    quantize_command,
    list_command,
    show_command,
    check_command,
    remove_command,
):
    encoder_command.add_command(_command)
