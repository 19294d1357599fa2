//! Sizes as people read them.

use indicatif::BinaryBytes;

/// A number of bytes: `1.50KiB`.
pub fn short_size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string().replace(' ', "")
}
