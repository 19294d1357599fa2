//! An agent that says whatever the fuzzer thinks of.
#![no_main]

use agent::protocol::{
    AppUsage, Condition, FrameReader, GuestMessage, Health, HealthReport, MAX_CHECK_OUTPUT, Process, Sight,
    Usage, VERSION, write_frame,
};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vmm::pod::session::{Phase, Reaction, Session};

const APPS: [&str; 3] = ["web", "db", "none-of-the-pods"];

#[derive(Debug, Arbitrary)]
enum Step {
    /// Bytes on the connection.
    Bytes(Vec<u8>),
    /// A frame of anything.
    Frame(Vec<u8>),
    Hello(bool),
    Started(u8),
    /// How an app fares, and what its check says, again and again.
    Condition(u8, u64, Option<(u32, String, u8)>),
    Ready,
    Diagnostic(Option<u8>, String),
    Exited(u8, i32),
    Forgotten(u8),
    Processes(u32, u8, String, u32),
    Usage(u32, u8, Option<u64>),
    Command(u32, i32, Option<String>),
    Finished(i32),
    Failed(String),
    /// The host asks for an app's start, or for its end.
    Start(u8),
    Leave(u8),
}

fn app(number: u8) -> String {
    APPS[usize::from(number) % APPS.len()].into()
}

fn message(step: Step) -> Option<GuestMessage> {
    Some(match step {
        Step::Hello(right) => GuestMessage::Hello { version: if right { VERSION } else { 0 } },
        Step::Started(number) => GuestMessage::AppStarted { app: app(number), pid: 7 },
        Step::Condition(number, memory_kills, check) => {
            let health = check.map(|(failures, output, times)| HealthReport {
                health: [Health::Starting, Health::Healthy, Health::Unhealthy][failures as usize % 3],
                failures,
                output: output.repeat(times.into()),
            });
            GuestMessage::AppCondition { app: app(number), condition: Condition { memory_kills, health } }
        }
        Step::Ready => GuestMessage::Ready,
        Step::Diagnostic(number, text) => GuestMessage::Diagnostic { app: number.map(app), text },
        Step::Exited(number, status) => GuestMessage::AppExited { app: app(number), status },
        Step::Forgotten(number) => GuestMessage::AppForgotten { app: app(number) },
        Step::Processes(number, which, command, more) => {
            let process = Process {
                app: app(which),
                pid: more,
                parent: 0,
                uid: 0,
                cpu_ms: u64::MAX,
                age_ms: 0,
                resident: u64::MAX,
                command,
            };
            GuestMessage::Seen { number, sight: Sight::Processes { processes: vec![process], more } }
        }
        Step::Usage(number, which, memory_limit) => {
            let usage = AppUsage { app: app(which), memory_limit, ..AppUsage::default() };
            let sight = Sight::Usage(Usage { apps: vec![usage], ..Usage::default() });
            GuestMessage::Seen { number, sight }
        }
        Step::Command(command, status, line) => GuestMessage::CommandEnded { command, status, line },
        Step::Finished(status) => GuestMessage::Finished { status },
        Step::Failed(text) => GuestMessage::Failed { text },
        _ => return None,
    })
}

/// What the user sees may not command his terminal, nor what is kept of a check grow.
fn check(reaction: &Reaction) {
    let lines = match reaction {
        Reaction::Show(line) => Some(line),
        Reaction::CommandEnded { line, .. } | Reaction::AppExited { never_ran: line, .. } => line.as_ref(),
        _ => None,
    };
    assert!(lines.is_none_or(|line| !line.chars().any(char::is_control)), "{reaction:?}");
    if let Reaction::AppCondition { app, condition } = reaction {
        assert!(APPS.contains(&app.as_str()));
        let told = condition.health.as_ref().map_or(0, |health| health.output.chars().count());
        assert!(told <= MAX_CHECK_OUTPUT);
    }
    if let Reaction::Finish(status) | Reaction::AppExited { status, .. } = reaction {
        assert!((0..=255).contains(status));
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut session = Session::new(APPS[..2].iter().map(|name| (*name).to_owned()));
    let mut incoming = FrameReader::default();
    for step in steps {
        let mut bytes = Vec::new();
        match step {
            Step::Start(number) if session.phase() != Phase::Finished => session.expect_start(&app(number)),
            Step::Leave(number) if !session.is_unfinished(&app(number)) => session.expect_leave(&app(number)),
            Step::Bytes(raw) => bytes = raw,
            Step::Frame(body) => {
                bytes.extend((body.len() as u32).to_le_bytes());
                bytes.extend(body);
            }
            other => match message(other) {
                Some(message) => write_frame(&mut bytes, &message).unwrap(),
                None => continue,
            },
        }
        incoming.push(&bytes);
        loop {
            // After an error the connection is closed, and the pod with it.
            let Ok(next) = incoming.next_message::<GuestMessage>() else { return };
            let Some(next) = next else { break };
            match session.receive(next) {
                Ok(reaction) => check(&reaction),
                Err(error) => {
                    assert!(!error.to_string().chars().any(char::is_control), "{error}");
                    return;
                }
            }
        }
    }
});
