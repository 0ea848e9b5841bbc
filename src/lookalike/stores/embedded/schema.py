"""The embedded store's SQLite schema, as numbered migrations. Bytes on disk: docs/storage.md."""

import sqlite3
from collections.abc import Callable

from lookalike.errors import CollectionFormatError
from lookalike.stores.embedded.own_files import APPLICATION_ID

__all__ = ["VERSION", "migrate"]


def _first(db: sqlite3.Connection) -> None:
    # A row's `seq` is never used twice (AUTOINCREMENT) and its vector never changes: new content
    # is a new row. So a cache of vectors by `seq` can be behind the rows, but never wrong.
    db.execute("""
        CREATE TABLE items (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            digest BLOB NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            root TEXT NOT NULL,
            path TEXT NOT NULL,
            size INTEGER,
            mtime_ns INTEGER,
            label TEXT,
            "group" TEXT,
            metadata TEXT NOT NULL
        )""")
    # Vectors have a table of their own: walking the items must not page through megabytes of them.
    db.execute("CREATE TABLE vectors (seq INTEGER PRIMARY KEY, vector BLOB NOT NULL)")
    db.execute("CREATE INDEX items_digest ON items (digest)")
    db.execute("CREATE INDEX items_place ON items (root, path)")
    db.execute("""
        CREATE TABLE skips (
            root TEXT NOT NULL,
            path TEXT NOT NULL,
            size INTEGER,
            mtime_ns INTEGER,
            reason TEXT NOT NULL,
            PRIMARY KEY (root, path)
        ) WITHOUT ROWID""")
    db.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


def _declared_fields(db: sqlite3.Connection) -> None:
    """Create the indexed table of the values of declared metadata fields.

    Triggers keep it in line with the items, whoever writes them.
    """
    db.execute("CREATE INDEX items_label ON items (label)")
    db.execute('CREATE INDEX items_group ON items ("group")')
    db.execute("CREATE TABLE declared (field TEXT PRIMARY KEY, path TEXT NOT NULL) WITHOUT ROWID")
    db.execute("""
        CREATE TABLE field_values (
            seq INTEGER NOT NULL,
            field TEXT NOT NULL,
            type TEXT NOT NULL,
            value NOT NULL
        )""")
    db.execute("CREATE INDEX field_values_value ON field_values (field, value, type, seq)")
    db.execute("CREATE INDEX field_values_seq ON field_values (seq)")
    # An array gives its elements (their keys are numbers), a scalar itself (no key).
    fill = """
        INSERT INTO field_values
        SELECT new.seq, declared.field, each.type, each.value
        FROM declared, json_each(new.metadata, declared.path) AS each
        WHERE typeof(each.key) != 'text' AND each.type NOT IN ('null', 'array', 'object');"""
    clear = "DELETE FROM field_values WHERE seq = old.seq;"
    db.execute(f"CREATE TRIGGER items_added AFTER INSERT ON items BEGIN {fill} END")
    db.execute(f"CREATE TRIGGER items_gone AFTER DELETE ON items BEGIN {clear} END")
    db.execute(
        f"CREATE TRIGGER items_told AFTER UPDATE OF metadata ON items BEGIN {clear} {fill} END"
    )


def _neighbours(db: sqlite3.Connection) -> None:
    """Create the neighbour table: what is known of a list apart from its entries, as with vectors.

    A trigger deletes a row with its item. Lists that name a deleted row stay: readers look the rows
    up.
    """
    db.execute("""
        CREATE TABLE neighbours (
            seq INTEGER PRIMARY KEY,
            mark INTEGER NOT NULL,
            k INTEGER NOT NULL,
            exact INTEGER NOT NULL
        )""")
    db.execute("CREATE TABLE neighbour_lists (seq INTEGER PRIMARY KEY, entries BLOB NOT NULL)")
    db.execute("""
        CREATE TRIGGER neighbours_gone AFTER DELETE ON items BEGIN
            DELETE FROM neighbours WHERE seq = old.seq;
            DELETE FROM neighbour_lists WHERE seq = old.seq;
        END""")


