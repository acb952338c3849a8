//! Pieces to a tree. What Go's parser refuses is refused here too: unknown functions, undefined variables, a stage of a
//! pipeline that cannot take a value, a block without its end.

use super::TemplateError;
use super::functions::{self, Function};
use super::lexer::{self, Kind, Piece, Token};
use super::value::Value;

/// Blocks and parentheses may nest this deep: the tree is walked recursively.
const DEPTH_MAX: usize = 64;

/// One step of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Printed as it stands.
    Text(String),
    /// A pipeline whose value is printed, unless it sets a variable.
    Print(Pipeline),
    /// `if`, `with` or `range`.
    Block {
        /// Which of them.
        kind: BlockKind,
        /// What it looks at.
        pipeline: Pipeline,
        /// What runs when that is not empty.
        body: Vec<Node>,
        /// What runs when it is.
        otherwise: Vec<Node>,
    },
}

/// The blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BlockKind {
    /// Runs its body once.
    If,
    /// Runs its body once with `.` set.
    With,
    /// Runs its body for each entry of a map with `.` set.
    Range,
}

/// Commands, each passing its value on as the last argument of the next.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// The variables set: none, one, or (in `range`) two.
    pub(super) variables: Vec<String>,
    /// `:=` makes a new variable, `=` changes one.
    pub(super) declares: bool,
    /// At least one.
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    /// At least one.
    pub(super) operands: Vec<Operand>,
}

/// A term and the fields taken from it.
#[derive(Debug)]
pub(super) struct Operand {
    /// Where it starts.
    pub(super) term: Term,
    /// `.a.b`
    pub(super) fields: Vec<String>,
}

/// What an operand starts with.
#[derive(Debug)]
pub(super) enum Term {
    /// `.`
    Dot,
    /// `$name`, or `$` (empty).
    Variable(String),
    /// A function.
    Function(&'static Function),
    /// A literal.
    Literal(Value),
    /// A pipeline in parentheses.
    Nested(Box<Pipeline>),
}

/// Parses a whole template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let pieces = lexer::split(text)?;
    let variables = ["", "labels", "externalLabels", "externalURL", "value"].map(str::to_owned).to_vec();
    let mut parser = Parser { pieces: pieces.into_iter(), variables, end: text.len(), depth: 0 };
    match parser.nodes()? {
        (nodes, Stop::Eof) => Ok(nodes),
        (_, Stop::End(at)) => Err(TemplateError::new(at, "unexpected {{end}}")),
        (_, Stop::Else(at, _)) => Err(TemplateError::new(at, "unexpected {{else}}")),
    }
}

/// What ended a list of nodes.
enum Stop {
    Eof,
    End(usize),
    /// With the tokens behind `else`.
    Else(usize, Vec<Token>),
}

