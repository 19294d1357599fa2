use super::*;
use crate::pod::{clients::wire::Change, spec::app_spec};

/// Asks the pod that `script` belongs to for a change.
fn ask(script: &Script, change: Change) -> UnixStream {
    let mut client = UnixStream::connect(script.root.join(SOCKET)).unwrap();
    write_frame(&mut client, &Request::Change(change)).unwrap();
    client
}

fn answer(client: &mut UnixStream) -> Option<Reply> {
    read_frame(client).unwrap_or(None)
}

fn refusal(client: &mut UnixStream) -> String {
    let Some(Reply::Refused { line }) = answer(client) else { panic!("not refused") };
    line
}

fn add(script: &Script) -> UnixStream {
    let runtime = Box::new(manifest(&["web"]).apps.remove(0));
    ask(script, Change::Add { runtime, spec: Box::new(app_spec("web", Stdio::Output)) })
}

fn start(script: &Script) -> UnixStream {
    ask(script, Change::Start { app: "web".into() })
}

fn stop(script: &Script) -> UnixStream {
    ask(script, Change::Stop { app: "web".into() })
}

fn remove(script: &Script) -> UnixStream {
    ask(script, Change::Remove { app: "web".into() })
}

fn hear_start(control: &mut UnixStream) {
    let HostMessage::StartApp { app, spec } = hear(control) else { panic!("no start") };
    assert_eq!((app.name.as_str(), spec.name.as_str()), ("web", "web"));
}

fn started(control: &mut UnixStream) {
    send(control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
}

fn end(script: &Script, control: &mut UnixStream) {
    script.signal(stop_signal());
    assert!(matches!(hear(control), HostMessage::Stop { .. }));
    send(control, GuestMessage::Finished { status: 0 });
}

#[test]
fn an_added_app_is_limited_until_it_is_asked_to_end() {
    let (result, ()) = play(&[], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        let mut runtime = manifest(&["web"]).apps.remove(0);
        let iops = r#"[{"name": "resource/block-iops", "value": {"default": true, "limit": "5"}}]"#;
        runtime.app.as_mut().unwrap().isolators = serde_json::from_str(iops).unwrap();
        let spec = Box::new(app_spec("web", Stdio::Output));
        answer(&mut ask(&script, Change::Add { runtime: Box::new(runtime), spec }));
        let limited = || script.io_limits.is_limited("rootfs", "web");
        for _ in 0..2 {
            assert!(!limited());
            let mut client = start(&script);
            hear_start(&mut control);
            // Before the guest can look at its files.
            assert!(limited());
            started(&mut control);
            answer(&mut client);
            let mut client = stop(&script);
            hear(&mut control);
            assert!(!limited());
            exit(&mut control, "web", 0);
            answer(&mut client);
        }
        let mut client = start(&script);
        hear_start(&mut control);
        started(&mut control);
        answer(&mut client);
        assert!(limited());
        script.signal(stop_signal());
        hear(&mut control);
        assert!(!limited());
        exit(&mut control, "web", 0);
        send(&mut control, GuestMessage::Finished { status: 0 });
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

#[test]
pub fn an_app_comes_runs_twice_and_goes() {
    let (result, output) = play(&[], |mut script| {
        // A pod that is not there yet is waited for.
        let mut early = add(&script);
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        assert_eq!(answer(&mut early), Some(Reply::Done));
        assert_eq!(refusal(&mut add(&script)), "Pod has an app \"web\" already");
        assert_eq!(answer(&mut stop(&script)), Some(Reply::NotRunning));

        let mut client = start(&script);
        hear_start(&mut control);
        assert_eq!(refusal(&mut start(&script)), "App \"web\" is running already");
        started(&mut control);
        assert_eq!(answer(&mut client), Some(Reply::Done));
        script.wait_for("status/web-started");
        let mut stdout = script.open("web", StreamKind::Stdout);
        assert_eq!(refusal(&mut remove(&script)), "App \"web\" is running");
        let mut client = stop(&script);
        assert_eq!(hear(&mut control), HostMessage::StopApp { app: "web".into(), grace_ms: 10_000 });
        stdout.write_all(b"1").unwrap();
        exit(&mut control, "web", 3);
        assert_eq!(answer(&mut client), Some(Reply::Done));
        assert_eq!(script.file("status/web"), "3\n");

        // Not before its output has arrived.
        let mut client = start(&script);
        script.stdout.read_exact(&mut [0]).unwrap();
        drop(stdout);
        hear_start(&mut control);
        let text = "Error: no".to_owned();
        send(&mut control, GuestMessage::Diagnostic { app: Some("web".into()), text });
        exit(&mut control, "web", 203);
        assert_eq!(refusal(&mut client), "Error: no");

        let mut client = remove(&script);
        assert_eq!(hear(&mut control), HostMessage::ForgetApp { app: "web".into() });
        send(&mut control, GuestMessage::AppForgotten { app: "web".into() });
        assert_eq!(answer(&mut client), Some(Reply::Done));
        assert_eq!(refusal(&mut start(&script)), "Pod has no app \"web\"");
        assert_eq!(answer(&mut add(&script)), Some(Reply::Done));
        end(&script, &mut control);
    });
    // What apps of such a pod make of themselves is not the pod's.
    assert_eq!((result.unwrap(), output), (Ending::Status(0), ()));
}

#[test]
fn pods_that_do_not_change_say_so() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        assert_eq!(refusal(&mut add(&script)), "Pod is immutable");
        exit(&mut control, "web", 0);
        send(&mut control, GuestMessage::Finished { status: 0 });
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

#[test]
fn a_guest_that_starts_what_it_was_not_told_to_fails_the_pod() {
    let (result, _control) = play(&[], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        assert_eq!(answer(&mut add(&script)), Some(Reply::Done));
        started(&mut control);
        control
    });
    assert!(matches!(result, Err(PodError::Session(SessionError::UnknownApp(_)))));
}
