//! Reading what senders wrote: JSON that refuses duplicate keys and deep nesting, decoded into typed shapes with
//! errors that name the place (a JSON Pointer) and the nearest right name, and never quote the text.
//!
//! `serde_json` alone keeps the last of two equal keys, has no pointers in its errors, and quotes the wrong
//! value in them; `serde_path_to_error` adds the path but not the rest. So a small tree of our own is read
//! first, and a `Deserializer` over it carries the place along.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use crate::limits;
use crate::problem::{Code, Problem};

mod canonical;

pub(crate) use canonical::canonical_object;

/// A JSON value as sent, its keys in order and none twice. Strings without escapes are those of the bytes read.
#[derive(Clone, PartialEq)]
pub enum Node<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number that fits 64 bits, signed.
    Int(i64),
    /// A whole number above that.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(Cow<'a, str>),
    /// A list.
    Array(Vec<Node<'a>>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.sort())
    }
}

/// Reads bytes as JSON.
///
/// # Errors
/// `malformed` for what is not JSON, is nested deeper than [`limits::JSON_DEPTH`], or has a key twice.
pub fn parse(bytes: &[u8]) -> Result<Node<'_>, Problem> {
    let mut de = serde_json::Deserializer::from_slice(bytes);
    let twice = Twice::default();
    let node = NodeSeed { depth: 0, twice: &twice }.deserialize(&mut de);
    node.and_then(|node| de.end().map(|()| node)).map_err(|error| {
        if let Some(pointer) = twice.pointer() {
            return Problem::new(Code::Malformed, format!("{pointer}: there twice")).at(pointer);
        }
        let what = match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            serde_json::error::Category::Eof => "the JSON ends too early".to_owned(),
            _ if error.to_string().contains("recursion limit") => TOO_DEEP.to_owned(),
            _ => format!("not JSON at line {} column {}", error.line(), error.column()),
        };
        Problem::new(Code::Malformed, what)
    })
}

const TOO_DEEP: &str = "the JSON is nested more than 32 deep";

/// The key that was found twice in an object and those of what it is in, the innermost first.
#[derive(Default)]
struct Twice(RefCell<Vec<String>>);

impl Twice {
    /// Notes what a value that can't be read is in, where the reason is a key that is there twice.
    fn within<T, E>(&self, read: Result<T, E>, key: impl FnOnce() -> String) -> Result<T, E> {
        let mut keys = self.0.borrow_mut();
        if read.is_err() && !keys.is_empty() {
            keys.push(key());
        }
        read
    }

    fn pointer(&self) -> Option<String> {
        let keys = self.0.borrow();
        let escaped = keys.iter().rev().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")));
        (!keys.is_empty()).then(|| escaped.collect())
    }
}

struct NodeSeed<'a> {
    depth: usize,
    twice: &'a Twice,
}

/// Up to so many members of an object are looked through for a key that is there twice.
const FEW_MEMBERS: usize = 16;

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node<'de>;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Node<'de>, E> {
        Ok(Node::Int(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(v).map_or(Node::Uint(v), Node::Int))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Owned(v.to_owned())))
    }
    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Borrowed(v)))
    }
    fn visit_string<E>(self, v: String) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Owned(v)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let depth = deeper::<A::Error>(self.depth)?;
        let mut items = Vec::new();
        loop {
            let item = seq.next_element_seed(NodeSeed { depth, twice: self.twice });
            let Some(item) = self.twice.within(item, || items.len().to_string())? else { break };
            items.push(item);
        }
        Ok(Node::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let depth = deeper::<A::Error>(self.depth)?;
        let mut members: Vec<(Cow<'de, str>, Node<'de>)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let twice = if members.len() < FEW_MEMBERS {
                members.iter().any(|(before, _)| *before == key)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(before, _)| before.clone()));
                }
                !seen.insert(key.clone())
            };
            if twice {
                self.twice.0.borrow_mut().push(key.into_owned());
                return Err(de::Error::custom("a key is there twice"));
            }
            let value = map.next_value_seed(NodeSeed { depth, twice: self.twice });
            let value = self.twice.within(value, || key.clone().into_owned())?;
            members.push((key, value));
        }
        Ok(Node::Object(members))
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }
    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }
}

fn deeper<E: de::Error>(depth: usize) -> Result<usize, E> {
    if depth >= limits::JSON_DEPTH { Err(E::custom(TOO_DEEP)) } else { Ok(depth + 1) }
}

