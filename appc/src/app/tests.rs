use super::*;

fn app() -> App {
    App { exec: vec!["/a".to_owned()], user: "0".to_owned(), group: "0".to_owned(), ..App::default() }
}

fn port(port: u32, count: u32) -> Port {
    Port { name: "p".parse().unwrap(), protocol: "tcp".to_owned(), port, count, socket_activated: false }
}

fn refused(app: &App) -> String {
    app.validate().unwrap_err().to_string()
}

#[test]
fn user_and_group_are_required() {
    assert!(app().validate().is_ok());
    assert_eq!(refused(&App { user: String::new(), ..app() }), "user is required");
    assert_eq!(refused(&App { group: String::new(), ..app() }), "group is required");
}

#[test]
fn paths_are_absolute() {
    assert!(refused(&App { working_directory: "a".to_owned(), ..app() }).contains("workingDirectory \"a\""));
    let point = MountPoint { name: "m".parse().unwrap(), path: String::new(), read_only: false };
    assert!(refused(&App { mount_points: vec![point], ..app() }).contains("not an absolute path"));
}

#[test]
fn each_event_has_one_handler() {
    let handler = EventHandler { name: EventHandlerName::PreStart, exec: vec!["/a".to_owned()] };
    let twice = App { event_handlers: vec![handler.clone(), handler], ..app() };
    assert_eq!(refused(&twice), "Only one eventHandler of name \"pre-start\" allowed");
}

#[test]
fn ports_stay_in_range() {
    for (first, count) in [(1, 65535), (65535, 1), (80, 1)] {
        assert!(port(first, count).validate().is_ok());
    }
    for (first, count) in [(0, 1), (65535, 2), (65536, 1), (1, 0), (u32::MAX, u32::MAX)] {
        assert!(port(first, count).validate().is_err(), "{first} {count}");
    }
    let bad = App { ports: vec![port(1, 1), port(65535, 2)], ..app() };
    assert_eq!(refused(&bad), "Port \"p\" with number 65535 and count 2 is not within 1 to 65535");
}

#[test]
fn a_port_counts_one_by_default() {
    let port: Port = serde_json::from_str(r#"{"name":"p","protocol":"udp","port":53}"#).unwrap();
    assert_eq!((port.count, port.socket_activated), (1, false));
}
