//! The host's side of a pod under test.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use agent::protocol::{
    ACCEPTED_PORT, AcceptedHeader, AppSpec, COMMAND_PORT, CONTROL_PORT, CommandHeader, CommandSpec, Disabled,
    Dns, GuestMessage, HealthCheck, HostMessage, MemoryVolume, PodSpec, STREAM_PORT, SocketSpec, Stdio,
    StreamKind, VolumeMount, read_frame, write_frame,
};
use appc::PodManifest;
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use serde_json::{Value, json};

use super::namespaces::{self, SOCKETS};
use super::streams::{PATIENCE, accept, carry, count};
use crate::failure;
use crate::host::{Control, Dial};
use crate::layout::FILES;
use crate::pod;
use crate::root::tables;
use crate::watch::Watches;

/// The host of a pod under test.
#[derive(Debug)]
struct UnixSockets(PathBuf);

impl Dial for UnixSockets {
    fn dial(&self, port: u32) -> io::Result<OwnedFd> {
        let socket = UnixStream::connect(self.0.join(port.to_string()))?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }
}

/// A pod to be run.
pub struct PodUnderTest {
    apps: Vec<Value>,
    stdio: Vec<Stdio>,
    mounts: Vec<Vec<VolumeMount>>,
    notify: bool,
    mutable: bool,
    make_directory: bool,
    stop_signal: Option<i32>,
    health: Option<HealthCheck>,
    /// The sockets every app starts with.
    pub sockets: Vec<SocketSpec>,
    /// Tables for the apps.
    pub dns: Dns,
    /// What is lifted.
    pub disabled: Disabled,
    input: Vec<u8>,
    deaf: bool,
}

/// What came of a pod.
pub struct Outcome {
    /// Everything the agent said.
    pub messages: Vec<GuestMessage>,
    /// The pod's status.
    pub status: i32,
    streams: HashMap<(String, StreamKind), Vec<u8>>,
}

impl Outcome {
    /// What came over a stream, as text.
    pub fn stream(&self, app: &str, kind: StreamKind) -> String {
        let bytes = self.streams.get(&(app.to_owned(), kind)).cloned().unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    }

    /// Lines for the user.
    pub fn diagnostics(&self) -> Vec<&str> {
        let mut lines = Vec::new();
        for message in &self.messages {
            if let GuestMessage::Diagnostic { text, .. } = message {
                lines.push(text.as_str());
            }
        }
        lines
    }
}

/// What a test does while the pod runs.
pub struct Hands<'a> {
    control: &'a UnixStream,
    heard: Vec<GuestMessage>,
    commands: &'a UnixListener,
    accepted: &'a UnixListener,
    output: Receiver<Vec<u8>>,
    typed: Sender<Vec<u8>>,
}

impl Hands<'_> {
    /// Sends a message to the agent.
    pub fn send(&mut self, message: &HostMessage) {
        write_frame(&mut self.control, message).unwrap();
    }

    /// Sends a message to the agent once another app has ended.
    pub fn send_when_ended(&mut self, message: &HostMessage) {
        loop {
            let message: GuestMessage = read_frame(&mut self.control).unwrap().unwrap();
            self.heard.push(message);
            if matches!(self.heard.last(), Some(GuestMessage::AppExited { .. })) {
                break;
            }
        }
        self.send(message);
    }

    /// Types on the terminal.
    pub fn type_in(&self, text: &str) {
        self.typed.send(text.as_bytes().to_vec()).unwrap();
    }

    /// Runs a command and returns its streams.
    pub fn enter(&mut self, command: u32, spec: CommandSpec) -> HashMap<StreamKind, UnixStream> {
        let streams = count(&spec.stdio);
        self.send(&HostMessage::Enter { command, spec: Box::new(spec) });
        let accept_one = |_| {
            let mut socket = accept(self.commands);
            let header: CommandHeader = read_frame(&mut socket).unwrap().unwrap();
            assert_eq!(header.command, command);
            (header.stream, socket)
        };
        (0..streams).map(accept_one).collect()
    }

    /// Says that somebody connected to a socket of the app's, and returns what the agent carries on.
    pub fn accepted(&mut self, connection: u32, app: &str, socket: u32) -> UnixStream {
        self.send(&HostMessage::Accepted { connection, app: app.into(), socket });
        let mut stream = accept(self.accepted);
        let header: AcceptedHeader = read_frame(&mut stream).unwrap().unwrap();
        assert_eq!(header.connection, connection);
        stream
    }

    /// Waits until some app has written `text`.
    pub fn wait_for(&self, text: &str) {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => seen.extend(bytes),
                Err(_) => panic!("no {text:?} in {:?}", String::from_utf8_lossy(&seen)),
            }
        }
    }
}

