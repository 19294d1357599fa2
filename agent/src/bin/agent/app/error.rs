//! What can fail of an app before it has a process.

use std::io;

use crate::stream::StreamError;

/// Why an app cannot be started at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its cgroup.
    #[error("Cannot make the cgroup of app \"{app}\"")]
    Cgroup {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket by which it says that it is ready.
    #[error("Cannot make the notification socket of app \"{app}\"")]
    Notify {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its log.
    #[error("Cannot make the log socket of app \"{app}\"")]
    Syslog {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The sockets it starts with.
    #[error("Cannot make the sockets of app \"{app}\"")]
    Sockets {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its streams.
    #[error("Cannot connect app \"{app}\"")]
    Streams {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: StreamError,
    },
    /// Its process.
    #[error("Cannot make a process for app \"{app}\"")]
    Process {
        /// The app.
        app: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
