use agent::protocol::Health;
use proptest::prelude::*;

use super::*;

fn session() -> Session {
    Session::new(["web".to_owned(), "db".to_owned()])
}

fn hello() -> GuestMessage {
    GuestMessage::Hello { version: VERSION }
}

fn exited(app: &str, status: i32) -> GuestMessage {
    GuestMessage::AppExited { app: app.into(), status }
}

fn started(app: &str) -> GuestMessage {
    GuestMessage::AppStarted { app: app.into(), pid: 7 }
}

#[test]
fn a_whole_life() {
    let mut session = session();
    assert_eq!(session.receive(hello()), Ok(Reaction::SendPod));
    assert_eq!(session.receive(started("web")), Ok(Reaction::AppStarted { app: "web".into() }));
    assert_eq!(session.receive(started("db")), Ok(Reaction::AppStarted { app: "db".into() }));
    assert_eq!(session.receive(GuestMessage::Ready), Ok(Reaction::Ready));
    assert_eq!(session.phase(), Phase::Running);
    let exit = Reaction::AppExited { app: "db".into(), status: 3, never_ran: None };
    assert_eq!(session.receive(exited("db", 3)), Ok(exit));
    assert_eq!(session.unfinished().collect::<Vec<_>>(), ["web"]);
    session.receive(exited("web", 0)).unwrap();
    assert_eq!(session.receive(GuestMessage::Finished { status: 3 }), Ok(Reaction::Finish(3)));
    assert_eq!(session.phase(), Phase::Finished);
}

#[test]
fn an_app_that_cannot_be_executed_never_starts() {
    let mut session = session();
    session.receive(hello()).unwrap();
    session.receive(exited("web", 203)).unwrap();
    session.receive(exited("db", 143)).unwrap();
    assert_eq!(session.receive(GuestMessage::Finished { status: 203 }), Ok(Reaction::Finish(203)));
}

#[test]
fn another_version_is_refused() {
    assert_eq!(
        session().receive(GuestMessage::Hello { version: VERSION + 1 }),
        Err(SessionError::Version(VERSION + 1))
    );
}

#[test]
fn nothing_comes_before_hello_or_after_the_end() {
    for early in [GuestMessage::Ready, started("web"), exited("web", 0), GuestMessage::Finished { status: 0 }]
    {
        assert!(matches!(session().receive(early), Err(SessionError::Unexpected { .. })));
    }
    let mut session = Session::new([]);
    session.receive(hello()).unwrap();
    session.receive(GuestMessage::Finished { status: 0 }).unwrap();
    assert!(matches!(session.receive(GuestMessage::Ready), Err(SessionError::Unexpected { .. })));
}

#[test]
fn repetitions_are_refused() {
    for twice in [hello(), GuestMessage::Ready, started("web"), exited("web", 0)] {
        let mut session = session();
        if twice != hello() {
            session.receive(hello()).unwrap();
        }
        session.receive(twice.clone()).unwrap();
        assert!(matches!(session.receive(twice), Err(SessionError::Unexpected { .. })));
    }
}

#[test]
fn foreign_apps_and_impossible_statuses_are_refused() {
    for (message, error) in [
        (started("x\u{1b}"), SessionError::UnknownApp("x\\u{1b}".into())),
        (exited("evil", 0), SessionError::UnknownApp("evil".into())),
        (exited("web", 256), SessionError::Status(256)),
        (exited("web", -1), SessionError::Status(-1)),
    ] {
        let mut session = session();
        session.receive(hello()).unwrap();
        assert_eq!(session.receive(message), Err(error));
    }
}

#[test]
fn the_pod_cannot_finish_before_its_apps() {
    let mut session = session();
    session.receive(hello()).unwrap();
    session.receive(exited("web", 0)).unwrap();
    assert!(session.receive(GuestMessage::Finished { status: 0 }).is_err());
}

#[test]
fn a_flood_of_diagnostics_is_cut() {
    let mut session = session();
    session.receive(hello()).unwrap();
    let line = || GuestMessage::Diagnostic { app: None, text: "a\tb\n".into() };
    for _ in 0..MAX_DIAGNOSTICS {
        assert!(matches!(session.receive(line()), Ok(Reaction::Show(_))));
    }
    assert_eq!(session.receive(line()), Ok(Reaction::None));
}

fn condition(app: &str, output: &str) -> GuestMessage {
    let report = HealthReport { health: Health::Unhealthy, failures: 3, output: output.to_owned() };
    let condition = Condition { memory_kills: 1, health: Some(report) };
    GuestMessage::AppCondition { app: app.to_owned(), condition }
}

