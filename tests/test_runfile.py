"""Run files as text: what is read, what is refused and how, and what a plan makes of them."""

import json
import re
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.compat.application_yaml import KEYS
from lookalike.encoders import available_encoders
from lookalike.errors import RunFileError
from lookalike.runfile.document import expanded
from lookalike.runfile.model import RunFile
from lookalike.runfile.plan import KnownState, PlannedStep, StepRecord, decide, options_of, plan
from lookalike.runfile.reading import LoadedRunFile, keys_of, read_run_file
from lookalike.runfile.steps import STEPS
from lookalike.runfile.template import start_with, template

ROOT = Path(__file__).parents[1]


def read(
    folder: Path, text: str | bytes, name: str = "shop.yaml", **environment: str
) -> LoadedRunFile:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_run_file(path, environment)


def refused(folder: Path, text: str | bytes, name: str = "shop.yaml", **environment: str) -> str:
    """The message, without the folder's name."""
    with pytest.raises(RunFileError) as raised:
        read(folder, text, name, **environment)
    return str(raised.value).replace(f"{folder}/", "")


# -- what is read ------------------------------------------------------------------------------


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    yaml = "collection: shop\nindex: {source: a/, hidden: true}\nevaluate:\n  k: [1, 10]\n"
    toml = 'collection = "shop"\n[index]\nsource = "a/"\nhidden = true\n[evaluate]\nk = [1, 10]\n'
    assert read(tmp_path, yaml).file == read(tmp_path, toml, "shop.toml").file


def test_a_section_with_nothing_below_it_is_a_step_with_its_defaults(tmp_path: Path) -> None:
    file = read(tmp_path, "neighbours:\nevaluate:\n  where:\n").file
    assert file.neighbours is not None
    assert file.neighbours.k == 50
    assert file.evaluate is not None
    assert file.evaluate.where is None
    assert file.steps() == ("neighbours", "evaluate")


def test_text_stays_as_it_was_written(tmp_path: Path) -> None:
    text = "download: {catalogue: a.json, to: b, labels: [007, no, 1:30, 2024-01-01, 1e3]}"
    download = read(tmp_path, text).file.download
    assert download is not None
    assert download.labels == ("007", "no", "1:30", "2024-01-01", "1e3")


def test_numbers_in_toml_may_stand_where_text_is_wanted(tmp_path: Path) -> None:
    text = '[download]\ncatalogue = "a.json"\nto = "b"\nlabels = [12]\n'
    download = read(tmp_path, text, "shop.toml").file.download
    assert download is not None
    assert download.labels == ("12",)


def test_one_value_is_a_list_of_one(tmp_path: Path) -> None:
    file = read(tmp_path, "index: {source: a/}\nevaluate: {k: 3, queries: all}\n").file
    assert file.index is not None
    assert file.index.source == ("a/",)
    assert file.evaluate is not None
    assert file.evaluate.k == (3,)
    assert file.evaluate.queries is None


def test_relative_paths_are_below_the_files_folder(tmp_path: Path) -> None:
    loaded = read(tmp_path, "neighbours:\n")
    assert loaded.place("photos") == tmp_path / "photos"
    assert loaded.place("/elsewhere") == Path("/elsewhere")


def test_a_mark_of_the_byte_order_is_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfneighbours: {k: 3}\n").file.steps() == ("neighbours",)


# -- the environment ---------------------------------------------------------------------------


def test_the_environment_is_written_in_and_then_read_by_type(tmp_path: Path) -> None:
    text = "collection: ${SHOP}-${SEASON:-all}\nneighbours: {k: '${K}'}\ndeclare: [a$$b, c$d]\n"
    file = read(tmp_path, text, SHOP="hats", K="7", SEASON="").file
    assert file.collection == "hats-all"
    assert file.neighbours is not None
    assert file.neighbours.k == 7
    assert file.declare == ("a$b", "c$d")


