use super::super::tmpfs::{shm, tmpfs};
use super::*;

fn image(json: &str) -> ImageManifest {
    let json = format!(
        r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/busy_box","labels":[{{"name":"version","value":"1"}}]{json}}}"#
    );
    ImageManifest::from_slice(json.as_bytes()).unwrap()
}

const APP: &str = r#","app":{"exec":["/bin/a","b"],"user":"1","group":"2","supplementaryGIDs":[3],
    "workingDirectory":"/w","environment":[{"name":"A","value":"image"}]}"#;

fn make(image: &ImageManifest, overrides: &Overrides, arguments: &[&str]) -> Result<RuntimeApp, AppError> {
    let arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let request = AppRequest { id: "sha512-ab".parse().unwrap(), image, overrides, arguments: &arguments };
    runtime_app(&request, &EnvLayers::default(), false)
}

#[test]
fn without_flags_the_image_decides() {
    let image = image(APP);
    let app = make(&image, &Overrides::default(), &[]).unwrap();
    assert_eq!((app.name.as_str(), app.app.as_ref()), ("busy-box", image.app.as_ref()));
    assert_eq!(
        (app.image.name.unwrap().as_str(), app.image.labels.get("version")),
        ("example.com/busy_box", Some("1"))
    );
    assert_eq!(app.annotations.get("coreos.com/rkt/stage2/stdin"), Some("null"));
    assert_eq!(app.annotations.get("coreos.com/rkt/stage2/stdout"), Some("log"));
}

#[test]
fn arguments_are_appended_to_either_program() {
    let exec = |overrides: &Overrides, arguments: &[&str]| {
        make(&image(APP), overrides, arguments).unwrap().app.unwrap().exec
    };
    assert_eq!(exec(&Overrides::default(), &["c"]), ["/bin/a", "b", "c"]);
    let sh = Overrides { exec: Some("/bin/sh".to_owned()), ..Overrides::default() };
    assert_eq!(exec(&sh, &["-c", ""]), ["/bin/sh", "-c", ""]);
}

#[test]
fn something_must_run() {
    let error = make(&image(""), &Overrides::default(), &["x"]).unwrap_err().to_string();
    assert_eq!(error, "image example.com/busy_box has no app section and --exec argument is not provided");
    let sh = Overrides { exec: Some("/bin/sh".to_owned()), ..Overrides::default() };
    let app = make(&image(""), &sh, &[]).unwrap().app.unwrap();
    assert_eq!(
        (app.exec, app.user),
        (vec!["/bin/sh".to_owned()], rustix::process::getuid().as_raw().to_string())
    );
    let empty = image(r#","app":{"exec":[],"user":"0","group":"0"}"#);
    assert!(matches!(make(&empty, &Overrides::default(), &[]), Err(AppError::EmptyExec(_))));
    assert_eq!(make(&empty, &Overrides::default(), &["/x"]).unwrap().app.unwrap().exec, ["/x"]);
}

#[test]
fn flags_replace() {
    let overrides = Overrides {
        name: Some("other".parse().unwrap()),
        working_dir: Some("/x".to_owned()),
        user: Some("u".to_owned()),
        group: Some("g".to_owned()),
        supplementary_gids: Some(vec![7, 8]),
        readonly_rootfs: true,
        environment: vec!["A=flag".parse().unwrap(), "B=".parse().unwrap()],
        annotation: vec!["example.com/x=y".parse().unwrap()],
        user_label: vec!["l=v".parse().unwrap()],
        mount: vec!["volume=v,target=/v".parse().unwrap()],
        tmpfs: vec![tmpfs("/run:size=1M").unwrap()],
        shm_size: Some(shm("64Mi").unwrap()),
        ..Overrides::default()
    };
    let runtime = make(&image(APP), &overrides, &[]).unwrap();
    assert!(runtime.read_only_root_fs && runtime.name == "other");
    let mounts: Vec<_> = runtime.mounts.iter().map(|mount| mount.path.as_str()).collect();
    assert_eq!(mounts, ["/v", "/run", "/dev/shm"]);
    assert_eq!(runtime.annotations.get("example.com/x"), Some("y"));
    let app = runtime.app.unwrap();
    assert_eq!((app.user.as_str(), app.group.as_str(), app.working_directory.as_str()), ("u", "g", "/x"));
    assert_eq!((app.supplementary_gids, app.environment.get("A")), (vec![7, 8], Some("flag")));
    assert_eq!(app.user_labels["l"], "v");
    let bad = Overrides { annotation: vec!["Not A Name=y".parse().unwrap()], ..Overrides::default() };
    assert!(matches!(make(&image(APP), &bad, &[]), Err(AppError::Annotation(_))));
}

#[test]
fn standard_input_can_be_there_for_those_who_attach() {
    let stream = Overrides { stdin: Some("stream".to_owned()), ..Overrides::default() };
    let app = make(&image(APP), &stream, &[]).unwrap();
    assert_eq!(app.annotations.get("coreos.com/rkt/stage2/stdin"), Some("stream"));
    assert_eq!(app.annotations.get("coreos.com/rkt/stage2/stdout"), Some("log"));
}
