"""The frame and the parts that every report page is made of: style, tables, tiles, images.

A page is one HTML file without scripts and links, light or dark as the reader has it. What a
function takes as ``html`` is put in as it is; all other text is escaped.
"""

import base64
from collections.abc import Iterable
from html import escape
from string import Template
from typing import Final

__all__ = [
    "document",
    "framed",
    "left",
    "listed",
    "metered",
    "percent",
    "table",
    "tile",
    "tiles",
]

_PAGE: Final = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --page: #faf9f7; --card: #fff; --text: #202024; --quiet: #6b6864; --line: #dedad4;
  --fill: #eeebe6; --s0: #246e73; --s1: #b8652a; --s2: #6a4c93; --s3: #7d7a2c;
  --right: #2e7d4f; --wrong: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --page: #141518; --card: #1f2125; --text: #eeedea;
  --quiet: #a3a19e; --line: #3a3c42; --fill: #2a2c31; --s0: #68c4be; --s1: #e39a63;
  --s2: #b49ad6; --s3: #c8c46a; --right: #66c48d; --wrong: #ee7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 48px 0 8px; }
p { margin: 0 0 12px; max-width: 46em; }
.quiet, figcaption { color: var(--quiet); font-size: 14px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 24px 0; }
.tile { flex: 1 1 200px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 16px 18px; }
.tile b { display: block; font-size: 32px; line-height: 1.2; color: var(--s0);
  font-variant-numeric: tabular-nums; }
.plots { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: flex-start; }
.plots > p { flex: 1 1 300px; margin-top: 14px; }
figure { margin: 12px 0; flex: 1 1 440px; max-width: 506px; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; min-width: 0; padding: 14px 16px; }
figure.wide { max-width: 800px; }
figcaption { margin-bottom: 8px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
svg .name { fill: var(--text); }
.grid { stroke: var(--line); stroke-width: 1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 14px; }
th { text-align: right; color: var(--quiet); font-weight: 600; border-bottom: 2px solid var(--line);
  padding: 6px 10px; white-space: nowrap; vertical-align: bottom; }
td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; white-space: normal;
  overflow-wrap: anywhere; }
th:first-child, td:first-child { min-width: 7em; }
tr:hover td { background: var(--fill); }
.meter { display: inline-block; width: 90px; height: 8px; border-radius: 4px;
  background: var(--fill); margin-left: 10px; overflow: hidden; vertical-align: middle; }
.meter i { display: block; height: 100%; background: var(--s0); }
.query { display: grid; grid-template-columns: 124px 1fr; gap: 14px; padding: 14px 0;
  border-bottom: 1px solid var(--line); }
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(94px, 1fr)); gap: 8px; }
.one { font-size: 12px; line-height: 1.3; overflow-wrap: anywhere; }
.one .quiet { font-size: 12px; }
.frame { display: flex; align-items: center; justify-content: center; aspect-ratio: 1;
  background: var(--fill); border: 3px solid var(--line); border-radius: 8px; overflow: hidden;
  color: var(--quiet); text-align: center; margin-bottom: 4px; }
.frame img { width: 100%; height: 100%; object-fit: contain; display: block; }
.is-right .frame { border-color: var(--right); } .is-wrong .frame { border-color: var(--wrong); }
.is-right .mark { color: var(--right); } .is-wrong .mark { color: var(--wrong); }
.mark { font-weight: 700; }
code { font-size: 13px; overflow-wrap: anywhere; }
@media print { main { max-width: none; } figure, .query { break-inside: avoid; } }
</style>
</head>
<body><main>
$body
</main></body>
</html>
""")


def document(title: str, parts: Iterable[str]) -> str:
    """Return the whole document; ``parts`` are html, empty ones are left out."""
    return _PAGE.substitute(title=escape(title), body="\n".join(filter(None, parts)))


def percent(share: float) -> str:
    """Return a share in [0, 1] as ``12.3 %``."""
    return f"{100 * share:.1f} %"


def listed(names: Iterable[str]) -> str:
    """Return names as html, joined by *and*."""
    return " and ".join(escape(name) for name in names)


def tiles(shown: Iterable[str]) -> str:
    """Return cards side by side, each made by ``tile``."""
    return f'<div class="tiles">{"".join(shown)}</div>'


def tile(value: str, words: str, note: str = "") -> str:
    """Return a card with a large value, what it means, and a note in quiet print."""
    quiet = f'<div class="quiet">{escape(note)}</div>' if note else ""
    return f'<div class="tile"><b>{escape(value)}</b>{escape(words)}{quiet}</div>'


def left(html: str = "") -> str:
    """Return a cell of running text, for ``table``."""
    return f'<td class="text">{html}</td>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are html. Columns after the first hold numbers, but for those made by ``left``."""
    top = "".join(
        f"<th{cell[3:-5]}</th>" if cell.startswith("<td") else f"<th>{cell}</th>" for cell in head
    )
    body = "\n".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def metered(share: float) -> str:
    """Return a share in [0, 1] with a bar beside it, as html."""
    return f'{percent(share)}<span class="meter"><i style="width:{100 * share:.1f}%"></i></span>'


def framed(thumbnail: bytes | None, name: str) -> str:
    """Return a square with a JPEG inside; without one it says that the image was not found."""
    if thumbnail is None:
        return '<div class="frame">image not found</div>'
    data = base64.b64encode(thumbnail).decode()
    return (
        f'<div class="frame"><img src="data:image/jpeg;base64,{data}" alt="{escape(name)}"></div>'
    )