def _thumbnails(db: sqlite3.Connection) -> None:
    """Create the tables of thumbnails: sizes are read for many at once, so bytes stand apart."""
    db.execute("""
        CREATE TABLE thumbnails (
            seq INTEGER PRIMARY KEY,
            side INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        )""")
    db.execute("CREATE TABLE thumbnail_jpegs (seq INTEGER PRIMARY KEY, jpeg BLOB NOT NULL)")
    db.execute("""
        CREATE TRIGGER thumbnails_gone AFTER DELETE ON items BEGIN
            DELETE FROM thumbnails WHERE seq = old.seq;
            DELETE FROM thumbnail_jpegs WHERE seq = old.seq;
        END""")


def _beside(db: sqlite3.Connection) -> None:
    """Create the tables beside the items: rows keyed by table and id, not tied to items."""
    db.execute("""
        CREATE TABLE beside (
            "table" TEXT NOT NULL,
            id TEXT NOT NULL,
            digest BLOB,
            value TEXT NOT NULL,
            PRIMARY KEY ("table", id)
        )""")
    db.execute('CREATE INDEX beside_digest ON beside ("table", digest) WHERE digest IS NOT NULL')


def _words(db: sqlite3.Connection) -> None:
    """The words of items, as an FTS5 table whose rowid is ``seq``.

    Code finds the words (``core.keywords``) and separates them by spaces, so the tokenizer only
    splits there: ``ascii`` takes every other character for a part of a word. Whatever changes an
    item puts it into ``words_due``, until code has written its words.
    """
    db.execute("""
        CREATE VIRTUAL TABLE item_words USING fts5 (
            label, others, tokenize = 'ascii', detail = column
        )""")
    db.execute("CREATE TABLE words_due (seq INTEGER PRIMARY KEY)")
    db.execute("INSERT INTO words_due SELECT seq FROM items")
    db.execute("""
        CREATE TRIGGER words_added AFTER INSERT ON items BEGIN
            INSERT INTO words_due VALUES (new.seq);
        END""")
    db.execute("""
        CREATE TRIGGER words_gone AFTER DELETE ON items BEGIN
            DELETE FROM item_words WHERE rowid = old.seq;
            DELETE FROM words_due WHERE seq = old.seq;
        END""")
    db.execute("""
        CREATE TRIGGER words_changed AFTER UPDATE OF id, path, label, "group", metadata ON items
        WHEN (old.id, old.path, old.label, old."group", old.metadata)
            IS NOT (new.id, new.path, new.label, new."group", new.metadata)
        BEGIN
            DELETE FROM item_words WHERE rowid = old.seq;
            INSERT OR IGNORE INTO words_due VALUES (new.seq);
        END""")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _first,
    _declared_fields,
    _neighbours,
    _thumbnails,
    _beside,
    _words,
)
VERSION = len(MIGRATIONS)


def migrate(db: sqlite3.Connection, *, where: str, read_only: bool = False) -> None:
    """Migrate the database to the newest version; each step is one transaction.

    Raise ``CollectionFormatError`` for a database that is not ours, that is newer than this code,
    or that is older and not writable.
    """
    version, application = _marks(db)
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (tables or version):
        raise CollectionFormatError(f"{where} is an SQLite database of another program")
    if version > VERSION:
        raise CollectionFormatError(
            f"{where} was written by a newer lookalike (format {version}; this one reads up to "
            f"{VERSION}); upgrade lookalike"
        )
    if read_only and version < VERSION:
        raise CollectionFormatError(
            f"{where} is of an older format ({version}) and may not be written, so it cannot be "
            "migrated; open it once where it can be"
        )
    while version < VERSION:
        db.execute("BEGIN IMMEDIATE")
        try:
            version, _ = _marks(db)  # another process may have migrated it
            if version < VERSION:
                MIGRATIONS[version](db)
                version += 1
                db.execute(f"PRAGMA user_version = {version}")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def _marks(db: sqlite3.Connection) -> tuple[int, int]:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    return version, application
