//! Results for programs.

use std::str::FromStr;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// `--format`: for people, or for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// A table or lines.
    #[default]
    Text,
    /// JSON in one line.
    Json,
    /// JSON indented with tabs.
    PrettyJson,
}

/// A format that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid format option: {0}")]
pub struct InvalidFormat(String);

impl FromStr for Format {
    type Err = InvalidFormat;

    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        match text {
            "" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "json-pretty" => Ok(Self::PrettyJson),
            other => Err(InvalidFormat(other.to_owned())),
        }
    }
}

/// One line of JSON.
pub fn to_json<T: Serialize>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

/// JSON indented with tabs.
pub fn to_pretty_json<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"\t")))?;
    // serde_json writes UTF-8 only.
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_is_indented_with_tabs() {
        let value = serde_json::json!({"a": [1]});
        assert_eq!(to_json(&value).unwrap(), "{\"a\":[1]}");
        assert_eq!(to_pretty_json(&value).unwrap(), "{\n\t\"a\": [\n\t\t1\n\t]\n}");
    }

    #[test]
    fn other_formats_do_not_exist() {
        assert_eq!("json-pretty".parse(), Ok(Format::PrettyJson));
        let error = "yaml".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "Invalid format option: yaml");
    }
}
