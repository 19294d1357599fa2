//! The words of stage1's entrypoints about one app of a mutable pod.

use super::{ArgumentError, flag::Flag};

/// What `app/add`, `app/start`, `app/stop` and `app/rm` are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppArguments {
    /// Tell more.
    pub debug: bool,
    /// The app.
    pub app: String,
}

impl AppArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = AppArguments::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let flag = Flag::of(&word).ok_or_else(|| ArgumentError::UnknownFlag(word.clone()))?;
            match flag.name {
                "--debug" => arguments.debug = flag.switch("--debug")?,
                "--app" => arguments.app = flag.value("--app", &mut words)?,
                // The pod is the one whose directory this is.
                "--uuid" => drop(flag.value("--uuid", &mut words)?),
                _ => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        if arguments.app.is_empty() {
            return Err(ArgumentError::MissingValue("--app"));
        }
        Ok(arguments)
    }
}
