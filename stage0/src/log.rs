//! Lines on stderr, as users of rkt know them: `prefix: message`.
//!
//! Everything logs through `tracing` with the prefix as target: `tracing::debug!(target: "image", "…")`. Events of
//! libraries, whose targets are module paths, are not for users and dropped.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Prefixes that reach stderr. A command logs under its own name.
const PREFIXES: &[&str] =
    &["image", "stage0", "networking", "pubkey", "gc", "rm", "run", "prepare", "run-prepared"];

/// What users who are not root need for what.
const PRIVILEGES: &str = " (root may do this; members of group \"rkt\" may look at pods, and use images)";

/// Starts logging; a second call is without effect.
pub fn init(debug: bool) {
    let most = if debug { Level::DEBUG } else { Level::INFO };
    // Fails only if logging has started already, which is as good.
    let _ = tracing::subscriber::set_global_default(Stderr { most });
}

/// Writes an error under `prefix`: in one line, or with `--debug` each cause in its own.
pub fn error(prefix: &str, error: &anyhow::Error) {
    let mut text = format_error(prefix, error, tracing::enabled!(target: "stage0", Level::DEBUG));
    if is_denied(error) && !rustix::process::geteuid().is_root() {
        text.insert_str(text.trim_end().len(), PRIVILEGES);
    }
    // A closed stderr must not hide the status of the failure behind a panic.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Whether the file system was the one that refused.
fn is_denied(error: &anyhow::Error) -> bool {
    let denied = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(denied))
}

fn format_error(prefix: &str, error: &anyhow::Error, debug: bool) -> String {
    let mut out = format!("{prefix}: {error}");
    for (depth, cause) in error.chain().enumerate().skip(1) {
        // Writing to a String cannot fail.
        let _ = if debug {
            write!(out, "\n{}└─{cause}", "  ".repeat(depth))
        } else {
            write!(out, ": {cause}")
        };
    }
    out.push('\n');
    out
}

#[derive(Debug)]
struct Stderr {
    most: Level,
}

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most && PREFIXES.contains(&metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{}: ", event.metadata().target());
        event.record(&mut Message(&mut line));
        line.push('\n');
        // A closed stderr must not end the command.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_are_a_matter_of_privileges() {
        let of =
            |kind: std::io::ErrorKind| anyhow::Error::from(std::io::Error::from(kind)).context("Cannot open");
        assert!(is_denied(&of(std::io::ErrorKind::PermissionDenied)));
        assert!(!is_denied(&of(std::io::ErrorKind::NotFound)));
    }

    #[test]
    fn causes_follow_in_one_line_or_as_a_tree() {
        let error = anyhow::anyhow!("No such file").context("Cannot open \"/x\"").context("cannot run");
        assert_eq!(format_error("run", &error, false), "run: cannot run: Cannot open \"/x\": No such file\n");
        assert_eq!(
            format_error("run", &error, true),
            "run: cannot run\n  └─Cannot open \"/x\"\n    └─No such file\n"
        );
    }
}
