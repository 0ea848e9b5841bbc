"""Pulling an encoder: its files from a hub, and the card that pins them.

    pulled = pull("clip-vit-b-32", folder=Path("encoders"))
    load_encoder(pulled.card)

The digest of every file is written to the card at the first pull, with the commit that it was in,
and is checked whenever the encoder is opened and whenever it is pulled again.
"""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lookalike.core.digests import sha256_of
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.encoders.adding.model_facts import read_facts
from lookalike.encoders.cards.finding import default_folder
from lookalike.encoders.cards.reading import NAME_PATTERN
from lookalike.encoders.external import locations
from lookalike.encoders.graph_cutting import parse_model
from lookalike.encoders.hub.curated import CuratedEncoder
from lookalike.encoders.hub.encoder_folder import Undo, try_card, undone_on_failure
from lookalike.encoders.hub.files import Hub, connect
from lookalike.encoders.hub.hub_file_entry import hub_file_entry
from lookalike.encoders.hub.proposed_card import proposed_card_text
from lookalike.encoders.hub.pulled_card import Pins, pulled_card_text, read_pins
from lookalike.encoders.hub.records import PulledEncoder, PulledFile
from lookalike.encoders.hub.references import HubFile, TimmName, parse_reference
from lookalike.encoders.hub.remote_file import RemoteFile
from lookalike.encoders.hub.timm_pulling import pull_timm, timm_entry
from lookalike.encoders.reserved_names import reserved_for
from lookalike.errors import PullError

__all__ = ["pull"]


def pull(
    reference: str | CuratedEncoder,
    *,
    folder: Path | None = None,
    name: str | None = None,
    preset: str | None = None,
    words: bool = False,
    accept_licence: bool = False,
    hub: Hub | None = None,
    progress: ProgressCallback = ignore_progress,
) -> PulledEncoder:
    """Bring an encoder from a hub into ``folder``/NAME, with the card NAME.toml.

    ``reference`` is a name of the curated list, ``hf:OWNER/NAME/FILE@REVISION`` or ``timm:NAME``.
    ``folder`` is the one for the user's own encoders by default, where they are found by name.
    ``words`` brings the text side too. ``progress`` counts the bytes of each file, which
    ``stage`` names. An encoder that is there already is checked, and what is missing is brought.

    Of a file of a hub, ``preset`` says how images are prepared; what nobody says is guessed from
    the graph, and ``notes`` tell. ``name`` is the encoder's; an encoder of the list has its own.

    Raise ``PullError``: nothing new is then left in the folder, and what was there stays. What has
    been downloaded stays in the cache.
    """
    folder = default_folder() if folder is None else folder
    entry = parse_reference(reference) if isinstance(reference, str) else reference
    listed = entry.name if isinstance(entry, CuratedEncoder) else None
    if isinstance(entry, HubFile):
        hub = hub or connect()
        entry = hub_file_entry(entry, hub, name=name)
    elif preset is not None:
        raise PullError("a preset is for hf:OWNER/NAME/FILE; the preprocessing of others is known")
    elif isinstance(entry, TimmName):
        entry = timm_entry(entry.model)
    if name is not None:
        entry = replace(entry, name=name)
    if not re.fullmatch(NAME_PATTERN, entry.name):
        raise PullError(
            f"{entry.name!r} cannot be the name of an encoder: letters, digits, '.', '_', '-', at "
            "most 64"
        )
    if entry.name != listed and (reserved := reserved_for(entry.name)):
        raise PullError(f"{reserved}; choose another --name (in Python: name=)")
    _check_licence(entry, accepted=accept_licence)
    if words and entry.words is None:
        raise PullError(f"{entry.name} understands no words: it has no text side to pull")
    place = folder / entry.name
    if entry.timm is not None:
        return pull_timm(entry, place, hub, progress)
    return _Pull(entry, place, hub, progress, preset=preset).run(words=words)


def _check_licence(entry: CuratedEncoder, *, accepted: bool) -> None:
    if entry.terms is not None and not accepted:
        raise PullError(
            f"the licence of {entry.name} restricts what it may be used for: {entry.terms}; read "
            f"it at {entry.source}, and if you accept it pull with --accept-licence (in Python: "
            "accept_licence=True)"
        )


