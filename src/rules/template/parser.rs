//! Tokens to trees. What Go's parser refuses is refused here too, in its words: unknown functions, undefined variables, a
//! stage of a pipeline that cannot take a value, a block without its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TemplateError;
use super::functions;
use super::lexer::{self, Kind, Token};
use super::literal;
use super::printf::quote;
use super::syntax::{BlockKind, Command, Constant, Invocation, Node, Operand, Pipeline, Term};

/// Blocks and parentheses may nest this deep: the tree is walked recursively.
const DEPTH_MAX: usize = 64;

/// A template and those that it defines.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// What is printed.
    pub(super) main: Vec<Node>,
    /// What `define` and `block` define, by name.
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// Parses a whole template, which nothing in it may be called as. Rules keep what it makes for as long as they are there, most of it lists
/// of one: so no list keeps room for more than it has.
pub(super) fn parse(name: &str, text: &str) -> Result<Trees, TemplateError> {
    let mut parser =
        Parser { tokens: lexer::tokens(text), next: 0, variables: vec![String::new()], loops: 0, depth: 0, trees: Trees::default() };
    parser.main()?;
    parser.trees.main.shrink_to_fit();
    match parser.trees.defined.get(name) {
        Some(known) if !is_empty(known) => Err(defined_twice(text.len(), name)),
        _ => Ok(parser.trees),
    }
}

fn defined_twice(at: usize, name: &str) -> TemplateError {
    TemplateError::new(at, format!("template: multiple definition of template {}", quote(name)))
}

/// What ended a list of nodes.
enum Stop {
    End,
    Else,
}

impl Stop {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    next: usize,
    /// The variables that have been named so far, from the outermost in.
    variables: Vec<String>,
    loops: usize,
    depth: usize,
    trees: Trees,
}

type Parsed<T> = Result<T, TemplateError>;

