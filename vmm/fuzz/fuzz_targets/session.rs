//! An agent that says whatever the fuzzer thinks of.
#![no_main]

use agent::protocol::{FrameReader, GuestMessage, VERSION, write_frame};
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
    Ready,
    Diagnostic(Option<u8>, String),
    Exited(u8, i32),
    Forgotten(u8),
    Command(u32, i32, Option<String>),
    Finished(i32),
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
        Step::Ready => GuestMessage::Ready,
        Step::Diagnostic(number, text) => GuestMessage::Diagnostic { app: number.map(app), text },
        Step::Exited(number, status) => GuestMessage::AppExited { app: app(number), status },
        Step::Forgotten(number) => GuestMessage::AppForgotten { app: app(number) },
        Step::Command(command, status, line) => GuestMessage::CommandEnded { command, status, line },
        Step::Finished(status) => GuestMessage::Finished { status },
        _ => return None,
    })
}

/// What the user sees may not command his terminal.
fn check(reaction: &Reaction) {
    let lines = match reaction {
        Reaction::Show(line) => Some(line),
        Reaction::CommandEnded { line, .. } | Reaction::AppExited { never_ran: line, .. } => line.as_ref(),
        _ => None,
    };
    assert!(lines.is_none_or(|line| !line.chars().any(char::is_control)), "{reaction:?}");
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
