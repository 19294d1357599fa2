//! Images, each with flags and arguments of its own, among the flags of the pod (reference §2.1).
//!
//! `rkt run POD-FLAGS IMAGE IMAGE-FLAGS -- ARGUMENTS --- IMAGE … POD-FLAGS`: a word that is no flag is an image, a flag
//! of images belongs to the image before it, a flag of pods may stand anywhere, and `--` opens the argument list of
//! the image before it, which ends with `---`. This module only cuts the words into pieces; clap parses each.

use std::collections::BTreeMap;

use clap::Command;
use clap::builder::ArgAction;

/// The pieces.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// Flags of the pod, with their values.
    pub pod: Vec<String>,
    /// Images in order.
    pub images: Vec<ImagePiece>,
}

/// One image.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ImagePiece {
    /// The image, as it was given.
    pub image: String,
    /// Its flags, with their values.
    pub flags: Vec<String>,
    /// Its arguments; no list is not the same as an empty one.
    pub arguments: Option<Vec<String>>,
}

/// Why the words cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// A flag of images before the first image.
    #[error("{0} must follow an image")]
    NoImage(String),
    /// `--` before the first image.
    #[error("an image is required before any app arguments")]
    NoImageForArguments,
    /// A second `--` for one image.
    #[error("only one set of app arguments allowed per image")]
    SecondArguments,
    /// `--` for a command that runs nothing.
    #[error("app arguments are not supported by this command")]
    ArgumentsUnsupported,
    /// The words end where a flag's value should be.
    #[error("flag needs an argument: {0}")]
    NoValue(String),
}

/// What a command lets users write.
#[derive(Debug)]
pub struct Grammar {
    pod: BTreeMap<String, Value>,
    image: BTreeMap<String, Value>,
    pod_wide: &'static [&'static str],
    arguments: bool,
}

/// Whether a flag takes the next word as its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// It does, unless it has one after `=`.
    NextWord,
    /// It has a value after `=`, or none.
    AfterEquals,
}

/// Who a flag belongs to.
enum Owner {
    Pod,
    Image,
}

impl Grammar {
    /// `pod` and `image` define the flags; those named in `pod_wide` belong to the pod if they stand before the
    /// first image, though they are flags of images.
    pub fn new(pod: &Command, image: &Command, pod_wide: &'static [&'static str], arguments: bool) -> Self {
        Self { pod: flags_of(pod), image: flags_of(image), pod_wide, arguments }
    }

    /// Cuts the words of a command.
    pub fn cut(&self, words: &[String]) -> Result<Pieces, GrammarError> {
        let mut pieces = Pieces::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "" | "---" => {}
                "--" => self.arguments(&mut pieces, &mut words)?,
                flag if flag.starts_with('-') && flag != "-" => self.flag(flag, &mut pieces, &mut words)?,
                image => pieces.images.push(ImagePiece { image: image.to_owned(), ..ImagePiece::default() }),
            }
        }
        Ok(pieces)
    }

    fn arguments<'a>(
        &self,
        pieces: &mut Pieces,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), GrammarError> {
        if !self.arguments {
            return Err(GrammarError::ArgumentsUnsupported);
        }
        let image = pieces.images.last_mut().ok_or(GrammarError::NoImageForArguments)?;
        if image.arguments.is_some() {
            return Err(GrammarError::SecondArguments);
        }
        image.arguments = Some(words.take_while(|word| *word != "---").cloned().collect());
        Ok(())
    }

    fn flag<'a>(
        &self,
        word: &str,
        pieces: &mut Pieces,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), GrammarError> {
        let (name, has_value) = match word.split_once('=') {
            Some((name, _)) => (name, true),
            None => (word, false),
        };
        let (owner, value) = self.owner(name, pieces.images.is_empty());
        let list = match (owner, pieces.images.last_mut()) {
            (Owner::Pod, _) => &mut pieces.pod,
            (Owner::Image, Some(image)) => &mut image.flags,
            (Owner::Image, None) => return Err(GrammarError::NoImage(name.to_owned())),
        };
        if has_value || value == Value::AfterEquals {
            list.push(word.to_owned());
            return Ok(());
        }
        // As one word, so that a value that looks like a flag stays a value.
        let value = words.next().ok_or_else(|| GrammarError::NoValue(name.to_owned()))?;
        list.push(format!("{name}={value}"));
        Ok(())
    }

    /// Flags that nobody defines go to the pod, where clap refuses them.
    fn owner(&self, name: &str, before_images: bool) -> (Owner, Value) {
        if before_images && self.pod_wide.contains(&name) {
            let value = self.image.get(name).copied().unwrap_or(Value::AfterEquals);
            return (Owner::Pod, value);
        }
        match (self.image.get(name), self.pod.get(name)) {
            (Some(value), _) => (Owner::Image, *value),
            (None, Some(value)) => (Owner::Pod, *value),
            (None, None) => (Owner::Pod, Value::AfterEquals),
        }
    }
}

/// The flags of a command as they are written, with the way they take a value.
pub fn flags_of(command: &Command) -> BTreeMap<String, Value> {
    let mut flags = BTreeMap::new();
    for arg in command.get_arguments() {
        let next_word =
            matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_require_equals_set();
        let value = if next_word { Value::NextWord } else { Value::AfterEquals };
        for name in arg
            .get_long_and_visible_aliases()
            .into_iter()
            .flatten()
            .chain(arg.get_all_aliases().into_iter().flatten())
        {
            flags.insert(format!("--{name}"), value);
        }
    }
    flags
}

#[cfg(test)]
mod tests;
