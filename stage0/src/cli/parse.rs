//! From words to flags, with the conventions users know from the original.

use clap::builder::{ArgAction, TypedValueParser, ValueParser};
use clap::{Arg, Args, Command, FromArgMatches};

use super::{GlobalFlags, examples};
use crate::log;

/// A command's flags beside those of every command.
#[derive(Debug)]
pub struct Parsed<T> {
    /// What every command takes.
    pub global: GlobalFlags,
    /// What this command takes.
    pub own: T,
}

/// The definition of the command `name` with flags `T`.
pub fn command<T: Args>(name: &'static str, about: &'static str) -> Command {
    let command = Command::new(name)
        .bin_name(format!("rkt {name}"))
        .args_override_self(true)
        .disable_help_subcommand(true);
    let command = switches(GlobalFlags::augment_args(T::augment_args(command)));
    // Last: the groups of flags bring texts of their own.
    command.about(about).long_about(None).after_help(examples::shown(name))
}

/// Lets the switches of a command take values.
pub fn switches(command: Command) -> Command {
    command.mut_args(go_bool)
}

/// Parses the words of a command and starts logging.
pub fn parse<T: Args>(command: Command, words: &[String]) -> anyhow::Result<Parsed<T>> {
    let matches = command.no_binary_name(true).try_get_matches_from(words)?;
    let parsed =
        Parsed { global: GlobalFlags::from_arg_matches(&matches)?, own: T::from_arg_matches(&matches)? };
    log::init(parsed.global.debug);
    Ok(parsed)
}

/// A switch also takes `=true` and `=false`, in every spelling the original took.
fn go_bool(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
        .value_name("BOOL")
        .value_parser(bool_parser())
}

fn bool_parser() -> ValueParser {
    ValueParser::new(clap::builder::StringValueParser::new().try_map(|text| parse_bool(&text)))
}

/// A switch's value that is neither true nor false.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be true or false")]
pub struct NotBool;

/// Reads `true` or `false` as the original did.
pub fn parse_bool(text: &str) -> Result<bool, NotBool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(NotBool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Args)]
    struct Own {
        #[arg(long)]
        full: bool,
        words: Vec<String>,
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn parsed(text: &str) -> anyhow::Result<Parsed<Own>> {
        parse::<Own>(command::<Own>("test", ""), &words(text))
    }

    #[test]
    fn switches_take_values_and_the_last_one_counts() {
        let flags = parsed("--full --debug=T a --full=0 b --dir=/x --dir /y").unwrap();
        assert!(!flags.own.full && flags.global.debug);
        assert_eq!((flags.own.words, flags.global.dir.as_deref()), (words("a b"), Some("/y")));
        assert!(!parsed("").unwrap().own.full);
        assert!(parsed("--full=maybe").is_err());
        assert!(parsed("--unknown").is_err());
    }

    #[test]
    fn insecure_options_are_replaced_not_added() {
        let flags = parsed("--insecure-options=image --insecure-options=http").unwrap();
        assert!(flags.global.insecure_options.http() && !flags.global.insecure_options.image());
        let error = parsed("--insecure-options=x").unwrap_err().to_string();
        assert!(error.contains("unknown option \"x\""), "{error}");
    }
}
