"""Exit code 0 when the service of this container can search; for HEALTHCHECK."""

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

port = os.environ.get("LOOKALIKE_PORT", "8000")
try:
    with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=8) as answer:
        print(answer.read().decode())
except URLError as error:
    sys.exit(f"not ready: {error}")
