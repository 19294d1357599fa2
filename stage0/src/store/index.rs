//! What is known about images, in SQLite: many rkt processes read and write it at once, no daemon owns it.

use super::lock::FileLock;
use super::{Dirs, Key, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a writer waits for another process's write.
const BUSY: Duration = Duration::from_secs(60);

/// Version of [`SCHEMA`], kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i32 = 1;

const SCHEMA: &str = "
CREATE TABLE image (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT,
    import_time INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    size INTEGER NOT NULL,
    tree_size INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX image_name ON image (name);
-- The layers of an OCI image, lowest first.
CREATE TABLE image_layer (
    key TEXT NOT NULL REFERENCES image (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    diff_id TEXT NOT NULL,
    PRIMARY KEY (key, position)
) WITHOUT ROWID;
CREATE INDEX image_layer_diff_id ON image_layer (diff_id);
-- Layers whose compressed content is kept: digest of the uncompressed and of the compressed bytes.
CREATE TABLE layer (
    diff_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL
) WITHOUT ROWID;
-- Where images came from.
CREATE TABLE remote (
    url TEXT PRIMARY KEY,
    signature_url TEXT NOT NULL DEFAULT '',
    etag TEXT NOT NULL DEFAULT '',
    max_age INTEGER NOT NULL DEFAULT 0,
    download_time INTEGER NOT NULL,
    key TEXT NOT NULL REFERENCES image (key) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX remote_key ON remote (key);
";

/// One image as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Its key.
    pub key: Key,
    /// Its manifest's name.
    pub name: String,
    /// Its manifest's version label.
    pub version: Option<String>,
    /// When it was imported, nanoseconds since the epoch.
    pub import_time: i64,
    /// When it was last used, nanoseconds since the epoch.
    pub last_used: i64,
    /// Whether it was fetched as the latest of its name, without a version.
    pub latest: bool,
    /// Bytes of its archive and layers.
    pub size: u64,
    /// Bytes of its rendered tree, 0 if not rendered.
    pub tree_size: u64,
}

/// A layer whose compressed content is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// SHA-256 of the uncompressed layer, 64 hexadecimal digits.
    pub diff_id: String,
    /// SHA-256 of the stored bytes.
    pub digest: String,
    /// OCI media type of the stored bytes.
    pub media_type: String,
    /// Length of the stored bytes.
    pub size: u64,
}

/// Where an image came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where from.
    pub url: String,
    /// Where its signature is, if there is one.
    pub signature_url: String,
    /// The server's entity tag, or a registry's manifest digest.
    pub etag: String,
    /// `Cache-Control: max-age` in seconds.
    pub max_age: u64,
    /// When it was fetched, nanoseconds since the epoch.
    pub download_time: i64,
    /// The image.
    pub key: Key,
}

/// Now, in nanoseconds since the epoch.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The open index.
#[derive(Debug)]
pub struct Index {
    db: Connection,
}

const IMAGE: &str = "SELECT key, name, version, import_time, last_used, latest, size, tree_size FROM image";

fn image(row: &Row<'_>) -> rusqlite::Result<ImageInfo> {
    Ok(ImageInfo {
        key: key(row, 0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        import_time: row.get(3)?,
        last_used: row.get(4)?,
        latest: row.get(5)?,
        size: row.get(6)?,
        tree_size: row.get(7)?,
    })
}

fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<Key> {
    row.get::<_, String>(at)?.parse().map_err(|e: super::BadKey| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
    })
}

impl Index {
    /// Opens the index, making it if it is not there.
    pub fn open(dirs: &Dirs) -> Result<Self, StoreError> {
        let path = dirs.index();
        let db = Connection::open(&path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "foreign_keys", true)?;
        let version =
            |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
        if version(&db)? == SCHEMA_VERSION {
            return Ok(Index { db });
        }
        // Changing the journal mode and making tables at once from several processes is not something busy
        // timeouts cover.
        let lock = dirs.index_lock();
        let _lock = FileLock::exclusive(&lock).map_err(StoreError::io("lock", &lock))?;
        match version(&db)? {
            SCHEMA_VERSION => {}
            0 => {
                db.pragma_update(None, "journal_mode", "WAL")?;
                db.execute_batch(&format!(
                    "BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                ))?;
            }
            found => return Err(StoreError::Schema { found, known: SCHEMA_VERSION }),
        }
        Ok(Index { db })
    }

    /// Records an image and its layers (lowest first). An image recorded before keeps its import time.
    pub fn add_image(&mut self, image: &ImageInfo, layers: &[LayerInfo]) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        if image.latest {
            tx.execute("UPDATE image SET latest = 0 WHERE name = ?1", [&image.name])?;
        }
        tx.execute(
            "INSERT INTO image (key, name, version, import_time, last_used, latest, size)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (key) DO UPDATE SET last_used = excluded.last_used, latest = max(latest, excluded.latest)",
            params![
                image.key.as_str(),
                image.name,
                image.version,
                image.import_time,
                image.last_used,
                image.latest,
                image.size
            ],
        )?;
        for (position, layer) in layers.iter().enumerate() {
            tx.execute(
                "INSERT OR IGNORE INTO layer (diff_id, digest, media_type, size) VALUES (?1, ?2, ?3, ?4)",
                params![layer.diff_id, layer.digest, layer.media_type, layer.size],
            )?;
            tx.execute(
                "INSERT OR REPLACE INTO image_layer (key, position, diff_id) VALUES (?1, ?2, ?3)",
                params![image.key.as_str(), position as i64, layer.diff_id],
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// The image with this key.
    pub fn image(&self, key: &Key) -> Result<Option<ImageInfo>, StoreError> {
        let mut query = self.db.prepare_cached(&format!("{IMAGE} WHERE key = ?1"))?;
        Ok(query.query_row([key.as_str()], image).optional()?)
    }

    /// All images, oldest import first.
    pub fn images(&self) -> Result<Vec<ImageInfo>, StoreError> {
        let mut query = self.db.prepare_cached(&format!("{IMAGE} ORDER BY import_time"))?;
        Ok(query.query_map([], image)?.collect::<Result<_, _>>()?)
    }

    /// Images of this name: the latest first, then newest imports first.
    pub fn images_named(&self, name: &str) -> Result<Vec<ImageInfo>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(&format!("{IMAGE} WHERE name = ?1 ORDER BY latest DESC, import_time DESC"))?;
        Ok(query.query_map([name], image)?.collect::<Result<_, _>>()?)
    }

    /// Up to two images whose key starts with `prefix`: enough to know whether it is unique.
    pub fn images_starting_with(&self, prefix: &str) -> Result<Vec<Key>, StoreError> {
        // The end of the range of texts with this prefix: keys are ASCII, '~' sorts after every digit.
        let mut query =
            self.db.prepare_cached("SELECT key FROM image WHERE key >= ?1 AND key < ?1 || '~' LIMIT 2")?;
        Ok(query.query_map([prefix], |row| key(row, 0))?.collect::<Result<_, _>>()?)
    }

    /// The image's layers, lowest first.
    pub fn layers(&self, key: &Key) -> Result<Vec<LayerInfo>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT l.diff_id, l.digest, l.media_type, l.size FROM image_layer i JOIN layer l USING (diff_id)
             WHERE i.key = ?1 ORDER BY i.position",
        )?;
        Ok(query.query_map([key.as_str()], layer)?.collect::<Result<_, _>>()?)
    }

    /// The layer with this content.
    pub fn layer(&self, diff_id: &str) -> Result<Option<LayerInfo>, StoreError> {
        let mut query = self
            .db
            .prepare_cached("SELECT diff_id, digest, media_type, size FROM layer WHERE diff_id = ?1")?;
        Ok(query.query_row([diff_id], layer).optional()?)
    }

    /// Forgets layers that belong to no image, and returns them.
    pub fn remove_unused_layers(&mut self) -> Result<Vec<LayerInfo>, StoreError> {
        let mut query = self.db.prepare_cached(
            "DELETE FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer)
             RETURNING diff_id, digest, media_type, size",
        )?;
        Ok(query.query_map([], layer)?.collect::<Result<_, _>>()?)
    }

    /// All layers.
    pub fn all_layers(&self) -> Result<Vec<LayerInfo>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT diff_id, digest, media_type, size FROM layer")?;
        Ok(query.query_map([], layer)?.collect::<Result<_, _>>()?)
    }

    /// Forgets an image; false if it was not known.
    pub fn remove_image(&mut self, key: &Key) -> Result<bool, StoreError> {
        Ok(self.db.execute("DELETE FROM image WHERE key = ?1", [key.as_str()])? > 0)
    }

    /// Notes that the image was used now.
    pub fn touch(&self, key: &Key) -> Result<(), StoreError> {
        self.db.execute("UPDATE image SET last_used = ?2 WHERE key = ?1", params![key.as_str(), now()])?;
        Ok(())
    }

    /// Notes the size of the image's rendered tree.
    pub fn set_tree_size(&self, key: &Key, size: u64) -> Result<(), StoreError> {
        self.db.execute("UPDATE image SET tree_size = ?2 WHERE key = ?1", params![key.as_str(), size])?;
        Ok(())
    }

    /// Notes where an image came from.
    pub fn set_remote(&self, remote: &Remote) -> Result<(), StoreError> {
        self.db.execute(
            "INSERT OR REPLACE INTO remote (url, signature_url, etag, max_age, download_time, key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                remote.url,
                remote.signature_url,
                remote.etag,
                remote.max_age,
                remote.download_time,
                remote.key.as_str()
            ],
        )?;
        Ok(())
    }

    /// What was fetched from `url` last.
    pub fn remote(&self, url: &str) -> Result<Option<Remote>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT url, signature_url, etag, max_age, download_time, key FROM remote WHERE url = ?1",
        )?;
        let row = |row: &Row<'_>| {
            Ok(Remote {
                url: row.get(0)?,
                signature_url: row.get(1)?,
                etag: row.get(2)?,
                max_age: row.get(3)?,
                download_time: row.get(4)?,
                key: key(row, 5)?,
            })
        };
        Ok(query.query_row([url], row).optional()?)
    }
}