impl PodUnderTest {
    /// A pod without apps.
    pub fn new() -> Self {
        let (dns, disabled) = (Dns::default(), Disabled::default());
        Self {
            apps: vec![],
            stdio: vec![],
            mounts: vec![],
            sockets: vec![],
            notify: false,
            mutable: false,
            make_directory: false,
            stop_signal: None,
            health: None,
            dns,
            disabled,
            input: vec![],
            deaf: false,
        }
    }

    /// Adds an app that runs a command as root.
    pub fn app(self, name: &str, exec: &[&str]) -> Self {
        self.app_with(name, json!({"exec": exec, "user": "0", "group": "0"}))
    }

    /// Adds an app by its section of the manifest.
    pub fn app_with(mut self, name: &str, app: Value) -> Self {
        self.mounts.push(vec![]);
        let id = format!("sha512-{}", "a".repeat(128));
        self.apps.push(json!({"name": name, "image": {"id": id}, "app": app}));
        self.stdio.push(Stdio::Output);
        self
    }

    /// Changes something about the last app.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.apps.last_mut().unwrap()[key] = value;
        self
    }

    /// Changes the streams of the last app.
    pub fn stdio(mut self, stdio: Stdio) -> Self {
        *self.stdio.last_mut().unwrap() = stdio;
        self
    }

    /// Mounts a volume into the last app; a name that ends in `.txt` is a file, any other a directory.
    pub fn volume(mut self, source: &str, path: &str, read_only: bool) -> Self {
        let mount = VolumeMount { source: source.to_owned(), path: path.to_owned(), read_only, memory: None };
        self.mounts.last_mut().unwrap().push(mount);
        self
    }

    /// Mounts a volume in memory, of one page, into the last app.
    pub fn memory(mut self, source: &str, path: &str, own: bool) -> Self {
        let memory = Some(MemoryVolume { mode: 0o1770, uid: 0, gid: 0, size: Some(4096), own });
        let mount =
            VolumeMount { source: source.to_owned(), path: path.to_owned(), read_only: false, memory };
        self.mounts.last_mut().unwrap().push(mount);
        self
    }

    /// Lets the apps say when they are ready.
    pub fn notify(mut self) -> Self {
        self.notify = true;
        self
    }

    /// Lets apps come and go; the last one is started `times` times.
    pub fn mutable(mut self, times: usize) -> Self {
        self.mutable = true;
        let stdio = *self.stdio.last().unwrap();
        self.stdio.extend(vec![stdio; times - 1]);
        self
    }

    /// An app as the host adds it later.
    pub fn message(&self, name: &str) -> HostMessage {
        let spec = self.spec();
        let app = Box::new(spec.manifest.app(name).unwrap().clone());
        let of_app = spec.apps.into_iter().find(|app| app.name == name).unwrap();
        HostMessage::StartApp { app, spec: Box::new(of_app) }
    }

    /// Makes working directories that are missing.
    pub fn make_directory(mut self) -> Self {
        self.make_directory = true;
        self
    }

    /// Asks the apps to end by this signal.
    pub fn stop_signal(mut self, signal: i32) -> Self {
        self.stop_signal = Some(signal);
        self
    }

    /// Checks the apps' health.
    pub fn health(mut self, check: HealthCheck) -> Self {
        self.health = Some(check);
        self
    }

    /// Gives the last app input that ends.
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self.stdio(Stdio::Pipes)
    }

    /// Closes every stream as soon as it comes.
    pub fn deaf(mut self) -> Self {
        self.deaf = true;
        self
    }

    /// Runs the pod to its end.
    pub fn run(self) -> Outcome {
        self.run_with(|_| {})
    }

    /// Runs the pod to its end, with `during` meanwhile.
    pub fn run_with(self, during: impl FnOnce(&mut Hands<'_>)) -> Outcome {
        let directory = tempfile::tempdir().unwrap();
        let listen = |port: u32| UnixListener::bind(directory.path().join(port.to_string())).unwrap();
        make_volumes(&directory.path().join("volumes"), self.mounts.iter().flatten());
        let (control, streams, commands) = (listen(CONTROL_PORT), listen(STREAM_PORT), listen(COMMAND_PORT));
        let accepted = listen(ACCEPTED_PORT);
        let spec = self.spec();
        let names: Vec<String> = spec.apps.iter().map(|app| app.name.clone()).collect();
        let process = namespaces::spawn(directory.path(), &names, || agent(&spec));
        let control = accept(&control);
        let (seen, output) = channel();
        let (typed, keys) = channel();
        let carrier = thread::spawn(move || carry(&streams, self.stdio, self.input, self.deaf, seen, keys));
        let (commands, accepted) = (&commands, &accepted);
        let mut hands = Hands { control: &control, heard: vec![], commands, accepted, output, typed };
        during(&mut hands);
        let mut messages = hands.heard;
        messages.extend(listen_to(control));
        let status = match waitpid(process, None).unwrap() {
            WaitStatus::Exited(_, status) => status,
            other => panic!("{other:?}"),
        };
        Outcome { messages, status, streams: carrier.join().unwrap() }
    }

    fn spec(&self) -> PodSpec {
        let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": self.apps});
        let manifest = PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap();
        let others = self.stdio.iter().zip(&self.mounts);
        let apps = manifest.apps.iter().zip(others).map(|(app, (stdio, mounts))| AppSpec {
            name: app.name.to_string(),
            rootfs: format!("{}/rootfs", app.name),
            stdio: *stdio,
            notify: self.notify,
            stop_signal: self.stop_signal,
            health: self.health.clone(),
            make_directory: self.make_directory,
            mounts: mounts.clone(),
            sockets: self.sockets.clone(),
        });
        PodSpec {
            uuid: String::new(),
            hostname: "rkt-test".into(),
            apps: apps.collect(),
            clock_ns: 0,
            entropy: String::new(),
            interfaces: vec![],
            dns: self.dns.clone(),
            disabled: self.disabled,
            mutable: self.mutable,
            debug: false,
            manifest,
        }
    }
}

