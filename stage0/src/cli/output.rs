//! Writing results. Whoever reads them may have gone, which is no reason to fail or to panic.

use std::io::Write as _;

/// Writes to stdout.
pub fn print(text: impl std::fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Writes a line to stdout.
pub fn print_line(text: impl std::fmt::Display) {
    print(format_args!("{text}\n"));
}

/// Writes a line to stderr.
pub fn error_line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
