use super::*;
use serde_json::json;

struct Layers {
    dir: tempfile::TempDir,
}

impl Layers {
    fn new() -> Self {
        Layers { dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, path: &str, content: serde_json::Value) -> &Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content.to_string()).unwrap();
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let dirs = ["system", "local", "user"].map(|l| self.dir.path().join(l));
        Config::load(dirs.iter().map(PathBuf::as_path))
    }
}

fn basic(domain: &str, user: &str) -> serde_json::Value {
    json!({"rktKind": "auth", "rktVersion": "v1", "domains": [domain], "type": "basic",
           "credentials": {"user": user, "password": "p"}})
}

#[test]
fn higher_layers_override_per_key() {
    let layers = Layers::new();
    let paths = |data: &str| json!({"rktKind": "paths", "rktVersion": "v1", "data": data});
    layers
        .write("system/auth.d/a.json", basic("a.com", "system"))
        .write("system/auth.d/b.json", basic("b.com", "system"))
        .write("local/auth.d/a.json", basic("a.com", "local"))
        .write("system/paths.d/p.json", paths("/one"))
        .write("user/paths.d/p.json", paths("/two"))
        .write("system/paths.d/ignored.txt", json!("not looked at"))
        .write("local/auth.d/sub/x.json", json!("not looked at"));
    let config = layers.load().unwrap();
    let user = |domain: &str| match &config.auth[domain] {
        AuthKind::Basic(c) => c.user.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((user("a.com").as_str(), user("b.com").as_str()), ("local", "system"));
    assert_eq!(config.paths.data.as_deref(), Some(Path::new("/two")));
}

#[test]
fn mistakes_are_named() {
    let head = |kind: &str| json!({"rktKind": kind, "rktVersion": "v1"});
    let with = |mut head: serde_json::Value, fields: serde_json::Value| {
        head.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        head
    };
    let cases = [
        ("auth.d/x.json", json!({}), "Cannot parse"),
        ("auth.d/x.json", json!({"rktKind": "auth", "rktVersion": "v2"}), "rktVersion \"v2\" is not known"),
        ("paths.d/x.json", basic("a", "u"), "does not belong into paths.d"),
        ("auth.d/x.json", head("weird"), "does not belong"),
        ("auth.d/x.json", with(basic("a", "u"), json!({"type": "magic"})), "unknown auth type \"magic\""),
        ("auth.d/x.json", with(basic("a", "u"), json!({"domains": []})), "no domains specified"),
        ("auth.d/x.json", basic("a", ""), "user not specified"),
        ("paths.d/x.json", with(head("paths"), json!({"data": "relative"})), "must be an absolute path"),
        ("stage1.d/x.json", with(head("stage1"), json!({"name": "n"})), "version not specified"),
        (
            "stage1.d/x.json",
            with(head("stage1"), json!({"location": "a/b"})),
            "either a relative path or a URL",
        ),
    ];
    for (path, content, message) in cases {
        let layers = Layers::new();
        layers.write(&format!("local/{path}"), content);
        let error = layers.load().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let twice = Layers::new();
    twice.write("local/auth.d/a.json", basic("d", "1")).write("local/auth.d/b.json", basic("d", "2"));
    let error = twice.load().unwrap_err().to_string();
    assert!(error.contains("auth for domain \"d\" is already specified"), "{error}");
}

#[test]
fn only_https_gets_headers() {
    let layers = Layers::new();
    layers.write("local/auth.d/a.json", basic("h.com", "u")).write(
        "local/auth.d/b.json",
        json!({"rktKind": "auth", "rktVersion": "v1", "domains": ["h.com:8443"], "type": "oauth",
               "credentials": {"token": "t"}}),
    );
    let config = layers.load().unwrap();
    let headers = |url: &str| config.headers(&url.parse().unwrap(), false).unwrap();
    assert_eq!(headers("https://h.com/x"), [("Authorization", "Basic dTpw".to_owned())]);
    assert_eq!(headers("https://h.com:8443/x"), [("Authorization", "Bearer t".to_owned())]);
    assert!(headers("http://h.com/x").is_empty() && headers("https://other.com/").is_empty());
}

#[test]
fn shown_as_it_is_written() {
    let layers = Layers::new();
    let docker = json!({"rktKind": "dockerAuth", "rktVersion": "v1", "registries": ["r:5000"],
                        "credentials": {"user": "u", "password": "p"}});
    let stage1 =
        json!({"rktKind": "stage1", "rktVersion": "v1", "name": "n", "version": "1", "location": "/x.aci"});
    layers.write("local/auth.d/a.json", docker.clone()).write("local/stage1.d/s.json", stage1.clone());
    let shown = layers.load().unwrap().to_json();
    let paths = json!({"rktKind": "paths", "rktVersion": "v1"});
    assert_eq!(shown, json!({"stage0": [docker, paths, stage1]}));
    let empty = Layers::new().load().unwrap().to_json();
    assert_eq!(empty["stage0"].as_array().unwrap().len(), 2);
}
