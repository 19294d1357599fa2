//! The words of stage1's entrypoints that tell what a pod is doing.

use super::{ArgumentError, flag::Flag, one_uuid};

/// What `top` and `stats` are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LookArguments {
    /// Tell more.
    pub debug: bool,
    /// The pod's UUID.
    pub uuid: String,
}

impl LookArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = LookArguments::default();
        let mut rest = Vec::new();
        for word in words {
            match Flag::of(&word) {
                None => rest.push(word),
                Some(flag) if flag.name == "--debug" => arguments.debug = flag.switch("--debug")?,
                Some(_) => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        arguments.uuid = one_uuid(rest)?;
        Ok(arguments)
    }
}
