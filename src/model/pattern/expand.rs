//! Templates of what becomes of a match, as Go's `Regexp.Expand` reads them.

/// Puts the texts of groups in the place of references to them: `$1`, `${1}`, `$name`, `${name}`. A name is as long as it
/// can be; what no group is called is empty; a dollar that starts no reference is one by itself.
pub(super) fn expand<'a>(template: &str, names: &[Option<String>], group: impl Fn(usize) -> Option<&'a str>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some((name, behind)) = reference(behind) {
            out.push_str(text(name, names, &group).unwrap_or(""));
            rest = behind;
        } else {
            out.push('$');
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// The name after a dollar and what follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{');
    let start = inside.unwrap_or(text);
    let end = start.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(start.len());
    let (name, rest) = start.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    if inside.is_some() { Some((name, rest.strip_prefix('}')?)) } else { Some((name, rest)) }
}

fn text<'a>(name: &str, names: &[Option<String>], group: &impl Fn(usize) -> Option<&'a str>) -> Option<&'a str> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if is_number {
        return group(name.parse().ok()?);
    }
    let called = names.iter().enumerate().filter(|(_, other)| other.as_deref() == Some(name));
    called.map(|(place, _)| place).find_map(group)
}
