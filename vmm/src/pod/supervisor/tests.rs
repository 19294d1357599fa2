mod changes;
mod clients;
mod ends;
mod sockets;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::Mutex,
    thread,
};

use agent::protocol::{
    COMMAND_PORT, CommandHeader, CommandSpec, Condition, GuestMessage, StreamHeader, StreamKind, VERSION,
    WindowSize, read_frame, write_frame,
};
use event_manager::EventManager;
use libc::{SIGINT, SIGTERM};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::{
    jail,
    pod::{
        clients::wire::{Reply, Request, SOCKET},
        enter::{Answer, Call},
        keeper,
        session::SessionError,
        signals::stop_signal,
        streams::StreamError,
    },
    virtio::vsock::Connection,
};

const UUID: &str = "6b2c1f0e-0d4f-4c2a-9b7e-0123456789ab";

/// A machine that ends when the test says so.
struct FakeMachine {
    event: EventFd,
    exit: Mutex<Option<String>>,
}

impl Guest for FakeMachine {
    fn exit_event(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    fn exit(&self) -> Option<String> {
        self.exit.lock().unwrap().clone()
    }
}

/// The guest's side of a pod, for a script to play.
struct Script {
    ports: Ports,
    machine: &'static FakeMachine,
    root: PathBuf,
    io_limits: IoLimits,
    stdout: File,
    keeper: OwnedFd,
}

impl Script {
    fn connect(&self, port: u32) -> UnixStream {
        let (host, guest) = UnixStream::pair().unwrap();
        while self
            .ports
            .offer(port, || Some(Connection { guest_port: 9, stream: host.try_clone().unwrap() }))
            .is_none()
        {
            thread::yield_now();
        }
        guest
    }

    fn say_hello(&self) -> UnixStream {
        let mut control = self.connect(CONTROL_PORT);
        send(&mut control, GuestMessage::Hello { version: VERSION });
        let HostMessage::Start(spec) = hear(&mut control) else { panic!("no pod") };
        assert_eq!(spec.hostname, format!("rkt-{UUID}"));
        assert_eq!(spec.mutable, spec.apps.is_empty());
        if let Some(app) = spec.apps.first() {
            assert_eq!(app.rootfs, "web/rootfs");
            assert_eq!((app.notify, app.stop_signal), (true, Some(3)));
        }
        assert_eq!(spec.entropy.len(), 128);
        control
    }

    fn open(&self, app: &str, stream: StreamKind) -> UnixStream {
        let mut connection = self.connect(STREAM_PORT);
        write_frame(&mut connection, &StreamHeader { app: app.into(), stream }).unwrap();
        connection
    }

    fn signal(&self, number: i32) {
        keeper::send_signal(&self.keeper, number);
    }

    fn die(&self, why: &str) {
        *self.machine.exit.lock().unwrap() = Some(why.into());
        self.machine.event.write(1).unwrap();
    }

    /// A file the host leaves; what it is told by another connection may take it a moment.
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.wait_for(name)).unwrap()
    }

    fn wait_for(&self, name: &str) -> PathBuf {
        let path = self.root.join("stage1/rootfs/rkt").join(name);
        let limit = Instant::now() + Duration::from_secs(20);
        while path.symlink_metadata().is_err() {
            assert!(Instant::now() < limit, "{name} never came");
            thread::yield_now();
        }
        path
    }
}

fn send(control: &mut UnixStream, message: GuestMessage) {
    write_frame(control, &message).unwrap();
}

fn hear(control: &mut UnixStream) -> HostMessage {
    read_frame(control).unwrap().unwrap()
}

fn exit(control: &mut UnixStream, app: &str, status: i32) {
    send(control, GuestMessage::AppExited { app: app.into(), status });
}

