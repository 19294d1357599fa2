use proptest::prelude::*;

use agent::protocol::StreamKind;

use super::*;

const UUID: &str = "6b2c1f0e-0d4f-4c2a-9b7e-0123456789ab";

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.replace("UUID", UUID)).collect()
}

fn run(line: &str) -> Result<RunArguments, ArgumentError> {
    RunArguments::parse(words(line))
}

#[test]
fn the_shortest_run() {
    let expected = RunArguments { networks: "default".into(), uuid: UUID.into(), ..RunArguments::default() };
    assert_eq!(run("--net=default UUID"), Ok(expected));
}

#[test]
fn every_flag_of_run_in_stage0s_order() {
    let arguments = run(
        "--debug --net=a:IP=1.2.3.4,b --interactive --mds-token=t --local-config=/etc/rkt --hostname=web.local \
         --dns-conf-mode=resolv=stage0,hosts=host --disable-capabilities-restriction --disable-paths \
         --disable-seccomp --disable-seccomp-vmm --disable-jail --mutable --ipc=private --system-config=/usr/share/rkt UUID",
    );
    let expected = RunArguments {
        debug: true,
        networks: "a:IP=1.2.3.4,b".into(),
        interactive: true,
        system_config: Some("/usr/share/rkt".into()),
        local_config: Some("/etc/rkt".into()),
        hostname: Some("web.local".into()),
        dns: DnsMode { resolv: FileSource::Stage0, hosts: FileSource::Host },
        disable_capabilities: true,
        disable_paths: true,
        disable_seccomp: true,
        disable_seccomp_vmm: true,
        disable_jail: true,
        mutable: true,
        uuid: UUID.into(),
    };
    assert_eq!(arguments, Ok(expected));
}

#[test]
fn what_a_virtual_machine_cannot_do_is_refused() {
    assert_eq!(run("--net=none --private-users=65536:65536 UUID"), Err(ArgumentError::PrivateUsers));
    assert_eq!(run("--net=none --ipc=parent UUID"), Err(ArgumentError::ParentIpc));
}

#[test]
fn mistakes_are_named() {
    for (line, error) in [
        ("--net=none --frob UUID", ArgumentError::UnknownFlag("--frob".into())),
        ("--net=none", ArgumentError::NotOneUuid(0)),
        ("UUID UUID", ArgumentError::NotOneUuid(2)),
        ("../../etc", ArgumentError::InvalidUuid("../../etc".into())),
        ("--net", ArgumentError::MissingValue("--net")),
    ] {
        assert_eq!(run(line), Err(error), "{line}");
    }
    for line in [
        "--ipc=host UUID",
        "--debug=maybe UUID",
        "--hostname=a/b UUID",
        "--hostname= UUID",
        "--dns-conf-mode=resolv UUID",
        "--dns-conf-mode=hosts=none UUID",
        "--dns-conf-mode=other=host UUID",
    ] {
        assert!(matches!(run(line), Err(ArgumentError::InvalidValue { .. })), "{line}");
    }
}

#[test]
fn gc_takes_its_directory_as_a_word() {
    let expected = GcArguments { debug: true, local_config: Some("/etc/rkt".into()), uuid: UUID.into() };
    assert_eq!(GcArguments::parse(words("--debug --local-config /etc/rkt UUID")), Ok(expected));
    assert!(GcArguments::parse(words("--net=x UUID")).is_err());
}

#[test]
fn stop_can_force() {
    assert_eq!(
        StopArguments::parse(words("--force UUID")),
        Ok(StopArguments { force: true, uuid: UUID.into() })
    );
    assert!(!StopArguments::parse(words("UUID")).unwrap().force);
    assert!(StopArguments::parse(words("--debug UUID")).is_err());
}

proptest! {
    #[test]
    fn no_command_line_panics(words in prop::collection::vec("(--)?[a-z=,-]{0,12}", 0..6)) {
        let _ = RunArguments::parse(words.clone());
        let _ = GcArguments::parse(words.clone());
        let _ = StopArguments::parse(words);
    }
}

#[test]
fn enter_takes_a_command_as_it_is() {
    let text = "--pid=7 --appname=web --user=1:2 --env A=b=c --working-directory=/x -- ls --pid -- -l";
    let arguments = EnterArguments::parse(text.split(' ').map(str::to_owned)).unwrap();
    assert_eq!(arguments.app, "web");
    assert_eq!(arguments.command, ["ls", "--pid", "--", "-l"]);
    assert_eq!(arguments.user.as_deref(), Some("1:2"));
    assert_eq!(arguments.environment, [("A".to_owned(), "b=c".to_owned())]);
    let parse = |text: &str| EnterArguments::parse(text.split(' ').map(str::to_owned)).unwrap_err();
    assert_eq!(parse("--appname=web --"), ArgumentError::NoCommand);
    assert_eq!(parse("-- ls"), ArgumentError::MissingValue("--appname"));
    assert_eq!(parse("--appname=web ls"), ArgumentError::UnknownFlag("ls".into()));
    assert!(matches!(parse("--env==x"), ArgumentError::InvalidValue { .. }));
}

#[test]
fn attach_says_what_it_wants() {
    let parse = |text: &str| AttachArguments::parse(text.split(' ').map(str::to_owned));
    let all =
        "--tty-in=false --tty-out=false --stdin=true --stdout=false --stderr=true --app=web --debug=false";
    let arguments = parse(&format!("--action=custom-attach {all}")).unwrap();
    let AttachMode::Custom(endpoints) = arguments.mode else { panic!("{arguments:?}") };
    assert_eq!(endpoints.streams(), [StreamKind::Stdin, StreamKind::Stderr]);
    assert_eq!(parse(&format!("--action=list {all}")).unwrap().mode, AttachMode::List);
    assert_eq!(parse("--action=auto-attach --app=web").unwrap().mode, AttachMode::Auto);
    assert!(parse("--action=custom-attach --app=web").is_err());
    assert!(parse("--action=auto-attach").is_err());
}
