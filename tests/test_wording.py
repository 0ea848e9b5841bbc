"""The words of the glossary are used everywhere that users and maintainers read."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Word → the word of docs/glossary.md, or of plain English, to use instead.
INSTEAD = {
    r"pictures?": "image",
    r"photo(s|graphs?|graphed)?": "image",
    r"answer(s|ed|ing)?": "result, hit or response",
    r"told": "a name or verb that says what is meant",
    r"judge(s|d|ment|ments)?|judging": "evaluate, quality",
    r"learn(s|ed|t|ing|er)?": "train, classifier",
    r"teach(es|ing)?|taught": "train",
    r"mend(s|ed|ing)?": "repair",
    r"(exact|near) cop(y|ies)": "duplicate",
}

# What stays: names that are stored or sent, names of others, and what a camera takes.
ALLOWED = (
    r"photos/|/photos\b|photos\b(?= --query)|products in photos\b|photo\.jpg",  # names of files
    r"Take photo|take-photo|takePhoto|take a photo|this photo|a (new )?photo of",
    r"photo archive|~/Pictures|/mnt/nas/Pictures",
    r'"picture"|`picture`|--url-column picture|column picture|picture,',  # a column of tables
    r"/picture\b",  # a deprecated route
    r'(createObjectStore|transaction|objectStore)\("pictures"',  # the browser keeps them
    r"LOOKALIKE_PICTURE_URL|picture_url",  # an older setting, a column of tables
    r"items_told",  # a trigger in existing databases
    r"product-photos-hires|sharp-photos",
    # Titles, scikit-learn.
    r"(Metric|Low-Shot|Residual|Deep|Machine|machine|deep|scikit-)\s?[Ll]earn(ing)?",
)

FILES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "pyproject.toml",
    *(ROOT / "docs").glob("*.md"),
    *(
        path
        for path in (ROOT / "src").rglob("*")
        if path.suffix in {".py", ".js", ".html", ".css", ".toml", ".json"}
    ),
    *(ROOT / "benchmarks").glob("*.py"),
    *(ROOT / "scripts").glob("*.py"),
]


def find_banned(text: str) -> list[tuple[str, str]]:
    """Return (word, what to say instead) of each banned word, also within names."""
    for pattern in ALLOWED:
        text = re.sub(pattern, "", text)
    # A word ends where a name goes on in another case, or at an underscore or digit.
    return [
        (match[0], instead)
        for words, instead in INSTEAD.items()
        for match in re.finditer(rf"(?i:(?<![A-Za-z])(?:{words})(?![a-z]))", text)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_use_the_words_of_the_glossary(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for word, instead in find_banned(line):
            pytest.fail(f"{path}:{number}: {word!r}; say {instead}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def _told(answers)", ["answers", "told"]),
        ("the pictures_per_second of a file", ["pictures"]),
        ("What was LEARNED", ["LEARNED"]),
        ("remember, amend, learner, scholar, retold, sklearn", ["learner"]),
        ("lookalike index photos/ and `GET C/items/{id}/picture`", []),
        ("two exact copies, one copy of a folder", ["exact copies"]),
    ],
)
def test_banned_words_are_found_in_names_too(text: str, words: list[str]) -> None:
    assert sorted(word for word, _ in find_banned(text)) == sorted(words)
