//! Flags as Go programs write them: `--flag`, `--flag=value`, `--flag value`.

use super::ArgumentError;

/// A word that is a flag, taken apart at its `=`.
pub(super) struct Flag<'a> {
    pub name: &'a str,
    value: Option<&'a str>,
}

impl<'a> Flag<'a> {
    pub fn of(word: &'a str) -> Option<Self> {
        if !word.starts_with('-') {
            return None;
        }
        Some(match word.split_once('=') {
            Some((name, value)) => Flag { name, value: Some(value) },
            None => Flag { name: word, value: None },
        })
    }

    /// `--flag`, or `--flag=true` and `--flag=false` as Go programs write them.
    pub fn switch(&self, flag: &'static str) -> Result<bool, ArgumentError> {
        match self.value {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(ArgumentError::InvalidValue { flag, value: other.to_owned() }),
        }
    }

    /// `--flag=value` or `--flag value`.
    pub fn value(
        &self,
        flag: &'static str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<String, ArgumentError> {
        match self.value {
            Some(value) => Ok(value.to_owned()),
            None => words.next().ok_or(ArgumentError::MissingValue(flag)),
        }
    }
}