/// PID 1: what the agent does once the machine is ready and its identity assumed.
fn agent(spec: &PodSpec) -> i32 {
    nix::unistd::sethostname(&spec.hostname).unwrap();
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    tables::write(Path::new(FILES), &tables::files(&spec.hostname, &spec.dns)).unwrap();
    let host = UnixSockets(SOCKETS.into());
    let mut control = Control::connect(&host).unwrap();
    match pod::run(spec, &mut control, &host, &Watches::default()) {
        Ok(status) => {
            // What is still queued goes with the last message, which is main's to send.
            control.drain().unwrap();
            status
        }
        Err(error) => {
            let text = failure::line(&error);
            control.queue(&GuestMessage::Failed { text }).unwrap();
            control.drain().unwrap();
            98
        }
    }
}

fn make_volumes<'a>(share: &Path, mounts: impl Iterator<Item = &'a VolumeMount>) {
    fs::create_dir(share).unwrap();
    for mount in mounts.filter(|mount| mount.memory.is_none()) {
        let path = share.join(&mount.source);
        match mount.source.ends_with(".txt") {
            true => fs::write(path, "from the host\n").unwrap(),
            false => fs::create_dir_all(path).unwrap(),
        }
    }
}

fn listen_to(mut control: UnixStream) -> Vec<GuestMessage> {
    let mut messages = Vec::new();
    while let Some(message) = read_frame(&mut control).unwrap() {
        messages.push(message);
    }
    messages
}
