use super::*;

/// What the agent said about the app, in short.
fn course(messages: &[GuestMessage]) -> Vec<String> {
    let one = |message: &GuestMessage| match message {
        GuestMessage::AppStarted { app, .. } => format!("{app} started"),
        GuestMessage::AppExited { app, status } => format!("{app} exited {status}"),
        GuestMessage::AppForgotten { app } => format!("{app} forgotten"),
        GuestMessage::Ready => "ready".to_owned(),
        other => format!("{other:?}"),
    };
    messages.iter().map(one).collect()
}

#[test]
fn an_apps_end_is_not_the_pods_and_it_can_be_started_again() {
    let script = "trap 'echo asked; exit 9' TERM; echo up; until [ -e /tmp/twice ]; do \
                  touch /tmp/twice; exit 3; done; while :; do sleep 0.01; done";
    let pod = PodUnderTest::new().app("web", &["/bin/sh", "-c", script]).mutable(2);
    let start = pod.message("web");
    let outcome = pod.run_with(|hands| {
        hands.wait_for("up");
        hands.send_when_ended(&start);
        hands.wait_for("up");
        hands.send(&HostMessage::StopApp { app: "web".into(), grace_ms: 20_000 });
        hands.wait_for("asked");
        hands.send_when_ended(&HostMessage::ForgetApp { app: "web".into() });
        hands.send(&HostMessage::Stop { grace_ms: 1000 });
    });
    let expected = ["web started", "ready", "web exited 3", "web started", "web exited 9", "web forgotten"];
    assert_eq!((course(&outcome.messages), outcome.status), (expected.map(str::to_owned).into(), 0));
}

#[test]
fn an_apps_own_memory_is_empty_when_it_starts_again() {
    let script = "ls /own /pods; echo up; touch /own/own /pods/pods";
    let pod = PodUnderTest::new()
        .app("web", &["/bin/sh", "-c", script])
        .memory("web.0.tmpfs", "/own", true)
        .memory("cache", "/pods", false)
        .mutable(2);
    let start = pod.message("web");
    let outcome = pod.run_with(|hands| {
        hands.wait_for("up");
        hands.send_when_ended(&start);
        hands.wait_for("up");
        hands.send_when_ended(&HostMessage::ForgetApp { app: "web".into() });
        hands.send(&HostMessage::Stop { grace_ms: 1000 });
    });
    // Of its last life.
    assert_eq!(outcome.stream("web", StreamKind::Stdout), "/own:\n\n/pods:\npods\nup\n");
}

#[test]
fn an_app_that_does_not_listen_is_killed_and_what_cannot_be_is_told() {
    let pod =
        PodUnderTest::new().app("web", &["/bin/sh", "-c", "trap '' TERM; echo up; sleep 1000"]).mutable(1);
    let HostMessage::StartApp { mut app, spec } = pod.message("web") else { panic!() };
    app.app.as_mut().unwrap().exec.clear();
    let outcome = pod.run_with(|hands| {
        hands.wait_for("up");
        hands.send(&HostMessage::StopApp { app: "web".into(), grace_ms: 50 });
        hands.send_when_ended(&HostMessage::StartApp { app, spec });
        hands.send(&HostMessage::Stop { grace_ms: 1000 });
    });
    let expected = ["web started", "ready", "web exited 137", "", "web exited 203"];
    let mut found = course(&outcome.messages);
    assert!(found[3].contains("empty exec list"), "{found:?}");
    found[3].clear();
    assert_eq!((found, outcome.status), (expected.map(str::to_owned).into(), 0));
}
