//! How much of an archive is believed before it is refused.

/// Bounds on what one image or layer may hold. All of them can be raised (`RKT_IMAGE_MAX_SIZE`,
/// `RKT_IMAGE_MAX_ENTRIES`), none can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed archive, and bytes of file content written from it.
    pub bytes: u64,
    /// Entries of the archive.
    pub entries: u64,
}

/// Environment variable that replaces [`Limits::bytes`], in bytes.
pub const MAX_SIZE_ENV: &str = "RKT_IMAGE_MAX_SIZE";
/// Environment variable that replaces [`Limits::entries`].
pub const MAX_ENTRIES_ENV: &str = "RKT_IMAGE_MAX_ENTRIES";

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 30, entries: 4_000_000 }
    }
}

impl Limits {
    /// The defaults, each replaced by its environment variable where that holds a positive number.
    pub fn from_env() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|v| v.trim().parse().ok()).filter(|n| *n > 0);
        let default = Limits::default();
        Limits {
            bytes: number(MAX_SIZE_ENV).unwrap_or(default.bytes),
            entries: number(MAX_ENTRIES_ENV).unwrap_or(default.entries),
        }
    }
}

/// Longest manifest or configuration read into memory, for ACIs and registries alike (the OCI distribution
/// specification asks registries to accept 4 MiB).
pub const MAX_MANIFEST: u64 = 4 << 20;
