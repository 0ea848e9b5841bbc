"""``lookalike serve``."""

import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from lookalike.cli.output import plain
from lookalike.config import settings as known_settings

if TYPE_CHECKING:
    from lookalike.service.settings import ServiceSettings

__all__ = ["Said", "serve", "serve_command"]


@click.command("serve")
@click.argument("collections", nargs=-1, metavar="[COLLECTION...]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="LOOKALIKE_HOST",
    help="The address to serve from; 0.0.0.0 is every one that this machine has.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    envvar="LOOKALIKE_PORT",
    help="0 takes any that is free.",
)
@click.option(
    "--read-key",
    metavar="KEY",
    envvar="LOOKALIKE_READ_KEY",
    help="Ask for this key before anything is answered.",
)
@click.option(
    "--write-key",
    metavar="KEY",
    envvar="LOOKALIKE_WRITE_KEY",
    help="Ask for this key before anything is changed.",
)
@click.option(
    "--read-only", is_flag=True, envvar="LOOKALIKE_READ_ONLY", help="Let nobody change anything."
)
@click.option(
    "--cors",
    multiple=True,
    metavar="ORIGIN",
    envvar="LOOKALIKE_CORS",
    help="Let pages of this origin (https://shop.example) use the service.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    envvar="LOOKALIKE_ALLOW_HOST",
    help="Answer to this name beside the loopback ones.  [default: those; with another --host any]",
)
@click.option(
    "--max-upload",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    metavar="MB",
    envvar="LOOKALIKE_MAX_UPLOAD",
    help="The largest picture that may be sent.",
)
@click.option(
    "--allow-urls",
    is_flag=True,
    envvar="LOOKALIKE_ALLOW_URLS",
    help="Fetch pictures that a search names by URL, from public addresses.",
)
@click.option(
    "--show-paths/--hide-paths",
    default=None,
    envvar="LOOKALIKE_SHOW_PATHS",
    help="Tell where files lie on this machine.  [default: only on loopback]",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@click.option("--threads", type=click.IntRange(1), help="Processor cores to use.  [default: all]")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="What runs the network: auto, cpu, cuda, coreml, directml, openvino.",
)
def serve_command(
    *,
    collections: tuple[str, ...],
    host: str,
    port: int,
    read_key: str | None,
    write_key: str | None,
    read_only: bool,
    cors: tuple[str, ...],
    allow_host: tuple[str, ...],
    max_upload: float,
    allow_urls: bool,
    show_paths: bool | None,
    open_page: bool,
    threads: int | None,
    device: str,
) -> None:
    """Serve collections to programs (REST, under /v1) and to people (a page).

    Without COLLECTION all that go by a name are served, and new ones can be begun. Ctrl-C ends
    it, after the requests in hand. Every option but --open can be set in the environment, as
    LOOKALIKE_PORT=9000.

    \b
      lookalike serve
      lookalike serve shop --open
      lookalike serve elasticsearch://localhost:9200/shop
      LOOKALIKE_WRITE_KEY=… lookalike serve shop --host 0.0.0.0 --read-key …
    """
    serve(
        collections,
        device=device,
        threads=threads,
        open_page=open_page,
        host=host,
        port=port,
        read_key=read_key or None,
        write_key=write_key or None,
        read_only=read_only,
        cors=cors,
        hosts=allow_host,
        max_upload=int(max_upload * 1e6),
        allow_urls=allow_urls,
        show_paths=show_paths,
    )


class Said(TypedDict):
    """What a person may say of a service: ``ServiceSettings``, as far as there is a choice."""

    host: str
    port: int
    read_key: str | None
    write_key: str | None
    read_only: bool
    cors: tuple[str, ...]
    hosts: tuple[str, ...]
    max_upload: int
    allow_urls: bool
    show_paths: bool | None


def serve(
    collections: Sequence[str],
    *,
    device: str = "auto",
    threads: int | None = None,
    open_page: bool = False,
    **said: Unpack[Said],
) -> None:
    """Serve until a signal ends it. ``show_paths`` is by default true on loopback alone."""
    gc.disable()  # what loads now stays; to look for garbage in it is a tenth of the time
    # The web framework takes a second to load, which no other command should pay.
    from prometheus_client import disable_created_metrics

    from lookalike.service import (
        Collections,
        Metrics,
        ServiceSettings,
        bound,
        create_app,
        server,
    )
    from lookalike.service.run import open_to_all
    from lookalike.service.settings import is_loopback

    gc.freeze()
    gc.enable()
    # Half of the series would tell when a counter began: about when the process did, which is told.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    shown = said["show_paths"]
    chosen = {**said, "show_paths": is_loopback(said["host"]) if shown is None else shown}
    settings = ServiceSettings(**chosen)  # type: ignore[arg-type] # as `Said` has them
    metrics = Metrics()
    served = Collections(
        known=known_settings(),
        addresses=collections,
        settings=settings,
        meter=metrics,
        device=device,
        threads=threads,
    )
    warning = open_to_all(settings)
    if warning is not None:
        click.echo(f"warning: {warning}", err=True)
    with bound(settings) as socket:
        address = _address(settings, socket.getsockname()[1])
        names = ", ".join(served.names()) or "no collection yet"
        click.echo(f"serving {plain(names)} on {address}  (Ctrl-C ends it)", err=True)
        if open_page:
            click.launch(address)
        server(create_app(served, settings, metrics), settings).run(sockets=[socket])


def _address(settings: "ServiceSettings", port: int) -> str:
    """Where a browser on this machine finds it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{port}"