struct Parser<'t> {
    pieces: std::vec::IntoIter<Piece<'t>>,
    variables: Vec<String>,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(text) => nodes.push(Node::Text(text.to_owned())),
                Piece::Action { tokens, at } => match keyword(&tokens) {
                    Some("end") if tokens.len() == 1 => return Ok((nodes, Stop::End(at))),
                    Some("else") => return Ok((nodes, Stop::Else(at, tokens.into_iter().skip(1).collect()))),
                    Some("if") => nodes.push(self.block(BlockKind::If, tokens, at)?),
                    Some("with") => nodes.push(self.block(BlockKind::With, tokens, at)?),
                    Some("range") => nodes.push(self.block(BlockKind::Range, tokens, at)?),
                    Some(word @ ("define" | "template" | "block" | "break" | "continue")) => {
                        return Err(TemplateError::new(at, format!("{{{{{word}}}}} is not supported yet")));
                    }
                    Some("end") => return Err(TemplateError::new(at, "unexpected text in {{end}}")),
                    _ => nodes.push(Node::Print(self.action(tokens, at, "command")?)),
                },
            }
        }
        Ok((nodes, Stop::Eof))
    }

    fn deeper(&mut self, at: usize) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(TemplateError::new(at, format!("nested deeper than {DEPTH_MAX}"))) } else { Ok(()) }
    }

    /// A block behind its keyword, which is the first token.
    fn block(&mut self, kind: BlockKind, tokens: Vec<Token>, at: usize) -> Result<Node, TemplateError> {
        let name = match kind {
            BlockKind::If => "if",
            BlockKind::With => "with",
            BlockKind::Range => "range",
        };
        self.deeper(at)?;
        let scope = self.variables.len();
        let pipeline = self.action(tokens.into_iter().skip(1).collect(), at, name)?;
        if pipeline.variables.len() > 1 && kind != BlockKind::Range {
            return Err(TemplateError::new(at, format!("too many declarations in {name}")));
        }
        let inner = self.variables.len();
        let (body, stop) = self.nodes()?;
        self.variables.truncate(inner);
        let otherwise = match stop {
            Stop::End(_) => Vec::new(),
            Stop::Eof => return Err(TemplateError::new(self.end, format!("{{{{{name}}}}} without {{{{end}}}}"))),
            Stop::Else(at, tokens) => self.otherwise(kind, tokens, at)?,
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Block { kind, pipeline, body, otherwise })
    }

    /// What follows an `else`, whose own words (`if …`, `with …`) are the tokens.
    fn otherwise(&mut self, kind: BlockKind, tokens: Vec<Token>, at: usize) -> Result<Vec<Node>, TemplateError> {
        match (keyword(&tokens), kind) {
            // The chain shares one {{end}}.
            (Some("if"), BlockKind::If) => Ok(vec![self.block(BlockKind::If, tokens, at)?]),
            (Some("with"), BlockKind::With) => Ok(vec![self.block(BlockKind::With, tokens, at)?]),
            _ if !tokens.is_empty() => Err(TemplateError::new(at, "unexpected text in {{else}}")),
            _ => match self.nodes()? {
                (nodes, Stop::End(_)) => Ok(nodes),
                (_, Stop::Else(at, _)) => Err(TemplateError::new(at, "expected {{end}}; found {{else}}")),
                (_, Stop::Eof) => Err(TemplateError::new(self.end, "{{else}} without {{end}}")),
            },
        }
    }

    /// A whole action as one pipeline.
    fn action(&mut self, tokens: Vec<Token>, at: usize, context: &str) -> Result<Pipeline, TemplateError> {
        let mut tokens = Tokens { list: tokens, next: 0, at };
        let pipeline = self.pipeline(&mut tokens, context)?;
        match tokens.peek() {
            None => Ok(pipeline),
            Some(token) => Err(TemplateError::new(token.at, format!("unexpected {} in {context}", describe(&token.kind)))),
        }
    }

    fn pipeline(&mut self, tokens: &mut Tokens, context: &str) -> Result<Pipeline, TemplateError> {
        let start = tokens.position();
        let (variables, declares) = self.assignment(tokens, context)?;
        let mut commands = vec![self.command(tokens, context)?];
        while tokens.take(&Kind::Pipe) {
            let at = tokens.position();
            let command = self.command(tokens, context)?;
            if let Some(Operand { term: Term::Dot | Term::Literal(_), fields }) = command.operands.first()
                && fields.is_empty()
            {
                return Err(TemplateError::new(at, format!("non executable command in pipeline stage {}", commands.len() + 1)));
            }
            commands.push(command);
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        } else if let Some(unknown) = variables.iter().find(|name| !self.variables.contains(name)) {
            return Err(TemplateError::new(start, format!("undefined variable \"${unknown}\"")));
        }
        Ok(Pipeline { variables, declares, commands })
    }

    /// `$a :=`, `$a =`, or in a range `$i, $v :=`.
    fn assignment(&mut self, tokens: &mut Tokens, context: &str) -> Result<(Vec<String>, bool), TemplateError> {
        let kinds = |index: usize| tokens.list.get(tokens.next + index).map(|token| &token.kind);
        let (names, operator) = match (kinds(0), kinds(1), kinds(2), kinds(3)) {
            (Some(Kind::Variable(name)), Some(operator @ (Kind::Declare | Kind::Assign)), ..) => (vec![name.clone()], operator.clone()),
            (
                Some(Kind::Variable(key)),
                Some(Kind::Comma),
                Some(Kind::Variable(value)),
                Some(operator @ (Kind::Declare | Kind::Assign)),
            ) if context == "range" => (vec![key.clone(), value.clone()], operator.clone()),
            _ => return Ok((Vec::new(), false)),
        };
        tokens.next += 2 * names.len();
        Ok((names, operator == Kind::Declare))
    }

    fn command(&mut self, tokens: &mut Tokens, context: &str) -> Result<Command, TemplateError> {
        let at = tokens.position();
        let mut operands = Vec::new();
        while let Some(operand) = self.operand(tokens)? {
            operands.push(operand);
            if tokens.peek().is_some_and(|token| !token.spaced && !matches!(token.kind, Kind::Pipe | Kind::Close)) {
                let token = tokens.peek().map(|token| describe(&token.kind)).unwrap_or_default();
                return Err(TemplateError::new(tokens.position(), format!("unexpected {token} in operand")));
            }
        }
        if operands.is_empty() {
            let message = match tokens.peek() {
                Some(token) => format!("unexpected {} in {context}", describe(&token.kind)),
                None => format!("missing value for {context}"),
            };
            return Err(TemplateError::new(at, message));
        }
        Ok(Command { operands })
    }

    fn operand(&mut self, tokens: &mut Tokens) -> Result<Option<Operand>, TemplateError> {
        let Some(token) = tokens.peek().cloned() else { return Ok(None) };
        let mut fields = Vec::new();
        let term = match token.kind {
            Kind::Variable(name) if self.variables.contains(&name) => Term::Variable(name),
            Kind::Variable(name) => return Err(TemplateError::new(token.at, format!("undefined variable \"${name}\""))),
            Kind::Dot => Term::Dot,
            Kind::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Kind::Text(text) => Term::Literal(Value::Text(text)),
            Kind::Int(number) => Term::Literal(Value::Int(number)),
            Kind::Float(number) => Term::Literal(Value::Float(number)),
            Kind::Word(word) => match word.as_str() {
                "true" => Term::Literal(Value::Bool(true)),
                "false" => Term::Literal(Value::Bool(false)),
                "nil" => Term::Literal(Value::Nil),
                _ => Term::Function(functions::find(&word).map_err(|message| TemplateError::new(token.at, message))?),
            },
            Kind::Open => {
                self.deeper(token.at)?;
                tokens.next += 1;
                let nested = self.pipeline(tokens, "parenthesized pipeline")?;
                if !tokens.peek().is_some_and(|token| token.kind == Kind::Close) {
                    return Err(TemplateError::new(token.at, "unclosed left paren"));
                }
                self.depth -= 1;
                Term::Nested(Box::new(nested))
            }
            Kind::Pipe | Kind::Close | Kind::Declare | Kind::Assign | Kind::Comma => return Ok(None),
        };
        tokens.next += 1;
        while let Some(Token { kind: Kind::Field(name), spaced: false, .. }) = tokens.peek().cloned() {
            fields.push(name);
            tokens.next += 1;
        }
        Ok(Some(Operand { term, fields }))
    }
}