fn layer(row: &Row<'_>) -> rusqlite::Result<LayerInfo> {
    Ok(LayerInfo { diff_id: row.get(0)?, digest: row.get(1)?, media_type: row.get(2)?, size: row.get(3)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(n: u8, name: &str, latest: bool) -> ImageInfo {
        ImageInfo {
            key: Key::of(&[n]),
            name: name.into(),
            version: Some(n.to_string()),
            import_time: n.into(),
            last_used: n.into(),
            latest,
            size: 10,
            tree_size: 0,
        }
    }

    fn layer(n: &str) -> LayerInfo {
        LayerInfo { diff_id: n.into(), digest: format!("c{n}"), media_type: "m".into(), size: 5 }
    }

    fn open() -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(&dir.path().join("data"));
        dirs.make().unwrap();
        let index = Index::open(&dirs).unwrap();
        (dir, index)
    }

    #[test]
    fn one_image_of_a_name_is_the_latest() {
        let (_dir, mut index) = open();
        index.add_image(&info(1, "a", true), &[]).unwrap();
        index.add_image(&info(2, "a", true), &[]).unwrap();
        index.add_image(&info(3, "a", false), &[]).unwrap();
        let order: Vec<_> =
            index.images_named("a").unwrap().into_iter().map(|i| (i.import_time, i.latest)).collect();
        assert_eq!(order, [(2, true), (3, false), (1, false)]);
        index.add_image(&ImageInfo { import_time: 99, ..info(1, "a", false) }, &[]).unwrap();
        assert_eq!(index.image(&Key::of(&[1])).unwrap().unwrap().import_time, 1);
    }

    #[test]
    fn layers_go_with_their_last_image() {
        let (_dir, mut index) = open();
        index.add_image(&info(1, "a", false), &[layer("x"), layer("y")]).unwrap();
        index.add_image(&info(2, "b", false), &[layer("y"), layer("y")]).unwrap();
        assert_eq!(index.layers(&Key::of(&[2])).unwrap(), [layer("y"), layer("y")]);
        assert!(index.remove_image(&Key::of(&[1])).unwrap());
        assert!(!index.remove_image(&Key::of(&[1])).unwrap());
        assert_eq!(index.remove_unused_layers().unwrap(), [layer("x")]);
        assert_eq!(index.all_layers().unwrap(), [layer("y")]);
    }

    #[test]
    fn prefixes_and_remotes() {
        let (_dir, mut index) = open();
        let image = info(1, "a", false);
        index.add_image(&image, &[]).unwrap();
        assert_eq!(index.images_starting_with(image.key.short(4)).unwrap().len(), 1);
        assert!(index.images_starting_with("sha512-zz").unwrap().is_empty());
        let remote = Remote {
            url: "u".into(),
            signature_url: String::new(),
            etag: "e".into(),
            max_age: 7,
            download_time: 9,
            key: image.key.clone(),
        };
        index.set_remote(&remote).unwrap();
        assert_eq!(index.remote("u").unwrap(), Some(remote));
        index.remove_image(&image.key).unwrap();
        assert_eq!(index.remote("u").unwrap(), None);
    }

    #[test]
    fn many_processes_may_make_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(dir.path());
        dirs.make().unwrap();
        std::thread::scope(|scope| {
            for n in 0..16u8 {
                let dirs = &dirs;
                scope.spawn(move || {
                    let mut index = Index::open(dirs).unwrap();
                    index.add_image(&info(n, "a", n % 2 == 0), &[layer("x")]).unwrap();
                });
            }
        });
        assert_eq!(Index::open(&dirs).unwrap().images().unwrap().len(), 16);
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let (dir, index) = open();
        index.db.pragma_update(None, "user_version", 99).unwrap();
        let again = Index::open(&Dirs::new(&dir.path().join("data")));
        assert!(matches!(again, Err(StoreError::Schema { found: 99, .. })));
    }
}
