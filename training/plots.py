"""Plot a training: loss and quality over the steps.

    python -m training.plots RUN

Reads ``RUN/student/log.jsonl`` and writes ``log.png`` beside it.
"""

import json
import sys
from pathlib import Path
from typing import Any


def read_log(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Return each quantity of the log: its steps and values. A last line cut off is left out."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        facts: dict[str, Any] = json.loads(line)
        for name, value in facts.items():
            if name not in ("step", "time"):
                steps, values = found.setdefault(name, ([], []))
                steps.append(facts["step"])
                values.append(value)
    return found


def main(run: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only for the plot

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    log = read_log(run / "student" / "log.jsonl")
    figure, panels = plt.subplots(1, len(log), figsize=(4 * len(log), 3.5), squeeze=False)
    for panel, (name, (steps, values)) in zip(panels[0], log.items(), strict=True):
        panel.plot(steps, values, marker=".")
        panel.set(title=name, xlabel="step")
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(run / "student" / "log.png", dpi=100)
    print(run / "student" / "log.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