/// The tokens of one action, read from the left.
struct Tokens {
    list: Vec<Token>,
    next: usize,
    at: usize,
}

impl Tokens {
    fn peek(&self) -> Option<&Token> {
        self.list.get(self.next)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        self.next += usize::from(found);
        found
    }

    /// Where the next token stands, or the action where there is none.
    fn position(&self) -> usize {
        self.peek().map_or(self.at, |token| token.at)
    }
}

fn keyword(tokens: &[Token]) -> Option<&str> {
    match tokens.first() {
        Some(Token { kind: Kind::Word(word), .. }) => Some(word),
        _ => None,
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Variable(name) => format!("\"${name}\""),
        Kind::Field(name) => format!("\".{name}\""),
        Kind::Dot => "\".\"".to_owned(),
        Kind::Word(word) => format!("{word:?}"),
        Kind::Text(text) => format!("{text:?}"),
        Kind::Int(number) => format!("\"{number}\""),
        Kind::Float(number) => format!("\"{number}\""),
        Kind::Pipe => "\"|\"".to_owned(),
        Kind::Open => "\"(\"".to_owned(),
        Kind::Close => "\")\"".to_owned(),
        Kind::Declare => "\":=\"".to_owned(),
        Kind::Assign => "\"=\"".to_owned(),
        Kind::Comma => "\",\"".to_owned(),
    }
}
