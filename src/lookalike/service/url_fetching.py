"""Fetching a query image from a URL, only where the service allows it."""

from lookalike.service.problems import Problem
from lookalike.service.settings import ServiceSettings
from lookalike.service.uploads import Upload
from lookalike.sources.download import Politeness
from lookalike.sources.download.fetch import OK, fetch, open_session

__all__ = ["fetch_image"]


async def fetch_image(url: str, settings: ServiceSettings) -> Upload:
    """Return the image at a URL. Only public addresses are contacted, within the upload limits.

    Raise ``Problem``: 403 where URLs are not allowed, 422 with the reason where the fetch fails.
    """
    if not settings.allow_urls:
        raise Problem(403, "urls-off", "this service does not fetch URLs; see --allow-urls")
    politeness = Politeness(
        connect_s=5, read_s=5, total_s=15, redirects=3, max_bytes=settings.max_upload
    )
    async with open_session(politeness) as session:
        outcome = await fetch(session, url, politeness)
    if outcome.status != OK:
        raise Problem(
            422, "url-failed", f"no image could be fetched from the URL: {outcome.reason}"
        )
    return Upload(name="", data=outcome.data)
