//! What a function of the language looks like from outside: name, arguments, type of its value.

use super::ast::ValueType;

/// A function as the parser and the documentation know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name, always lower case.
    pub name: &'static str,
    /// The types of the arguments; the last one is the type of all further ones.
    pub args: &'static [ValueType],
    /// How the number of arguments may vary.
    pub variadic: Variadic,
    /// The type of the value.
    pub returns: ValueType,
    /// True for those that Prometheus has behind a feature flag.
    pub experimental: bool,
    /// What it gives, in a line.
    pub doc: &'static str,
}

/// How many arguments a function takes beyond or below those listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly those listed.
    No,
    /// The last one may be absent or repeated: from one fewer than listed to `n` more than that.
    UpTo(usize),
    /// The last one may be absent or repeated without limit.
    Unlimited,
}
