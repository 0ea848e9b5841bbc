"""Search and count items in the embedded store."""

import json

from lookalike.core.filters import Condition
from lookalike.core.progress import ProgressCallback
from lookalike.core.records import Field, Hit
from lookalike.core.vectors import Matrix
from lookalike.stores.declared import declarable_name
from lookalike.stores.embedded.ann_cache import AnnCache
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.keywords import EmbeddedKeywords
from lookalike.stores.embedded.vector_search import VectorSearch
from lookalike.stores.embedded.where import BOOLEANS, FILL, facets_sql
from lookalike.stores.field_names import json_path, metadata_name
from lookalike.stores.fields import FieldCount

__all__ = ["EmbeddedSearch"]


class EmbeddedSearch:
    """Searches over the rows: by vectors, by conditions, and by the fields of the metadata."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.ann = AnnCache(db)
        self.vectors = VectorSearch(db, self.ann)

    def nearest(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        return self.vectors.nearest(vectors, k=k, exact=exact, where=where)

    def count(self, where: Condition | None = None) -> int:
        sql, values = self._db.where(where)
        total: int = self._db.read(f"SELECT count(*) FROM items{sql}", values)[0][0]  # noqa: S608 - compiled
        return total

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        select, path = facets_sql(field, self.declared())
        sql, values = self._db.where(where)
        rows = self._db.read(
            f"{select.format(where=sql)} ORDER BY 2 DESC, kind NOT IN ('true', 'false'), 1 LIMIT ?",
            [*values, *path, limit],
        )
        return [(kind == "true" if kind in BOOLEANS else value, n) for value, n, kind in rows]

    def distinct(self, field: str, where: Condition | None = None) -> int:
        select, path = facets_sql(field, self.declared())
        sql, values = self._db.where(where)
        counted = f"SELECT count(*) FROM ({select.format(where=sql)})"  # noqa: S608 - compiled
        total: int = self._db.read(counted, [*values, *path])[0][0]
        return total

    def fields(self, *, limit: int = 200) -> list[Field]:
        count = FieldCount()
        for (metadata,) in self._db.walk("SELECT metadata FROM items WHERE metadata != '{}'"):
            count.add(json.loads(metadata))
        return count.fields()[:limit]

    def declare(self, field: str) -> None:
        name = declarable_name(field)
        with self._db.transaction() as db:
            row = (name, json_path(field))
            if db.execute("INSERT OR IGNORE INTO declared VALUES (?, ?)", row).rowcount:
                db.execute(FILL, (name,))

    def undeclare(self, field: str) -> bool:
        name = metadata_name(field)
        with self._db.transaction() as db:
            db.execute("DELETE FROM field_values WHERE field = ?", (name,))
            return db.execute("DELETE FROM declared WHERE field = ?", (name,)).rowcount > 0

    def declared(self) -> list[str]:
        return self._db.declared()

    def warm(self) -> None:
        self.vectors.warm()

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        caught_up = EmbeddedKeywords(self._db).catch_up()
        done = self.ann.optimize(progress=progress)
        if done:
            self.vectors.forget_rows()
        return done or caught_up > 0
