//! Spellings of rkt's earlier versions, as books and posts still show them: each works, with a hint at today's.

use std::collections::BTreeMap;

use super::grammar::{Value, flags_of};
use super::pod_flags::image_command;
use super::{Verb, parse};

mod install;

pub use install::VERB as INSTALL;

/// Commands that were called otherwise: the old words, and those to use.
const COMMANDS: &[(&[&str], &[&str])] =
    &[(&["list", "pods"], &["list"]), (&["images"], &["image", "list"]), (&["rmi"], &["image", "rm"])];

/// Commands whose words are images, each with flags after it.
const OF_IMAGES: &[&str] = &["run", "prepare", "fetch", "add"];

/// The name and value that stand for an old flag's value.
type Replace = fn(Option<&str>) -> (String, Option<String>);

/// Words in today's spelling, and what there is to say about those that were not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// What is meant.
    pub words: Vec<String>,
    /// One line for each old spelling.
    pub hints: Vec<String>,
}

/// A global flag before the command may have but one dash.
pub fn double_dash(word: &str) -> String {
    match word.strip_prefix('-') {
        Some(rest) if !rest.starts_with('-') => format!("--{rest}"),
        _ => word.to_owned(),
    }
}

/// Replaces the old name of a command, which stands at `position` among the words.
pub fn command(words: &[String], position: usize) -> Translated {
    let mut out = Translated { words: words.to_vec(), hints: Vec::new() };
    let begins = |old: &[&str]| words.get(position..position + old.len()).is_some_and(|named| named == old);
    if let Some((old, today)) = COMMANDS.iter().find(|(old, _)| begins(old)) {
        out.words.splice(position..position + old.len(), today.iter().map(|word| (*word).to_owned()));
        out.hints.push(format!("{} is an old spelling of {}", old.join(" "), today.join(" ")));
    }
    out
}

/// Translates the flags of a command. What follows `--` is the app's own.
pub fn flags(verb: &Verb, words: &[String]) -> Translated {
    let command = (verb.command)();
    // What follows the first argument of such a command are the words of another one.
    let ends_early = command.get_arguments().any(|argument| argument.is_trailing_var_arg_set());
    let mut known = flags_of(&command);
    if OF_IMAGES.contains(&verb.name) {
        known.extend(flags_of(&image_command()));
    }
    let mut translator = Translator { known, out: Translated::default(), volumes: 0 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let is_flag = word.starts_with('-') && word.len() > 1 && word != "--" && word != "---";
        if is_flag {
            translator.flag(word, &mut words);
            continue;
        }
        translator.out.words.push(word.clone());
        if word == "--" || ends_early {
            let last = |word: &String| word == "---" && !ends_early;
            let count = words.as_slice().iter().position(last).map_or(usize::MAX, |position| position + 1);
            translator.out.words.extend(words.by_ref().take(count).cloned());
        }
    }
    translator.out
}

struct Translator {
    known: BTreeMap<String, Value>,
    out: Translated,
    /// Volumes that got a name here.
    volumes: usize,
}

impl Translator {
    fn flag<'a>(&mut self, word: &str, rest: &mut impl Iterator<Item = &'a String>) {
        let (written, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let mut name = double_dash(written);
        let replaced = self.replaced(&name);
        if !self.known.contains_key(&name) && replaced.is_none() {
            // Not ours to judge: clap refuses it, or knows it as a short flag.
            self.out.words.push(word.to_owned());
            return;
        }
        if name != written {
            self.hint(written, &name);
        }
        let takes_next =
            replaced.is_none() && self.known.get(&name) == Some(&Value::NextWord) || name == "--stage1-image";
        let value = value.or_else(|| if takes_next { rest.next().cloned() } else { None });
        if let Some(replaced) = replaced {
            let (new, value) = replaced(value.as_deref());
            self.hint(&name, &new);
            name = new;
            return self.push(&name, value.as_deref());
        }
        let volume = value.as_deref().filter(|_| name == "--volume").and_then(|value| self.volume(value));
        if volume.is_none() {
            return self.push(&name, value.as_deref());
        }
        let today: Vec<_> = volume.into_iter().flatten().collect();
        let shown: Vec<_> = today.iter().map(|(name, value)| format!("{name} {value}")).collect();
        self.hint(&format!("--volume {}", value.unwrap_or_default()), &shown.join(" "));
        today.iter().for_each(|(name, value)| self.push(name, Some(value)));
    }

    /// How to replace a flag that has another name today, if the command has the new one.
    fn replaced(&self, name: &str) -> Option<Replace> {
        let (today, replace): (_, Replace) = match name {
            "--insecure-skip-verify" => ("--insecure-options", insecure),
            "--private-net" => ("--net", net),
            "--stage1-image" => ("--stage1-path", stage1),
            _ => return None,
        };
        (self.known.contains_key(today) && !self.known.contains_key(name)).then_some(replace)
    }

    /// The flags that `/HOST:/APP[:ro]` and `NAME:/HOST` stand for.
    fn volume(&mut self, value: &str) -> Option<Vec<(&'static str, String)>> {
        let (left, right) = value.split_once(':').filter(|_| !value.contains(','))?;
        if !left.starts_with('/') {
            let volume = format!("{left},kind=host,source={right}");
            return (right.starts_with('/') && !left.is_empty()).then(|| vec![("--volume", volume)]);
        }
        let (target, read_only) = match right.split_once(':') {
            Some((target, "ro")) => (target, ",readOnly=true"),
            Some((target, "rw")) => (target, ""),
            None => (right, ""),
            Some(_) => return None,
        };
        let name = format!("volume-{}", self.volumes);
        self.volumes += 1;
        let volume = format!("{name},kind=host,source={left}{read_only}");
        let mount = format!("volume={name},target={target}");
        target.starts_with('/').then(|| vec![("--volume", volume), ("--mount", mount)])
    }

    fn push(&mut self, name: &str, value: Option<&str>) {
        // As one word, so that a value that looks like a flag stays a value.
        self.out.words.push(match value {
            Some(value) => format!("{name}={value}"),
            None => name.to_owned(),
        });
    }

    fn hint(&mut self, old: &str, today: &str) {
        self.out.hints.push(format!("{old} is an old spelling of {today}"));
    }
}

/// It gave up what has a name of its own now.
fn insecure(value: Option<&str>) -> (String, Option<String>) {
    let off = value.is_some_and(|value| parse::parse_bool(value) == Ok(false));
    ("--insecure-options".to_owned(), Some(if off { "none" } else { "image" }.to_owned()))
}

/// First a switch, then a list of networks.
fn net(value: Option<&str>) -> (String, Option<String>) {
    let value = match value.map(|value| (value, parse::parse_bool(value))) {
        None | Some((_, Ok(true))) => None,
        Some((_, Ok(false))) => Some("host".to_owned()),
        Some((list, Err(_))) => Some(list.to_owned()),
    };
    ("--net".to_owned(), value)
}

/// It took anything that names an image.
fn stage1(value: Option<&str>) -> (String, Option<String>) {
    let text = value.unwrap_or_default();
    let flag = if text.contains("://") {
        "--stage1-url"
    } else if text.starts_with("sha512-") {
        "--stage1-hash"
    } else if text.starts_with('/') || text.ends_with(".aci") || std::path::Path::new(text).is_file() {
        "--stage1-path"
    } else {
        "--stage1-name"
    };
    (flag.to_owned(), value.map(str::to_owned))
}

#[cfg(test)]
mod tests;
