//! Why a manifest is refused.

use crate::isolator::IsolatorError;
use crate::types::{AcKind, AcName, ValueError};

/// Why a manifest cannot be read or must not be written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or a value of the wrong form.
    #[error("Cannot parse {kind:?}")]
    Json {
        /// Which manifest was expected.
        kind: AcKind,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The other kind of manifest.
    #[error("Bad acKind {found:?}, expected {expected:?}")]
    Kind {
        /// What was expected.
        expected: AcKind,
        /// What the document says.
        found: AcKind,
    },
    /// The version is 0.0.0.
    #[error("acVersion must not be 0.0.0")]
    ZeroVersion,
    /// Labels, annotations or environment break their rules.
    #[error("Invalid {part}")]
    Value {
        /// Which part of the manifest.
        part: &'static str,
        /// Which rule.
        source: ValueError,
    },
    /// An app breaks its rules.
    #[error("Invalid app section")]
    App(#[from] AppError),
    /// The app of a pod breaks its rules.
    #[error("Invalid app \"{name}\"")]
    RuntimeApp {
        /// The app's name.
        name: AcName,
        /// Which rule.
        source: AppError,
    },
    /// Pod-level isolators contradict each other.
    #[error("Invalid isolators")]
    Isolators(#[from] IsolatorError),
    /// A path of the white list that is not absolute.
    #[error("Path \"{0}\" of the path whitelist is not absolute")]
    WhitelistPath(String),
    /// Two apps of one name.
    #[error("duplicate apps of name \"{0}\"")]
    DuplicateApp(AcName),
    /// Two volumes of one name.
    #[error("duplicate volume name \"{0}\"")]
    DuplicateVolume(AcName),
    /// A forwarded port breaks its rules.
    #[error("Port \"{name}\" is forwarded from host port {port}, which is not between 1 and 65535")]
    HostPort {
        /// The forward's name.
        name: AcName,
        /// The host's port.
        port: u32,
    },
}

/// Which rule an app breaks.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Required, and empty.
    #[error("{0} is required")]
    Missing(&'static str),
    /// A path that is not absolute.
    #[error("{what} \"{path}\" is not an absolute path")]
    RelativePath {
        /// Which path.
        what: &'static str,
        /// Its value.
        path: String,
    },
    /// The environment breaks its rules.
    #[error("Invalid environment")]
    Environment(#[source] ValueError),
    /// The run-time annotations break their rules.
    #[error("Invalid annotations")]
    Annotations(#[source] ValueError),
    /// Two handlers for one event.
    #[error("Only one eventHandler of name \"{0}\" allowed")]
    DuplicateEventHandler(&'static str),
    /// A port outside of 1 to 65535.
    #[error("Port \"{name}\" with number {port} and count {count} is not within 1 to 65535")]
    PortRange {
        /// The port's name.
        name: AcName,
        /// Its first number.
        port: u32,
        /// How many it spans.
        count: u32,
    },
    /// Isolators contradict each other.
    #[error("Invalid isolators")]
    Isolators(#[from] IsolatorError),
}
