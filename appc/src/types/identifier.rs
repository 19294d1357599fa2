//! AC identifiers (image, label and annotation names) and AC names (app, volume, mount point and port names).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ValueError;

/// The name of an image, a label or an annotation: `^[a-z0-9]+([-._~/][a-z0-9]+)*$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcIdentifier(String);

/// The name of an app, a volume, a mount point or a port: `^[a-z0-9]+([-][a-z0-9]+)*$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcName(String);

const IDENTIFIER_SEPARATORS: &[char] = &['-', '.', '_', '~', '/'];
const NAME_SEPARATORS: &[char] = &['-'];

fn is_word(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Words of lower-case letters and digits, joined by single separators.
fn matches(text: &str, separators: &[char]) -> bool {
    text.split(separators).all(|word| !word.is_empty() && word.chars().all(is_word))
}

/// Lower-cases, replaces what is not allowed by `-`, and cuts separators at both ends and beside each other.
fn sanitize(text: &str, separators: &[char]) -> Result<String, ValueError> {
    let mut out = String::with_capacity(text.len());
    let mut pending = None;
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if is_word(c) {
            if let Some(separator) = pending.take().filter(|_| !out.is_empty()) {
                out.push(separator);
            }
            out.push(c);
        } else if pending.is_none() {
            pending = Some(if separators.contains(&c) { c } else { '-' });
        }
    }
    if out.is_empty() { Err(ValueError::Unsanitizable(text.to_owned())) } else { Ok(out) }
}

impl AcIdentifier {
    /// Makes an identifier of any text by replacing what is not allowed.
    pub fn sanitize(text: &str) -> Result<Self, ValueError> {
        sanitize(text, IDENTIFIER_SEPARATORS).map(Self)
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AcName {
    /// Makes a name of any text by replacing what is not allowed.
    pub fn sanitize(text: &str) -> Result<Self, ValueError> {
        sanitize(text, NAME_SEPARATORS).map(Self)
    }

    /// The name rkt gives to an app by default: the last path element of the image's name.
    pub fn from_image_name(image: &AcIdentifier) -> Result<Self, ValueError> {
        let last = image.as_str().rsplit('/').next().unwrap_or_default();
        Self::sanitize(last)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AcIdentifier {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        if matches(&text, IDENTIFIER_SEPARATORS) { Ok(Self(text)) } else { Err(ValueError::Identifier(text)) }
    }
}

impl TryFrom<String> for AcName {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        if matches(&text, NAME_SEPARATORS) { Ok(Self(text)) } else { Err(ValueError::Name(text)) }
    }
}

macro_rules! text_type {
    ($type:ty) => {
        impl FromStr for $type {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    };
}

text_type!(AcIdentifier);
text_type!(AcName);

#[cfg(test)]
mod tests;
