use super::*;

const FULL: &str = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/reduce-worker","labels":[{"name":"version","value":"1.0.0"},{"name":"arch","value":"amd64"},{"name":"os","value":"linux"}],"app":{"exec":["/usr/bin/reduce-worker","--quiet"],"user":"100","group":"300","supplementaryGIDs":[400,500],"eventHandlers":[{"name":"pre-start","exec":["/usr/bin/data-downloader"]},{"name":"post-stop","exec":["/usr/bin/deregister"]}],"workingDirectory":"/opt/work","environment":[{"name":"REDUCE_WORKER_DEBUG","value":"true"}],"mountPoints":[{"name":"work","path":"/var/lib/work"},{"name":"ro","path":"/ro","readOnly":true}],"ports":[{"name":"health","protocol":"tcp","port":4000,"count":1,"socketActivated":true}],"isolators":[{"name":"resource/memory","value":{"default":false,"limit":"100M","request":"50M"}}],"userAnnotations":{"a":"b"}},"annotations":[{"name":"created","value":"2014-10-27T19:32:27.67021798Z"}],"dependencies":[{"imageName":"example.com/base","imageID":"sha512-00ff","labels":[{"name":"version","value":"1"}],"size":22}],"pathWhitelist":["/etc/passwd"]}"#;

fn refused(json: &str) -> String {
    let error = ImageManifest::from_slice(json.as_bytes()).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn a_full_manifest_survives_a_round_trip() {
    let manifest = ImageManifest::from_slice(FULL.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(manifest.to_vec().unwrap()).unwrap(), FULL);
}

#[test]
fn a_small_manifest_stays_small() {
    let manifest = ImageManifest::new("a".parse().unwrap());
    let json = String::from_utf8(manifest.to_vec().unwrap()).unwrap();
    assert_eq!(json, r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a"}"#);
}

#[test]
fn rules_are_checked() {
    let with = |rest: &str| format!(r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a"{rest}}}"#);
    for (json, message) in [
        ("{".to_owned(), "Cannot parse ImageManifest: EOF"),
        (r#"{"acVersion":"1.0.0","name":"a"}"#.to_owned(), "missing field `acKind`"),
        (r#"{"acKind":"ImageManifest","acVersion":"0.0.0","name":"a"}"#.to_owned(), "must not be 0.0.0"),
        (r#"{"acKind":"PodManifest","acVersion":"1.0.0","name":"a"}"#.to_owned(), "Bad acKind PodManifest"),
        (with(r#","labels":[{"name":"arch","value":"amd64"}]"#), "no label \"os\""),
        (with(r#","annotations":[{"name":"created","value":"x"}]"#), "RFC 3339"),
        (with(r#","pathWhitelist":["a"]"#), "not absolute"),
        (
            with(r#","dependencies":[{"imageName":"b","labels":[{"name":"name","value":""}]}]"#),
            "not a valid label",
        ),
        (with(r#","dependencies":[{}]"#), "missing field `imageName`"),
        (with(r#","app":{"exec":["a"],"group":"0"}"#), "Invalid app section: user is required"),
    ] {
        let error = refused(&json);
        assert!(error.contains(message), "{json}: {error}");
    }
}

#[test]
fn writing_validates_too() {
    let mut manifest = ImageManifest::new("a".parse().unwrap());
    manifest.path_whitelist.push("relative".to_owned());
    assert!(matches!(manifest.to_vec(), Err(ManifestError::WhitelistPath(_))));
}
