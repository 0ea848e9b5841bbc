"""Files and classes stay small enough to be read at once."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import lookalike

PACKAGE = Path(lookalike.__file__).parent
MOST_LINES = 400
MOST_METHODS = 20

# The classes that users hold in their hands: one object has every method of a collection. Each
# method is short and hands its work to a function in a folder below.
LARGE = {
    "Collection",
    "CollectionEncoding",
    "CollectionItems",
    "RemoteCollection",
    "RemoteItems",
}


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_class_has_more_public_methods_than_can_be_remembered() -> None:
    classes = [
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 100
    named = {node.name: node for node in classes}
    large = {node.name for node in classes if len({*methods(node, named)}) > MOST_METHODS}
    assert large == LARGE


def test_no_two_public_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_bytes()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in names.items() if count > 1} == set()


def methods(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    """Yield the public methods of a class and of its bases in the package, without properties."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {one.id for one in part.decorator_list if isinstance(one, ast.Name)}
            if not part.name.startswith("_") and "property" not in decorators:
                yield part.name
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes and base.id != node.name:
            yield from methods(classes[base.id], classes)
