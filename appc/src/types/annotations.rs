//! Annotations: metadata with a few well-known names.

use serde::{Deserialize, Serialize};

use super::{AcIdentifier, ValueError};

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Its name.
    pub name: AcIdentifier,
    /// Its value.
    pub value: String,
}

/// The annotations of a manifest, each name at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Annotations(pub Vec<Annotation>);

impl Annotations {
    /// The value of the annotation `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|annotation| annotation.name == name).map(|annotation| annotation.value.as_str())
    }

    /// Sets an annotation, replacing one of the same name.
    pub fn set(&mut self, name: AcIdentifier, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|annotation| annotation.name == name) {
            Some(annotation) => annotation.value = value,
            None => self.0.push(Annotation { name, value }),
        }
    }

    /// Whether there is no annotation.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The annotations in the manifest's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Annotation> {
        self.0.iter()
    }

    /// Names occur once, and the well-known ones have values of their form.
    pub fn validate(&self) -> Result<(), ValueError> {
        for (position, annotation) in self.0.iter().enumerate() {
            if self.0[..position].iter().any(|earlier| earlier.name == annotation.name) {
                return Err(ValueError::Duplicate { what: "annotation", name: annotation.name.to_string() });
            }
        }
        self.check("created", "an RFC 3339 date and time", is_rfc3339)?;
        self.check("homepage", "an http or https URL", is_http_url)?;
        self.check("documentation", "an http or https URL", is_http_url)
    }

    fn check(
        &self,
        name: &'static str,
        expected: &'static str,
        valid: fn(&str) -> bool,
    ) -> Result<(), ValueError> {
        match self.get(name) {
            Some(value) if !valid(value) => {
                Err(ValueError::Annotation { name, value: value.to_owned(), expected })
            }
            _ => Ok(()),
        }
    }
}

fn is_http_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    })
}

/// RFC 3339, section 5.6 `date-time`.
fn is_rfc3339(text: &str) -> bool {
    rfc3339(text).is_some()
}

fn rfc3339(text: &str) -> Option<()> {
    let (date, time) = text.split_once(['T', 't'])?;
    fields(date, '-', &[(4, 0, 9999), (2, 1, 12), (2, 1, 31)])?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let clock = match clock.split_once('.') {
        Some((clock, fraction)) if !fraction.is_empty() && is_digits(fraction) => clock,
        Some(_) => return None,
        None => clock,
    };
    fields(clock, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 60)])?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(());
    }
    fields(zone.strip_prefix(['+', '-'])?, ':', &[(2, 0, 23), (2, 0, 59)])
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Exactly the fields given as (digits, least, most), joined by `separator`.
fn fields(text: &str, separator: char, expected: &[(usize, u32, u32)]) -> Option<()> {
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.len() != expected.len() {
        return None;
    }
    for (part, (digits, least, most)) in parts.iter().zip(expected) {
        let in_range = part.parse().is_ok_and(|value: u32| (*least..=*most).contains(&value));
        if part.len() != *digits || !is_digits(part) || !in_range {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        let list = pairs.iter().map(|(n, v)| Annotation { name: n.parse().unwrap(), value: (*v).to_owned() });
        Annotations(list.collect())
    }

    #[test]
    fn dates_are_rfc3339() {
        for good in ["2015-01-02T03:04:05Z", "2015-01-02T03:04:05.123456789+01:00", "2015-01-02t23:59:60z"] {
            assert_eq!(annotations(&[("created", good)]).validate(), Ok(()), "{good}");
        }
        for bad in
            ["", "2015-01-02", "2015-13-02T03:04:05Z", "2015-01-02T03:04:05", "2015-01-02T03:04Z", "T", "TZ"]
        {
            assert!(annotations(&[("created", bad)]).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_urls() {
        assert_eq!(annotations(&[("homepage", "https://example.com")]).validate(), Ok(()));
        for bad in ["example.com", "ftp://example.com", "http://", "http:///x"] {
            assert!(annotations(&[("documentation", bad)]).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_occur_once() {
        assert!(annotations(&[("a", ""), ("a", "")]).validate().is_err());
        let mut set = annotations(&[("a", "1")]);
        set.set("a".parse().unwrap(), "2");
        set.set("b".parse().unwrap(), "3");
        assert_eq!((set.get("a"), set.get("b"), set.get("c")), (Some("2"), Some("3"), None));
    }
}