#[test]
fn how_an_app_fares_is_heard_until_its_end() {
    let mut session = session();
    session.receive(hello()).unwrap();
    let Ok(Reaction::AppCondition { app, condition: heard }) =
        session.receive(condition("web", &"ä".repeat(99_999)))
    else {
        panic!("not heard");
    };
    assert_eq!((app.as_str(), heard.memory_kills), ("web", 1));
    assert_eq!(heard.health.unwrap().output.chars().count(), MAX_CHECK_OUTPUT);
    assert!(matches!(session.receive(condition("cat", "")), Err(SessionError::UnknownApp(_))));
    session.receive(exited("web", 0)).unwrap();
    assert!(matches!(session.receive(condition("web", "")), Err(SessionError::Unexpected { .. })));
}

#[test]
fn failure_ends_the_session_at_any_time() {
    let failed = GuestMessage::Failed { text: "No share".into() };
    assert_eq!(session().receive(failed), Err(SessionError::Failed("No share".into())));
}

fn any_message() -> impl Strategy<Value = GuestMessage> {
    let app = prop_oneof![Just("web".to_owned()), Just("db".to_owned()), "[a-z]{0,3}"];
    let status = prop_oneof![0..=255, any::<i32>()];
    prop_oneof![
        4 => Just(hello()),
        1 => any::<u32>().prop_map(|version| GuestMessage::Hello { version }),
        2 => Just(GuestMessage::Ready),
        3 => app.clone().prop_map(|app| GuestMessage::AppStarted { app, pid: 1 }),
        3 => (app.clone(), status.clone()).prop_map(|(app, status)| GuestMessage::AppExited { app, status }),
        1 => app.clone().prop_map(|app| GuestMessage::AppForgotten { app }),
        2 => (app.clone(), any::<String>()).prop_map(|(app, output)| condition(&app, &output)),
        2 => status.clone().prop_map(|status| GuestMessage::Finished { status }),
        1 => status.prop_map(|status| GuestMessage::CommandEnded { command: 1, status, line: None }),
        1 => (prop::option::of(app), any::<String>())
            .prop_map(|(app, text)| GuestMessage::Diagnostic { app, text }),
        1 => any::<String>().prop_map(|text| GuestMessage::Failed { text }),
    ]
}

proptest! {
    #[test]
    fn whatever_the_guest_says_the_host_stays_consistent(
        messages in prop::collection::vec(any_message(), 0..24)
    ) {
        let mut session = session();
        let mut exits = Vec::new();
        for message in messages {
            match session.receive(message) {
                Err(_) => break,
                Ok(Reaction::AppExited { app, status, .. }) => {
                    prop_assert!(app == "web" || app == "db");
                    prop_assert!((0..=255).contains(&status));
                    prop_assert!(!exits.contains(&app), "reported twice: {}", app);
                    exits.push(app);
                }
                Ok(Reaction::Finish(status)) => {
                    prop_assert!((0..=255).contains(&status));
                    prop_assert_eq!(exits.len(), 2);
                    prop_assert_eq!(session.phase(), Phase::Finished);
                }
                Ok(Reaction::Show(line)) => prop_assert!(!line.chars().any(char::is_control)),
                Ok(Reaction::Seen { .. }) => {}
                Ok(Reaction::AppCondition { app, .. }) => prop_assert!(!exits.contains(&app)),
                Ok(Reaction::CommandEnded { status, .. }) => prop_assert!((0..=255).contains(&status)),
                Ok(Reaction::AppForgotten { app }) => prop_assert!(false, "{} left unasked", app),
                Ok(
                    Reaction::None | Reaction::SendPod | Reaction::Ready | Reaction::AppStarted { .. },
                ) => {}
            }
        }
    }
}

#[test]
fn apps_of_a_running_pod_start_again_and_leave_only_when_asked() {
    let mut session = Session::new([]);
    session.receive(hello()).unwrap();
    session.receive(GuestMessage::Ready).unwrap();
    assert!(matches!(session.receive(started("web")), Err(SessionError::UnknownApp(_))));
    for status in [3, 203] {
        session.expect_start("web");
        assert!(session.is_unfinished("web") && !session.was_started("web"));
        assert!(session.receive(GuestMessage::Finished { status: 0 }).is_err());
        let text = "no\nsuch file".to_owned();
        session.receive(GuestMessage::Diagnostic { app: Some("web".into()), text }).unwrap();
        let never_ran = match status {
            203 => Some("no\\u{a}such file".to_owned()),
            _ => session.receive(started("web")).map(|_| None).unwrap(),
        };
        let exit = Reaction::AppExited { app: "web".into(), status, never_ran };
        assert_eq!(session.receive(exited("web", status)), Ok(exit));
    }
    let forgotten = || GuestMessage::AppForgotten { app: "web".into() };
    assert!(matches!(session.receive(forgotten()), Err(SessionError::UnknownApp(_))));
    session.expect_leave("web");
    assert_eq!(session.receive(forgotten()), Ok(Reaction::AppForgotten { app: "web".into() }));
    assert!(matches!(session.receive(forgotten()), Err(SessionError::UnknownApp(_))));
    assert!(matches!(session.receive(exited("web", 0)), Err(SessionError::UnknownApp(_))));
}