/// Tells a member that is null from one that isn't there, in a field with `default` and this as `deserialize_with`.
pub(crate) fn given<'de, D: de::Deserializer<'de>, T: de::Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    <Option<T> as de::Deserialize>::deserialize(deserializer).map(Some)
}

impl<'s> Node<'s> {
    /// What sort of value it is, in a word.
    fn sort(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "true or false",
            Node::Int(_) | Node::Uint(_) | Node::Float(_) => "a number",
            Node::Str(_) => "a string",
            Node::Array(_) => "a list",
            Node::Object(_) => "an object",
        }
    }

    /// A member of an object.
    pub fn get(&self, key: &str) -> Option<&Node<'s>> {
        match self {
            Node::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Takes a member out of an object.
    pub fn take(&mut self, key: &str) -> Option<Node<'s>> {
        match self {
            Node::Object(members) => {
                let at = members.iter().position(|(k, _)| k == key)?;
                Some(members.remove(at).1)
            }
            _ => None,
        }
    }

    /// The string, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Node::Str(s) => Some(s),
            _ => None,
        }
    }

    /// Decodes into a typed shape; `pointer` is where this node stands in the command.
    ///
    /// # Errors
    /// `unknown_field` or `invalid`, with the place.
    pub fn decode<T: DeserializeOwned>(&self, pointer: &str) -> Result<T, Problem> {
        let path = Path::Root(pointer);
        T::deserialize(Reader { node: self, path: &path }).map_err(|error| error.at(&path).into_problem())
    }
}

impl serde::Serialize for Node<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => serializer.serialize_unit(),
            Node::Bool(v) => serializer.serialize_bool(*v),
            Node::Int(v) => serializer.serialize_i64(*v),
            Node::Uint(v) => serializer.serialize_u64(*v),
            Node::Float(v) => serializer.serialize_f64(*v),
            Node::Str(v) => serializer.serialize_str(v),
            Node::Array(items) => serializer.collect_seq(items),
            Node::Object(members) => serializer.collect_map(members.iter().map(|(k, v)| (k, v))),
        }
    }
}

enum Path<'a> {
    Root(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(pointer) => f.write_str(pointer),
            Path::Key(parent, key) => write!(f, "{parent}/{}", escape(key)),
            Path::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// A key as a token of a JSON Pointer (RFC 6901, section 3).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What is wrong with a shape, and where.
#[derive(Debug)]
struct ShapeError {
    pointer: Option<String>,
    wrong: Wrong,
}

#[derive(Debug)]
enum Wrong {
    UnknownField { name: String, expected: &'static [&'static str] },
    Missing { name: &'static str },
    Other(String),
}

impl ShapeError {
    fn at(mut self, path: &Path<'_>) -> Self {
        if self.pointer.is_none() {
            self.pointer = Some(match &self.wrong {
                Wrong::UnknownField { name, .. } => format!("{path}/{}", escape(name)),
                Wrong::Missing { name } => format!("{path}/{name}"),
                Wrong::Other(_) => path.to_string(),
            });
        }
        self
    }

    fn into_problem(self) -> Problem {
        let pointer = self.pointer.unwrap_or_default();
        match self.wrong {
            Wrong::UnknownField { name, expected } => Problem {
                suggestion: nearest(&name, expected),
                ..Problem::new(Code::UnknownField, format!("there is no field at {pointer}"))
            }
            .at(pointer),
            Wrong::Missing { .. } => Problem::invalid(pointer.clone(), format!("{pointer} is required")),
            Wrong::Other(what) => Problem::invalid(pointer.clone(), format!("{pointer}: {what}")),
        }
    }
}

/// The nearest of the right names, where one is near enough to be what was meant.
pub fn nearest(name: &str, expected: &[&str]) -> Option<String> {
    expected
        .iter()
        .map(|right| (strsim::damerau_levenshtein(name, right), right))
        .filter(|(distance, right)| {
            // Nothing of what was written may be left over: `id` isn't meant to be `kind`.
            *distance <= 1 + right.chars().count() / 4 && *distance < name.chars().count() && name.len() < 64
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, right)| (*right).to_owned())
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.wrong)
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { pointer: None, wrong: Wrong::Other(message.to_string()) }
    }
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("expected {}, found {}", in_words(expected), sort_of(&unexpected)))
    }
    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("expected {}, found another {}", in_words(expected), sort_of(&unexpected)))
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("expected one of {}", expected.join(", ")))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { pointer: None, wrong: Wrong::UnknownField { name: field.to_owned(), expected } }
    }
    fn missing_field(field: &'static str) -> Self {
        Self { pointer: None, wrong: Wrong::Missing { name: field } }
    }
}

