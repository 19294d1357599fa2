//! Finds the command among the words and runs it.

use std::process::ExitCode;

use super::{COMMANDS, Entry, FAILURE, Verb, help, old, output};
use crate::log;

/// The status of `rkt` without a command.
const MISSING_COMMAND: u8 = 2;

/// How many letters are mistaken at most in a command that may have been meant.
const SIMILAR: usize = 2;

/// What docker and podman call our commands.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("build", &["image build"]),
    ("create", &["prepare"]),
    ("exec", &["app exec", "enter"]),
    ("inspect", &["status", "cat-manifest"]),
    ("kill", &["stop --force"]),
    ("load", &["fetch"]),
    ("ps", &["list"]),
    ("pull", &["fetch"]),
    ("save", &["image export"]),
    ("start", &["run-prepared"]),
];

/// Global flags whose value may be the next word, which is then not the command.
const FLAGS_WITH_VALUE: &[&str] =
    &["--dir", "--system-config", "--local-config", "--user-config", "--insecure-options"];

/// What the words ask for.
#[derive(Debug)]
enum Request {
    /// Run a command with the remaining words.
    Run(&'static Verb, Vec<String>),
    /// Show the help of rkt, or of a group.
    Help(Option<&'static Entry>),
    /// There is no command.
    Missing,
    /// There is no such command, in rkt or in a group.
    Unknown { word: String, parent: String, similar: Vec<&'static str> },
}

/// Runs the command named by the process arguments and returns the exit status rkt ends with.
pub fn main() -> ExitCode {
    let words: Result<Vec<String>, _> = std::env::args_os().skip(1).map(|word| word.into_string()).collect();
    let status = match words {
        Ok(words) => serve(find(&todays(&words))),
        Err(word) => {
            output::error_line(format_args!("Error: argument {word:?} is not valid UTF-8"));
            FAILURE
        }
    };
    ExitCode::from(status)
}

/// The words with the name of the command in today's spelling.
fn todays(words: &[String]) -> Vec<String> {
    let Some(position) = command_position(words) else { return words.to_vec() };
    let translated = old::command(words, position);
    show_hints("rkt", &translated.hints);
    translated.words
}

fn show_hints(name: &str, hints: &[String]) {
    for hint in hints {
        output::error_line(format_args!("{name}: hint: {hint}"));
    }
}

fn serve(request: Request) -> u8 {
    match request {
        Request::Run(verb, words) => run(verb, &words),
        Request::Help(None) => help::print_overview(),
        Request::Help(Some(group)) => help::print_group(group),
        Request::Missing => {
            output::error_line(format_args!("rkt: missing command"));
            help::print_overview();
            MISSING_COMMAND
        }
        Request::Unknown { word, parent, similar } => {
            output::error_line(format_args!("Error: unknown command \"{word}\" for \"{parent}\""));
            if !similar.is_empty() {
                output::error_line(format_args!("Did you mean {}?", similar.join(" or ")));
            }
            output::error_line(format_args!("Run '{parent} --help' for usage."));
            FAILURE
        }
    }
}

fn run(verb: &'static Verb, words: &[String]) -> u8 {
    let old::Translated { words, hints } = old::flags(verb, words);
    let asks_for_help = words.iter().take_while(|word| *word != "--").any(|word| is_help(word));
    if verb.privileged && !asks_for_help && !rustix::process::geteuid().is_root() {
        output::error_line(format_args!("{}: cannot run as unprivileged user", verb.name));
        return FAILURE;
    }
    show_hints(verb.name, &hints);
    let error = match (verb.run)(&words) {
        Ok(status) => return status,
        Err(error) => error,
    };
    match error.downcast_ref::<clap::Error>() {
        Some(usage) => {
            // Help goes to stdout, mistakes to stderr; either may be closed.
            let _ = usage.print();
            if usage.use_stderr() { FAILURE } else { 0 }
        }
        None => {
            log::error(verb.name, &error);
            FAILURE
        }
    }
}

fn is_help(word: &str) -> bool {
    word == "-h" || word == "--help"
}

/// The position of the first word that is neither a flag nor the value of one.
fn command_position(words: &[String]) -> Option<usize> {
    let mut position = 0;
    while let Some(word) = words.get(position) {
        if word == "--" {
            return None;
        } else if FLAGS_WITH_VALUE.contains(&old::double_dash(word).as_str()) {
            position += 2;
        } else if word.starts_with('-') || word.is_empty() {
            position += 1;
        } else {
            return Some(position);
        }
    }
    None
}

fn find(words: &[String]) -> Request {
    let Some(position) = command_position(words) else {
        return if words.iter().any(|word| is_help(word)) { Request::Help(None) } else { Request::Missing };
    };
    let mut rest = words.to_vec();
    let word = rest.remove(position);
    match by_name(COMMANDS, &word, Entry::name) {
        None if word == old::INSTALL.name => Request::Run(&old::INSTALL, rest),
        None => match ELSEWHERE.iter().find(|(name, _)| *name == word) {
            Some((_, ours)) => Request::Unknown { word, parent: "rkt".to_owned(), similar: ours.to_vec() },
            None => unknown(word, "rkt".to_owned(), COMMANDS.iter().map(Entry::name)),
        },
        Some(Entry::One(verb)) => Request::Run(verb, rest),
        Some(group @ Entry::Group { name, verbs, .. }) => find_in_group(group, name, verbs, rest),
    }
}

fn find_in_group(
    group: &'static Entry,
    name: &str,
    verbs: &'static [&'static Verb],
    mut rest: Vec<String>,
) -> Request {
    let Some(position) = command_position(&rest) else { return Request::Help(Some(group)) };
    let word = rest.remove(position);
    match by_name(verbs, &word, |verb| verb.name) {
        Some(verb) => Request::Run(verb, rest),
        None => unknown(word, format!("rkt {name}"), verbs.iter().map(|verb| verb.name)),
    }
}

/// With those of the names that may have been meant: of which the word is the beginning, or most of whose letters are its own.
fn unknown(word: String, parent: String, names: impl Iterator<Item = &'static str>) -> Request {
    let may_be_meant = |name: &&str| {
        let mistakes = strsim::osa_distance(name, &word);
        name.starts_with(&word) || mistakes <= SIMILAR && 2 * mistakes < word.len().min(name.len())
    };
    let similar = names.filter(may_be_meant).collect();
    Request::Unknown { word, parent, similar }
}

/// The entry of that name, or the only one whose name begins so.
fn by_name<'a, T>(entries: &'a [T], word: &str, name: impl Fn(&T) -> &'static str) -> Option<&'a T> {
    if let Some(exact) = entries.iter().find(|entry| name(entry) == word) {
        return Some(exact);
    }
    let mut matching = entries.iter().filter(|entry| name(entry).starts_with(word));
    let first = matching.next()?;
    matching.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        find(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn run_words(text: &str) -> (&'static str, String) {
        match request(text) {
            Request::Run(verb, words) => (verb.name, words.join(" ")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_stands_anywhere_among_flags() {
        assert_eq!(run_words("version"), ("version", String::new()));
        assert_eq!(
            run_words("--net=host --debug version x --y"),
            ("version", "--net=host --debug x --y".into())
        );
        assert_eq!(run_words("--dir help version"), ("version", "--dir help".into()));
        assert_eq!(run_words("--dir=help version"), ("version", "--dir=help".into()));
    }

    #[test]
    fn unique_prefixes_name_commands() {
        assert_eq!(run_words("vers").0, "version");
        let entries = ["gc", "run", "run-prepared", "rm"];
        let find = |word| by_name(&entries, word, |entry| entry).copied();
        assert_eq!(
            (find("run"), find("run-"), find("r"), find("g")),
            (Some("run"), Some("run-prepared"), None, Some("gc"))
        );
    }

    #[test]
    fn what_may_have_been_meant_is_said() {
        let similar = |text| match request(text) {
            Request::Unknown { similar, .. } => similar,
            other => panic!("{other:?}"),
        };
        assert_eq!(similar("rnu"), ["run"]);
        assert_eq!(similar("xx"), [""; 0]);
        assert_eq!(similar("ps"), ["list"]);
        assert_eq!(similar("image e"), ["export", "extract"]);
        assert_eq!(similar("bogus"), [""; 0]);
    }

    #[test]
    fn without_a_command_there_is_help_or_an_error() {
        assert!(matches!(request(""), Request::Missing));
        assert!(matches!(request("--debug"), Request::Missing));
        assert!(matches!(request("-- version"), Request::Missing));
        assert!(matches!(request("--help"), Request::Help(None)));
        assert!(matches!(request("bogus"), Request::Unknown { .. }));
    }
}
