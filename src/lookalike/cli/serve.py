"""``lookalike serve``."""

import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from lookalike.cli.options import json_option
from lookalike.cli.output import plain, print_json
from lookalike.config import settings as known_settings

if TYPE_CHECKING:
    from lookalike.service.settings import ServiceSettings

__all__ = ["ServeOptions", "serve", "serve_command"]


@click.command("serve")
@click.argument("collections", nargs=-1, metavar="[COLLECTION...]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="LOOKALIKE_HOST",
    help="The address to listen on; 0.0.0.0 means all addresses of this machine.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    envvar="LOOKALIKE_PORT",
    help="The port to listen on; 0 takes any free port.",
)
@click.option(
    "--read-key",
    metavar="KEY",
    envvar="LOOKALIKE_READ_KEY",
    help="Require this key for every request.",
)
@click.option(
    "--write-key",
    metavar="KEY",
    envvar="LOOKALIKE_WRITE_KEY",
    help="Require this key for every request that changes something.",
)
@click.option("--read-only", is_flag=True, envvar="LOOKALIKE_READ_ONLY", help="Refuse all changes.")
@click.option(
    "--cors",
    multiple=True,
    metavar="ORIGIN",
    envvar="LOOKALIKE_CORS",
    help="Allow pages of this origin (https://shop.example) to use the service. Repeatable.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    envvar="LOOKALIKE_ALLOW_HOST",
    help="Also accept requests for this host name.  [default: loopback names only; any with "
    "another --host]",
)
@click.option(
    "--max-upload",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    metavar="MB",
    envvar="LOOKALIKE_MAX_UPLOAD",
    help="The largest image that may be uploaded.",
)
@click.option(
    "--allow-urls",
    is_flag=True,
    envvar="LOOKALIKE_ALLOW_URLS",
    help="Allow searches by image URL, from public addresses only.",
)
@click.option(
    "--show-paths/--hide-paths",
    default=None,
    envvar="LOOKALIKE_SHOW_PATHS",
    help="Include file paths of this machine in responses.  [default: only on loopback]",
)
@click.option("--open", "open_page", is_flag=True, help="Open the web page in a browser.")
@click.option("--threads", type=click.IntRange(1), help="CPU cores to use.  [default: all]")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="The device to run the encoder on: auto, cpu, cuda, coreml, directml, openvino.",
)
@json_option
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
    as_json: bool,
) -> None:
    """Serve collections over HTTP: a REST API under /v1, and a web page.

    Without COLLECTION, all named collections are served, and new ones can be created. Ctrl-C stops
    the service after the current requests. Every option but --open and --json can be set in the
    environment, as in LOOKALIKE_PORT=9000. With --json, the address is printed as JSON.

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
        as_json=as_json,
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


class ServeOptions(TypedDict):
    """The settings of a service that the command line and run files offer."""

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
    as_json: bool = False,
    **options: Unpack[ServeOptions],
) -> None:
    """Serve until a signal arrives. ``show_paths=None`` shows paths on loopback only."""
    gc.disable()  # modules loaded now stay; collecting them would take a tenth of the startup
    # Loading the web framework takes a second, which no other command should pay.
    from prometheus_client import disable_created_metrics

    from lookalike.service import (
        Collections,
        Metrics,
        ServiceSettings,
        bind_socket,
        create_app,
        create_server,
    )
    from lookalike.service.run import exposure_warning
    from lookalike.service.settings import is_loopback

    gc.freeze()
    gc.enable()
    # Half of the series would say when a counter was created: when the process started.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    shown = options["show_paths"]
    chosen = {**options, "show_paths": is_loopback(options["host"]) if shown is None else shown}
    settings = ServiceSettings(**chosen)  # type: ignore[arg-type] # typed by ServeOptions
    metrics = Metrics()
    served = Collections(
        known=known_settings(),
        addresses=collections,
        settings=settings,
        meter=metrics,
        device=device,
        threads=threads,
    )
    warning = exposure_warning(settings)
    if warning is not None:
        click.echo(f"warning: {warning}", err=True)
    with bind_socket(settings) as socket:
        address = _make_address(settings, socket.getsockname()[1])
        if as_json:
            print_json({"address": address, "collections": list(served.names())})
            sys.stdout.flush()
        names = ", ".join(served.names()) or "no collection yet"
        click.echo(f"serving {plain(names)} on {address}  (Ctrl-C to stop)", err=True)
        if open_page:
            click.launch(address)
        create_server(create_app(served, settings, metrics), settings).run(sockets=[socket])


def _make_address(settings: "ServiceSettings", port: int) -> str:
    """Return the URL of the service for a browser on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{port}"
