//! What the guest may say on its control connection, and what follows from it. The guest is not trusted.

#[cfg(test)]
mod tests;

use agent::protocol::{Condition, GuestMessage, HealthReport, MAX_CHECK_OUTPUT, Sight, VERSION};

use super::diagnostics::sanitized;

/// How many diagnostics of a guest are shown; more are dropped.
pub const MAX_DIAGNOSTICS: u32 = 1000;

/// The guest's side of the protocol, message by message.
///
/// ```text
/// Silent ── Hello ──▶ Starting ── Ready ──▶ Running
///                        └─────── Finished ───┴──▶ Finished
/// ```
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    apps: Vec<App>,
    leaving: Vec<String>,
    diagnostics: u32,
}

/// How far the guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been heard of it.
    Silent,
    /// It has its pod and starts the apps.
    Starting,
    /// Every app has been started.
    Running,
    /// Every app has ended.
    Finished,
}

#[derive(Debug)]
struct App {
    name: String,
    started: bool,
    status: Option<i32>,
    /// What the guest said about it last.
    line: Option<String>,
}

/// What the host has to do about a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    None,
    /// Send the pod.
    SendPod,
    /// The pod is ready: every app runs.
    Ready,
    /// Show a line to the user.
    Show(String),
    /// An app runs.
    AppStarted {
        /// The app, one of the pod's.
        app: String,
    },
    /// Note how an app fares. What its checks said is cut, but not safe to show.
    AppCondition {
        /// The app, one of the pod's that has not ended.
        app: String,
        /// All that is known of it.
        condition: Condition,
    },
    /// The guest has let go of an app.
    AppForgotten {
        /// The app, which it was asked to let go of.
        app: String,
    },
    /// Note an app's exit status.
    AppExited {
        /// The app, one of the pod's.
        app: String,
        /// 0 to 255.
        status: i32,
        /// Why its program was never executed, if it was not; safe to show.
        never_ran: Option<String>,
    },
    /// An answer to a question, by number; the host knows whether there was one. It is as the guest gave it.
    Seen {
        /// The question's number.
        number: u32,
        /// The answer.
        sight: Sight,
    },
    /// Note that a command, by number, has ended; the host knows whether there was one.
    CommandEnded {
        /// Its number.
        command: u32,
        /// 0 to 255.
        status: i32,
        /// Why it could not be run; safe to show.
        line: Option<String>,
    },
    /// End with this status, 0 to 255, once all output is out.
    Finish(i32),
}

/// Why a pod cannot go on with this guest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Host and guest are of different builds.
    #[error("Guest speaks version {0} of the agent protocol, this stage1 version {VERSION}")]
    Version(u32),
    /// A message that has no place here.
    #[error("Guest sent {message} {when}")]
    Unexpected {
        /// The message's name.
        message: &'static str,
        /// Why it is not expected.
        when: &'static str,
    },
    /// The guest spoke of an app that is none of the pod's.
    #[error("Guest spoke of app {0:?}, which is not in the pod")]
    UnknownApp(String),
    /// The guest spoke of a command that the host has not asked for, or that has ended.
    #[error("Guest spoke of command {0}, which does not run")]
    UnknownCommand(u32),
    /// No process ends with this status.
    #[error("Guest reported impossible exit status {0}")]
    Status(i32),
    /// The agent gave up; its line says why.
    #[error("{0}")]
    Failed(String),
}

impl Session {
    /// A session about the apps of these names.
    pub fn new(apps: impl IntoIterator<Item = String>) -> Self {
        let apps = apps.into_iter().map(App::new).collect();
        Session { phase: Phase::Silent, apps, leaving: Vec::new(), diagnostics: 0 }
    }

    /// How far the guest is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether an app's program has been executed, or never will be.
    pub fn was_started(&self, name: &str) -> bool {
        self.apps.iter().any(|app| app.name == name && (app.started || app.status.is_some()))
    }

    /// The guest is asked to start an app, once more if it has ended.
    pub fn expect_start(&mut self, name: &str) {
        self.apps.retain(|app| app.name != name);
        self.apps.push(App::new(name.to_owned()));
    }

    /// The guest is asked to let go of an app that does not run.
    pub fn expect_leave(&mut self, name: &str) {
        self.apps.retain(|app| app.name != name);
        self.leaving.push(name.to_owned());
    }

    /// Whether the guest has been asked to start an app.
    pub fn knows(&self, name: &str) -> bool {
        self.apps.iter().any(|app| app.name == name)
    }

    /// Whether the guest has been asked to start an app, and its end has not been reported.
    pub fn is_unfinished(&self, name: &str) -> bool {
        self.unfinished().any(|app| app == name)
    }

