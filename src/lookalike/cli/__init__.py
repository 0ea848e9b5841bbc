"""The ``lookalike`` command. One small file per group of commands, loaded when asked for.

Results go to stdout, progress and messages to stderr. With ``--json`` an error is a document on
stdout as well as a message on stderr. ``exit_codes`` says what the exit codes mean.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lookalike.cli.exit_codes import DONE, FAILED, INTERRUPTED, USAGE
from lookalike.errors import LookalikeError

__all__ = ["main", "run"]

# command → the module of lookalike.cli that defines it. Loading one costs what it imports, and a
# search should not pay for what indexing needs.
_COMMANDS = {
    "run": "run",
    "init": "run",
    "download": "download",
    "index": "index",
    "search": "search",
    "similar": "search",
    "info": "inspect",
    "list": "inspect",
    "facets": "inspect",
    "label": "inspect",
    "calibrate": "calibrate",
    "categories": "categories",
    "declare": "declare",
    "neighbours": "neighbours",
    "duplicates": "duplicates",
    "evaluate": "evaluate",
    "train": "train",
    "export": "export",
    "serve": "serve",
    "remove": "remove",
    "prune": "prune",
    "relocate": "relocate",
    "copy": "copy",
    "migrate": "migrate",
    "backup": "backup",
    "restore": "backup",
    "doctor": "doctor",
    "version": "version",
    "completion": "completion",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"lookalike.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from lookalike.core.suggestions import did_you_mean

            if hint := did_you_mean(args[0], _COMMANDS):
                message = error.message.removesuffix(".") + hint
                raise click.UsageError(message, ctx) from error
            raise


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Find pictures that look alike.

    \b
      lookalike index photos/            learn a folder of pictures
      lookalike search query.jpg         the ones most like a picture
      lookalike similar 2024/cat.jpg     the ones most like an indexed one

    Everything stays on this machine. Collections made by name are kept in your user data folder
    (LOOKALIKE_HOME changes that).
    """


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _leave(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run a command; turn lookalike's errors into one message, and return the exit code."""
    code: object
    try:
        code = cli.main([*words], prog_name="lookalike", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
        _print_error(words, "usage" if code == USAGE else "error", error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
        _print_error(words, "interrupted", "interrupted")
    except LookalikeError as error:
        from lookalike.core.error_codes import status_of

        click.echo(f"error: {error}", err=True)
        code = FAILED
        _print_error(words, status_of(error)[1], str(error))
    except BrokenPipeError:  # the reader of our pipe (head, say) has what it wanted
        sys.stderr.close()
        code = 0
    return code if isinstance(code, int) else DONE


def _print_error(words: Sequence[str], code: str, message: str) -> None:
    """With ``--json``, the error as a document, unless a result stands on stdout already."""
    options = words[: words.index("--")] if "--" in words else words
    if "--json" not in options:
        return
    from lookalike.cli.output import print_json, stdout

    if not stdout.taken:
        try:
            print_json({"error": {"code": code, "message": message}})
        except BrokenPipeError:
            sys.stderr.close()


def _leave(code: int) -> NoReturn:
    """End at once: taking numpy and a network apart piece by piece takes 20 ms and serves nobody.

    By now collections are closed and threads have nothing in hand.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # a pipe that nobody reads any more, or a closed stream
        pass
    os._exit(code)
