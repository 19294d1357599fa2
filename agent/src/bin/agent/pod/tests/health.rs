//! Checks of an app's health, run by the agent.

use agent::protocol::{Condition, GuestMessage, Health, HealthCheck, MAX_CHECK_OUTPUT};
use serde_json::json;

use super::host::PodUnderTest;

fn check(text: &str, retries: u32) -> HealthCheck {
    HealthCheck {
        exec: ["/bin/sh", "-c", text].map(str::to_owned).into(),
        interval_ms: 50,
        timeout_ms: 5_000,
        start_period_ms: 0,
        start_interval_ms: 50,
        retries,
    }
}

fn conditions(messages: &[GuestMessage]) -> Vec<&Condition> {
    let mut found = Vec::new();
    for message in messages {
        if let GuestMessage::AppCondition { condition, .. } = message {
            found.push(condition);
        }
    }
    found
}

fn health(conditions: &[&Condition]) -> Vec<(Health, u32)> {
    let of = |condition: &&Condition| condition.health.as_ref().map(|it| (it.health, it.failures));
    conditions.iter().filter_map(of).collect()
}

#[test]
fn an_app_falls_ill_and_recovers() {
    // The check runs as the app's user, in its file system and with its environment.
    let text = "echo looked as $(id -u) $WHERE; test -e /tmp/well";
    let app = "sleep 0.5; touch /tmp/well; exec sleep 0.6";
    let app = json!({
        "exec": ["/bin/sh", "-c", app], "user": "nobody", "group": "nogroup",
        "environment": [{"name": "WHERE", "value": "here"}],
    });
    let outcome = PodUnderTest::new().app_with("web", app).health(check(text, 2)).run();
    let told = conditions(&outcome.messages);
    let steps = health(&told);
    assert_eq!(steps[..3], [(Health::Starting, 0), (Health::Starting, 1), (Health::Unhealthy, 2)]);
    assert_eq!(steps.last(), Some(&(Health::Healthy, 0)));
    let said = |condition: &&&Condition| {
        condition.health.as_ref().is_some_and(|it| it.output == "looked as 65534 here")
    };
    assert!(told.iter().skip(1).all(|condition| said(&condition)), "{told:?}");
    let lines = ["App web is unhealthy: looked as 65534 here", "App web is healthy again"];
    assert_eq!((outcome.status, outcome.diagnostics()), (0, lines.to_vec()));
}

#[test]
fn a_check_that_hangs_or_cannot_run_has_failed() {
    let hangs = HealthCheck { timeout_ms: 100, ..check("sleep 1000 & echo stuck; wait", 1) };
    let missing = HealthCheck { exec: vec!["/foo-not-there".into()], ..check("", 1) };
    for (check, line) in [
        (hangs, "App web is unhealthy: Check took longer than 100ms and was killed"),
        (
            missing,
            "App web is unhealthy: Error: Unable to open \"/foo-not-there\": No such file or directory",
        ),
    ] {
        let outcome = PodUnderTest::new().app("web", &["sleep", "0.5"]).health(check).run();
        assert_eq!((outcome.status, outcome.diagnostics()), (0, vec![line]));
    }
}

#[test]
fn what_a_check_says_is_cut() {
    let outcome = PodUnderTest::new()
        .app("web", &["sleep", "0.7"])
        .health(check("yes | head -c 1000000; exit 1", 99))
        .run();
    let told = conditions(&outcome.messages);
    let longest = told.iter().filter_map(|it| Some(it.health.as_ref()?.output.len())).max();
    assert_eq!(longest, Some(MAX_CHECK_OUTPUT));
}