    /// The apps whose end has not been reported.
    pub fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.apps.iter().filter(|app| app.status.is_none()).map(|app| app.name.as_str())
    }

    /// Takes in one message. After an error the guest is beyond repair.
    pub fn receive(&mut self, message: GuestMessage) -> Result<Reaction, SessionError> {
        match (self.phase, message) {
            (_, GuestMessage::Failed { text }) => Err(SessionError::Failed(sanitized(&text))),
            (Phase::Silent, GuestMessage::Hello { version }) => self.hello(version),
            (Phase::Silent, other) => Err(unexpected(&other, "before it said hello")),
            (Phase::Finished, other) => Err(unexpected(&other, "after the pod had finished")),
            (_, other @ GuestMessage::Hello { .. }) => Err(unexpected(&other, "twice")),
            (Phase::Starting, GuestMessage::Ready) => {
                self.phase = Phase::Running;
                Ok(Reaction::Ready)
            }
            (_, other @ GuestMessage::Ready) => Err(unexpected(&other, "twice")),
            (_, GuestMessage::AppStarted { app, .. }) => self.app_started(app),
            (_, GuestMessage::AppCondition { app, condition }) => self.app_condition(app, condition),
            (_, GuestMessage::AppExited { app, status }) => self.app_exited(app, status),
            (_, GuestMessage::Diagnostic { app, text }) => self.diagnostic(app.as_deref(), &text),
            (_, GuestMessage::CommandEnded { command, status, line }) => {
                let line = line.map(|line| sanitized(&line));
                Ok(Reaction::CommandEnded { command, status: checked(status)?, line })
            }
            (_, GuestMessage::AppForgotten { app }) => self.app_forgotten(app),
            (_, GuestMessage::Seen { number, sight }) => Ok(Reaction::Seen { number, sight }),
            (_, GuestMessage::Finished { status }) => self.finished(status),
        }
    }

    fn hello(&mut self, version: u32) -> Result<Reaction, SessionError> {
        if version != VERSION {
            return Err(SessionError::Version(version));
        }
        self.phase = Phase::Starting;
        Ok(Reaction::SendPod)
    }

    fn app_started(&mut self, app: String) -> Result<Reaction, SessionError> {
        let known = self.app(&app)?;
        if known.started || known.status.is_some() {
            return Err(SessionError::Unexpected { message: "AppStarted", when: "twice for one app" });
        }
        known.started = true;
        Ok(Reaction::AppStarted { app })
    }

    fn app_exited(&mut self, app: String, status: i32) -> Result<Reaction, SessionError> {
        let known = self.app(&app)?;
        if known.status.is_some() {
            return Err(SessionError::Unexpected { message: "AppExited", when: "twice for one app" });
        }
        known.status = Some(checked(status)?);
        let never_ran = (!known.started).then(|| known.line.take().unwrap_or_default());
        Ok(Reaction::AppExited { app, status, never_ran })
    }

    fn app_condition(&mut self, app: String, condition: Condition) -> Result<Reaction, SessionError> {
        if self.app(&app)?.status.is_some() {
            return Err(SessionError::Unexpected {
                message: "AppCondition",
                when: "after the app had ended",
            });
        }
        let cut = |report: HealthReport| HealthReport { output: cut(&report.output), ..report };
        let condition = Condition { health: condition.health.map(cut), ..condition };
        Ok(Reaction::AppCondition { app, condition })
    }

    fn app_forgotten(&mut self, app: String) -> Result<Reaction, SessionError> {
        let Some(at) = self.leaving.iter().position(|leaving| *leaving == app) else {
            return Err(SessionError::UnknownApp(sanitized(&app)));
        };
        self.leaving.swap_remove(at);
        Ok(Reaction::AppForgotten { app })
    }

    fn diagnostic(&mut self, app: Option<&str>, text: &str) -> Result<Reaction, SessionError> {
        let line = sanitized(text);
        if let Some(app) = app {
            self.app(app)?.line = Some(line.clone());
        }
        self.diagnostics = self.diagnostics.saturating_add(1);
        Ok(if self.diagnostics > MAX_DIAGNOSTICS { Reaction::None } else { Reaction::Show(line) })
    }

    fn finished(&mut self, status: i32) -> Result<Reaction, SessionError> {
        if self.unfinished().next().is_some() {
            return Err(SessionError::Unexpected { message: "Finished", when: "before every app had ended" });
        }
        let status = checked(status)?;
        self.phase = Phase::Finished;
        Ok(Reaction::Finish(status))
    }

    fn app(&mut self, name: &str) -> Result<&mut App, SessionError> {
        let found = self.apps.iter_mut().find(|app| app.name == name);
        found.ok_or_else(|| SessionError::UnknownApp(sanitized(name)))
    }
}

impl App {
    fn new(name: String) -> Self {
        App { name, started: false, status: None, line: None }
    }
}

fn checked(status: i32) -> Result<i32, SessionError> {
    if (0..=255).contains(&status) { Ok(status) } else { Err(SessionError::Status(status)) }
}

/// What a check said, no longer than an agent would make it.
fn cut(output: &str) -> String {
    output.chars().take(MAX_CHECK_OUTPUT).collect()
}

fn unexpected(message: &GuestMessage, when: &'static str) -> SessionError {
    let message = match message {
        GuestMessage::Hello { .. } => "Hello",
        GuestMessage::AppStarted { .. } => "AppStarted",
        GuestMessage::AppCondition { .. } => "AppCondition",
        GuestMessage::Ready => "Ready",
        GuestMessage::Diagnostic { .. } => "Diagnostic",
        GuestMessage::AppExited { .. } => "AppExited",
        GuestMessage::AppForgotten { .. } => "AppForgotten",
        GuestMessage::Seen { .. } => "Seen",
        GuestMessage::CommandEnded { .. } => "CommandEnded",
        GuestMessage::Finished { .. } => "Finished",
        GuestMessage::Failed { .. } => "Failed",
    };
    SessionError::Unexpected { message, when }
}
