//! `stage1`: the entrypoints stage0 calls, told apart by the name they are called by (`rkt-reference` §3.1).

use std::{env, ffi::OsStr, path::Path};

use vmm::pod::{
    self, Ending, FAILURE, PodError,
    arguments::{
        AppArguments, AttachArguments, EnterArguments, GcArguments, LookArguments, RunArguments,
        StopArguments,
    },
};

/// Does what the entrypoint it was called by is for.
pub(crate) fn main() {
    let mut words = env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let mut words: Vec<String> = words.collect();
    let mut entrypoint =
        Path::new(&program).file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    if entrypoint == "stage1" && !words.is_empty() {
        entrypoint = words.remove(0);
    }
    let debug = words.iter().take_while(|word| *word != "--").any(|word| word == "--debug");
    let ending = call(&entrypoint, words).unwrap_or_else(|error| {
        pod::report(&error, debug);
        Ending::Status(FAILURE)
    });
    ending.end()
}

fn call(entrypoint: &str, words: Vec<String>) -> Result<Ending, PodError> {
    match entrypoint {
        "run" => return pod::run(RunArguments::parse(words)?),
        "attach" => return pod::attach(&AttachArguments::parse(words)?),
        "enter" => return pod::enter(EnterArguments::parse(words)?),
        "app-add" => return pod::add_app(&AppArguments::parse(words)?),
        "app-start" => return pod::start_app(&AppArguments::parse(words)?),
        "app-stop" => return pod::stop_app(&AppArguments::parse(words)?),
        "app-rm" => return pod::remove_app(&AppArguments::parse(words)?),
        "top" => return LookArguments::parse(words).map_err(PodError::from).and_then(|_| pod::top()),
        "stats" => return LookArguments::parse(words).map_err(PodError::from).and_then(|_| pod::stats()),
        "gc" => pod::gc(&GcArguments::parse(words)?)?,
        "stop" => pod::stop(&StopArguments::parse(words)?)?,
        other => return Err(PodError::UnknownEntrypoint(other.to_owned())),
    }
    Ok(Ending::Status(0))
}
