"""``POST /images/search/``: a form with ``image``, and ``label_id`` to search within a label."""

import logging
import threading
import time
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import quote, urldefrag

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt

from lookalike.client import RemoteCollection, connect
from lookalike.collection import Collection
from lookalike.compat.django.settings import AppSettings, read
from lookalike.compat.engine_json import engine_response_json
from lookalike.config import open_collection
from lookalike.core.error_codes import status_of
from lookalike.core.records import Hit, Json
from lookalike.core.suggestions import did_you_mean
from lookalike.errors import ImageError, ImageTooLargeError, LookalikeError

__all__ = ["search"]

_Shop: TypeAlias = Collection | RemoteCollection
_View: TypeAlias = Callable[[HttpRequest], JsonResponse]

_LONGEST_LABEL = 1000
_LOG = logging.getLogger("lookalike.compat.django")


def _problem(status: int, code: str, detail: str) -> JsonResponse:
    """As the service has problems: RFC 9457, and ``ok`` and ``message`` for older clients."""
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "code": code}
    response = JsonResponse(
        document | {"detail": detail, "ok": False, "message": detail},
        status=status,
        content_type="application/problem+json",
    )
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "1"
    return response


def _handle_errors(view: _View) -> _View:
    """Return every error of lookalike as a response."""

    @wraps(view)
    def handle(request: HttpRequest) -> JsonResponse:
        try:
            return view(request)
        except ImageError as error:
            return _problem(*status_of(error), error.reason)
        except LookalikeError as error:  # not the client's mistake, and it may name a place
            _LOG.error("%s %s: %s", request.method, request.path, error)
            _, code = status_of(error)
            return _problem(503, code, "the search failed; the server's log says how")
        except (BadRequest, MultiPartParserError, SuspiciousOperation) as error:
            return _problem(400, "bad-form", str(error) or "the form cannot be read")

    return handle


# Not for pages but for programs, which have no cookie to be misused. A project that wants it
# otherwise wraps the view in csrf_protect.
@csrf_exempt
@_handle_errors
def search(request: HttpRequest) -> JsonResponse:
    """Return what looks like ``image``, of ``label_id`` if it is given."""
    if request.method != "POST":
        response = _problem(405, "method-not-allowed", "send a form by POST")
        response["Allow"] = "POST"
        return response
    settings = read()
    if settings.key is not None and not _shows(request, settings.key):
        response = _problem(401, "key-needed", "send the key: Authorization: Bearer …")
        response["WWW-Authenticate"] = 'Bearer realm="lookalike"'
        return response
    began = time.perf_counter()
    images = request.FILES.getlist("image")
    if len(images) != 1:
        return _problem(422, "no-image", "send one image, in the field image")
    if images[0].size > settings.max_upload:
        raise ImageTooLargeError(
            f"the image has {images[0].size:,} bytes; the limit is {settings.max_upload:,}"
        )
    shop = _opened(settings)
    label = request.POST.get("label_id") or None
    where = None if label is None else _labelled(label)
    if label is not None and (len(label) > _LONGEST_LABEL or not shop.count(where)):
        near = did_you_mean(label, (str(one) for one, _ in shop.facets("label", limit=1000)))
        return _problem(404, "no-such-label", f"no item has the label {label!r}{near}")
    hits = shop.search(images[0].read(), k=settings.hits, where=where)
    took_ms = (time.perf_counter() - began) * 1000
    return JsonResponse(
        engine_response_json([_hit_json(hit, settings) for hit in hits], took_ms=took_ms)
    )


def _shows(request: HttpRequest, key: str) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    shown = token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
    return bool(constant_time_compare(shown.encode("latin-1", "replace"), key.encode()))


def _labelled(label: str) -> str:
    """Return the filter for a label, whatever it is made of."""
    escaped = label.replace("\\", "\\\\").replace('"', '\\"')
    return f'label="{escaped}"'


def _hit_json(hit: Hit, settings: AppSettings) -> dict[str, Json]:
    url = settings.image_url
    return {
        "id": hit.item.id,
        "score": round(hit.score, 6),
        "label": hit.item.label,
        "image": None if url is None else url.replace("{id}", quote(hit.item.id, safe="")),
    }


# -- the collection -----------------------------------------------------------------------------

_OPEN: dict[tuple[str, str | None], _Shop] = {}
_LOCK = threading.Lock()


def _opened(settings: AppSettings) -> _Shop:
    """Return the collection. The first request opens it, so after a server has forked."""
    at = settings.collection, settings.service_key
    with _LOCK:
        if at not in _OPEN:
            _OPEN[at] = _open(*at)
        return _OPEN[at]


def _open(address: str, key: str | None) -> _Shop:
    if address.startswith(("http://", "https://")):
        url, name = urldefrag(address)
        return connect(url, collection=name or None, key=key)
    return open_collection(address, create=False, search=True)
