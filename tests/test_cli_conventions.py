"""What all commands have in common: --json, names of options, questions, and what they suggest."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import networks
from conftest import painted
from lookalike import __version__
from lookalike.cli import cli
from lookalike.cli import invoke as run_cli
from lookalike.cli.output import stdout


def commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


COMMANDS = dict(commands(cli))
each_command = pytest.mark.parametrize("names", COMMANDS, ids=" ".join)


class Shop:
    """Nine painted images, indexed into a collection with a model card."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.images.mkdir()
        for number in range(9):
            painted(self.images / f"{number}.png", number)
        self.card = networks.tiny_card(folder)
        self.address = str(folder / "shop")
        assert self.run("index", self.images, "--encoder", self.card).exit_code == 0

    def run(self, *words: object) -> Result:
        return CliRunner().invoke(cli, [*map(str, words), "-c", self.address])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@each_command
def test_every_command_prints_json_when_asked_to(names: tuple[str, ...]) -> None:
    options = {name for option in COMMANDS[names].params for name in option.opts}
    assert "--json" in options


@each_command
def test_errors_are_json_too(
    names: tuple[str, ...], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout, "taken", False)  # one process runs one command elsewhere
    assert run_cli([*names, "--json", "--no-such-option"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert document["error"]["code"] == "usage"
    assert "--no-such-option" in document["error"]["message"]


@each_command
def test_k_is_the_number_of_results_and_where_is_a_filter(names: tuple[str, ...]) -> None:
    for option in COMMANDS[names].params:
        if "-k" in option.opts:
            assert option.name in {"k", "ks"}
        if "--where" in option.opts:
            assert option.metavar == "FILTER"


@each_command
def test_the_list_of_commands_shows_whole_sentences(names: tuple[str, ...]) -> None:
    summary = COMMANDS[names].get_short_help_str(200)
    assert summary.endswith(".")
    assert not summary.endswith("...")


def test_older_names_work_and_are_not_listed() -> None:
    runner = CliRunner()
    listed = runner.invoke(cli, ["--help"]).output
    assert ("finetune" in listed, "  train" in listed) == (True, False)
    assert "Fine-tune" in runner.invoke(cli, ["train", "--help"]).output
    for words, new, old in (
        (["export"], "--details", "--facts"),
        (["neighbours", "build"], "-k", "-K"),
        (["index"], "--shard", "--part"),
    ):
        text = runner.invoke(cli, [*words, "--help"]).output
        assert (new in text, f"{old} " in text or f"{old}," in text) == (True, False)
    context = click.Context(COMMANDS["export",])
    parsed = COMMANDS["export",].make_context("export", ["--facts", "-"], parent=context)
    assert parsed.params["details"] is True


def test_version_is_an_option_and_a_command() -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["--version"]).output == f"{__version__}\n"
    assert runner.invoke(cli, ["version"]).output == f"{__version__}\n"
    assert json.loads(runner.invoke(cli, ["version", "--json"]).output) == {"version": __version__}


def test_init_and_completion_print_json(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    done = CliRunner().invoke(cli, ["init", str(file), "--json"])
    assert json.loads(done.stdout) == {"path": str(file), "note": None}
    shell = json.loads(CliRunner().invoke(cli, ["completion", "zsh", "--json"]).stdout)
    assert shell["shell"] == "zsh"
    assert shell["script"]


def test_remove_by_filter_asks_first(shop: Shop) -> None:
    refused = shop.run("remove", "--where", "id^=1")
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert shop.run("remove", "--where", "id^=1", "--yes").stdout == "1 removed\n"
    none = shop.run("remove", "--where", "colour=red", "--yes")
    assert none.stdout == "0 removed\n"
    assert "no item has the field 'colour'" in none.stderr
    assert shop.run("remove", "2.png", "--where", "id^=3", "-y").exit_code == 2
    assert len(shop.run("list").stdout.split()) == 8


def test_label_by_filter(shop: Shop) -> None:
    assert shop.run("label", "mug", "--where", "id^=1 or id^=2").stdout == "2 items labelled\n"
    assert shop.run("list", "--where", "label=mug").stdout == "1.png\n2.png\n"
    assert json.loads(shop.run("label", "", "--where", "label=mug", "--json").stdout) == {
        "labelled": 2
    }
    assert shop.run("label", "mug").exit_code == 2


def test_prune_checks_every_indexed_folder_by_itself(shop: Shop, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    for number in range(20, 23):
        painted(more / f"{number}.png", number)
    odd = tmp_path / "images" / ".hidden"
    odd.mkdir()
    shutil.copy(shop.images / "8.png", odd / "x.dat")
    assert shop.run("index", more).exit_code == 0
    assert shop.run("index", shop.images, "--hidden", "--include", "*").exit_code == 0
    (shop.images / "3.png").unlink()
    (more / "20.png").unlink()
    would = shop.run("prune", "--dry-run")
    assert would.stdout == "3.png\nmore:20.png\n"
    assert shop.run("prune").stdout == "2 removed, 11 kept\n"
    shutil.rmtree(more)
    done = shop.run("prune")  # the other folder is still checked
    assert (done.exit_code, "more" in done.stderr, done.stdout) == (3, True, "0 removed, 9 kept\n")
    assert shop.run("prune", "--exclude", "x").exit_code == 2


def test_words_as_a_query_are_told_apart_from_a_missing_file(shop: Shop) -> None:
    for words in ("red shoe", "shoe"):
        run = ["search", words, "-c", shop.address, "--json"]
        done = CliRunner().invoke(cli, [*run, "--text-mode", "encoder"])
        message = json.loads(done.stdout)["error"]["message"]
        assert "does not support search by words" in message
        done = CliRunner().invoke(cli, run)
        assert done.exit_code == 5
        assert f"no item, label or class matches {words!r}" in done.stderr
        assert "no such file" not in done.stderr
    done = shop.run("search", "shoe.jpg")
    assert "words" not in done.stderr


def test_a_card_that_was_moved_is_named_once(shop: Shop, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for file in tmp_path.glob("tiny.*"):
        file.rename(new / file.name)
    query = shop.images / "1.png"
    refused = shop.run("search", query)
    assert refused.exit_code == 1
    assert "--encoder CARD.toml" in str(refused.exception)
    assert shop.run("search", query, "--encoder", new / shop.card.name).exit_code == 0
    assert shop.run("search", query).exit_code == 0
    other = networks.tiny_card(tmp_path, name="other", seed=5)
    assert shop.run("search", query, "--encoder", other).exit_code == 1
    assert shop.run("search", query).exit_code == 0


def test_doctor_speaks_of_the_collections_encoder(shop: Shop) -> None:
    document = json.loads(shop.run("doctor", "--json").stdout)
    assert document["facts"]["encoder"].startswith("tiny (")
    assert shop.run("migrate", "--dim", "3").exit_code == 0
    document = json.loads(shop.run("doctor", "--json").stdout)
    assert "values, stored as 3)" in document["facts"]["encoder"]
    shop.card.unlink()
    done = shop.run("doctor", "--json")
    assert done.exit_code == 1
    assert any("is not there" in one for one in json.loads(done.stdout)["problems"])


def test_a_difference_is_not_printed_as_a_score(shop: Shop) -> None:
    image = Image.effect_noise((256, 256), 80).convert("RGB")
    image.save(shop.images / "noise.png")
    image.save(shop.images / "noise.jpg", quality=60)
    shop.run("index", shop.images)
    done = shop.run("duplicates", "-q")
    kinds = [line.split("\t")[1] for line in done.stdout.splitlines()]
    assert all(one in {"kept", "exact"} or one.startswith("near, difference ") for one in kinds)
    assert "1 group" in done.stderr