def test_a_variable_that_is_not_set_is_named_with_its_line(tmp_path: Path) -> None:
    told = refused(tmp_path, "neighbours:\n  k: ${K}\n")
    assert told.startswith("shop.yaml:2: neighbours.k needs the environment variable K, which is")
    told = refused(tmp_path, '[neighbours]\nk = "${K}"\n', "shop.toml")
    assert told.startswith("shop.toml:2: neighbours.k needs the environment variable K")


@pytest.mark.parametrize("text", ["${", "${a b}", "${}", "${1}", "${A"])
def test_what_only_begins_like_a_variable_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is neither"):
        expanded(text, {})


def test_values_of_variables_are_not_read_for_variables_again() -> None:
    assert expanded("${A}", {"A": "${B} $$"}) == "${B} $$"


# -- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("index:\n  souce: a\n", "shop.yaml:2: unknown key 'index.souce'; did you mean 'so"),
        ("categorys:\n", "shop.yaml:1: unknown key 'categorys'; did you mean 'categ"),
        ("source: a\n", "shop.yaml:1: source belongs below index"),
        ("neighbours: {k: x}\n", "shop.yaml:1: neighbours.k must be a whole number, not 'x'"),
        ("neighbours: {k: 0}\n", "shop.yaml:1: neighbours.k must be at least 1, not '0'"),
        ("neighbours: 3\n", "shop.yaml:1: neighbours must be a group of keys, not '3'"),
        ("index: {source: a, hidden: 7}\n", "shop.yaml:1: index.hidden must be true or false"),
        ("index: {source: {a: b}}\n", "shop.yaml:1: index.source must be a value or a list"),
        ("index: {source: [a, [b]]}\n", "shop.yaml:1: index.source[2] must be text, not ['b']"),
        ("index: {source: ''}\n", "shop.yaml:1: index.source[1] must not be empty"),
        ("index: {source: a, format: mintra}\n", "shop.yaml:1: index.format must be one of auto"),
        (
            "index: {source: a, max_megabytes: nan}\n",
            "shop.yaml:1: index.max_megabytes must be a n",
        ),
        ("index:\n", "shop.yaml: index.source is missing"),
        ("download: {to: a}\n", "shop.yaml:1: download.catalogue is missing"),
        ("categories: {where: 'a=='}\n", "shop.yaml:1: categories.where "),
        ("categories: {by: id}\n", "shop.yaml:1: categories.by id is not a category"),
        ("export: {file: a.xls}\n", "shop.yaml:1: export a.xls has no suffix"),
        ("evaluate: {k: []}\n", "shop.yaml:1: evaluate.k must not be an empty list"),
        ("collection: shop\n", "shop.yaml: there is nothing to do; add a step"),
        ("a: 1\na: 2\n", "shop.yaml:2: a is given twice, first on line 1"),
        ("index:\n  root: a\n  root: b\n", "shop.yaml:3: index.root is given twice, first on line"),
        ("index: [a\nb: }\n", "shop.yaml:2:2: not YAML: "),
        (
            "neighbours: {k: ${K}}\n",
            "shop.yaml:1:18: not YAML: expected ',' or '}', but got '{'; i",
        ),
        ("a: !!python/object:os.system {}\n", "shop.yaml:1: a has the tag"),
        ("a: *b\n", "shop.yaml:1:4: not YAML: found undefined alias"),
        ("a: &a [*a]\n", "shop.yaml:1: a[1]"),
        ("? [a]\n: b\n", "shop.yaml:1: a key must be plain text"),
        ("--- a\n--- b\n", "shop.yaml:2:1: not YAML"),
        ("a: \x01\n", "shop.yaml:1: not YAML: it contains a control character"),
        ('a: "\\UFFFFFFFF"\n', "shop.yaml"),
        ("", "shop.yaml is empty"),
        ("# nothing\n", "shop.yaml is empty"),
        ("- a\n", "shop.yaml: must be a group of keys"),
        (b"a: \xff\n", "shop.yaml:1: is not UTF-8 text"),
        ("[" * 5000, "shop.yaml: is nested too deeply"),
        ("a: x\n" + "#" * 200_000, "shop.yaml is larger than 200,000 bytes"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    assert refused(tmp_path, text).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[index\n", "shop.toml:1:7: not TOML: "),
        ("[index]\nsource = 'a'\nhiden = true\n", "shop.toml:3: unknown key 'index.hiden'; d"),
        ("collection = 'a'\ncollection = 'b'\n", "shop.toml:2:17: not TOML: Cannot overwrite"),
        ("a = " + "[" * 5000, "shop.toml: is nested too deeply"),
        ("a = " + "1" * 9000, "shop.toml: not TOML: "),
        ("collection = true\n[neighbours]\n", "shop.toml:1: collection must be text, not True"),
    ],
)
def test_a_mistake_in_toml_is_told_likewise(tmp_path: Path, text: str, told: str) -> None:
    assert refused(tmp_path, text, "shop.toml").startswith(told)


