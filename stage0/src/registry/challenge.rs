//! `WWW-Authenticate` headers (RFC 9110, 11.6.1) as registries send them.

use std::collections::BTreeMap;

/// How a registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from another server (distribution-spec, "Token Authentication").
    Bearer {
        /// The token server.
        realm: String,
        /// What to tell it.
        service: Option<String>,
        /// What to ask it for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Parses one header; `None` for schemes we do not speak.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        })
    }
}

/// `name="value", name=value`: quoted values may hold commas and escapes.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut chars = text.chars().peekable();
    loop {
        let name: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=')).collect();
        if chars.next().is_none() {
            return out;
        }
        let mut value = String::new();
        if chars.next_if_eq(&'"').is_some() {
            while let Some(c) = chars.next().filter(|c| *c != '"') {
                value.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
            while chars.next_if(|c| *c != ',').is_some() {}
        } else {
            value.extend(std::iter::from_fn(|| chars.next_if(|c| *c != ',')));
        }
        chars.next_if_eq(&',');
        out.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn challenges_are_understood() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=\"x\""), None);
        let text = r#"Bearer realm="https://a/t",service=reg , scope="repository:x:pull,push",e="a\"b""#;
        let bearer = Challenge::Bearer {
            realm: "https://a/t".into(),
            service: Some("reg".into()),
            scope: Some("repository:x:pull,push".into()),
        };
        assert_eq!(Challenge::parse(text), Some(bearer));
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in ".{0,200}") {
            let _ = Challenge::parse(&text);
            let _ = Challenge::parse(&format!("Bearer {text}"));
        }
    }
}
