//! Walks the tree and writes the text.

use super::Data;
use super::parser::{BlockKind, Command, Node, Operand, Pipeline, Term};
use super::value::Value;

/// The longest text that an expansion or a function in it may make, in bytes: no label and no notification has room for
/// more, and nested loops could make texts without end.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;

/// The same for all arguments of a function together.
const ARGUMENT_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// The most pieces that an expansion may run through, repetitions in loops included.
const STEPS_MAX: usize = 10_000;

/// Expands a parsed template.
pub(super) fn expand(nodes: &[Node], data: &Data<'_>) -> Result<String, String> {
    let text = |text: &str| Value::Text(text.to_owned());
    let variables = vec![
        (String::new(), Value::Root),
        ("labels".to_owned(), Value::Map(data.labels.clone())),
        ("externalLabels".to_owned(), Value::Map(data.external_labels.clone())),
        ("externalURL".to_owned(), text(data.external_url)),
        ("value".to_owned(), Value::Float(data.value)),
    ];
    let mut walk = Walk { data, variables, out: String::new(), steps: 0 };
    walk.nodes(nodes, &Value::Root)?;
    Ok(walk.out)
}

fn check_length(text: &str) -> Result<(), String> {
    if text.len() > TEXT_BYTES_MAX { Err(format!("the text is longer than {TEXT_BYTES_MAX} bytes")) } else { Ok(()) }
}

struct Walk<'a> {
    data: &'a Data<'a>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
}

impl Walk<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        for node in nodes {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(format!("more than {STEPS_MAX} steps"));
            }
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&value.print());
                    }
                }
                Node::Block { kind, pipeline, body, otherwise } => self.block(*kind, pipeline, body, otherwise, dot)?,
            }
            check_length(&self.out)?;
        }
        Ok(())
    }

    fn block(&mut self, kind: BlockKind, pipeline: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<(), String> {
        let scope = self.variables.len();
        if kind == BlockKind::Range {
            self.range(pipeline, body, otherwise, dot)?;
        } else {
            let value = self.pipeline(pipeline, dot)?;
            match (value.truth(), kind) {
                (false, _) => self.nodes(otherwise, dot)?,
                (true, BlockKind::With) => self.nodes(body, &value)?,
                (true, _) => self.nodes(body, dot)?,
            }
        }
        self.variables.truncate(scope);
        Ok(())
    }

    /// Over a map, in order of its keys: the only collection that rules have without `query`.
    fn range(&mut self, pipeline: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<(), String> {
        let map = match self.commands(pipeline, dot)? {
            Value::Map(map) => map,
            other => return Err(format!("range can't iterate over {}", other.plain())),
        };
        if map.is_empty() {
            return self.nodes(otherwise, dot);
        }
        let scope = self.variables.len();
        for (key, value) in &map {
            let (key, value) = (Value::Text(key.to_owned()), Value::Text(value.to_owned()));
            match pipeline.variables.as_slice() {
                [name] => self.set(name, value.clone(), pipeline.declares),
                [first, second] => {
                    self.set(first, key, pipeline.declares);
                    self.set(second, value.clone(), pipeline.declares);
                }
                _ => {}
            }
            self.nodes(body, &value)?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value, declares: bool) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, slot)) if !declares => *slot = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        let mut passed = None;
        for command in &pipeline.commands {
            passed = Some(self.command(command, passed, dot)?);
        }
        Ok(passed.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &Command, passed: Option<Value>, dot: &Value) -> Result<Value, String> {
        let Some((first, rest)) = command.operands.split_first() else { return Ok(Value::Nil) };
        let Term::Function(function) = first.term else {
            if !rest.is_empty() || passed.is_some() {
                return Err("can't give argument to non-function".to_owned());
            }
            return self.operand(first, dot);
        };
        let mut args = Vec::with_capacity(rest.len() + 1);
        let mut bytes = 0;
        for operand in rest {
            let arg = self.operand(operand, dot)?;
            if let Value::Text(text) = &arg {
                bytes += text.len();
            }
            if bytes > ARGUMENT_BYTES_MAX {
                return Err(format!("the arguments of {} are longer than {ARGUMENT_BYTES_MAX} bytes", function.name));
            }
            // `and` and `or` look no further than they must.
            let decided = matches!((function.name, arg.truth()), ("and", false) | ("or", true));
            args.push(arg);
            if decided {
                break;
            }
        }
        args.extend(passed.filter(|_| args.len() == rest.len()));
        let count = args.len().max(rest.len());
        if count < function.least || count > function.most {
            let want = if function.most == usize::MAX { format!("at least {}", function.least) } else { function.least.to_string() };
            return Err(format!("wrong number of args for {}: want {want} got {count}", function.name));
        }
        let value = (function.call)(self.data, &args).map_err(|message| format!("error calling {}: {message}", function.name))?;
        if let Value::Text(text) = &value {
            check_length(text)?;
        }
        self.fields(value, &first.fields)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone()).ok_or_else(|| format!("undefined variable \"${name}\""))?
            }
            Term::Literal(value) => value.clone(),
            Term::Nested(pipeline) => self.pipeline(pipeline, dot)?,
            Term::Function(function) if function.least == 0 => (function.call)(self.data, &[])?,
            Term::Function(function) => {
                return Err(format!("wrong number of args for {}: want {} got 0", function.name, function.least));
            }
        };
        self.fields(value, &operand.fields)
    }

    fn fields(&self, mut value: Value, fields: &[String]) -> Result<Value, String> {
        for field in fields {
            value = match (value, field.as_str()) {
                (Value::Root, "Labels") => Value::Map(self.data.labels.clone()),
                (Value::Root, "ExternalLabels") => Value::Map(self.data.external_labels.clone()),
                (Value::Root, "ExternalURL") => Value::Text(self.data.external_url.to_owned()),
                (Value::Root, "Value") => Value::Float(self.data.value),
                // A label that is not there is empty, not an error.
                (Value::Map(map), name) => Value::Text(map.get(name).unwrap_or("").to_owned()),
                (Value::Nil, name) => return Err(format!("nil data; no entry for key {name:?}")),
                (other, name) => return Err(format!("can't evaluate field {name} in type {}", other.type_name())),
            };
        }
        Ok(value)
    }
}
