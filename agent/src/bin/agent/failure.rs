//! Errors as the user reads them.

use std::error::Error;
use std::fmt::Write;
use std::io;

/// An error and its causes in one line: `A: B: C`.
pub fn line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// The words for an error of the operating system, without its number: `No such file or directory`.
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("Cannot start\npod")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_chain_is_one_line() {
        let error = Outer(io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(line(&error), "Cannot start pod: No such file or directory (os error 2)");
        assert_eq!(reason(&error.0), "No such file or directory");
    }
}
