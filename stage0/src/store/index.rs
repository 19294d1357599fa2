//! What is known about images, in SQLite: many rkt processes read and write it at once, no daemon owns it.

mod images;
mod layers;
mod remotes;

pub use images::ImageInfo;
pub use layers::LayerInfo;
pub use remotes::Remote;

use super::lock::FileLock;
use super::reserve::Reserve;
use super::{Dirs, Key, StoreError};
use rusqlite::{Connection, ErrorCode, Row};
use rustix::io::Errno;
use std::io;
use std::path::Path;
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

/// Now, in nanoseconds since the epoch.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The open index.
#[derive(Debug)]
pub struct Index {
    db: Connection,
    reserve: Reserve,
}

impl Index {
    /// Opens the index, making it if it is not there. `to_make_room` gives up the reserve where there is no other.
    pub fn open(dirs: &Dirs, to_make_room: bool) -> Result<Self, StoreError> {
        let path = dirs.index();
        let reserve = Reserve::beside(&path);
        let has_given = || to_make_room && reserve.give_up();
        if reserve.is_needed_to_open() && !has_given() {
            return Err(StoreError::io("write to", &path)(Errno::NOSPC.into()));
        }
        let db = Self::open_at(&path, dirs).or_else(|error| match error {
            StoreError::Index(_) => match reason(&path) {
                Some(full) if is_full(&full) && has_given() => Self::open_at(&path, dirs),
                reason => Err(reason.unwrap_or(error)),
            },
            other => Err(other),
        })?;
        Ok(Index { db, reserve })
    }

    fn open_at(path: &Path, dirs: &Dirs) -> Result<Connection, StoreError> {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "foreign_keys", true)?;
        let version =
            |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
        if version(&db)? == SCHEMA_VERSION {
            return Ok(db);
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
        Ok(db)
    }

    /// Makes a change that makes room: on a full disk the reserve is given up for it.
    fn make_room<T>(&self, change: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let done = match change(&self.db) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DiskFull) && self.reserve.give_up() =>
            {
                change(&self.db)
            }
            done => done,
        };
        done.map_err(|error| self.unwritten(error))
    }

    /// Makes sure of the reserve, if there is room for it now.
    pub fn keep_reserve(&self) {
        self.reserve.keep();
    }

    /// Why something could not be written, in the file system's words if it has any.
    fn unwritten(&self, error: rusqlite::Error) -> StoreError {
        self.db.path().and_then(|path| reason(Path::new(path))).unwrap_or(StoreError::Index(error))
    }
}

fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
}

/// What the file system says to a page beside the index: SQLite reports a full or read-only disk in words of its own.
fn reason(index: &Path) -> Option<StoreError> {
    let trial = index.with_extension(format!("trial-{}", std::process::id()));
    let written = std::fs::write(&trial, [1; 4096]);
    // If it was not made there is nothing to remove.
    let _ = std::fs::remove_file(&trial);
    written.map_err(StoreError::io("write to", index)).err()
}

/// The key in column `at`.
fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<Key> {
    row.get::<_, String>(at)?.parse().map_err(|e: super::BadKey| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
    })
}

#[cfg(test)]
mod tests;
