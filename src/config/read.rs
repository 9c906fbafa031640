//! From TOML to the shapes. The reader of commands is used here too: it knows where it is and what was probably
//! meant, and never quotes a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use copydesk_article::ids::is_actor_name;
use copydesk_article::json::{Node, nearest};
use copydesk_article::problem::Code;
use serde::de::DeserializeOwned;

use super::Config;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key it speaks of: `http.listen`, `people.ana.roles[0]`.
    pub key: String,
    /// What is wrong and what to do.
    pub what: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)?;
        match &self.suggestion {
            Some(meant) => write!(f, "; did you mean `{meant}`?"),
            None => Ok(()),
        }
    }
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// It says things that can't be.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// The tables of a configuration.
pub(super) const TABLES: &[&str] =
    &["desk", "log", "nats", "http", "store", "evidence", "audit", "people", "rules", "webhooks"];

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], with every problem that was found.
    pub fn open(path: &Path) -> Result<Config, ConfigError> {
        Config::parse(&text_of(path)?)
    }

    /// Reads a file for a process that serves readers alone, and checks what that needs.
    ///
    /// # Errors
    /// As [`Config::open`].
    pub fn open_for_feed(path: &Path) -> Result<Config, ConfigError> {
        Config::parse_with(&text_of(path)?, Config::check_for_feed)
    }

    /// Reads and checks the text of a file.
    ///
    /// # Errors
    /// As [`Config::open`].
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse_with(text, Config::check)
    }

    fn parse_with(text: &str, check: fn(&Config) -> Vec<Problem>) -> Result<Config, ConfigError> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| ConfigError::Syntax(syntax(text, &error)))?;
        let mut reader = Reader { problems: Vec::new() };
        let config = reader.config(table);
        let mut problems = reader.problems;
        if problems.is_empty() {
            problems = check(&config);
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }
}

/// Where a text is no TOML and why, without the line as it stands: there may be a secret in it.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn config(&mut self, table: toml::Table) -> Config {
        let mut tables: BTreeMap<String, Node<'_>> =
            table.into_iter().map(|(key, value)| (key, node(value))).collect();
        for key in tables.keys().filter(|key| !TABLES.contains(&key.as_str())) {
            let what = "there is no such table".to_owned();
            let suggestion = nearest(key, TABLES);
            self.problems.push(Problem { key: key.clone(), what, suggestion });
        }
        let mut take = |name: &str| tables.remove(name);
        Config {
            desk: self.table(take("desk"), "/desk"),
            log: self.table(take("log"), "/log"),
            nats: self.table(take("nats"), "/nats"),
            http: self.table(take("http"), "/http"),
            store: self.table(take("store"), "/store"),
            audit: self.table(take("audit"), "/audit"),
            evidence: self.table(take("evidence"), "/evidence"),
            people: self.named(take("people"), "people", "expected a table for each person: [people.ana]"),
            rules: self.table(take("rules"), "/rules"),
            webhooks: self.named(
                take("webhooks"),
                "webhooks",
                "expected a table for each subscriber: [webhooks.archive]",
            ),
        }
    }

    /// Reads a table of tables by name.
    fn named<T: DeserializeOwned + Default>(
        &mut self,
        node: Option<Node<'_>>,
        table: &str,
        expected: &str,
    ) -> BTreeMap<String, T> {
        match node {
            None => BTreeMap::new(),
            Some(Node::Object(members)) => {
                let read = |(name, member): (Cow<'_, str>, Node<'_>)| {
                    let name = name.into_owned();
                    if !is_actor_name(&name) {
                        self.problem(
                            format!("{table}.{name}"),
                            "a name is 1 to 32 of a-z, 0-9, _ and -, and not `desk`",
                        );
                    }
                    let member = self.table(Some(member), &format!("/{table}/{name}"));
                    (name, member)
                };
                members.into_iter().map(read).collect()
            }
            Some(_) => {
                self.problem(table.to_owned(), expected);
                BTreeMap::new()
            }
        }
    }

    /// Reads one table. A key that no such table has is noted and taken out, so that the rest is read too.
    fn table<T: DeserializeOwned + Default>(&mut self, node: Option<Node<'_>>, pointer: &str) -> T {
        let Some(mut node) = node else { return T::default() };
        loop {
            let problem = match node.decode(pointer) {
                Ok(read) => return read,
                Err(problem) => problem,
            };
            let place = problem.field.unwrap_or_else(|| pointer.to_owned());
            let unknown = problem.code == Code::UnknownField;
            let what = match problem.detail.strip_prefix(&format!("{place}: ")) {
                _ if unknown => "there is no such key".to_owned(),
                Some(what) => what.to_owned(),
                None => problem.detail.replace(&place, "it"),
            };
            self.problems.push(Problem { key: key_of(&place), what, suggestion: problem.suggestion });
            let below = place.strip_prefix(pointer).unwrap_or_default();
            let removed = unknown && remove(&mut node, below);
            if !removed {
                return T::default();
            }
        }
    }

    fn problem(&mut self, key: String, what: &str) {
        self.problems.push(Problem { key, what: what.to_owned(), suggestion: None });
    }
}

/// A JSON Pointer as a key of the file.
fn key_of(pointer: &str) -> String {
    let mut key = String::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let bare = token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if token.bytes().all(|b| b.is_ascii_digit()) && !key.is_empty() {
            key.push_str(&format!("[{token}]"));
            continue;
        }
        if !key.is_empty() {
            key.push('.');
        }
        key.push_str(&if bare { token } else { format!("{token:?}") });
    }
    key
}

/// Takes out what stands at a pointer below a node; false where nothing did.
fn remove(node: &mut Node<'_>, pointer: &str) -> bool {
    let mut tokens: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let Some(last) = tokens.pop() else { return false };
    let mut at = node;
    for token in tokens {
        let below = match at {
            Node::Object(members) => {
                members.iter_mut().find(|(key, _)| *key == token).map(|(_, below)| below)
            }
            Node::Array(items) => token.parse().ok().and_then(|index: usize| items.get_mut(index)),
            _ => None,
        };
        match below {
            Some(below) => at = below,
            None => return false,
        }
    }
    at.take(&last).is_some()
}

fn node(value: toml::Value) -> Node<'static> {
    match value {
        toml::Value::String(text) => Node::Str(text.into()),
        toml::Value::Integer(number) => Node::Int(number),
        toml::Value::Float(number) => Node::Float(number),
        toml::Value::Boolean(is) => Node::Bool(is),
        toml::Value::Datetime(time) => Node::Str(time.to_string().into()),
        toml::Value::Array(items) => Node::Array(items.into_iter().map(node).collect()),
        toml::Value::Table(table) => {
            Node::Object(table.into_iter().map(|(key, value)| (key.into(), node(value))).collect())
        }
    }
}
