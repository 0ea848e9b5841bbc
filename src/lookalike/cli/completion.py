"""``lookalike completion``."""

import click
from click.shell_completion import get_completion_class

from lookalike.cli.options import json_option
from lookalike.cli.output import print_json

__all__ = ["completion_command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion_command(ctx: click.Context, shell: str, *, as_json: bool) -> None:
    """Print a shell script that completes commands and options.

    \b
      lookalike completion bash >> ~/.bashrc
      lookalike completion zsh  >> ~/.zshrc
      lookalike completion fish > ~/.config/fish/completions/lookalike.fish
    """
    complete = get_completion_class(shell)
    if complete is None:  # click knows these three
        raise click.UsageError(f"unknown shell {shell!r}")
    script = complete(ctx.find_root().command, {}, "lookalike", "_LOOKALIKE_COMPLETE").source()
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
