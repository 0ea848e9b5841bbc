"""Any ONNX file of a hub, as an entry like those of the curated list."""

import re
from pathlib import PurePosixPath

from lookalike.encoders.hub.curated import CuratedEncoder
from lookalike.encoders.hub.failures import is_unreachable
from lookalike.encoders.hub.files import Hub
from lookalike.encoders.hub.references import HubFile
from lookalike.errors import PullError

__all__ = ["hub_file_entry", "named_like"]

_OPEN = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0-1.0": "CC0-1.0",
    "cc-by-4.0": "CC-BY-4.0",
    "unlicense": "Unlicense",
}
_SAYS_NOTHING = re.compile(r"(?i)(vision_?)?model|visual|network|encoder|image")
_SHOWN = 12  # files of a repository to name in a message


def hub_file_entry(reference: HubFile, hub: Hub, *, name: str | None) -> CuratedEncoder:
    """Return an entry for a file, with the licence that the repository's card names.

    ``name`` is the encoder's, by default that of the repository and the file. Raise ``PullError``
    if the reference names no file, with those that there are.
    """
    repository, revision = reference.repository, reference.revision or "main"
    if reference.path is None or not reference.path.endswith(".onnx"):
        raise PullError(_which(reference, hub.names(repository, revision)))
    licence = _licence(hub, repository, revision)
    known = None if licence is None else _OPEN.get(licence.lower())
    restricted = licence is not None and known is None
    return CuratedEncoder(
        name=name or named_like(repository, reference.path),
        title=f"{repository}, {reference.path}",
        licence=known or licence or "",
        terms=f"its repository names the licence {licence}" if restricted else None,
        source=f"https://huggingface.co/{repository}",
        good_for="",
        facts="",
        megabytes=0.0,
        repository=repository,
        revision=reference.revision,
        graph=reference.path,
    )


def _licence(hub: Hub, repository: str, revision: str) -> str | None:
    """Return what the repository's card names; ``None`` also without a connection."""
    try:
        return hub.licence(repository, revision)
    except PullError as error:
        if error.__cause__ is not None and is_unreachable(error.__cause__):
            return None
        raise


def named_like(repository: str, path: str) -> str:
    """Return a name for an encoder: the repository's, and the file's where it says something."""
    stem = PurePosixPath(path).stem
    said = re.sub(_SAYS_NOTHING, "", stem, count=1).strip("_-.")
    base = repository.split("/")[1]
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{base}-{said}" if said else base)
    return text.strip("-._")[:64]


def _which(reference: HubFile, names: list[str]) -> str:
    graphs = [one for one in names if one.endswith(".onnx")]
    if not graphs:
        return (
            f"{reference.repository} has no ONNX file; export the model, or look for a repository "
            "that has one"
        )
    more = f" and {len(graphs) - _SHOWN} more" if len(graphs) > _SHOWN else ""
    return (
        f"name a file of {reference.repository}, such as hf:{reference.repository}/{graphs[0]}; "
        f"it has {', '.join(graphs[:_SHOWN])}{more}"
    )
