//! Writing results. Whoever reads them may have gone, which is no reason to fail or to panic.

use std::io::{self, Write as _};

/// Writes to stdout.
pub fn print(text: impl std::fmt::Display) {
    let _ = show(text);
}

/// The same, for who would go on for ever: it fails when nobody reads any more.
pub fn show(text: impl std::fmt::Display) -> io::Result<()> {
    // Formatted first: standard output would write every line by itself.
    let text = text.to_string();
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line to stdout.
pub fn print_line(text: impl std::fmt::Display) {
    print(format_args!("{text}\n"));
}

/// Writes a line to stderr.
pub fn error_line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
