//! What the pod is doing: the guest is asked, and what it says made safe.

use agent::protocol::{HostMessage, Process, Question, Sight, Usage};

use super::{Guest, Supervisor, changes::DEAF};
use crate::pod::{
    clients::{
        Business,
        wire::{Reply, Request},
    },
    diagnostics::sanitized,
    error::PodError,
    session::{Phase, SessionError},
};

/// How much a client is told at once, in bytes: less than the socket to it holds.
const MAX_SIGHT: usize = 128 << 10;
/// What a process takes beside its command line, in bytes.
const PROCESS: usize = 200;
/// How many network interfaces are told of.
const MAX_INTERFACES: usize = 32;

impl<G: Guest> Supervisor<'_, G> {
    /// Asks the guest, now or when it is up.
    pub(super) fn begin_look(&mut self, number: u32, question: Question) -> Result<(), PodError> {
        let business = match self.session.phase() {
            Phase::Silent => Business::Waiting(Request::Look { question }),
            Phase::Finished => {
                self.refuse(number, "Pod has ended");
                Business::Done
            }
            Phase::Starting | Phase::Running => {
                match self.tell_guest(&HostMessage::Look { number, question })? {
                    true => Business::Looking,
                    false => {
                        self.refuse(number, DEAF);
                        Business::Done
                    }
                }
            }
        };
        if let Some(known) = self.listeners.clients.business(number) {
            *known = business;
        }
        Ok(())
    }

    /// The guest has answered.
    pub(super) fn seen(&mut self, number: u32, sight: Sight) -> Result<(), PodError> {
        let is_app = |name: &str| self.apps.iter().any(|app| app.name == name);
        let sight = match sight {
            Sight::Processes { processes, more } => checked_processes(processes, more, is_app),
            Sight::Usage(usage) => Sight::Usage(checked_usage(usage, is_app)),
        };
        match self.listeners.clients.seen(number, &Reply::Seen { sight }) {
            true => Ok(()),
            false => Err(PodError::Session(SessionError::UnknownCommand(number))),
        }
    }
}

/// Processes of apps that there are, as many as there is room for.
fn checked_processes(processes: Vec<Process>, more: u32, is_app: impl Fn(&str) -> bool) -> Sight {
    let told = processes.len();
    let mut room = MAX_SIGHT;
    let mut kept = Vec::new();
    for mut process in processes.into_iter().filter(|process| is_app(&process.app)) {
        process.command = sanitized(&process.command);
        // Quotes and backslashes are escaped on the way.
        let Some(left) = room.checked_sub(PROCESS + process.app.len() + 2 * process.command.len()) else {
            break;
        };
        room = left;
        kept.push(process);
    }
    let dropped = u32::try_from(told - kept.len()).unwrap_or(u32::MAX);
    Sight::Processes { more: more.saturating_add(dropped), processes: kept }
}

fn checked_usage(mut usage: Usage, is_app: impl Fn(&str) -> bool) -> Usage {
    usage.apps.retain(|app| is_app(&app.app));
    usage.apps.sort_by(|a, b| a.app.cmp(&b.app));
    usage.apps.dedup_by(|a, b| a.app == b.app);
    usage.interfaces.truncate(MAX_INTERFACES);
    for interface in &mut usage.interfaces {
        interface.name = sanitized(&interface.name.chars().take(16).collect::<String>());
    }
    usage
}

#[cfg(test)]
mod tests {
    use agent::protocol::{AppUsage, InterfaceUsage};

    use super::*;

    fn process(app: &str, command: &str) -> Process {
        let (app, command) = (app.to_owned(), command.to_owned());
        Process { app, pid: 1, parent: 1, uid: 0, cpu_ms: u64::MAX, age_ms: 0, resident: u64::MAX, command }
    }

    #[test]
    fn what_a_hostile_guest_tells_is_bounded_and_harmless() {
        let mut told = vec![process("other", "x"), process("web", "\u{1b}[31m")];
        told.extend((0..100_000).map(|_| process("web", &"\u{0}\"\\".repeat(400))));
        let Sight::Processes { processes, more } = checked_processes(told, u32::MAX - 5, |app| app == "web")
        else {
            panic!()
        };
        assert_eq!((processes[0].command.as_str(), more), ("\\u{1b}[31m", u32::MAX));
        let reply = Reply::Seen { sight: Sight::Processes { processes, more } };
        assert!(serde_json::to_vec(&reply).unwrap().len() < 160 << 10);

        let apps = vec![AppUsage { app: "web".into(), ..AppUsage::default() }; 1000];
        let long = InterfaceUsage { name: "\n".repeat(1000), ..InterfaceUsage::default() };
        let usage = checked_usage(Usage { apps, interfaces: vec![long; 1000], ..Usage::default() }, |_| true);
        assert_eq!((usage.apps.len(), usage.interfaces.len()), (1, MAX_INTERFACES));
        assert!(usage.interfaces[0].name.len() < 200, "{}", usage.interfaces[0].name);
    }
}