def test_all_mistakes_are_told_at_once_in_their_order(tmp_path: Path) -> None:
    told = refused(tmp_path, "indx: 1\nneighbours:\n  k: x\n  j: 1\n")
    assert re.findall(r"shop.yaml:(\d)", told) == ["1", "3", "4"]


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for depth in range(1, 9):
        text += f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 10)}]\n"
    assert "expands to more than 20,000 values" in refused(tmp_path, text)


def test_what_is_no_run_file_is_told_apart(tmp_path: Path) -> None:
    for path, told in [
        (tmp_path / "no.yaml", "does not exist"),
        (tmp_path / "shop.json", "must end in .yaml, .yml or .toml"),
        (tmp_path / "folder.yaml", "is not a file"),
    ]:
        (tmp_path / "folder.yaml").mkdir(exist_ok=True)
        with pytest.raises(RunFileError, match=told):
            read_run_file(path)


_WORDS = st.sampled_from([*STEPS, "k", "by", "where", "source", "es.index", "dataset", "${A}", "x"])
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), _WORDS)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(tree=_TREES)
def test_any_document_is_read_or_refused_in_one_message(
    tree: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")  # which is YAML too
    told = ""
    try:
        assert read_run_file(path, {}).file.steps()
    except RunFileError as error:
        told = str(error)
    assert all(line.isprintable() for line in told.split("\n"))


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(alphabet=st.sampled_from(" \n:-[]{}&*!|>'\"%@`#,?=.ak1$\t")), toml=st.booleans()
)
def test_any_text_is_read_or_refused(
    text: str,
    toml: bool,  # noqa: FBT001 - drawn
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / ("any.toml" if toml else "any.yml")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RunFileError):
        read_run_file(path, {})


# -- the older kind ----------------------------------------------------------------------------

OLDER = """\
dataset: "caltech_101"
elasticsearch:
  es.nodes: "localhost"
  es.port: "9200"
  es.index: "visual"
  es.index_mapping_path: "resources/visual.json"
  es.rewrite_index: False
  es.batch_size: 1000
  es.approx_search_size: 10
  es.search_size: 5
classifier:
  train.classifier: False
  model.path: "models/classifier.h5"
  model.batch_size: 32
pretrained:
  model.type: "ResNet50"
"""


def test_each_key_of_the_older_kind_is_read_and_has_a_note(tmp_path: Path) -> None:
    loaded = read(tmp_path, OLDER)
    assert len(loaded.notes) == len(KEYS)
    for key in KEYS:
        assert sum(note.where.endswith(key) for note in loaded.notes) == 1, key
    file = loaded.file
    assert file.collection == "elasticsearch://localhost:9200/visual"
    assert file.steps() == ("index", "categories", "evaluate")
    assert file.index is not None
    assert (file.index.source, file.index.format) == (("caltech_101",), "class-folders")
    assert file.evaluate is not None
    assert file.evaluate.k == (1, 5)


def test_a_network_without_weights_is_said_with_those_that_there_are(tmp_path: Path) -> None:
    loaded = read(tmp_path, OLDER.replace("ResNet50", "NoSuchNet7"))
    (note,) = (str(note) for note in loaded.notes if note.where.endswith("model.type"))
    assert "no weights of NoSuchNet7" in note
    assert available_encoders()[0] in note
    assert loaded.file.encoder is None


