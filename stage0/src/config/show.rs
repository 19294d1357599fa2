//! The configuration as `rkt config` prints it (rkt-reference 5.3).

use super::{AuthKind, Config};
use serde_json::{Map, Value, json};

impl Config {
    /// One object per domain and registry, then always `paths` and `stage1`.
    pub fn to_json(&self) -> Value {
        let mut out = Vec::new();
        for (domain, auth) in &self.auth {
            let (kind, credentials) = match auth {
                AuthKind::Basic(c) => ("basic", json!({"user": c.user, "password": c.password})),
                AuthKind::Oauth(token) => ("oauth", json!({"token": token})),
                AuthKind::Aws(key) => {
                    let region = key.region.iter().map(|r| ("awsRegion".to_owned(), json!(r)));
                    let mut fields = Map::from_iter(region);
                    fields.insert("accessKeyID".to_owned(), json!(key.id));
                    fields.insert("secretAccessKey".to_owned(), json!(key.secret));
                    ("aws", Value::Object(fields))
                }
            };
            out.push(object(
                "auth",
                [("domains", json!([domain])), ("type", json!(kind)), ("credentials", credentials)],
            ));
        }
        for (registry, c) in &self.docker_auth {
            let credentials = json!({"user": c.user, "password": c.password});
            out.push(object("dockerAuth", [("registries", json!([registry])), ("credentials", credentials)]));
        }
        let path = |name, path: &Option<std::path::PathBuf>| path.as_ref().map(|p| (name, json!(p)));
        let paths = [path("data", &self.paths.data), path("stage1-images", &self.paths.stage1_images)];
        out.push(object("paths", paths.into_iter().flatten()));
        let mut stage1 = Vec::new();
        if let Some((name, version)) = &self.stage1.image {
            stage1.extend([("name", json!(name)), ("version", json!(version))]);
        }
        stage1.extend(self.stage1.location.iter().map(|l| ("location", json!(l))));
        out.push(object("stage1", stage1));
        json!({ "stage0": out })
    }
}

fn object<'a>(kind: &str, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let head = [("rktVersion", json!("v1")), ("rktKind", json!(kind))];
    Value::Object(head.into_iter().chain(fields).map(|(name, value)| (name.to_owned(), value)).collect())
}
