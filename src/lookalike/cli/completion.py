"""``lookalike completion``."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion_command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in your shell.

    \b
      lookalike completion bash >> ~/.bashrc
      lookalike completion zsh  >> ~/.zshrc
      lookalike completion fish > ~/.config/fish/completions/lookalike.fish
    """
    complete = get_completion_class(shell)
    if complete is None:  # click knows these three
        raise click.UsageError(f"{shell} is not known")
    click.echo(complete(ctx.find_root().command, {}, "lookalike", "_LOOKALIKE_COMPLETE").source())
