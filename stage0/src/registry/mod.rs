//! Registries of OCI and Docker images: names, documents, and the protocol.

mod challenge;
mod client;
mod digest;
pub mod manifest;
mod reference;

pub use client::{Credentials, Registry, RegistryError};
pub use digest::{BadDigest, Digest};
pub use reference::{BadReference, Reference};