class _Pull:
    """One pull of a curated encoder into its own folder."""

    def __init__(
        self,
        entry: CuratedEncoder,
        folder: Path,
        hub: Hub | None,
        progress: ProgressCallback,
        *,
        preset: str | None,
    ) -> None:
        self._entry = entry
        self._folder = folder
        self._card = folder / f"{entry.name}.toml"
        self._hub = hub
        self._progress = progress
        self._pins = read_pins(self._card)
        self._revision = self._pins.revision or entry.revision or "main"
        self._files: dict[str, PulledFile] = {}  # by the path in the repository
        self._preset = preset
        self._notes: tuple[str, ...] = ()

    def run(self, *, words: bool) -> PulledEncoder:
        entry, text = self._entry, self._entry.words
        self._check_origin()
        graphs = [entry.graph]
        paths = [entry.graph, *entry.data]
        if entry.licence_file is not None:
            paths.append(entry.licence_file)
        if text is not None and (words or _local(text.graph) in self._pins.sha256):
            graphs.append(text.graph)
            paths += [text.graph, text.tokenizer]
        with undone_on_failure(self._folder) as undo:
            self._bring(paths, undo)
            for graph in graphs:
                self._bring(self._data_of(graph), undo)
            changed = any(one.downloaded for one in self._files.values())
            changed |= self._write_card(graphs, undo)
            if changed:
                try_card(self._card)
        return PulledEncoder(
            name=entry.name,
            card=self._card,
            licence=entry.licence,
            repository=entry.repository,
            revision=self._revision,
            files=tuple(self._files.values()),
            words=len(graphs) > 1,
            changed=changed,
            notes=self._notes,
        )

    def _check_origin(self) -> None:
        """Raise ``PullError`` if the name belongs to an encoder from somewhere else."""
        came = (self._pins.repository, self._pins.file)
        if self._card.is_file() and came != (self._entry.repository, self._entry.graph):
            whence = f"of {came[1]} of {came[0]}" if came[0] else "that was not pulled"
            raise PullError(
                f"there is an encoder {self._entry.name} {whence} already ({self._card}); choose "
                "another --name (in Python: name=)"
            )

    def _data_of(self, graph: str) -> list[str]:
        """Return the paths in the repository of the files that a graph keeps its weights in."""
        path = self._folder / _local(graph)
        try:
            found = locations(parse_model(path.read_bytes()))
        except ValueError as error:
            raise PullError(f"{graph} of {self._entry.repository} is no ONNX model") from error
        for one in found:
            if PurePosixPath(one).name != one or "\\" in one:
                raise PullError(
                    f"{graph} of {self._entry.repository} reads {one!r}, which is outside of its "
                    "folder; it cannot be pulled"
                )
        return [str(PurePosixPath(graph).with_name(one)) for one in found]

    def _bring(self, paths: list[str], undo: Undo) -> None:
        """Put these files of the repository into the folder, unless they are there."""
        missing = []
        for path in dict.fromkeys(paths):
            if path in self._files:
                continue
            there = self._there(path)
            if there is None:
                missing.append(path)
            else:
                self._files[path] = there
        if not missing:
            return
        if self._hub is None:
            self._hub = connect()
        hub = self._hub
        files = [self._look_up(hub, path) for path in missing]
        # onnx refuses further files that have a second name: it might be a trap.
        copied = [file for file in files if self._is_data(file.path)]
        hub.check_space(files, self._folder, copied=sum(file.size for file in copied))
        for file in files:
            found = hub.fetch(file, self._progress)
            self._check(file.path, found.sha256)
            undo.place(found.path, self._folder / _local(file.path), copy=file in copied)
            self._files[file.path] = PulledFile(
                path=_local(file.path),
                origin=file.path,
                bytes=file.size,
                sha256=found.sha256,
                downloaded=True,
            )

    def _is_data(self, path: str) -> bool:
        """Return whether a file belongs to a graph, rather than being one or a text beside it."""
        entry, text = self._entry, self._entry.words
        others = {entry.graph, entry.licence_file}
        if text is not None:
            others |= {text.graph, text.tokenizer}
        return path not in others

    def _there(self, path: str) -> PulledFile | None:
        """Return the file if it is in the folder as it was pulled."""
        local = _local(path)
        place, pinned = self._folder / local, self._pins.sha256.get(local)
        if not place.is_file() or (pinned is None and path != self._entry.licence_file):
            return None
        found = sha256_of(place)
        if pinned not in {None, found}:
            return None
        return PulledFile(
            path=local,
            origin=path,
            bytes=place.stat().st_size,
            sha256=found,
            downloaded=False,
        )

    def _look_up(self, hub: Hub, path: str) -> RemoteFile:
        """Return what the hub knows of a file; the first one decides which commit all are of."""
        file = hub.look_up(self._entry.repository, path, self._revision)
        self._revision = file.revision
        if file.sha256 is not None:
            self._check(path, file.sha256)
        return file

    def _check(self, path: str, found: str) -> None:
        """Raise ``PullError`` if a file is not the one that is known by its digest."""
        pinned, listed = self._pins.sha256.get(_local(path)), self._entry.sha256.get(path)
        what = f"{path} of {self._entry.repository} in revision {self._revision}"
        if pinned not in {None, found}:
            raise PullError(
                f"{what} is not the file that was pulled first: it was changed upstream "
                f"(SHA-256 {pinned} then, {found} now). What was pulled first is kept; to take "
                f"the new file: lookalike encoder remove {self._entry.name}, then pull again"
            )
        if listed not in {None, found}:
            raise PullError(
                f"{what} is not the file that lookalike's list names: it was changed upstream, or "
                f"on the way (expected SHA-256 {listed}, found {found}). Nothing was kept"
            )

    def _write_card(self, graphs: list[str], undo: Undo) -> bool:
        """Write the card and return whether it has changed."""
        licence = self._entry.licence_file
        digests = {one.path: one.sha256 for one in self._files.values() if one.origin != licence}
        pins = Pins(
            repository=self._entry.repository,
            file=self._entry.graph,
            revision=self._revision,
            sha256=digests,
        )
        if pins == self._pins:  # and what a user changed in the card stays
            return False
        if self._entry.keys:
            facts = [read_facts(self._folder / _local(graph)) for graph in graphs]
            text = pulled_card_text(self._entry, pins, *facts)
        else:
            text, self._notes = proposed_card_text(self._entry, pins, self._card, self._preset)
        undo.replace(self._card, text)
        return True


def _local(path: str) -> str:
    """Return the name in the encoder's folder of a file of the repository."""
    return PurePosixPath(path).name
