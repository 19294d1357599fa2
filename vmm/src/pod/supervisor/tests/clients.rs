use super::*;

/// A client of the pod that `script` belongs to.
fn call(script: &Script) -> UnixStream {
    UnixStream::connect(script.root.join(SOCKET)).unwrap()
}

fn command(app: &str) -> Request {
    Request::Enter(Box::new(CommandSpec {
        app: app.into(),
        exec: vec!["/x".into()],
        user: None,
        environment: vec![],
        working_directory: None,
        stdio: Stdio::Pipes,
    }))
}

fn answer(client: &mut UnixStream) -> Option<Reply> {
    read_frame(client).unwrap_or(None)
}

/// The number of the command that the host wants run next.
fn next_command(control: &mut UnixStream) -> u32 {
    let HostMessage::Enter { command, spec } = hear(control) else { panic!("no command") };
    assert_eq!(spec.exec, ["/x"]);
    command
}

fn end(control: &mut UnixStream) {
    exit(control, "web", 0);
    send(control, GuestMessage::Finished { status: 0 });
}

#[test]
pub fn commands_wait_for_the_pod_and_get_their_streams_and_status() {
    let (result, ()) = play(&["web"], |script| {
        let mut client = call(&script);
        write_frame(&mut client, &command("web")).unwrap();
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        let command = next_command(&mut control);
        let mut stream = script.connect(COMMAND_PORT);
        write_frame(&mut stream, &CommandHeader { command, stream: StreamKind::Stdout }).unwrap();
        stream.write_all(b"output").unwrap();
        send(&mut control, GuestMessage::CommandEnded { command, status: 3, line: Some("a\nb".into()) });
        assert_eq!(answer(&mut client), Some(Reply::Stream { stream: StreamKind::Stdout }));
        assert_eq!(answer(&mut client), Some(Reply::Ended { status: 3, line: Some("a\\u{a}b".into()) }));
        // A command that has ended is nothing one could talk to.
        write_frame(&mut client, &Request::Signal { signal: 2 }).unwrap();
        drop(client);
        end(&mut control);
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

#[test]
fn what_a_client_says_reaches_its_command_and_its_end_does() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        let mut clients = [call(&script), call(&script)];
        let commands = clients.each_mut().map(|client| {
            write_frame(client, &command("web")).unwrap();
            next_command(&mut control)
        });
        let [mut first, second] = clients;
        write_frame(&mut first, &Request::Signal { signal: 2 }).unwrap();
        assert_eq!(hear(&mut control), HostMessage::SignalCommand { command: commands[0], signal: 2 });
        let size = WindowSize { rows: 5, columns: 6 };
        write_frame(&mut first, &Request::Resize(size)).unwrap();
        assert_eq!(hear(&mut control), HostMessage::ResizeCommand { command: commands[0], size });
        drop(second);
        assert_eq!(hear(&mut control), HostMessage::HangUp { command: commands[1] });
        // Streams that nobody waits for are closed, and so are those of no command.
        for command in [commands[1], 99] {
            let mut stream = script.connect(COMMAND_PORT);
            write_frame(&mut stream, &CommandHeader { command, stream: StreamKind::Stdout }).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
        }
        for command in commands {
            send(&mut control, GuestMessage::CommandEnded { command, status: 129, line: None });
        }
        assert_eq!(answer(&mut first), Some(Reply::Ended { status: 129, line: None }));
        end(&mut control);
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

#[test]
fn clients_that_break_the_rules_are_turned_away() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        let mut stranger = call(&script);
        write_frame(&mut stranger, &command("other")).unwrap();
        let refusal = Reply::Refused { line: "Pod has no app \"other\"".into() };
        assert_eq!(answer(&mut stranger), Some(refusal));
        let mut nonsense = call(&script);
        nonsense.write_all(&[255; 64]).unwrap();
        assert_eq!(answer(&mut nonsense), None);
        let mut twice = call(&script);
        write_frame(&mut twice, &command("web")).unwrap();
        let number = next_command(&mut control);
        write_frame(&mut twice, &command("web")).unwrap();
        assert_eq!(answer(&mut twice), None);
        assert_eq!(hear(&mut control), HostMessage::HangUp { command: number });
        send(&mut control, GuestMessage::CommandEnded { command: number, status: 129, line: None });
        end(&mut control);
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

#[test]
fn a_guest_that_invents_commands_fails_the_pod() {
    let (result, _control) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        send(&mut control, GuestMessage::CommandEnded { command: 1, status: 0, line: None });
        control
    });
    assert!(matches!(result, Err(PodError::Session(SessionError::UnknownCommand(1)))));
}

#[test]
fn the_socket_is_roots_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_, mode) = play(&["web"], |script| {
        let mode = fs::metadata(script.root.join(SOCKET)).unwrap().permissions().mode();
        script.signal(SIGTERM);
        mode & 0o777
    });
    assert_eq!(mode, 0o600);
}

#[test]
pub fn attached_clients_hear_an_app_until_it_ends() {
    let (result, ()) = play(&["web"], |mut script| {
        let mut call = Call::connect(&PodDirectory::at(&script.root)).unwrap();
        call.send(&Request::Streams { app: "web".into() }).unwrap();
        let streams = vec![StreamKind::Stdout, StreamKind::Stderr];
        assert!(
            matches!(&call.receive().unwrap()[..], [Answer::Other(Reply::Streams { streams: known })] if *known == streams)
        );
        // Before the guest is there.
        call.send(&Request::Attach { app: "web".into(), streams: vec![StreamKind::Stdout] }).unwrap();
        let mut control = script.say_hello();
        let mut stdout = script.open("web", StreamKind::Stdout);
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        let answers = call.receive().unwrap();
        let [Answer::Stream(StreamKind::Stdout, attached)] = &answers[..] else { panic!("{answers:?}") };
        stdout.write_all(b"text").unwrap();
        let mut text = [0; 4];
        { attached }.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"text");
        script.stdout.read_exact(&mut text).unwrap();
        drop(stdout);
        let mut rest = Vec::new();
        { attached }.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
        exit(&mut control, "web", 0);
        let ended = Reply::Ended { status: 0, line: None };
        assert!(matches!(&call.receive().unwrap()[..], [Answer::Other(reply)] if *reply == ended));
        let mut late = call_again(&script);
        late.send(&Request::Attach { app: "web".into(), streams: vec![StreamKind::Stdout] }).unwrap();
        assert!(matches!(&late.receive().unwrap()[..], [Answer::Other(Reply::Refused { .. })]));
        send(&mut control, GuestMessage::Finished { status: 0 });
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

fn call_again(script: &Script) -> Call {
    Call::connect(&PodDirectory::at(&script.root)).unwrap()
}
