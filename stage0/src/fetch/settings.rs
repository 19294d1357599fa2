//! What decides how images are fetched.

use super::PullPolicy;
use crate::config::Config;
use crate::insecure::InsecureOptions;
use crate::trust::Keystore;

/// What a user's flags and configuration say about fetching.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Credentials.
    pub config: Config,
    /// Keys that may sign images.
    pub keystore: Keystore,
    /// Protections given up.
    pub insecure: InsecureOptions,
    /// Whether keys that come over https are trusted without asking.
    pub trust_keys_from_https: bool,
    /// When to ask remote servers.
    pub policy: PullPolicy,
}
