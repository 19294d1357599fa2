//! Health checks that an image asks for: run in the app, shown by `rkt status`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Aci, Pod, Rkt, host, wait};

const LIMIT: Duration = Duration::from_secs(60);

/// Busybox with a health check as a converted image has it.
fn image() -> PathBuf {
    let check = json!({
        "Test": ["CMD-SHELL", "echo looked as $(id -u); test -e /tmp/well"],
        "Interval": 200_000_000, "Timeout": 20_000_000_000_u64, "Retries": 2,
    });
    Aci::with_busybox("example.com/checked", &["/bin/sh"])
        .manifest("annotations", json!([{"name": "appc.io/docker/healthcheck", "value": check.to_string()}]))
        .app("user", json!("nobody"))
        .app("group", json!("nogroup"))
        .write(&host::data_dir().join("checked.aci"))
}

#[test]
fn an_app_falls_ill_and_recovers() {
    let rkt = Rkt::new();
    let pod = Pod::of(&rkt, "uuid", &["--net=none"], &image(), &["--name=web"], "echo ready; exec sleep 600");
    let shows = |line: &str| rkt.run(["status", &pod.uuid]).stdout_text().lines().any(|found| found == line);
    wait::until("the app is ill", LIMIT, || shows("health-web=unhealthy"));
    let json = rkt.run(["status", "--format=json", &pod.uuid]).expect_success();
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let health = &json["apps"][0]["health"];
    assert_eq!((&health["status"], &health["output"]), (&json!("unhealthy"), &json!("looked as 65534")));
    assert!(health["failing_streak"].as_u64() >= Some(2), "{health}");
    rkt.run(["enter", &pod.uuid, "/bin/touch", "/tmp/well"]).expect_success();
    wait::until("the app is well", LIMIT, || shows("health-web=healthy"));
    let uuid = pod.uuid.clone();
    pod.running.signal(15);
    let told = pod.running.finish().stderr_text();
    assert_eq!(told, "App web is unhealthy: looked as 65534\nApp web is healthy again\n");
    let last = rkt.run(["status", &uuid]).stdout_text();
    assert!(last.contains("\nhealth-web=healthy\n") && last.contains("\napp-web=143\n"), "{last}");
}
