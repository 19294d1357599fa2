//! Meta tags of an HTML page. A page is whatever a web server sent: anything not understood is skipped.

/// A meta tag with both of the attributes that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaTag {
    /// The attribute `name`.
    pub name: String,
    /// The attribute `content`.
    pub content: String,
}

/// The meta tags of a page in order. Comments and the body's text are not told apart from the head: a tag counts
/// wherever it stands, except inside of a comment.
pub fn meta_tags(html: &str) -> Vec<MetaTag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if let Some(attributes) = strip_meta(rest) {
            let mut scanner = Attributes { rest: attributes };
            tags.extend(tag(&mut scanner));
            rest = scanner.rest;
        }
    }
    tags
}

/// What follows `meta` and white space.
fn strip_meta(text: &str) -> Option<&str> {
    let (word, rest) = text.split_at_checked(4)?;
    (word.eq_ignore_ascii_case("meta") && rest.starts_with(is_space)).then_some(rest)
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}

fn tag(attributes: &mut Attributes) -> Option<MetaTag> {
    let (mut name, mut content) = (None, None);
    for (key, value) in attributes {
        match key.to_ascii_lowercase().as_str() {
            "name" => name = name.or(Some(value)),
            "content" => content = content.or(Some(value)),
            _ => {}
        }
    }
    Some(MetaTag { name: name?, content: content? })
}

/// Attributes up to the end of a tag.
struct Attributes<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(|c| is_space(c) || c == '/');
        if self.rest.is_empty() || self.rest.starts_with('>') {
            return None;
        }
        let end = self.rest.find(|c| is_space(c) || "=>/".contains(c)).unwrap_or(self.rest.len());
        // A stray `=` would otherwise be an empty attribute for ever.
        let (key, rest) = self.rest.split_at(end.max(usize::from(self.rest.starts_with('='))));
        self.rest = rest.trim_start_matches(is_space);
        match self.rest.strip_prefix('=') {
            Some(rest) => {
                self.rest = rest.trim_start_matches(is_space);
                Some((key, unescape(self.value())))
            }
            None => Some((key, String::new())),
        }
    }
}

impl<'a> Attributes<'a> {
    fn value(&mut self) -> &'a str {
        for quote in ['"', '\''] {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                let (value, rest) = rest.split_once(quote).unwrap_or((rest, ""));
                self.rest = rest;
                return value;
            }
        }
        let end = self.rest.find(|c| is_space(c) || c == '>').unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        value
    }
}

/// The five entities that attribute values need.
fn unescape(text: &str) -> String {
    const ENTITIES: &[(&str, &str)] =
        &[("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