/// What was expected, in the words of JSON rather than of Rust.
fn in_words(expected: &dyn de::Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "u8" | "u16" | "u32" | "u64" | "i64" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ => expected,
    }
}

/// The sort of a value, never the value: it may be newsroom text.
fn sort_of(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "number",
        Unexpected::Float(_) => "number with a fraction or an exponent",
        Unexpected::Str(_) | Unexpected::Char(_) => "string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "list",
        Unexpected::Map => "object",
        _ => "value",
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node<'a>,
    path: &'a Path<'a>,
}

impl<'a> Reader<'a> {
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(v) => visitor.visit_bool(*v),
            Node::Int(v) => visitor.visit_i64(*v),
            Node::Uint(v) => visitor.visit_u64(*v),
            Node::Float(v) => visitor.visit_f64(*v),
            Node::Str(v) => visitor.visit_str(v),
            Node::Array(items) => visitor.visit_seq(Items { items, at: 0, path: self.path }),
            Node::Object(members) => visitor.visit_map(Members { members, at: 0, path: self.path }),
        }
        .map_err(|error: ShapeError| error.at(self.path))
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = ShapeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.any(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
        .map_err(|error: ShapeError| error.at(self.path))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        visitor.visit_newtype_struct(self).map_err(|error: ShapeError| error.at(self.path))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        // serde would read a list as a struct by position: fields are named here, or refused.
        match self.node {
            Node::Object(_) => self.any(visitor),
            other => {
                let wrong: ShapeError =
                    de::Error::custom(format!("expected an object, found {}", other.sort()));
                Err(wrong.at(self.path))
            }
        }
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        let result = match self.node {
            Node::Str(name) => visitor.visit_enum(UnitVariant(name)),
            other => Err(de::Error::invalid_type(
                match other {
                    Node::Null => Unexpected::Unit,
                    Node::Bool(b) => Unexpected::Bool(*b),
                    Node::Array(_) => Unexpected::Seq,
                    Node::Object(_) => Unexpected::Map,
                    _ => Unexpected::Other("number"),
                },
                &"a word",
            )),
        };
        result.map_err(|error: ShapeError| error.at(self.path))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct UnitVariant<'a>(&'a str);

impl<'de> EnumAccess<'de> for UnitVariant<'_> {
    type Error = ShapeError;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ShapeError> {
        Ok((seed.deserialize(self.0.into_deserializer())?, self))
    }
}

impl<'de> VariantAccess<'de> for UnitVariant<'_> {
    type Error = ShapeError;
    fn unit_variant(self) -> Result<(), ShapeError> {
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ShapeError> {
        Err(de::Error::custom("expected a word"))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ShapeError> {
        Err(de::Error::custom("expected a word"))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ShapeError> {
        Err(de::Error::custom("expected a word"))
    }
}

struct Items<'a> {
    items: &'a [Node<'a>],
    at: usize,
    path: &'a Path<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ShapeError;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ShapeError> {
        let Some(node) = self.items.get(self.at) else { return Ok(None) };
        let path = Path::Index(self.path, self.at);
        self.at += 1;
        seed.deserialize(Reader { node, path: &path }).map(Some).map_err(|error| error.at(&path))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len().saturating_sub(self.at).min(4096))
    }
}

struct Members<'a> {
    members: &'a [(Cow<'a, str>, Node<'a>)],
    at: usize,
    path: &'a Path<'a>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = ShapeError;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        let Some((key, _)) = self.members.get(self.at) else { return Ok(None) };
        let key: de::value::StrDeserializer<'_, ShapeError> = (&**key).into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(self.path))
    }
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ShapeError> {
        let Some((key, node)) = self.members.get(self.at) else {
            return Err(de::Error::custom("a value without a key"));
        };
        self.at += 1;
        let path = Path::Key(self.path, key);
        seed.deserialize(Reader { node, path: &path }).map_err(|error| error.at(&path))
    }
}

#[cfg(test)]
mod tests;
