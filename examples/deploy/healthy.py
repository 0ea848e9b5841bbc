"""Exit code 0 when the service of this container can search; for HEALTHCHECK."""

import os
import sys
from urllib.error import URLError
from urllib.request import Request, urlopen

port = os.environ.get("LOOKALIKE_PORT", "8000")
# Where it answers to chosen names alone, one of them must be said.
name = (os.environ.get("LOOKALIKE_ALLOW_HOST") or "127.0.0.1").split()[0]
asked = Request(f"http://127.0.0.1:{port}/health/ready", headers={"Host": name})
try:
    with urlopen(asked, timeout=8) as answer:  # noqa: S310 - our own service
        print(answer.read().decode())
except URLError as error:
    sys.exit(f"not ready: {error}")
