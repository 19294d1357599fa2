//! The table of pods.

use crate::bed::Bed;

fn cells(line: &str) -> Vec<&str> {
    line.split('\t').filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn one_row_per_app() {
    let bed = Bed::new();
    bed.app("b");
    let uuid = bed.prepare(&["a.aci", "b.aci"]);
    let out = bed.rkt(&["list"]).stdout;
    let rows: Vec<_> = out.lines().map(cells).collect();
    assert_eq!(rows[0], ["UUID", "APP", "IMAGE NAME", "STATE", "CREATED", "STARTED", "NETWORKS"]);
    assert_eq!(rows[1][..4], [&uuid[..8], "a", "example.com/a:1", "prepared"]);
    assert_eq!(rows[2], ["b", "example.com/b:1"]);
    let full = bed.rkt(&["list", "--full", "--no-legend"]).stdout;
    let row = cells(full.lines().next().unwrap());
    assert_eq!((row[0], row[2]), (uuid.as_str(), "example.com/a:1"));
    assert!(row[3].starts_with("sha512-") && row[3].len() == 19, "{row:?}");
}

#[test]
fn programs_get_json() {
    let bed = Bed::new();
    assert_eq!(bed.rkt(&["list", "--format=json"]).stdout, "null\n");
    let uuid = bed.prepare(&["a.aci"]);
    let out = bed.rkt(&["list", "--format=json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out.lines().count(), 1);
    let pod = &json[0];
    assert_eq!((&pod["name"], &pod["state"]), (&uuid.as_str().into(), &"prepared".into()));
    assert_eq!((&pod["app_names"][0], &pod["apps"][0]["state"]), (&"a".into(), &"created".into()));
    assert!(
        pod["created_at"].is_u64() && pod["apps"][0]["image_id"].as_str().unwrap().starts_with("sha512-")
    );
    assert!(bed.rkt(&["list", "--format=json-pretty"]).stdout.starts_with("[\n\t{\n\t\t\"name\""));
}

#[test]
fn a_damaged_pod_does_not_hide_the_others() {
    let bed = Bed::new();
    let damaged = bed.prepare(&["a.aci"]);
    let whole = bed.prepare(&["a.aci"]);
    std::fs::write(bed.data().join("pods/prepared").join(&damaged).join("pod"), "{").unwrap();
    let done = bed.rkt(&["list", "--no-legend"]);
    assert_eq!(done.status, 0);
    assert!(done.stdout.contains(&whole[..8]) && !done.stdout.contains(&damaged[..8]), "{}", done.stdout);
    assert!(done.stderr.contains("1 error(s) encountered when listing pods:"), "{}", done.stderr);
    assert!(done.stderr.contains(&damaged), "{}", done.stderr);
}
