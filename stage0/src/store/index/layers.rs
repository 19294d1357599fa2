//! Layers of OCI images in the index.

use super::Index;
use crate::store::{Key, StoreError};
use rusqlite::{OptionalExtension, Row};

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

impl Index {
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
        self.make_room(|db| {
            let mut query = db.prepare_cached(
                "DELETE FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer)
                 RETURNING diff_id, digest, media_type, size",
            )?;
            query.query_map([], layer)?.collect()
        })
    }

    /// All layers.
    pub fn all_layers(&self) -> Result<Vec<LayerInfo>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT diff_id, digest, media_type, size FROM layer")?;
        Ok(query.query_map([], layer)?.collect::<Result<_, _>>()?)
    }
}

fn layer(row: &Row<'_>) -> rusqlite::Result<LayerInfo> {
    Ok(LayerInfo { diff_id: row.get(0)?, digest: row.get(1)?, media_type: row.get(2)?, size: row.get(3)? })
}
