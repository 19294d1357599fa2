//! Standard streams that are not a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use tests::{Rkt, Running, aci, host, process};

const LIMIT: Duration = Duration::from_secs(400);

#[test]
fn a_hundred_mebibytes_come_back_unchanged() {
    let image = aci::busybox();
    let path = host::data_dir().join("hundred-mebibytes");
    let mut noise = File::open("/dev/urandom").expect("random bytes").take(100 << 20);
    std::io::copy(&mut noise, &mut File::create(&path).expect("a file")).expect("random bytes");
    let rkt = Rkt::new();
    let mut command = rkt.command(["run", "--net=none", "--interactive"]);
    command.arg(image).args(["--exec", "/bin/cat"]).stdin(File::open(&path).expect("the file"));
    let finished = Running::start(command, LIMIT).finish().expect_success();
    let sent = std::fs::read(&path).expect("the file");
    assert_eq!(finished.stdout.len(), sent.len());
    assert!(finished.stdout == sent, "the bytes have changed on the way");
    std::fs::remove_file(path).expect("remove the file");
}

#[test]
fn input_is_empty_unless_interactive() {
    let rkt = Rkt::new();
    let finished = rkt.run_script("cat; [ -t 0 ] || echo end").expect_success();
    assert_eq!(finished.stdout_text(), "end\n");
}

#[test]
fn a_question_is_answered_while_input_stays_open() {
    let rkt = Rkt::new();
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let script = "echo name?; read name; echo hello $name";
    let mut running =
        rkt.start(["run", "--net=none", "--interactive", image, "--exec", "/bin/sh", "--", "-c", script]);
    running.wait_for_stdout("name?");
    let mut stdin = running.stdin().expect("piped");
    stdin.write_all(b"world\n").expect("answer");
    let finished = running.finish().expect_success();
    assert_eq!(finished.stdout_text(), "name?\nhello world\n");
}

#[test]
fn a_closed_stdout_ends_the_pod() {
    let rkt = Rkt::new();
    let mut command = rkt.command(["run", "--net=none"]);
    command.arg(aci::busybox()).args(["--exec", "/bin/yes"]);
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("start rkt");
    let mut stdout = child.stdout.take().expect("piped");
    let mut bytes = [0; 4];
    stdout.read_exact(&mut bytes).expect("output");
    assert_eq!(&bytes, b"y\ny\n");
    drop(stdout);
    tests::wait::until("the pod's end", LIMIT, || child.try_wait().expect("wait").is_some());
    // The app died of the broken pipe, as it would have outside.
    assert_eq!(child.wait().expect("wait").code(), Some(128 + 13));
}

#[test]
fn a_slow_reader_loses_nothing() {
    let rkt = Rkt::new();
    let script = format!(
        "{} --dir={} --insecure-options=image run --net=none {} --exec /bin/dd -- if=/dev/zero bs=64k count=512 \
         | (sleep 20; wc -c)",
        host::path("RKT_BINARY").display(),
        rkt.dir().display(),
        aci::busybox().display(),
    );
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]);
    let finished = process::run(command, LIMIT).expect_success();
    assert_eq!(finished.stdout_text().trim(), (512 * 65536).to_string());
}
