//! Why a machine ended.

/// Why a machine ended by itself. Displayed, it is one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// The guest asked for a reset through the keyboard controller.
    #[error("Guest reset the machine")]
    Reset,
    /// Triple fault: also how a guest that panicked ends, with `reboot=t`.
    #[error("Guest kernel crashed (run with --debug to see its messages)")]
    Crash,
}
