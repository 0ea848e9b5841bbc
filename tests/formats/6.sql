BEGIN TRANSACTION;
PRAGMA application_id = 1280266059;
PRAGMA user_version = 6;
CREATE TABLE beside (
            "table" TEXT NOT NULL,
            id TEXT NOT NULL,
            digest BLOB,
            value TEXT NOT NULL,
            PRIMARY KEY ("table", id)
        );
INSERT INTO "beside" VALUES('by_hand','a.jpg',NULL,'{"fields": {"label": "mug"}, "members": {}, "removed": []}');
INSERT INTO "beside" VALUES('missing','c.jpg',X'0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C','{"id": "c.jpg", "root": "", "path": "c.jpg", "size": null, "mtime_ns": null, "width": 4, "height": 3, "label": "jug", "group": null, "metadata": {}, "since": 1750000000.0, "by_hand": {"fields": {}, "members": {}, "removed": []}}');
CREATE TABLE declared (field TEXT PRIMARY KEY, path TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE field_values (
            seq INTEGER NOT NULL,
            field TEXT NOT NULL,
            type TEXT NOT NULL,
            value NOT NULL
        );
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
        );
INSERT INTO "items" VALUES(1,'a.jpg',X'0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A',4,3,'','a.jpg',1,2,'mug',NULL,'{"price": 5}');
INSERT INTO "items" VALUES(2,'b.jpg',X'0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B',4,3,'','b.jpg',NULL,NULL,NULL,NULL,'{}');
CREATE TABLE neighbour_lists (seq INTEGER PRIMARY KEY, entries BLOB NOT NULL);
INSERT INTO "neighbour_lists" VALUES(1,X'020000000000000000000000');
INSERT INTO "neighbour_lists" VALUES(2,X'010000000000000000000000');
CREATE TABLE neighbours (
            seq INTEGER PRIMARY KEY,
            mark INTEGER NOT NULL,
            k INTEGER NOT NULL,
            exact INTEGER NOT NULL
        );
INSERT INTO "neighbours" VALUES(1,2,3,1);
INSERT INTO "neighbours" VALUES(2,2,3,1);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "settings" VALUES('encoder','{"name": "tiny", "fingerprint": "tiny-1", "dim": 8}');
INSERT INTO "settings" VALUES('neighbours','{"k": 3}');
INSERT INTO "settings" VALUES('thumbnails','{"side": 32}');
CREATE TABLE skips (
            root TEXT NOT NULL,
            path TEXT NOT NULL,
            size INTEGER,
            mtime_ns INTEGER,
            reason TEXT NOT NULL,
            PRIMARY KEY (root, path)
        ) WITHOUT ROWID;
CREATE TABLE thumbnail_jpegs (seq INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
INSERT INTO "thumbnail_jpegs" VALUES(1,X'FFD8FFD9');
CREATE TABLE thumbnails (
            seq INTEGER PRIMARY KEY,
            side INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        );
INSERT INTO "thumbnails" VALUES(1,32,4);
CREATE TABLE vectors (seq INTEGER PRIMARY KEY, vector BLOB NOT NULL);
INSERT INTO "vectors" VALUES(1,X'003C0000000000000000000000000000');
INSERT INTO "vectors" VALUES(2,X'0000003C000000000000000000000000');
CREATE INDEX items_digest ON items (digest);
CREATE INDEX items_place ON items (root, path);
CREATE INDEX items_label ON items (label);
CREATE INDEX items_group ON items ("group");
CREATE INDEX field_values_value ON field_values (field, value, type, seq);
CREATE INDEX field_values_seq ON field_values (seq);
CREATE TRIGGER items_added AFTER INSERT ON items BEGIN 
        INSERT INTO field_values
        SELECT new.seq, declared.field, each.type, each.value
        FROM declared, json_each(new.metadata, declared.path) AS each
        WHERE typeof(each.key) != 'text' AND each.type NOT IN ('null', 'array', 'object'); END;
CREATE TRIGGER items_gone AFTER DELETE ON items BEGIN DELETE FROM field_values WHERE seq = old.seq; END;
CREATE TRIGGER items_told AFTER UPDATE OF metadata ON items BEGIN DELETE FROM field_values WHERE seq = old.seq; 
        INSERT INTO field_values
        SELECT new.seq, declared.field, each.type, each.value
        FROM declared, json_each(new.metadata, declared.path) AS each
        WHERE typeof(each.key) != 'text' AND each.type NOT IN ('null', 'array', 'object'); END;
CREATE TRIGGER neighbours_gone AFTER DELETE ON items BEGIN
            DELETE FROM neighbours WHERE seq = old.seq;
            DELETE FROM neighbour_lists WHERE seq = old.seq;
        END;
CREATE TRIGGER thumbnails_gone AFTER DELETE ON items BEGIN
            DELETE FROM thumbnails WHERE seq = old.seq;
            DELETE FROM thumbnail_jpegs WHERE seq = old.seq;
        END;
CREATE INDEX beside_digest ON beside ("table", digest) WHERE digest IS NOT NULL;
CREATE VIRTUAL TABLE item_words USING fts5 (
            label, others, tokenize = 'ascii', detail = column
        );
INSERT INTO item_words (rowid, label, others) VALUES(1,'mug','a 5');
CREATE TABLE words_due (seq INTEGER PRIMARY KEY);
INSERT INTO "words_due" VALUES(2);
CREATE TRIGGER words_added AFTER INSERT ON items BEGIN
            INSERT INTO words_due VALUES (new.seq);
        END;
CREATE TRIGGER words_gone AFTER DELETE ON items BEGIN
            DELETE FROM item_words WHERE rowid = old.seq;
            DELETE FROM words_due WHERE seq = old.seq;
        END;
CREATE TRIGGER words_changed AFTER UPDATE OF id, path, label, "group", metadata ON items
        WHEN (old.id, old.path, old.label, old."group", old.metadata)
            IS NOT (new.id, new.path, new.label, new."group", new.metadata)
        BEGIN
            DELETE FROM item_words WHERE rowid = old.seq;
            INSERT OR IGNORE INTO words_due VALUES (new.seq);
        END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('items',2);
COMMIT;
