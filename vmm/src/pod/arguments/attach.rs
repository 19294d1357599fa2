//! The words of stage1's `attach` entrypoint.

use agent::protocol::StreamKind;

use super::{ArgumentError, flag::Flag};

/// What `attach` is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttachArguments {
    /// Tell more.
    pub debug: bool,
    /// The app.
    pub app: String,
    /// To what of it.
    pub mode: AttachMode,
}

/// What of an app one wants to attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttachMode {
    /// Everything there is.
    #[default]
    Auto,
    /// Nothing: what there is shall be listed.
    List,
    /// These.
    Custom(Endpoints),
}

/// Ends of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Endpoints {
    /// Typing on the terminal.
    pub tty_in: bool,
    /// What the terminal shows.
    pub tty_out: bool,
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Endpoints {
    /// The streams they are ends of.
    pub fn streams(&self) -> Vec<StreamKind> {
        let wanted = [
            (self.stdin, StreamKind::Stdin),
            (self.stdout, StreamKind::Stdout),
            (self.stderr, StreamKind::Stderr),
            (self.tty_in || self.tty_out, StreamKind::Tty),
        ];
        wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, stream)| stream).collect()
    }
}

impl AttachArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = AttachArguments::default();
        let mut action = String::new();
        let mut endpoints = Endpoints::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let flag = Flag::of(&word).ok_or_else(|| ArgumentError::UnknownFlag(word.clone()))?;
            match flag.name {
                "--debug" => arguments.debug = flag.switch("--debug")?,
                "--app" => arguments.app = flag.value("--app", &mut words)?,
                "--action" => action = flag.value("--action", &mut words)?,
                "--tty-in" => endpoints.tty_in = flag.switch("--tty-in")?,
                "--tty-out" => endpoints.tty_out = flag.switch("--tty-out")?,
                "--stdin" => endpoints.stdin = flag.switch("--stdin")?,
                "--stdout" => endpoints.stdout = flag.switch("--stdout")?,
                "--stderr" => endpoints.stderr = flag.switch("--stderr")?,
                _ => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        if arguments.app.is_empty() {
            return Err(ArgumentError::MissingValue("--app"));
        }
        arguments.mode = match action.as_str() {
            "auto-attach" => AttachMode::Auto,
            "list" => AttachMode::List,
            "custom-attach" if !endpoints.streams().is_empty() => AttachMode::Custom(endpoints),
            _ => return Err(ArgumentError::InvalidValue { flag: "--action", value: action }),
        };
        Ok(arguments)
    }
}
