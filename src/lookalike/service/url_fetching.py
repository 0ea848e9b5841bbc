"""A picture from a URL that a request names: only where the service was told to allow it."""

from lookalike.service.problems import Problem
from lookalike.service.settings import ServiceSettings
from lookalike.service.uploads import Upload
from lookalike.sources.download import Politeness
from lookalike.sources.download.fetch import OK, fetch, open_session

__all__ = ["fetch_image"]


async def fetch_image(url: str, settings: ServiceSettings) -> Upload:
    """The bytes behind a URL, from public addresses alone, within the limits of an upload.

    Raises ``Problem``: 403 where URLs are off, 422 with the reason where nothing comes.
    """
    if not settings.allow_urls:
        raise Problem(403, "urls-off", "this service fetches no URLs; see --allow-urls")
    politeness = Politeness(
        connect_s=5, read_s=5, total_s=15, redirects=3, max_bytes=settings.max_upload
    )
    async with open_session(politeness) as session:
        outcome = await fetch(session, url, politeness)
    if outcome.status != OK:
        raise Problem(422, "url-failed", f"no picture came from the URL: {outcome.reason}")
    return Upload(name="", data=outcome.data)