impl<'t> Parser<'t> {
    /// The token that comes next; the last one for ever.
    fn peek(&self) -> Token<'t> {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.next.min(last)).cloned().unwrap_or(Token { kind: Kind::End, at: 0, text: "".into() })
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        if self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    /// The next token that is no blank.
    fn peek_word(&mut self) -> Token<'t> {
        self.skip_space();
        self.peek()
    }

    fn take_word(&mut self) -> Token<'t> {
        self.skip_space();
        self.take()
    }

    fn keyword(&mut self, word: &str) -> bool {
        let token = self.peek_word();
        token.kind == Kind::Keyword && token.text == word
    }

    fn deeper(&mut self, at: usize) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(TemplateError::new(at, format!("nested deeper than {DEPTH_MAX}"))) } else { Ok(()) }
    }

    fn main(&mut self) -> Parsed<()> {
        while self.peek().kind != Kind::End {
            let start = self.next;
            if self.take().kind == Kind::Left && self.keyword("define") {
                self.take();
                self.definition()?;
                continue;
            }
            self.next = start;
            match self.node()? {
                Ok(node) => self.trees.main.push(node),
                Err((stop, at)) => return Err(TemplateError::new(at, format!("unexpected {}", stop.as_str()))),
            }
        }
        Ok(())
    }

    /// Text, an action, or what ends a list, with its place.
    fn node(&mut self) -> Parsed<Result<Node, (Stop, usize)>> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Ok(Node::Text(token.text.into_owned()))),
            Kind::Left => self.action(),
            _ => Err(unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Result<Node, (Stop, usize)>> {
        let start = self.next;
        let token = self.take_word();
        let word = if token.kind == Kind::Keyword { &*token.text } else { "" };
        Ok(Ok(match word {
            "if" => self.block(BlockKind::If, token.at)?,
            "with" => self.block(BlockKind::With, token.at)?,
            "range" => self.block(BlockKind::Range, token.at)?,
            "template" => Node::Template(self.template()?),
            "block" => Node::Template(self.block_definition(token.at)?),
            "break" | "continue" => {
                let action = format!("{{{{{word}}}}}");
                self.expect(Kind::Right, &action)?;
                if self.loops == 0 {
                    return Err(TemplateError::new(token.at, format!("{action} outside {{{{range}}}}")));
                }
                if word == "break" { Node::Break } else { Node::Continue }
            }
            "end" => {
                self.expect(Kind::Right, "end")?;
                return Ok(Err((Stop::End, token.at)));
            }
            "else" => {
                // `else if` is an `else` and an `if` that share one `end`.
                if !self.keyword("if") && !self.keyword("with") {
                    self.expect(Kind::Right, "else")?;
                }
                return Ok(Err((Stop::Else, token.at)));
            }
            _ => {
                self.next = start;
                Node::Action(self.pipeline("command", Kind::Right)?)
            }
        }))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token<'t>> {
        let token = self.take_word();
        if token.kind == kind { Ok(token) } else { Err(unexpected(&token, context)) }
    }

    /// Nodes up to an `end` or `else`.
    fn list(&mut self) -> Parsed<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::End {
            match self.node()? {
                Ok(node) => nodes.push(node),
                Err((stop, _)) => {
                    nodes.shrink_to_fit();
                    return Ok((nodes, stop));
                }
            }
        }
        Err(TemplateError::new(self.peek().at, "unexpected EOF"))
    }

    /// A block behind its keyword.
    fn block(&mut self, kind: BlockKind, at: usize) -> Parsed<Node> {
        self.deeper(at)?;
        let scope = self.variables.len();
        let pipeline = self.pipeline(kind.word(), Kind::Right)?;
        let loops = usize::from(kind == BlockKind::Range);
        self.loops += loops;
        let (body, stop) = self.list()?;
        self.loops -= loops;
        let otherwise = match stop {
            Stop::End => Vec::new(),
            Stop::Else => self.otherwise(kind)?,
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Block { kind, pipeline, body, otherwise })
    }

    fn otherwise(&mut self, kind: BlockKind) -> Parsed<Vec<Node>> {
        if kind != BlockKind::Range && self.keyword(kind.word()) {
            let at = self.take().at;
            return Ok(vec![self.block(kind, at)?]);
        }
        match self.list()? {
            (nodes, Stop::End) => Ok(nodes),
            (_, stop @ Stop::Else) => Err(TemplateError::new(self.peek().at, format!("expected end; found {}", stop.as_str()))),
        }
    }

    fn name(&mut self, context: &str) -> Parsed<(String, usize)> {
        let token = self.take_word();
        match token.kind {
            Kind::Quoted | Kind::Raw => Ok((text(&token)?, token.at)),
            _ => Err(unexpected(&token, context)),
        }
    }

    /// `template "name" pipeline`, behind the keyword.
    fn template(&mut self) -> Parsed<Invocation> {
        let (name, at) = self.name("template clause")?;
        let pipeline = if self.peek_word().kind == Kind::Right {
            self.take();
            None
        } else {
            Some(self.pipeline("template clause", Kind::Right)?)
        };
        Ok(Invocation { at, name, pipeline })
    }

    /// `define "name"`, behind the keyword, with its body.
    fn definition(&mut self) -> Parsed<()> {
        let (name, at) = self.name("define clause")?;
        self.expect(Kind::Right, "define clause")?;
        self.define(name, at, "define clause")
    }

    /// `block "name" pipeline`, behind the keyword: a definition and its use.
    fn block_definition(&mut self, at: usize) -> Parsed<Invocation> {
        self.deeper(at)?;
        let (name, at) = self.name("block clause")?;
        let pipeline = Some(self.pipeline("block clause", Kind::Right)?);
        self.define(name.clone(), at, "block clause")?;
        self.depth -= 1;
        Ok(Invocation { at, name, pipeline })
    }

    /// The body of a definition, which sees no variables from outside.
    fn define(&mut self, name: String, at: usize, context: &str) -> Parsed<()> {
        let outside = std::mem::replace(&mut self.variables, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, stop) = self.list()?;
        if matches!(stop, Stop::Else) {
            return Err(TemplateError::new(self.peek().at, format!("unexpected {} in {context}", stop.as_str())));
        }
        (self.variables, self.loops) = (outside, loops);
        match self.trees.defined.get(&name) {
            Some(known) if !is_empty(known) && !is_empty(&body) => return Err(defined_twice(at, &name)),
            Some(known) if !is_empty(known) => {}
            _ => drop(self.trees.defined.insert(name, body)),
        }
        Ok(())
    }

    /// Up to and over `end`.
    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipeline> {
        let at = self.peek_word().at;
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.peek_word();
            if token.kind == end {
                self.take();
                break;
            }
            if !starts_operand(token.kind) {
                return Err(unexpected(&token, context));
            }
            let command = self.command()?;
            let stage = commands.len() + 1;
            if let Some(Operand { at, term: Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(..) | Term::Text(..) }) =
                command.operands.first()
                && stage > 1
            {
                return Err(TemplateError::new(*at, format!("non executable command in pipeline stage {stage}")));
            }
            commands.push(command);
        }
        if commands.is_empty() {
            return Err(TemplateError::new(at, format!("missing value for {context}")));
        }
        commands.shrink_to_fit();
        Ok(Pipeline { at, variables, assigns, commands })
    }

    /// `$a :=`, `$a =`, or in a range `$i, $v :=`. That a variable which is assigned exists is known at expansion only, as in Go.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        loop {
            let start = self.next;
            let token = self.peek_word();
            if token.kind != Kind::Variable {
                return Ok((names, false));
            }
            self.take();
            let name = token.text.trim_start_matches('$').to_owned();
            let operator = self.peek_word();
            match operator.kind {
                Kind::Assign | Kind::Declare => {
                    self.take();
                    self.variables.push(name.clone());
                    names.push(name);
                    names.shrink_to_fit();
                    return Ok((names, operator.kind == Kind::Assign));
                }
                Kind::Other if operator.text == "," => {
                    self.take();
                    self.variables.push(name.clone());
                    names.push(name);
                    if context != "range" || names.len() > 1 {
                        return Err(TemplateError::new(token.at, format!("too many declarations in {context}")));
                    }
                    if !matches!(self.peek_word().kind, Kind::Variable | Kind::Right | Kind::Close) {
                        return Err(TemplateError::new(self.peek().at, "range can only initialize variables"));
                    }
                }
                _ => {
                    self.next = start;
                    return Ok((names, false));
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let at = self.peek_word().at;
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            operands.extend(self.operand()?);
            let token = self.peek();
            match token.kind {
                Kind::Space => self.next += 1,
                Kind::Pipe => {
                    self.next += 1;
                    break;
                }
                Kind::Right | Kind::Close => break,
                _ => return Err(unexpected(&token, "operand")),
            }
        }
        if operands.is_empty() {
            return Err(TemplateError::new(at, "empty command"));
        }
        operands.shrink_to_fit();
        Ok(Command { at, operands })
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else { return Ok(None) };
        let chain = self.peek();
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(field(&self.take()));
        }
        if fields.is_empty() {
            return Ok(Some(operand));
        }
        let term = match operand.term {
            Term::Field(first) => Term::Field([first, fields].concat()),
            Term::Variable(name, first) => Term::Variable(name, [first, fields].concat()),
            Term::Bool(_) | Term::Text(..) | Term::Number(..) | Term::Nil | Term::Dot => {
                let message = format!("unexpected . after term {}", quote(&operand.to_string()));
                return Err(TemplateError::new(chain.at, message));
            }
            _ => Term::Chain(Box::new(operand), fields),
        };
        Ok(Some(Operand { at: chain.at, term }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek_word();
        let term = match token.kind {
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::Field => Term::Field(vec![field(&token)]),
            Kind::Variable => {
                let name = token.text.trim_start_matches('$').to_owned();
                if !self.variables.contains(&name) {
                    return Err(TemplateError::new(token.at, format!("undefined variable {}", quote(&token.text))));
                }
                Term::Variable(name, Vec::new())
            }
            Kind::Word => match functions::find(&token.text) {
                Some(function) => Term::Function(function),
                None => return Err(TemplateError::new(token.at, format!("function {} not defined", quote(&token.text)))),
            },
            Kind::Number => {
                let number = literal::number(&token.text).map_err(|message| TemplateError::new(token.at, message))?;
                Term::Number(token.text.to_string(), number)
            }
            Kind::Character => {
                let number = literal::character(&token.text).map_err(|message| TemplateError::new(token.at, message))?;
                Term::Number(token.text.to_string(), Some(Constant::Int(number)))
            }
            Kind::Quoted | Kind::Raw => Term::Text(Arc::from(text(&token)?), token.text.to_string()),
            Kind::Open => {
                self.deeper(token.at)?;
                self.take();
                let nested = self.pipeline("parenthesized pipeline", Kind::Close)?;
                self.depth -= 1;
                return Ok(Some(Operand { at: nested.at, term: Term::Nested(Box::new(nested)) }));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(Operand { at: token.at, term }))
    }
}

/// Nothing but blanks: a definition that may be given again.
fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

fn starts_operand(kind: Kind) -> bool {
    use Kind::{Bool, Character, Dot, Field, Nil, Number, Open, Quoted, Raw, Variable, Word};
    matches!(kind, Bool | Character | Dot | Field | Word | Number | Nil | Raw | Quoted | Variable | Open)
}

fn field(token: &Token<'_>) -> String {
    token.text.trim_start_matches('.').to_owned()
}

fn text(token: &Token<'_>) -> Parsed<String> {
    if token.kind == Kind::Raw {
        // As in Go's source, a carriage return in a raw text is not part of it.
        return Ok(token.text.trim_matches('`').replace('\r', ""));
    }
    literal::unquote(&token.text, '"').ok_or_else(|| TemplateError::new(token.at, "invalid syntax"))
}

fn unexpected(token: &Token<'_>, context: &str) -> TemplateError {
    let shown = match token.kind {
        Kind::Error => return TemplateError::new(token.at, token.text.clone()),
        Kind::End => "EOF".to_owned(),
        Kind::Keyword | Kind::Nil | Kind::Dot => format!("<{}>", token.text),
        _ if token.text.chars().count() > 10 => {
            let start: String = token.text.chars().take(10).collect();
            format!("{}...", quote(&start))
        }
        _ => quote(&token.text),
    };
    TemplateError::new(token.at, format!("unexpected {shown} in {context}"))
}