def test_older_and_own_keys_may_stand_together_and_the_own_win(tmp_path: Path) -> None:
    file = read(tmp_path, OLDER + "collection: visual\nneighbours:\nindex: {source: a/}\n").file
    assert file.collection == "visual"
    assert file.index is not None
    assert file.index.source == ("a/",)
    assert file.steps() == ("index", "categories", "neighbours", "evaluate")


def test_dotted_keys_may_be_written_as_groups_or_at_the_top(tmp_path: Path) -> None:
    nested = "dataset: a\nelasticsearch:\n  es: {index: v, port: 1}\n"
    flat = "dataset: a\nes.index: v\nes.port: 1\n"
    assert read(tmp_path, nested).file == read(tmp_path, flat).file


def test_an_unknown_older_key_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    told = refused(tmp_path, "dataset: a\nelasticsearch:\n  es.indx: b\n")
    assert told == (
        "shop.yaml:3: unknown key 'elasticsearch.es.indx'; it is a key of neither kind of file; "
        "did you mean 'es.index'?"
    )


def test_a_wrong_older_value_is_told_at_its_line(tmp_path: Path) -> None:
    told = refused(tmp_path, "dataset: a\nelasticsearch:\n  es.search_size: many\n")
    assert told.startswith("shop.yaml:3: evaluate.k[2] must be a whole number, not 'many'")


# -- the file to begin with --------------------------------------------------------------------


def uncommented(text: str) -> str:
    """The text with every key that is commented out taken in."""
    return re.sub(r"(?m)^( *)# ?( *(?:[a-z_]+(?::| =)|\[[a-z]+\]))", r"\1\2", text)


@pytest.mark.parametrize("name", ["shop.yaml", "shop.toml"])
def test_the_file_to_begin_with_is_complete_and_can_be_read(tmp_path: Path, name: str) -> None:
    start = start_with(None, kind="auto", folder=tmp_path, name="shop")
    text = template(start.values, name=name, toml=name.endswith("toml"))
    assert read(tmp_path, text, name).file.steps() == (
        "index",
        "categories",
        "neighbours",
        "evaluate",
    )
    whole = read(tmp_path, uncommented(text), name).file
    assert whole.steps() == STEPS
    for step in STEPS:
        section = getattr(whole, step)
        if step != "declare":
            given = {
                type(section).model_fields[one].alias or one for one in section.model_fields_set
            }
            assert given == keys_of(type(section)).keys(), step
    assert whole.model_fields_set == RunFile.model_fields.keys()


