//! Archives as they come from strangers: what they are compressed with, what they hold, and how their entries
//! become files without ever leaving the directory they are meant for.

pub mod beneath;
pub mod compression;
pub mod extract;
pub mod limits;
pub mod name;
mod remove;
pub mod tar;

pub use compression::{Compression, Decoder};
pub use extract::{ExtractError, Extractor, Whiteouts};
pub use limits::Limits;
pub use tar::{Entry, Kind, TarError, TarReader, TarWriter};

#[cfg(test)]
pub(crate) mod forge;
