//! An app that says that it is ready (sd_notify(3)) when its standard input ends, and then stays.

use std::os::unix::net::UnixDatagram;

fn main() {
    println!("started");
    let _ = std::io::read_to_string(std::io::stdin());
    let socket = std::env::var_os("NOTIFY_SOCKET").expect("an app that may say that it is ready");
    let sent = UnixDatagram::unbound().and_then(|own| own.send_to(b"STATUS=up\nREADY=1\n", socket));
    println!("told: {sent:?}");
    loop {
        std::thread::park();
    }
}