fn manifest(apps: &[&str]) -> PodManifest {
    let app = |name: &&str| {
        serde_json::json!({
            "name": name,
            "image": {"id": format!("sha512-{}", "0".repeat(128))},
            "app": {"exec": ["/x"], "user": "0", "group": "0"},
        })
    };
    let apps: Vec<_> = apps.iter().map(app).collect();
    let manifest = serde_json::json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": apps});
    PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap()
}

/// Runs a pod of these apps, or a mutable one without any, against a guest that follows the script.
fn play<T: Send>(apps: &[&str], script: impl FnOnce(Script) -> T + Send) -> (Result<Ending, PodError>, T) {
    play_with(apps, HostSockets::default(), script)
}

/// The same with sockets that were passed to the pod.
fn play_with<T: Send>(
    apps: &[&str],
    sockets: HostSockets,
    script: impl FnOnce(Script) -> T + Send,
) -> (Result<Ending, PodError>, T) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("stage1/rootfs/rkt")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let writer: &'static OwnedFd = Box::leak(Box::new(writer.into()));
    let machine: &'static FakeMachine = Box::leak(Box::new(FakeMachine {
        event: EventFd::new(EFD_NONBLOCK).unwrap(),
        exit: Mutex::default(),
    }));
    let io_limits = IoLimits::default();
    let pod = Pod {
        dns: Dns::default(),
        journal: None,
        network: GuestNetwork::default(),
        arguments: RunArguments {
            networks: "none".into(),
            uuid: UUID.into(),
            mutable: apps.is_empty(),
            ..RunArguments::default()
        },
        manifest: manifest(apps),
        directory: PodDirectory::at(root.path()),
        hints: vec![Hints { notify: true, stop_signal: Some(3), ..Hints::default() }; apps.len()],
        volumes: Volumes { mounts: vec![vec![]; apps.len()], ..Volumes::default() },
        io_limits: io_limits.clone(),
        watches: Watches::default(),
        sockets,
        stdio: HostStdio { stdin: None, stdout: writer.as_fd(), stderr: writer.as_fd() },
    };
    let ports = Ports::default();
    let (link, keeper) = Link::pair();
    // The keeper is there as long as the pod.
    let _kept = keeper.try_clone().unwrap();
    let script_parts = Script {
        ports: ports.clone(),
        machine,
        root: root.path().into(),
        io_limits,
        stdout: File::from(OwnedFd::from(reader)),
        keeper,
    };
    let diagnostics = Diagnostics::start().unwrap();
    let listeners = Listeners::open(&ports, &pod.directory).unwrap();
    let written = root.path();
    thread::scope(|scope| {
        let script = scope.spawn(move || script(script_parts));
        let event_loop = scope.spawn(move || {
            let mut event_loop = EventManager::new().unwrap();
            // Where there is a jail, which is in children of this test process.
            jail::close(&[written]).unwrap();
            let supervisor = Supervisor::new(pod, listeners, machine, &link, &diagnostics).unwrap();
            supervisor.run(&mut event_loop)
        });
        (event_loop.join().unwrap(), script.join().unwrap())
    })
}

#[test]
fn the_event_loop_can_do_all_this_in_jail() {
    let tests: &[(&str, fn())] = &[
        ("output", a_pod_ends_with_its_status_and_all_its_output),
        ("signals", sigterm_ends_the_apps_first),
        ("conditions", how_an_app_fares_is_left_before_its_status_is),
        ("attach", clients::attached_clients_hear_an_app_until_it_ends),
        ("enter", clients::commands_wait_for_the_pod_and_get_their_streams_and_status),
        ("changes", changes::an_app_comes_runs_twice_and_goes),
        ("sockets", sockets::connections_wait_for_the_pod_and_are_carried_both_ways),
    ];
    for (name, test) in tests {
        assert_eq!(jail::tests::in_child(test), (None, 0), "{name}");
    }
}

