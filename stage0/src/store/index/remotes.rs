//! Where images came from, in the index.

use super::{Index, key};
use crate::store::{Key, StoreError};
use rusqlite::{OptionalExtension, Row, params};

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

impl Index {
    /// Notes where an image came from. It is missing if another process has removed it since.
    pub fn set_remote(&self, remote: &Remote) -> Result<(), StoreError> {
        let noted = self.db.execute(
            "INSERT OR REPLACE INTO remote (url, signature_url, etag, max_age, download_time, key)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM image WHERE key = ?6)",
            params![
                remote.url,
                remote.signature_url,
                remote.etag,
                remote.max_age,
                remote.download_time,
                remote.key.as_str()
            ],
        )?;
        if noted == 0 { Err(StoreError::Missing(remote.key.clone())) } else { Ok(()) }
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
