"""Versions that migrations have kept are not listed among the collections."""

from contextlib import closing
from pathlib import Path

from lookalike.core import settings_keys
from lookalike.moving.kept_versions import leave_out_versions
from lookalike.stores.embedded.store import EmbeddedStore


def test_only_versions_of_another_collection_are_left_out(tmp_path: Path) -> None:
    names = ["shop", "shop-0123abcd", "shop-89abcdef", "gone-0123abcd"]
    for name in names:
        with closing(EmbeddedStore.open(tmp_path / name, create=True)) as store:
            if name == "shop-0123abcd":
                store.settings.set(settings_keys.VERSION_OF, "shop")
    assert leave_out_versions(tmp_path, names) == ["shop", "shop-89abcdef", "gone-0123abcd"]
    assert leave_out_versions(tmp_path, ["shop", "shop-11111111"]) == ["shop", "shop-11111111"]
