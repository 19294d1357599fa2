//! `KEY=VALUE` words.

use std::str::FromStr;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// What stands before the first `=`.
    pub key: String,
    /// Everything after it.
    pub value: String,
}

/// A word without key or `=`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" must be KEY=VALUE")]
pub struct NotKeyValue(String);

impl FromStr for KeyValue {
    type Err = NotKeyValue;

    fn from_str(text: &str) -> Result<Self, NotKeyValue> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(NotKeyValue(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_divides() {
        let pair: KeyValue = "A=b=c".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("A", "b=c"));
        assert_eq!("A=".parse::<KeyValue>().unwrap().value, "");
        assert!("A".parse::<KeyValue>().is_err() && "=b".parse::<KeyValue>().is_err());
    }
}
