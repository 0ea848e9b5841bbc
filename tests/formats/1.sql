BEGIN TRANSACTION;
PRAGMA application_id = 1280266059;
PRAGMA user_version = 1;
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
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "settings" VALUES('encoder','{"name": "tiny", "fingerprint": "tiny-1", "dim": 8}');
CREATE TABLE skips (
            root TEXT NOT NULL,
            path TEXT NOT NULL,
            size INTEGER,
            mtime_ns INTEGER,
            reason TEXT NOT NULL,
            PRIMARY KEY (root, path)
        ) WITHOUT ROWID;
CREATE TABLE vectors (seq INTEGER PRIMARY KEY, vector BLOB NOT NULL);
INSERT INTO "vectors" VALUES(1,X'003C0000000000000000000000000000');
INSERT INTO "vectors" VALUES(2,X'0000003C000000000000000000000000');
CREATE INDEX items_digest ON items (digest);
CREATE INDEX items_place ON items (root, path);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('items',2);
COMMIT;
