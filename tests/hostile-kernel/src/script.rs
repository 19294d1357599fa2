//! What the test asks for: one attack per line.

/// The names in `text`; what is not UTF-8 ends it.
pub fn attacks(text: &[u8]) -> impl Iterator<Item = &str> {
    let valid = match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_comments() {
        assert_eq!(attacks(b"# first\none\n\n two \nthree").collect::<Vec<_>>(), ["one", "two", "three"]);
        assert_eq!(attacks(b"one\n\xff").collect::<Vec<_>>(), ["one"]);
    }
}
