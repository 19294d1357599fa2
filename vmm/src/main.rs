//! `stage1`: the entrypoints stage0 calls, told apart by the name they are called by (`rkt-reference` §3.1).

use std::{env, ffi::OsStr, path::Path};

use vmm::pod::{
    self, Ending, FAILURE, PodError,
    arguments::{GcArguments, RunArguments, StopArguments},
};

fn main() {
    let mut words = env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let mut words: Vec<String> = words.collect();
    let mut entrypoint = Path::new(&program).file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    if entrypoint == "stage1" && !words.is_empty() {
        entrypoint = words.remove(0);
    }
    let debug = words.iter().any(|word| word == "--debug");
    match call(&entrypoint, words) {
        Some(Ok(ending)) => ending.end(),
        Some(Err(error)) => pod::report(&error, debug),
        None => pod::report(&UnknownEntrypoint(entrypoint), debug),
    }
    Ending::Status(FAILURE).end()
}

fn call(entrypoint: &str, words: Vec<String>) -> Option<Result<Ending, PodError>> {
    let done = |()| Ending::Status(0);
    Some(match entrypoint {
        "run" => RunArguments::parse(words).map_err(PodError::from).and_then(pod::run),
        "gc" => GcArguments::parse(words).map_err(PodError::from).and_then(|it| pod::gc(&it)).map(done),
        "stop" => StopArguments::parse(words).map_err(PodError::from).and_then(|it| pod::stop(&it)).map(done),
        _ => return None,
    })
}

/// A name this program is not known by.
#[derive(Debug)]
struct UnknownEntrypoint(String);

impl std::fmt::Display for UnknownEntrypoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unknown entrypoint {:?} (there are: run, gc, stop)", self.0)
    }
}

impl std::error::Error for UnknownEntrypoint {}
