"""Readers of public data sets: their shapes, their quirks, and what is said of damaged files."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.core.protocols import Catalogue
from lookalike.core.records import Entry, Remote, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues import FORMATS, open_catalogue, recognise
from lookalike.sources.catalogues.imaterialist import IMaterialist
from lookalike.sources.catalogues.in_shop import InShop
from lookalike.sources.catalogues.stanford_products import StanfordProducts

PRODUCT = (
    '{"images":[{"id":"20dc3e9e6ca73cfa3ad4d13d1d7526b8.jpg","url":"http://a.example/b.jpg",'
    '"class":11}]}'
)
FURNITURE = (
    '{"images":[{"image_id":1,"url":["https://img13.360buyimg.example/a.jpg"]}],\n'
    ' "annotations":[{"image_id":1,"label_id":5}]}'
)
TREE = '{"level1_node4":{"level2_node5":{"level3_node1":["1784","1785"],"level3_node2":["1788"]}}}'
U = "http://a.example/b.jpg"


def split(catalogue: Catalogue) -> tuple[list[Entry], list[tuple[str, str]]]:
    ones = list(catalogue.entries())
    return (
        [one for one in ones if isinstance(one, Entry)],
        [(one.path, one.reason) for one in ones if isinstance(one, Skipped)],
    )


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8", newline="")
    return path


def read(folder: Path, content: object) -> tuple[list[Entry], list[tuple[str, str]]]:
    return split(IMaterialist(write(folder / "train.json", content)))


def labels(entries: list[Entry]) -> dict[str, str | None]:
    return {entry.id: entry.label for entry in entries}


# -- iMaterialist --------------------------------------------------------------------------


def test_the_samples_of_both_shapes_are_read(tmp_path: Path) -> None:
    (one,), odd = read(tmp_path, PRODUCT)
    assert one == Entry(
        id="20dc3e9e6ca73cfa3ad4d13d1d7526b8.jpg",
        image=Remote(("http://a.example/b.jpg",)),
        label="11",
        line="train.json, entry 1",
    )
    assert odd == []
    (one,), odd = read(tmp_path, FURNITURE)
    assert one == Entry(
        id="1",
        image=Remote(("https://img13.360buyimg.example/a.jpg",)),
        label="5",
        line="train.json, entry 1",
    )
    assert odd == []


def test_images_and_annotations_are_joined_by_id_in_whatever_order(tmp_path: Path) -> None:
    images = [{"image_id": number, "url": [U, f"{U}?{number}"]} for number in (1, 2, 3)]
    notes = [{"label_id": 10 * number, "image_id": number} for number in (9, 3, 1)]
    for content in (
        {"images": images, "annotations": notes},
        {"info": {"images": [1]}, "annotations": notes, "license": [[]], "images": images},
    ):
        entries, odd = read(tmp_path, content)
        assert labels(entries) == {"1": "10", "2": None, "3": "30"}
        assert entries[1].image == Remote((U, f"{U}?2"))
        assert odd == []


def test_test_files_have_no_labels(tmp_path: Path) -> None:
    for image in ({"image_id": 7, "url": [U]}, {"id": "7", "url": U}):
        assert [entry.label for entry in read(tmp_path, {"images": [image]})[0]] == [None]


def test_the_fashion_variants_are_read_with_their_lists_of_labels(tmp_path: Path) -> None:
    entries, odd = read(
        tmp_path,
        {
            "images": [{"imageId": str(number), "url": U} for number in range(1, 5)],
            "annotations": [
                {"imageId": "1", "labelId": ["95", "66"]},
                {"imageId": "2", "labelId": ["95"]},
                {"imageId": 3, "labelId": []},
                {"imageId": "4", "labelId": "66"},
                {"imageId": "4", "labelId": 7},
            ],
        },
    )
    assert labels(entries) == {"1": None, "2": "95", "3": None, "4": None}
    assert [entry.metadata for entry in entries] == [
        {"labels": ["95", "66"]},
        {"labels": ["95"]},
        None,
        {"labels": ["66", "7"]},
    ]
    assert odd == []


def test_labels_may_be_numbers_text_or_missing(tmp_path: Path) -> None:
    said = [5, "5", 5.0, "mug", "007", None, "", 2.5]
    images = [{"id": str(at), "url": U, "class": one} for at, one in enumerate(said)]
    entries, odd = read(tmp_path, {"images": images})
    assert [entry.label for entry in entries] == ["5", "5", "5", "mug", "007", None, None, "2.5"]
    assert odd == []


def test_a_url_may_be_text_or_a_list_in_either_shape(tmp_path: Path) -> None:
    for key, label in (("id", "class"), ("image_id", "label_id")):
        for url in (U, [U], [None, U, ""], f" {U}\n"):
            (one,), _ = read(tmp_path, {"images": [{key: "a", label: 1, "url": url}]})
            assert (one.image, one.label) == (Remote((U,)), "1")


def test_entries_that_say_too_little_are_left_out_with_their_number(tmp_path: Path) -> None:
    entries, odd = read(
        tmp_path,
        {
            "images": [
                {"url": U, "class": 1},
                {"id": "b", "class": 1},
                {"id": "c", "url": [], "class": 1},
                {"id": "d", "url": {"x": [U]}, "class": 1},
                {"id": ["e"], "url": U, "class": 1},
                {"id": "f", "url": U, "class": {"x": 1}},
                {"id": "g", "url": U, "class": True},
                "h",
                [[{"id": "i"}]],
                None,
                {"id": "", "url": U},
                {"id": "good", "url": U, "class": 1, "more": {"deep": [{"er": [1]}]}},
            ]
        },
    )
    assert [entry.id for entry in entries] == ["good"]
    assert odd == [
        (f"train.json, entry {number}", reason)
        for number, reason in enumerate(
            [
                "no id (or image_id)",
                "no url",
                "no url",
                "no url",
                "its id is neither text nor a whole number",
                "its label is neither text nor a number",
                "its label is neither text nor a number",
                *["not an object with an id and a url"] * 3,
                "no id (or image_id)",
            ],
            1,
        )
    ]


def test_annotations_that_say_too_little_are_told(tmp_path: Path) -> None:
    entries, odd = read(
        tmp_path,
        {
            "images": [{"image_id": 1, "url": U}],
            "annotations": [{"image_id": 1}, {"label_id": 1}, 5, {"image_id": 1, "label_id": {}}],
        },
    )
    assert labels(entries) == {"1": None}
    assert odd == [
        ("train.json, annotation 1", "no label_id"),
        ("train.json, annotation 2", "no id (or image_id)"),
        ("train.json, annotation 3", "not an object with an image_id and a label_id"),
        ("train.json, annotation 4", "its label is neither text nor a number"),
    ]


def test_half_a_file_gives_its_entries_and_says_where_it_broke(tmp_path: Path) -> None:
    images = [{"id": f"{number}.jpg", "url": U, "class": number} for number in range(1500)]
    text = json.dumps({"images": images})
    cut = text.index('"id": "1234.jpg"') + 20
    entries, odd = read(tmp_path, text[:cut])
    assert len(entries) == 1234
    assert odd == [
        ("train.json, after entry 1,234", "the file ends in the middle; download it again")
    ]
    _, odd = read(tmp_path, text + "x")
    assert odd[0][1] == "something follows the end; download it again"
    _, odd = read(tmp_path, text.replace('"1234.jpg"', "NaN"))
    assert odd == [("train.json, after entry 1,234", "not JSON from here on; download it again")]
    _, odd = read(tmp_path, text.replace("1234.jpg", "caf\xe9").encode("latin-1"))
    assert odd[0][1].startswith("a byte that is not UTF-8")
    _, odd = read(tmp_path, text.replace('"1234.jpg"', "9" * 5000))
    assert odd[0][1] == "a number too large to be read; put it in quotes"


def test_where_annotations_are_cut_off_the_images_come_without_these_labels(
    tmp_path: Path,
) -> None:
    images = [{"image_id": number, "url": U} for number in (1, 2)]
    notes = [{"image_id": number, "label_id": 5} for number in (1, 2)]
    text = json.dumps({"images": images, "annotations": notes})
    entries, odd = read(tmp_path, text[:-5])
    assert labels(entries) == {"1": "5", "2": None}
    said = "the file ends in the middle; download it again"
    assert odd == [("train.json, after annotation 1", said), ("train.json, after entry 2", said)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file ends in the middle"),
        (b"   ", "the file ends in the middle"),
        (b'{"images":[{"id":"a', "the file ends in the middle"),
        (b"<!DOCTYPE html><html>", r"is not JSON; it begins with '<!DOCTYPE html>"),
        (b"\x1f\x8b\x08rest", "is not JSON"),
        (b'{"images" [', "not JSON from here on"),
        (b'[{"id":"a"}]', "is a list, not an object with images"),
        (PRODUCT.encode("utf-16"), "is UTF-16 or UTF-32, and JSON is UTF-8; save it as UTF-8"),
        (PRODUCT.encode("utf-16-le"), "is UTF-16"),
        (PRODUCT.encode("utf-32"), "is UTF-16 or UTF-32"),
        (b"{}", "Found: no keys"),
        (b'{"data":[],"meta":1}', "Found: data, meta"),
        (b'{"images":{"id":"a","url":"u"}}', "Found: images"),
        (b'{"images":[{"file_name":"a","id":1}]}', "Found: images, images.file_name, images.id"),
        (b'{"annotations":[{"image_id":1,"label_id":2}]}', "Found: annotations"),
    ],
)
def test_what_is_neither_shape_is_refused_with_what_was_found(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path, content)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json cannot be read: No such file"):
        split(IMaterialist(tmp_path / "none.json"))
    with pytest.raises(SourceError, match="cannot be read"):
        split(IMaterialist(tmp_path))


def test_a_mark_before_the_text_is_passed_over_and_nothing_may_be_listed(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"\xef\xbb\xbf" + PRODUCT.encode())[0]) == 1
    assert len(read(tmp_path, "\r\n\t " + PRODUCT)[0]) == 1
    assert read(tmp_path, '{"images":[],"info":1}') == ([], [])


def test_deep_nesting_does_no_harm(tmp_path: Path) -> None:
    deep = sys.getrecursionlimit() * 20
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        value = opened * deep + "1" + closed * deep
        text = f'{{"x":{value},"images":[{value},{{"id":"a","url":"{U}","class":1,"y":{value}}}]}}'
        entries, odd = read(tmp_path, text)
        assert [entry.id for entry in entries] == ["a"]
        assert len(odd) == 1


def test_with_pictures_the_files_are_named_by_the_id(tmp_path: Path) -> None:
    write(tmp_path / "pics" / "20dc3e9e6ca73cfa3ad4d13d1d7526b8.jpg", b"1234")
    write(tmp_path / "pics" / "1.jpg", b"12345")
    for content, name, size in (
        (PRODUCT, "20dc3e9e6ca73cfa3ad4d13d1d7526b8.jpg", 4),
        (FURNITURE, "1.jpg", 5),
    ):
        file = write(tmp_path / "train.json", content)
        catalogue = IMaterialist(file, root=tmp_path / "pics")
        assert catalogue.root == tmp_path / "pics"
        (one,), _ = split(catalogue)
        assert (one.image, one.path) == (tmp_path / "pics" / name, name)
        assert one.stamp is not None
        assert one.stamp.size == size
    assert IMaterialist(file).root == tmp_path


def test_a_file_outside_the_pictures_is_never_named(tmp_path: Path) -> None:
    names = ["../x.jpg", "/etc/passwd", "..", ".", "a\\b", "a\0b", "a/b"]
    images = [{"id": name, "class": 1} for name in [*names, "fine.jpg"]]
    file = write(tmp_path / "train.json", {"images": images})
    entries, odd = split(IMaterialist(file, root=tmp_path))
    assert [(entry.id, entry.stamp) for entry in entries] == [("fine.jpg", None)]
    assert len(odd) == len(names)
    assert odd[0][1] == "id '../x.jpg' is not the name of a file"


def test_the_product_tree_gives_categories_by_label(tmp_path: Path) -> None:
    images = [{"id": str(one), "url": U, "class": one} for one in (1784, 1788, 3)]
    file = write(tmp_path / "train.json", {"images": images})
    assert [one.metadata for one in split(IMaterialist(file))[0]] == [None, None, None]
    write(tmp_path / "product_tree.json", TREE)
    entries, odd = split(IMaterialist(file))
    assert [one.metadata for one in entries] == [
        {
            "category": ["level1_node4", "level2_node5", leaf],
            "category_path": f"level1_node4/level2_node5/{leaf}",
        }
        for leaf in ("level3_node1", "level3_node2")
    ] + [None]
    assert odd == []
    other = write(tmp_path / "other.json", '{"top":[3]}')
    entries, _ = split(IMaterialist(file, tree=other))
    assert entries[2].metadata == {"category": ["top"], "category_path": "top"}


@pytest.mark.parametrize(
    "content", ["[1]", "{", '{"a":1}', '{"a":[{}]}', b"\xff\xfe{", "[" * 99999]
)
def test_a_damaged_tree_is_told_and_entries_come_without_categories(
    content: str | bytes, tmp_path: Path
) -> None:
    file = write(tmp_path / "train.json", PRODUCT)
    tree = write(tmp_path / "product_tree.json", content)
    entries, odd = split(IMaterialist(file))
    assert len(entries) == 1
    assert [path for path, _ in odd] == ["product_tree.json"]
    with pytest.raises(SourceError, match="cannot be read as a product tree"):
        split(IMaterialist(file, tree=tree))
    with pytest.raises(SourceError, match="does not exist"):
        split(IMaterialist(file, tree=tmp_path / "none.json"))


_TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
_NAME = _TEXT.filter(bool)
_URL = _TEXT.filter(str.strip)
_URLS = _URL | st.lists(_URL, min_size=1, max_size=2)
# The parser refuses the least number of 64 bits.
_LEAF = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | _TEXT
_ANY = st.recursive(_LEAF, lambda one: st.lists(one) | st.dictionaries(_TEXT, one), max_leaves=5)
_LABEL = st.none() | st.integers(0, 2018) | _NAME
_OTHER = st.dictionaries(_NAME.map("x{}".format), _ANY, max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, tuple[str, ...], str | None]]]:
    """A file of either shape, and what it says: id, URLs and label of each entry."""
    year = draw(st.sampled_from([2018, 2019]))
    kind = _NAME if year == 2019 else st.integers(0, 2**63 - 1)
    images, notes, said = [], [], []
    for one in draw(st.lists(kind, max_size=5, unique=True)):
        url, label = draw(_URLS), draw(_LABEL)
        pairs = {**draw(_OTHER), "id" if year == 2019 else "image_id": one, "url": url}
        if year == 2019:
            pairs["class"] = label
        elif draw(st.booleans()):
            notes.append({"label_id": label, "image_id": one})
        else:
            label = None
        images.append({key: pairs[key] for key in draw(st.permutations(list(pairs)))})
        urls = (url,) if isinstance(url, str) else url
        text = None if label is None else str(label)
        said.append((str(one), tuple(each.strip() for each in urls), text))
    whole: dict[str, object] = {**draw(_OTHER), "images": images}
    if year == 2018 and (notes or draw(st.booleans())):
        whole["annotations"] = draw(st.permutations(notes))
    whole = {key: whole[key] for key in draw(st.permutations(list(whole)))}
    text = json.dumps(
        whole,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
    )
    return text.encode(), said


def said_by(content: bytes) -> Iterator[tuple[str, tuple[str, ...], str | None] | Skipped]:
    with tempfile.TemporaryDirectory() as folder:
        for one in IMaterialist(write(Path(folder) / "train.json", content)).entries():
            if isinstance(one, Skipped):
                yield one
            elif one is not None:
                assert isinstance(one.image, Remote)
                yield one.id, one.image.urls, one.label


@given(documents())
@settings(deadline=None)
def test_every_document_is_read_as_what_it_says(
    document: tuple[bytes, list[tuple[str, tuple[str, ...], str | None]]],
) -> None:
    content, said = document
    assert list(said_by(content)) == said


@given(documents(), st.data())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_cut_anywhere_gives_the_first_of_its_entries(
    document: tuple[bytes, list[tuple[str, tuple[str, ...], str | None]]], data: st.DataObject
) -> None:
    content, said = document
    places = list(range(len(content)))
    if len(places) > 150:
        places = [*places[::7], data.draw(st.sampled_from(places))]
    for place in places:
        found = []
        try:
            for one in said_by(content[:place]):
                if isinstance(one, Skipped):
                    assert one.reason
                else:
                    found.append(one)
        except SourceError:  # nothing else may be raised, and not after an entry
            assert found == []
        for (name, urls, label), expected in zip(found, said, strict=False):
            assert (name, urls) == expected[:2]
            assert label in (None, expected[2])  # its annotation may have been cut off


def test_a_product_file_cut_at_any_byte_gives_the_first_of_its_entries(tmp_path: Path) -> None:
    images = [{"id": f"{name}.jpg", "url": U, "class": 12} for name in ("a", "\xe9", "\U0001f5bc")]
    content = json.dumps({"images": images}, ensure_ascii=False).encode()
    whole, _ = read(tmp_path, content)
    for place in range(len(content)):
        try:
            entries, odd = read(tmp_path, content[:place])
        except SourceError:
            continue
        assert entries == whole[: len(entries)]
        assert len(odd) == 1


# -- Stanford Online Products --------------------------------------------------------------


def stanford(folder: Path) -> Path:
    root = folder / "Stanford_Online_Products"
    header = "image_id class_id super_class_id path\n"
    write(
        root / "Ebay_train.txt",
        f"{header}1 1 1 bicycle_final/111085122871_0.JPG\n5 2 1 bicycle_final/111265328556_0.JPG\n",
    )
    write(root / "Ebay_test.txt", f"{header}59552 11319 5 coffee_maker_final/1 0.JPG\r\n\r\n")
    write(root / "Ebay_info.txt", f"{header}1 1 1 bicycle_final/111085122871_0.JPG\n")
    write(root / "bicycle_final" / "111085122871_0.JPG", b"123")
    return root


def test_stanford_products_have_kind_offer_and_split(tmp_path: Path) -> None:
    root = stanford(tmp_path)
    for place in (root, tmp_path):
        entries, odd = split(StanfordProducts(place))
        assert odd == []
        assert [(one.id, one.label, one.group, one.metadata) for one in entries] == [
            (
                "bicycle_final/111085122871_0.JPG",
                "bicycle",
                "1",
                {"image_id": 1, "split": "train"},
            ),
            (
                "bicycle_final/111265328556_0.JPG",
                "bicycle",
                "2",
                {"image_id": 5, "split": "train"},
            ),
            (
                "coffee_maker_final/1 0.JPG",
                "coffee_maker",
                "11319",
                {"image_id": 59552, "split": "test"},
            ),
        ]
        assert entries[0].image == root / entries[0].path
        assert entries[0].stamp is not None
        assert entries[1].stamp is None


def test_the_list_of_all_is_read_only_where_the_others_are_missing(tmp_path: Path) -> None:
    root = stanford(tmp_path)
    (root / "Ebay_test.txt").unlink()
    assert len(split(StanfordProducts(root))[0]) == 2
    (root / "Ebay_train.txt").unlink()
    (one,), _ = split(StanfordProducts(root))
    assert one.metadata == {"image_id": 1}
    (root / "Ebay_info.txt").unlink()
    with pytest.raises(SourceError, match=r"no Ebay_train\.txt"):
        StanfordProducts(root)


def test_odd_lines_of_stanfords_lists_are_left_out_with_their_place(tmp_path: Path) -> None:
    root = stanford(tmp_path)
    lines = [
        b"\xef\xbb\xbfimage_id class_id super_class_id path",
        *(b"1 1 1", b"1 x 1 a_final/1.JPG", b"1 1 1 ../1.JPG", b"1 1 1 /etc/x", b"1 1 1 a/\xff"),
        *(b"1 1 1 a/\0.JPG", b"", b"1 1 1 loose.JPG"),
    ]
    write(root / "Ebay_train.txt", b"\n".join(lines))
    (one, _), odd = split(StanfordProducts(root))
    assert (one.id, one.label) == ("loose.JPG", None)
    assert odd == [
        ("Ebay_train.txt:2", "3 values for 4 columns"),
        ("Ebay_train.txt:3", "'x' is not the number of an image, class or super class"),
        ("Ebay_train.txt:4", "'../1.JPG' does not lie in the folder"),
        ("Ebay_train.txt:5", "'/etc/x' does not lie in the folder"),
        ("Ebay_train.txt:6", "byte 0xff is not UTF-8; save the file as UTF-8"),
        ("Ebay_train.txt:7", "'a/\\x00.JPG' does not lie in the folder"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a b c d\n1 1 1 x\n", "does not have the columns image_id .* but 'a b c d'"),
        (b"\xff\xfei\0", "Ebay_test.txt: byte 0xff is not UTF-8"),
    ],
)
def test_a_list_of_other_columns_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    root = stanford(tmp_path)
    write(root / "Ebay_test.txt", content)
    with pytest.raises(SourceError, match=message):
        split(StanfordProducts(root))


# -- DeepFashion, in-shop ------------------------------------------------------------------

PARTITION = """\
3
image_name item_id evaluation_status
img/WOMEN/Dresses/id_00000002/02_1_front.jpg                                id_00000002 train
img/WOMEN/Dresses/id_00000002/02_2_side.jpg                                 id_00000002 query
img/MEN/Denim/id_00000080/01_1_front.jpg                                    id_00000080 gallery
"""
BOXES = """\
1
image_name clothes_type pose_type x_1 y_1 x_2 y_2
img/WOMEN/Dresses/id_00000002/02_1_front.jpg  3 1 50 49 208 235
"""


def in_shop(root: Path, pictures: str = "Img/img") -> Path:
    write(root / "Eval" / "list_eval_partition.txt", PARTITION)
    write(root / "Anno" / "list_bbox_inshop.txt", BOXES)
    write(
        root / "Anno" / "list_description_inshop.json",
        [
            {"item": "id_00000002", "color": "Cream", "description": ["A dress.", " Soft. "]},
            {"item": "id_00000080", "color": "Blue"},
            {"item": "id_00000080", "color": "Black", "description": None},
        ],
    )
    write(root / pictures / "WOMEN" / "Dresses" / "id_00000002" / "02_1_front.jpg", b"123")
    return root


@pytest.mark.parametrize("pictures", ["Img/img", "img", "Img"])
@pytest.mark.parametrize("nested", [".", "In-shop Clothes Retrieval Benchmark"])
def test_in_shop_clothes_are_found_wherever_they_were_unpacked(
    pictures: str, nested: str, tmp_path: Path
) -> None:
    in_shop(tmp_path / nested, pictures)
    assert recognise(tmp_path) == "deepfashion-in-shop"
    entries, odd = split(InShop(tmp_path))
    assert odd == []
    assert [(one.id, one.label, one.group) for one in entries] == [
        ("img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "WOMEN/Dresses", "id_00000002"),
        ("img/WOMEN/Dresses/id_00000002/02_2_side.jpg", "WOMEN/Dresses", "id_00000002"),
        ("img/MEN/Denim/id_00000080/01_1_front.jpg", "MEN/Denim", "id_00000080"),
    ]
    words = {"color": "Cream", "description": "A dress. Soft."}
    box = {"box": [50, 49, 208, 235], "clothes": "full", "pose": "front"}
    assert [one.metadata for one in entries] == [
        {"split": "train", **box, **words},
        {"split": "query", **words},
        {"split": "gallery", "color": ["Blue", "Black"]},
    ]
    assert entries[0].path == f"{pictures}/WOMEN/Dresses/id_00000002/02_1_front.jpg"
    assert entries[0].stamp is not None


def test_in_shop_needs_only_its_partition(tmp_path: Path) -> None:
    root = in_shop(tmp_path)
    for path in (root / "Anno").iterdir():
        path.unlink()
    assert dict(split(InShop(root))[0][0].metadata or {}) == {"split": "train"}


def test_a_count_that_differs_from_the_lines_is_told(tmp_path: Path) -> None:
    root = in_shop(tmp_path)
    place = root / "Eval" / "list_eval_partition.txt"
    write(place, PARTITION.replace("3\n", "52712\n", 1))
    entries, odd = split(InShop(root))
    assert len(entries) == 3
    assert odd == [("list_eval_partition.txt", "says that it has 52,712 lines, but has 3")]
    write(place, PARTITION.removeprefix("3\n"))
    assert split(InShop(root))[1] == []


def test_odd_lines_of_in_shop_are_left_out_with_their_place(tmp_path: Path) -> None:
    root = in_shop(tmp_path)
    write(
        root / "Eval" / "list_eval_partition.txt",
        PARTITION.replace("3\n", "7\n", 1)
        + "img/MEN/Denim/id_1/1.jpg id_1 train more\nimg/x.jpg id_1\nimg/../x.jpg id_1 train\n"
        "img/y.jpg id_9 train\n",
    )
    write(root / "Anno" / "list_bbox_inshop.txt", BOXES.replace("50", "fifty") + "x 1 2\n")
    entries, odd = split(InShop(root))
    assert [one.label for one in entries] == ["WOMEN/Dresses", "WOMEN/Dresses", "MEN/Denim", None]
    assert odd == [
        ("list_bbox_inshop.txt:3", "'3 1 fifty 49 208 235' are not six numbers"),
        ("list_bbox_inshop.txt:4", "3 values for 7 columns"),
        ("list_bbox_inshop.txt", "says that it has 1 line, but has 2"),
        ("list_eval_partition.txt:6", "'train more' is none of train, query, gallery"),
        ("list_eval_partition.txt:7", "2 values for 3 columns"),
        ("list_eval_partition.txt:8", "'../x.jpg' does not lie in the folder"),
    ]


@pytest.mark.parametrize("content", [b"{", b'{"item": 1}', b"\xff", b'[1, {"item": 5}]'])
def test_damaged_annotations_of_in_shop_cost_only_themselves(
    content: bytes, tmp_path: Path
) -> None:
    root = in_shop(tmp_path)
    write(root / "Anno" / "list_description_inshop.json", content)
    write(root / "Anno" / "list_bbox_inshop.txt", content)
    entries, odd = split(InShop(root))
    assert [one.metadata for one in entries] == [
        {"split": "train"},
        {"split": "query"},
        {"split": "gallery"},
    ]
    assert {path.partition(",")[0] for path, _ in odd} == {
        "list_bbox_inshop.txt",
        "list_description_inshop.json",
    }


def test_in_shop_without_pictures_says_what_to_unpack(tmp_path: Path) -> None:
    root = in_shop(tmp_path, "elsewhere")
    with pytest.raises(SourceError, match=r"holds no images.*unpack Img/img.zip there"):
        split(InShop(root))
    with pytest.raises(SourceError, match=r"holds no Eval/list_eval_partition\.txt"):
        InShop(tmp_path / "elsewhere")


# -- recognition and options ---------------------------------------------------------------


def test_data_sets_are_recognised_by_their_content(tmp_path: Path) -> None:
    root = stanford(tmp_path / "sop")
    assert recognise(root) == recognise(root.parent) == "stanford-online-products"
    assert recognise(root / "bicycle_final") == "folder"
    assert recognise(in_shop(tmp_path / "shop")) == "deepfashion-in-shop"
    for name, content in (
        ("train.json", PRODUCT),
        ("b.JSON", FURNITURE),
        ("c.json", '{"info":{"year":2018},"annotations":['),
        ("d.json", PRODUCT.encode("utf-16")),
    ):
        assert recognise(write(tmp_path / name, content)) == "imaterialist"
    assert recognise(write(tmp_path / "a.parquet", b"PAR1")) == "table"
    write(tmp_path / "fetched" / "downloads.sqlite", b"")
    assert recognise(tmp_path / "fetched") == "downloads"
    with pytest.raises(SourceError, match=r"no images or annotations.*so it is no table"):
        recognise(write(tmp_path / "e.json", '{"file":\n "a.jpg"}'))
    with pytest.raises(SourceError, match="does not exist"):
        recognise(tmp_path / "none.json")


def test_a_list_of_that_name_alone_is_no_data_set(tmp_path: Path) -> None:
    write(tmp_path / "Ebay_train.txt", "what I bought on eBay\n")
    write(tmp_path / "Eval" / "list_eval_partition.txt", "1\nimage_name evaluation_status\n")
    assert recognise(tmp_path) == "folder"


def test_an_option_of_another_format_is_refused(tmp_path: Path) -> None:
    root = stanford(tmp_path)
    with pytest.raises(SourceError) as caught:
        open_catalogue(root, "stanford-online-products", root=tmp_path)
    assert str(caught.value) == (
        f"--root is for imaterialist and table; {root} is read as stanford-online-products"
    )
    with pytest.raises(SourceError, match="--no-such belongs to no format"):
        open_catalogue(root, "imaterialist", no_such=1)
    assert open_catalogue(root, "stanford-online-products", root=None).root == root
    file = write(tmp_path / "train.json", PRODUCT)
    assert open_catalogue(file, "imaterialist", root=root).root == root


def test_every_format_is_known_by_the_name_that_it_has(tmp_path: Path) -> None:
    in_shop(tmp_path)
    stanford(tmp_path)
    for name in ("imaterialist", "deepfashion-in-shop", "stanford-online-products"):
        catalogue = open_catalogue(tmp_path, name)
        assert isinstance(catalogue, Catalogue)
        assert catalogue.format == name
        assert name in FORMATS
