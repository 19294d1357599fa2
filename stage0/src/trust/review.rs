//! Asking the user whether a key is the right one.

use super::PublicKey;
use std::io::{self, BufRead, IsTerminal, Write};

/// Why the user was not asked.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// Nobody is there to be asked.
    #[error("unable to ask user to review fingerprint due to lack of tty")]
    NoTerminal,
    /// The terminal went away.
    #[error("Cannot ask about a key")]
    Io(#[from] io::Error),
}

/// Shows the key and asks whether to trust it for `prefix` (empty for all images).
pub fn review(key: &PublicKey, prefix: &str, location: &str) -> Result<bool, ReviewError> {
    eprintln!("prefix: {prefix:?}\nkey: {location:?}");
    print!("{}", describe(key));
    io::stdout().flush()?;
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(ReviewError::NoTerminal);
    }
    ask(&mut io::stdin().lock(), &mut io::stdout())
}

/// The key's fingerprints and identities.
fn describe(key: &PublicKey) -> String {
    let mut text = format!("gpg key fingerprint is: {}\n", PublicKey::grouped(&key.fingerprint()));
    for subkey in key.subkey_fingerprints() {
        text.push_str(&format!("    Subkey fingerprint: {}\n", PublicKey::grouped(&subkey)));
    }
    for identity in key.identities() {
        text.push_str(&format!("\t{identity}\n"));
    }
    text
}

/// Asks until the answer is one of the two.
fn ask(input: &mut impl BufRead, output: &mut impl Write) -> Result<bool, ReviewError> {
    loop {
        writeln!(output, "Are you sure you want to trust this key (yes/no)?")?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match line.trim() {
            "yes" => return Ok(true),
            "no" => return Ok(false),
            _ => writeln!(output, "Please enter 'yes' or 'no'")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_and_no_are_answers() {
        let answer = |text: &str| ask(&mut text.as_bytes(), &mut Vec::new());
        assert!(answer("yes\n").unwrap() && !answer("no\n").unwrap());
        assert!(answer("y\nYES\nyes\n").unwrap());
        assert!(answer("maybe\n").is_err());
    }
}
