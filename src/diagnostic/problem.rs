//! One problem, as a line for a log and as a picture for a person.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Position;

/// A problem in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the user knows it.
    pub file: String,
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line that the position is on, and how many characters the bad token has (at least 1).
    pub source: Option<(String, usize)>,
}

impl Diagnostic {
    /// A problem at a place in `text`; the picture marks the token that begins there.
    #[must_use]
    pub fn new(file: &str, text: &str, position: Position, message: impl Into<String>) -> Self {
        let source = text.lines().nth(position.line.saturating_sub(1)).map(|line| {
            let token = line.chars().skip(position.column - 1).take_while(|c| !c.is_whitespace() && !",:]}".contains(*c));
            (line.to_owned(), token.count().max(1))
        });
        Self { file: file.to_owned(), position, message: message.into(), hint: None, source }
    }

    /// A problem with the file as a whole.
    #[must_use]
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), position: Position::START, message: message.into(), hint: None, source: None }
    }

    /// A problem with a setting, where it is not known in which file it stands.
    #[must_use]
    pub fn of_setting(key: &str, message: impl Into<String>) -> Self {
        Self { position: Position::NOWHERE, ..Self::of_file(key, message) }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with a token of so many characters, as far as its line goes.
    #[must_use]
    pub fn with_length(mut self, characters: usize) -> Self {
        if let Some((line, length)) = &mut self.source {
            *length = characters.min(line.chars().count().saturating_sub(self.position.column - 1)).max(1);
        }
        self
    }

    /// The problem with its line and a caret under the bad token, in colour where `styled`.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let whole = format!("{}: {}", self.file, self.message);
        let title = Level::ERROR.primary_title(if self.source.is_some() { self.message.as_str() } else { whole.as_str() });
        let mut group = match &self.source {
            Some((line, length)) => {
                let start = byte_of_column(line, self.position.column);
                let end = byte_of_column(line, self.position.column + length).max(start + 1);
                let mark = AnnotationKind::Primary.span(start..end);
                title.element(Snippet::source(line.as_str()).path(self.file.as_str()).line_start(self.position.line).annotation(mark))
            }
            None => annotate_snippets::Group::with_title(title),
        };
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }
}

/// `file:line:column: message (hint)`; of a setting `key: message`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Position::NOWHERE => write!(f, "{}: {}", self.file, self.message)?,
            Position { line, column } => write!(f, "{}:{line}:{column}: {}", self.file, self.message)?,
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// How many problems there are, and the first of them.
#[must_use]
pub fn sum_up(problems: &[Diagnostic]) -> String {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    if problems.len() == 1 { first } else { format!("{} problems, the first: {first}", problems.len()) }
}

/// The name among `known` that was probably meant by `written`.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(written, name);
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + written.len() / 4)
        .map(|(_, name)| name)
}

fn byte_of_column(line: &str, column: usize) -> usize {
    line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_in_a_log() {
        let problem =
            Diagnostic::new("a.yml", "x: 1\nyy: 2\n", Position { line: 2, column: 1 }, "unknown key `yy`").with_hint("did you mean `y`?");
        assert_eq!(problem.to_string(), "a.yml:2:1: unknown key `yy` (did you mean `y`?)");
    }

    #[test]
    fn a_setting_has_no_place() {
        let problem = Diagnostic::of_setting("rules.files", "x.yml: there is no such file");
        assert_eq!(problem.to_string(), "rules.files: x.yml: there is no such file");
        assert_eq!(problem.render(false), "error: rules.files: x.yml: there is no such file");
    }

    #[test]
    fn the_caret_stands_under_the_token() {
        let problem = Diagnostic::new("a.yml", "é: bad, c\n", Position { line: 1, column: 4 }, "no");
        let picture = problem.render(false);
        assert!(picture.contains("--> a.yml:1:4") && picture.contains("|    ^^^"), "{picture}");
    }

    #[test]
    fn a_token_may_be_shorter_and_no_longer_than_its_line() {
        let problem = Diagnostic::new("a.yml", "f(日本)", Position { line: 1, column: 1 }, "no");
        let carets = |problem: Diagnostic| problem.render(false).matches('^').count();
        assert_eq!(carets(problem.clone().with_length(1)), 1);
        assert_eq!((carets(problem.clone().with_length(99)), carets(problem)), (7, 7), "wide letters have two columns");
    }

    #[test]
    fn a_place_behind_the_text_is_drawn_too() {
        assert!(Diagnostic::new("a", "", Position { line: 1, column: 1 }, "empty").render(false).contains("empty"));
        assert!(Diagnostic::new("a", "x", Position { line: 1, column: 2 }, "short").render(false).contains('^'));
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("intervall", ["folder", "interval"]), Some("interval"));
        assert_eq!(nearest("x", ["folder", "interval"]), None);
    }
}
