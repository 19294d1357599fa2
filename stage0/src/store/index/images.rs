//! Images in the index.

use super::{Index, key, now};
use crate::store::{Key, LayerInfo, StoreError};
use rusqlite::{OptionalExtension, Row, TransactionBehavior, config::DbConfig, params};

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

impl Index {
    /// Records an image and its layers (lowest first). An image recorded before keeps its import time.
    pub fn add_image(&mut self, image: &ImageInfo, layers: &[LayerInfo]) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
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

    /// Forgets an image; false if it was not known.
    pub fn remove_image(&mut self, key: &Key) -> Result<bool, StoreError> {
        self.make_room(|db| Ok(db.execute("DELETE FROM image WHERE key = ?1", [key.as_str()])? > 0))
    }

    /// Notes that the image was used now. A crash may lose that, so that no pod has to wait for the disk.
    pub fn touch(&self, key: &Key) -> Result<(), StoreError> {
        self.set_last_used(key, now()).map_err(|error| self.unwritten(error))
    }

    fn set_last_used(&self, key: &Key, when: i64) -> rusqlite::Result<()> {
        // Whoever closes the index last would put it on disk.
        self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        self.db.pragma_update(None, "synchronous", "NORMAL")?;
        self.db.execute("UPDATE image SET last_used = ?2 WHERE key = ?1", params![key.as_str(), when])?;
        self.db.pragma_update(None, "synchronous", "FULL")
    }

    /// Notes the size of the image's rendered tree.
    pub fn set_tree_size(&self, key: &Key, size: u64) -> Result<(), StoreError> {
        self.db.execute("UPDATE image SET tree_size = ?2 WHERE key = ?1", params![key.as_str(), size])?;
        Ok(())
    }
}
