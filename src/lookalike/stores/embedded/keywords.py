"""The words of items in the embedded store: rows of an FTS5 table, written with the items."""

import sqlite3
from collections.abc import Iterable, Sequence

from lookalike.core.filters import Condition
from lookalike.core.keywords import KeywordCounts, Term, Wanted, WordHit, words_of
from lookalike.core.records import Item
from lookalike.errors import StoreDamagedError
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.rows import COLUMNS, item_of

__all__ = ["EmbeddedKeywords", "put", "put_changed"]

_STEP = 2000  # items whose words are written in one transaction: 0.2 s
_DUE = f"""
    SELECT items.seq, {COLUMNS} FROM words_due JOIN items USING (seq)
    WHERE words_due.seq > ? ORDER BY words_due.seq LIMIT ?"""  # noqa: S608 - constants
_RANKED = f"""
    SELECT scored.score, {COLUMNS} FROM items JOIN (
        SELECT seq, sum(score) AS score FROM ({{found}}) GROUP BY seq
    ) AS scored USING (seq){{where}} ORDER BY scored.score DESC, id LIMIT ?"""  # noqa: S608 - constants
_FOUND = "SELECT rowid AS seq, ? AS score FROM item_words WHERE item_words MATCH ?"


class EmbeddedKeywords:
    """Finds items by their words. Those that are due, of an older format, are written first."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def counts(self, terms: Sequence[Term]) -> KeywordCounts:
        self.catch_up()
        count = "SELECT count(*) FROM item_words WHERE item_words MATCH ?"
        with self._db.moment() as db:
            ((items,),) = db.execute("SELECT count(*) FROM items")
            ((due,),) = db.execute("SELECT count(*) FROM words_due")
            having = [db.execute(count, (_expression(term),)).fetchone()[0] for term in terms]
        return KeywordCounts(items=items, lacking=due, having=having)

    def ranked(
        self, wanted: Sequence[Wanted], *, k: int, where: Condition | None = None
    ) -> list[WordHit]:
        parameters: list[object] = []
        for term, score, label_score in wanted:
            expression = _expression(term)
            parameters += [score, expression, label_score, f"label : {expression}"]
        sql, values = self._db.where(where)
        found = " UNION ALL ".join([_FOUND] * (2 * len(wanted)))
        rows = self._db.read(_RANKED.format(found=found, where=sql), [*parameters, *values, k])
        return [WordHit(item=item_of(row[1:]), score=row[0]) for row in rows]

    def catch_up(self) -> int:
        """Write the words of items that lack them, and return how many there were.

        Such are those of an older format, and those that another program has changed. Where the
        collection may only be read, nothing is written.
        """
        after = done = 0
        while not self._db.read_only and self._db.read("SELECT 1 FROM words_due LIMIT 1"):
            with self._db.transaction() as db:
                rows = db.execute(_DUE, (after, _STEP)).fetchall()
                if not rows:  # only such as cannot be read
                    break
                put(db, _readable(rows))
            after = rows[-1][0]
            done += len(rows)
        return done


def put(db: sqlite3.Connection, items: Iterable[tuple[int, Item]]) -> None:
    """Write the words of items that are due, by their ``seq``."""
    for seq, item in items:
        words = words_of(item)
        row = (seq, " ".join(words.label), " ".join(words.others))
        db.execute("INSERT OR REPLACE INTO item_words (rowid, label, others) VALUES (?, ?, ?)", row)
        db.execute("DELETE FROM words_due WHERE seq = ?", (seq,))


def put_changed(db: sqlite3.Connection, items: Sequence[Item]) -> None:
    """Write the words of those items that have others since they were updated."""
    due = "SELECT seq FROM items JOIN words_due USING (seq) WHERE id = ?"
    for item in items:
        row = db.execute(due, (item.id,)).fetchone()
        if row is not None:
            put(db, [(row[0], item)])


def _readable(rows: Iterable[Sequence[object]]) -> Iterable[tuple[int, Item]]:
    """Items of rows of ``_DUE``; without those whose metadata only ``doctor`` can repair."""
    for seq, *row in rows:
        assert isinstance(seq, int)  # noqa: S101 - a rowid
        try:
            yield seq, item_of(row)
        except StoreDamagedError:
            continue


def _expression(term: Term) -> str:
    """A term in the language of FTS5. A word has only letters, digits and marks."""
    return f'"{term.word}"{" *" if term.prefix else ""}'
