//! Which system calls an app may make (`appc-schema` §5).

mod lists;
mod program;

use appc::{Isolator, Isolators, isolator};
use nix::errno::Errno;
use syscalls::SysnoSet;

use super::capability::Capabilities;
pub use program::{Action, Program};

/// The whole set's fate is decided by the first of these.
const ALL: &str = "@appc.io/all";
const EMPTY: &str = "@appc.io/empty";

/// Why an app's filter cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    /// Not an error's name.
    #[error("Unknown error name \"{0}\" in a seccomp isolator")]
    Errno(String),
}

/// What a filter does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    listed: SysnoSet,
    on_listed: Action,
    otherwise: Action,
    strict: bool,
}

impl Filter {
    /// The filter that isolators ask for; none if every call is allowed.
    pub fn of(isolators: &Isolators, bounding: Capabilities) -> Result<Option<Self>, SeccompError> {
        for isolator in isolators.iter() {
            match isolator {
                Isolator::SeccompRetain(set) => return retain(set, bounding),
                Isolator::SeccompRemove(set) => return remove(set, bounding),
                _ => {}
            }
        }
        Ok(Some(default(bounding)))
    }

    /// Whether calls that programs are used to may be blocked.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The filter as the kernel runs it.
    pub fn program(&self) -> Program {
        Program::new(self.listed.iter().map(|call| call.id() as u32), self.on_listed, self.otherwise)
    }
}

/// What an app gets that does not say: all calls but those whose purpose is to administrate the machine, which come
/// with the capability they need.
///
/// The original allowed a list of 2016 and killed for the rest. Programs of today make newer calls, and those that
/// probe for a blocked one expect an error.
fn default(bounding: Capabilities) -> Filter {
    let listed = lists::blocked(|capability| bounding.has(capability));
    Filter { listed, on_listed: Action::Fail(Errno::EPERM), otherwise: Action::Allow, strict: false }
}

fn retain(set: &isolator::SeccompSet, bounding: Capabilities) -> Result<Option<Filter>, SeccompError> {
    let otherwise = blocked_action(set)?;
    if first_wildcard(set).is_some() {
        return Ok(None);
    }
    let listed = expand(set, bounding).union(&lists::ALWAYS);
    Ok(Some(Filter { listed, on_listed: Action::Allow, otherwise, strict: true }))
}

fn remove(set: &isolator::SeccompSet, bounding: Capabilities) -> Result<Option<Filter>, SeccompError> {
    let on_listed = blocked_action(set)?;
    match first_wildcard(set) {
        Some(ALL) => return Ok(None),
        Some(_) => return Ok(Some(default(bounding))),
        None => {}
    }
    let listed = expand(set, bounding);
    Ok(Some(Filter { listed, on_listed, otherwise: Action::Allow, strict: true }))
}

fn first_wildcard(set: &isolator::SeccompSet) -> Option<&str> {
    set.set.iter().map(String::as_str).find(|name| [ALL, EMPTY].contains(name))
}

/// Names and groups; what is not known, as calls of other architectures, is skipped.
fn expand(set: &isolator::SeccompSet, bounding: Capabilities) -> SysnoSet {
    let mut calls = SysnoSet::empty();
    for name in &set.set {
        match lists::group(name, |capability| bounding.has(capability)) {
            Some(group) => calls = calls.union(&group),
            None => calls.extend(name.parse::<syscalls::Sysno>()),
        }
    }
    calls
}

fn blocked_action(set: &isolator::SeccompSet) -> Result<Action, SeccompError> {
    let Some(name) = &set.errno else { return Ok(Action::Kill) };
    let number = errno_by_name(name.as_str());
    number.map(Action::Fail).ok_or_else(|| SeccompError::Errno(name.as_str().to_owned()))
}

/// The highest error number of the architecture (`EHWPOISON`).
const LAST_ERRNO: i32 = 133;

fn errno_by_name(name: &str) -> Option<Errno> {
    let name = match name {
        "EWOULDBLOCK" => "EAGAIN",
        "ENOTSUP" => "EOPNOTSUPP",
        "EDEADLOCK" => "EDEADLK",
        other => other,
    };
    (1..=LAST_ERRNO).map(Errno::from_raw).find(|errno| format!("{errno:?}") == name)
}

#[cfg(test)]
mod tests;
