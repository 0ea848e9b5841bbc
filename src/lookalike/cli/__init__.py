"""The ``lookalike`` command, with one module per group of commands, loaded on use.

Results go to stdout, progress and messages to stderr. With ``--json`` an error is a document on
stdout as well as a message on stderr. ``exit_codes`` lists the exit codes.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lookalike.cli.exit_codes import DONE, FAILED, INTERRUPTED, USAGE
from lookalike.errors import LookalikeError

__all__ = ["invoke", "main"]

# Task → command → the module of lookalike.cli that defines it, in the order of --help. Loading a
# module costs what it imports, and a search should not pay for what indexing needs.
_TASKS = {
    "Get started": {
        "init": "run",
        "run": "run",
        "completion": "completion",
        "version": "version",
    },
    "Index images": {
        "download": "download",
        "preview": "preview_source",
        "index": "index",
        "prune": "prune",
        "relocate": "relocate",
    },
    "Search": {
        "search": "search",
        "similar": "search",
        "explain": "explain",
        "crops": "crops",
        "calibrate": "calibrate",
        "neighbours": "neighbours",
        "declare": "declare",
    },
    "Organise": {
        "info": "inspect",
        "list": "inspect",
        "facets": "inspect",
        "label": "inspect",
        "categories": "categories",
        "duplicates": "duplicates",
        "map": "map",
        "remove": "remove",
        "export": "export",
    },
    "Encoders": {
        "encoder": "encoder",
    },
    "Evaluate and improve": {
        "evaluate": "evaluate",
        "finetune": "finetune",
    },
    "Serve": {
        "serve": "serve",
    },
    "Move and maintain": {
        "copy": "copy",
        "migrate": "migrate",
        "backup": "backup",
        "restore": "backup",
        "doctor": "doctor",
    },
}
_COMMANDS = {name: module for task in _TASKS.values() for name, module in task.items()}
_RENAMED = {"train": "finetune"}  # older names, which still work but are not listed
_SENTENCE = 200  # characters that the first sentence of a help text may have in the list


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for task, names in _TASKS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                if command is not None:
                    rows.append((name, command.get_short_help_str(_SENTENCE)))
            with formatter.section(task):
                formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        cmd_name = _RENAMED.get(cmd_name, cmd_name)
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


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        from lookalike import __version__

        click.echo(__version__)
        ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def cli() -> None:
    """Search a collection of images by similarity.

    \b
      lookalike index photos/            index a folder of images
      lookalike search query.jpg         find the images most like another image
      lookalike similar 2024/cat.jpg     find the images most like an indexed one

    Everything stays on this machine. Named collections are stored in your user data folder (set
    LOOKALIKE_HOME to change it). Every command has --json.
    """


def main() -> None:
    """Run the command line and exit the process with its exit code."""
    _leave(invoke(sys.argv[1:]))


def invoke(words: Sequence[str]) -> int:
    """Run a command and return its exit code. Errors of lookalike become one message on stderr."""
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
    except BrokenPipeError:  # the reader of the pipe, such as head, is done
        sys.stderr.close()
        code = 0
    return code if isinstance(code, int) else DONE


def _print_error(words: Sequence[str], code: str, message: str) -> None:
    """With ``--json``, print the error as a document, unless stdout already holds a result."""
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
    """Exit at once: tearing down numpy and an encoder takes 20 ms and has no use.

    By now all collections are closed and all threads are idle.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # a pipe without a reader, or a closed stream
        pass
    os._exit(code)
