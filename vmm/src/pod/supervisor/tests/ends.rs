//! Ends that somebody outside asks for.

use super::*;
use crate::pod::{signals::stop_signal, stopping::ECHO};

#[test]
fn an_end_by_the_entrypoint_is_no_failure() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        script.signal(stop_signal());
        hear(&mut control);
        exit(&mut control, "web", 143);
        send(&mut control, GuestMessage::Finished { status: 143 });
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let (result, root) = play(&["web", "db"], |script| {
        let mut control = script.say_hello();
        exit(&mut control, "db", 0);
        script.signal(SIGINT);
        hear(&mut control);
        thread::sleep(ECHO);
        script.signal(SIGINT);
        assert_eq!(hear_end(&mut control), None);
        (script.file("status/web"), script.file("status/db"))
    });
    assert_eq!(result.unwrap(), Ending::Status(137));
    assert_eq!(root, ("137\n".to_owned(), "0\n".to_owned()));
}

#[test]
fn a_signal_that_comes_twice_lets_apps_end() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        script.signal(SIGTERM);
        script.signal(SIGTERM);
        hear(&mut control);
        exit(&mut control, "web", 5);
        send(&mut control, GuestMessage::Finished { status: 5 });
    });
    assert_eq!(result.unwrap(), Ending::Status(5));
}

#[test]
fn a_signal_before_there_are_apps_ends_at_once() {
    let (result, ()) = play(&["web"], |script| script.signal(SIGTERM));
    assert_eq!(result.unwrap(), Ending::Terminated);
}

#[test]
fn a_signal_ends_the_wait_for_a_reader() {
    let (result, ()) = play(&["web"], |script| {
        let mut control = script.say_hello();
        let mut stdout = script.open("web", StreamKind::Stdout);
        stdout.write_all(&[0; 100 << 10]).unwrap();
        exit(&mut control, "web", 7);
        send(&mut control, GuestMessage::Finished { status: 7 });
        script.wait_for("status/web");
        thread::sleep(DRAIN_INTERVAL);
        script.signal(SIGTERM);
    });
    assert!(matches!(result.unwrap(), Ending::Status(7)));
}