@settings(max_examples=100, deadline=None)
@given(name=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_name_in_the_file_to_begin_with_is_read_as_it_was(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    values: dict[str, dict[str, object]] = {"": {"collection": name}, "neighbours": {"k": 3}}
    for file in ("named.yaml", "named.toml"):
        text = template(values, name=file, toml=file.endswith("toml"))
        assert read(folder, text, file).file.collection == name


def test_keys_that_are_commented_out_have_their_default_there(tmp_path: Path) -> None:
    start = start_with(None, kind="auto", folder=tmp_path, name="shop")
    text = template(start.values, name="shop.yaml")
    plain, whole = read(tmp_path, text).file, read(tmp_path, uncommented(text)).file
    assert plain.evaluate is not None
    assert whole.evaluate is not None
    fields = type(whole.evaluate).model_fields
    for name, field in fields.items():
        if not field.examples:
            assert getattr(whole.evaluate, name) == getattr(plain.evaluate, name)


def test_every_key_is_in_the_documents() -> None:
    page = (ROOT / "docs" / "run.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "scripts" / "render_docs.py"))
    assert page == script["with_run_file"](page), "run: python scripts/render_docs.py"
    for section in keys_of(RunFile):
        assert re.search(rf"(?m)^(# )?{section}:", page), section
    for key in KEYS:
        assert f"`{key}`" in page, key


def test_a_catalogue_of_urls_begins_with_a_download(tmp_path: Path) -> None:
    table = tmp_path / "hats.csv"
    table.write_text("id,image_url,category\n1,https://example.com/1.jpg,bowler\n")
    start = start_with(table, kind="auto", folder=tmp_path, name="shop")
    file = read(tmp_path, template(start.values, name="shop.yaml")).file
    assert file.collection == "hats"
    assert file.steps() == ("download", "index", "categories", "neighbours", "evaluate")
    assert file.download is not None
    assert file.download.catalogue == "hats.csv"
    assert start.note.endswith("read as table, with labels and URLs to download")


def test_plain_pictures_begin_without_what_needs_labels(tmp_path: Path, pictures: Path) -> None:
    start = start_with(pictures, kind="auto", folder=tmp_path, name="shop")
    file = read(tmp_path, template(start.values, name="shop.yaml")).file
    assert file.steps() == ("index", "neighbours")
    assert file.index is not None
    assert file.index.source == ("pictures/",)


# -- what would be done ------------------------------------------------------------------------

FILE = RunFile.model_validate(
    {
        "index": {"source": "a"},
        "declare": ["price"],
        "categories": {},
        "neighbours": {"k": 7},
        "evaluate": {"report": "r.html"},
        "export": {"file": "items.csv"},
    }
)
STATES = {"categories": "c", "neighbours": "n", "evaluate": "e", "export": "x"}
FILES = {"r.html": [10, 20], "items.csv": [30, 40]}
MADE = {"categories": "model", "neighbours": 7, "evaluate": FILES, "export": FILES}


def known(**changes: object) -> KnownState:
    """All is done and nothing has changed, but for ``changes``."""
    done = {
        step: StepRecord(options=options_of(FILE, step), state=STATES[step], made=MADE[step])  # type: ignore[arg-type] # literals
        for step in ("categories", "neighbours", "evaluate", "export")
    }
    whole = {
        "exists": True,
        "declared": ("price",),
        "model": "model",
        "neighbours": 7,
        "states": STATES,
        "files": FILES,
        "done": done,
    }
    return KnownState(**{**whole, **changes})  # type: ignore[arg-type] # the fields, by name


def outdated(file: RunFile, now: KnownState) -> dict[str, str]:
    return {one.step: one.why for one in plan(file, now) if one.status == "due"}


def test_where_there_is_nothing_everything_is_to_be_done() -> None:
    assert list(outdated(FILE, KnownState())) == [*FILE.steps()]


def test_where_nothing_has_changed_only_the_files_are_looked_at() -> None:
    made = plan(FILE, known())
    assert [one.status for one in made] == ["look", *["current"] * 5]
    assert made[2].why == "up to date, unless index finds changes"


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"declared": ()}, ["declare"]),
        ({"model": None}, ["categories"]),
        ({"model": "another"}, ["categories"]),
        ({"neighbours": 0}, ["neighbours"]),
        ({"neighbours": 50}, ["neighbours"]),
        ({"states": {**STATES, "evaluate": "new"}}, ["evaluate"]),
        ({"files": {**FILES, "r.html": None}}, ["evaluate"]),
        ({"files": {**FILES, "items.csv": [31, 41]}}, ["export"]),
        ({"done": {}}, ["categories", "neighbours", "evaluate", "export"]),
    ],
)
def test_what_has_changed_is_done_again_and_nothing_else(
    changes: dict[str, object], steps: list[str]
) -> None:
    assert list(outdated(FILE, known(**changes))) == steps


def test_other_words_in_a_section_make_that_step_out_of_date() -> None:
    file = FILE.model_copy(update={"evaluate": FILE.evaluate.model_copy(update={"seed": 1})})  # type: ignore[union-attr] # it is there
    assert outdated(file, known()) == {"evaluate": "the options in the run file have changed"}


def test_force_and_only_choose_steps() -> None:
    made = plan(FILE, known(), only=["neighbours", "export"], force=["export"])
    assert [(one.step, one.status) for one in made] == [
        ("neighbours", "current"),
        ("export", "due"),
    ]


def test_a_download_that_was_begun_is_looked_at_again() -> None:
    file = RunFile.model_validate({"download": {"catalogue": "a.json", "to": "b"}})
    assert decide(file, "download", KnownState()).status == "due"
    assert decide(file, "download", KnownState(downloaded=True)) == PlannedStep(
        step="download", status="look", why="downloads what is missing"
    )