#[test]
fn a_pod_ends_with_its_status_and_all_its_output() {
    let (result, output) = play(&["web", "db"], |mut script| {
        let mut control = script.say_hello();
        let mut stdout = script.open("web", StreamKind::Stdout);
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        send(&mut control, GuestMessage::AppStarted { app: "db".into(), pid: 3 });
        send(&mut control, GuestMessage::Ready);
        exit(&mut control, "db", 42);
        exit(&mut control, "web", 0);
        send(&mut control, GuestMessage::Finished { status: 42 });
        // Late, and more than any buffer on the way holds.
        let late = thread::spawn(move || stdout.write_all(&[b'x'; 1 << 20]).unwrap());
        let mut output = vec![0; 1 << 20];
        script.stdout.read_exact(&mut output).unwrap();
        late.join().unwrap();
        assert_eq!(script.file("status/web"), "0\n");
        assert_eq!(script.file("status/db"), "42\n");
        let ready = fs::read_link(script.wait_for("supervisor-status")).unwrap();
        assert_eq!(ready, PathBuf::from("ready"));
        output
    });
    assert_eq!(result.unwrap(), Ending::Status(42));
    assert!(output.iter().all(|byte| *byte == b'x'));
}

#[test]
fn how_an_app_fares_is_left_before_its_status_is() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        let condition = |memory_kills| {
            let condition = Condition { memory_kills, health: None };
            GuestMessage::AppCondition { app: "web".into(), condition }
        };
        send(&mut control, condition(1));
        assert_eq!(script.file("status/web.condition"), r#"{"oom_kills":1}"#);
        send(&mut control, condition(2));
        exit(&mut control, "web", 137);
        send(&mut control, GuestMessage::Finished { status: 137 });
        script.wait_for("status/web");
        assert_eq!(script.file("status/web.condition"), r#"{"oom_kills":2}"#);
    });
    assert_eq!(result.unwrap(), Ending::Status(137));
}

#[test]
fn sigterm_ends_the_apps_first() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        script.signal(SIGTERM);
        assert_eq!(hear(&mut control), HostMessage::Stop { grace_ms: 10_000 });
        exit(&mut control, "web", 143);
        send(&mut control, GuestMessage::Finished { status: 143 });
        assert_eq!(hear_end(&mut control), None);
        assert_eq!(script.file("status/web"), "143\n");
    });
    assert_eq!(result.unwrap(), Ending::Terminated);
}

fn hear_end(control: &mut UnixStream) -> Option<HostMessage> {
    read_frame(control).unwrap_or(None)
}

#[test]
fn a_dead_machine_ends_the_pod_with_its_reason() {
    let (result, ()) = play(&["web"], |script| {
        let _control = script.say_hello();
        script.die("Guest kernel crashed");
    });
    assert_eq!(result.unwrap_err().to_string(), "Guest kernel crashed");
}

#[test]
fn the_agents_last_words_count_more_than_the_machines_end() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        script.die("Guest reset the machine");
        send(&mut control, GuestMessage::Failed { text: "Cannot mount".into() });
    });
    let error = result.unwrap_err();
    assert!(matches!(error, PodError::Session(SessionError::Failed(text)) if text == "Cannot mount"));
}

#[test]
fn a_guest_that_misbehaves_fails_the_pod() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        exit(&mut control, "other", 0);
    });
    assert!(matches!(result, Err(PodError::Session(SessionError::UnknownApp(_)))));

    let (result, _second) = play(&["web"], |script| (script.say_hello(), script.connect(CONTROL_PORT)));
    assert!(matches!(result, Err(PodError::SecondControl)));

    let (result, _streams) = play(&["web"], |script| {
        let control = script.say_hello();
        (control, script.open("web", StreamKind::Tty))
    });
    assert!(matches!(result, Err(PodError::Stream(StreamError::NotExpected { .. }))));

    let (result, _control) = play(&["web"], |script| {
        let mut control = script.connect(CONTROL_PORT);
        control.write_all(&[255; 64]).unwrap();
        control
    });
    assert!(matches!(result, Err(PodError::Control(_))));
}
