//! `answers DIRECTORY`: what a file system answers to many small questions, a line each: `question: answer`.
//!
//! Nothing in the answers depends on the time or the machine, so those of two file systems that behave alike are the same. Each
//! question has an empty directory below DIRECTORY. Meant to run as root. `ANSWERS_ENTRIES` is how many entries large directories have.

mod data;
mod names;
mod rights;
mod sharing;
mod times;

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

/// A question: its name, and how it is asked.
type Question = (&'static str, fn(&Path) -> Result<String>);

/// The first word of another process that acts for a question.
const ACT: &str = "--act";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [ACT, "mapped", path] => tell(sharing::mapped(Path::new(path))),
        [ACT, "make", directory, entries] => tell(sharing::make(Path::new(directory), entries)),
        [ACT, "list", directory] => tell(sharing::list(Path::new(directory))),
        [ACT, ref words @ ..] => tell(rights::act(words)),
        [directory] => {
            for (name, ask) in
                [rights::QUESTIONS, times::QUESTIONS, names::QUESTIONS, data::QUESTIONS].concat()
            {
                let answer = in_empty_directory(Path::new(directory), name, ask);
                println!(
                    "{name}: {}",
                    answer.unwrap_or_else(|error| format!("could not be asked: {error:#}"))
                );
            }
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(2),
    }
}

fn tell(answer: Result<impl Said>) -> ExitCode {
    println!("{}", said(answer));
    ExitCode::SUCCESS
}

fn in_empty_directory(parent: &Path, name: &str, ask: fn(&Path) -> Result<String>) -> Result<String> {
    let directory = parent.join(name.replace(' ', "-"));
    fs::create_dir(&directory)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
    let answer = ask(&directory);
    fs::remove_dir_all(&directory).context("Cannot clean up")?;
    answer
}

/// What came of an operation: `ok`, what it gave, or the error's words.
fn said<T: Said>(result: Result<T, impl Into<anyhow::Error>>) -> String {
    match result {
        Ok(value) => value.said(),
        Err(error) => {
            let error: anyhow::Error = error.into();
            match error.downcast_ref::<rustix::io::Errno>() {
                Some(errno) => std::io::Error::from(*errno).to_string(),
                None => error.to_string(),
            }
        }
    }
}

/// What an operation gives, in words.
trait Said {
    fn said(self) -> String;
}

impl Said for () {
    fn said(self) -> String {
        "ok".to_owned()
    }
}

impl Said for String {
    fn said(self) -> String {
        self
    }
}

impl Said for u64 {
    fn said(self) -> String {
        self.to_string()
    }
}

impl Said for fs::File {
    fn said(self) -> String {
        "ok".to_owned()
    }
}

/// What an operation of [`rights::act`] says in another process, of this user and group.
fn as_user(user: u32, words: &[&str]) -> Result<String> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg(ACT).args(words).uid(user).gid(user).current_dir("/").output()?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Answers to several things, in one.
fn all(answers: impl IntoIterator<Item = String>) -> Result<String> {
    Ok(answers.into_iter().collect::<Vec<_>>().join(", "))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("A path of a question is not UTF-8")
}
