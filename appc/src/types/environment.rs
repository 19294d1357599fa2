//! The environment of an app.

use serde::{Deserialize, Serialize};

use super::ValueError;

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentVariable {
    /// Its name: `^[A-Za-z_][A-Za-z_0-9.-]*$`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The variables of an app in order, each name at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub Vec<EnvironmentVariable>);

impl Environment {
    /// The value of the variable `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_str())
    }

    /// Sets a variable, replacing one of the same name.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|variable| variable.name == name) {
            Some(variable) => value.clone_into(&mut variable.value),
            None => self.0.push(EnvironmentVariable { name: name.to_owned(), value: value.to_owned() }),
        }
    }

    /// Whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variables in order.
    pub fn iter(&self) -> std::slice::Iter<'_, EnvironmentVariable> {
        self.0.iter()
    }

    /// Names are well-formed and occur once.
    pub fn validate(&self) -> Result<(), ValueError> {
        for (position, variable) in self.0.iter().enumerate() {
            if !is_name(&variable.name) {
                return Err(ValueError::EnvironmentName(variable.name.clone()));
            }
            if self.0[..position].iter().any(|earlier| earlier.name == variable.name) {
                return Err(ValueError::Duplicate {
                    what: "environment variable",
                    name: variable.name.clone(),
                });
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_unique() {
        let mut environment = Environment::default();
        environment.set("PATH", "/bin");
        environment.set("a.b-c", "");
        environment.set("PATH", "/sbin");
        assert_eq!((environment.get("PATH"), environment.0.len()), (Some("/sbin"), 2));
        assert_eq!(environment.validate(), Ok(()));
        environment.0.push(environment.0[0].clone());
        assert!(matches!(environment.validate(), Err(ValueError::Duplicate { .. })));
        for bad in ["", "1A", "A B", "A=B", "-A", "é"] {
            let variable = EnvironmentVariable { name: bad.to_owned(), value: String::new() };
            assert!(Environment(vec![variable]).validate().is_err(), "{bad}");
        }
    }
}
