//! `record!` and `words!`: the shape of a plan's maps and words, written once.
//!
//! Invariant: one declaration is the only source of a key's name, its type, its
//! description in the JSON Schema and what is proposed when it is misspelt.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::code;
use super::diagnostic::{Diagnostic, Span};
use super::read::{Field, Key, Read, Reader};
use super::suggest::{choices, did_you_mean, foreign_key, nearest};
use super::yaml::{Entry, Kind, Node};

/// Which keys of a record were written, whether or not they could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wrote(u64);

impl Wrote {
    fn add(&mut self, index: usize) -> bool {
        let bit = 1_u64 << index;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// The places of the keys that were written.
    fn indices(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
            next
        })
    }

    /// True for a key that was written, by its place in the record's keys.
    pub(crate) fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }
}

/// A map whose keys are known.
pub(super) trait Record: Default {
    /// Its keys, in the order in which people should see them. At most 64.
    const KEYS: &'static [&'static str];
    /// Those that must be there; `None` in the place of those that need not.
    const REQUIRED: &'static [Option<&'static str>];
    /// True where keys that begin with `x-` are left to the author, as in docker compose.
    const EXTENSIONS: bool = false;

    /// Where it stands, and what was written.
    fn meta(&mut self) -> (&mut Span, &mut Wrote);
    /// What was written.
    fn written(&self) -> Wrote;
    /// Takes over the keys of `defaults` that are not written here.
    fn fill(&mut self, defaults: &Self);
    /// True for a key that was written, even if its value could not be read.
    fn wrote(&self, key: &str) -> bool {
        // Of all that could be written, few keys are: those are gone through.
        self.written().indices().any(|index| Self::KEYS.get(index) == Some(&key))
    }
    /// Where a key and its value stand, if it was written and could be read.
    fn places(&self, key: &str) -> Option<(Span, Span)>;
    /// Reads the key with this place in [`Record::KEYS`].
    fn set(&mut self, index: usize, entry: &Entry<'_>, reader: &mut Reader<'_>);
}

/// A set of words.
pub(super) trait Word: Sized {
    /// Every word.
    const WORDS: &'static [&'static str];
    /// The word as it is written.
    fn word(self) -> &'static str;
}

/// Reads a record: every key that it knows, and a fault for every one that it does not.
pub(super) fn read_record<R: Record>(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<R> {
    let Kind::Map(entries) = &node.kind else {
        let expected = format!("a map with {}", some_keys(R::KEYS));
        return reader.expected(node, &expected);
    };
    let mut record = R::default();
    *record.meta().0 = node.at;
    let mut meant = Vec::new();
    for entry in entries {
        match R::KEYS.iter().position(|key| *key == entry.key) {
            Some(index) => {
                // The second of a key that stands twice was reported, with both places.
                if record.meta().1.add(index) {
                    record.set(index, entry, reader);
                }
            }
            None if R::EXTENSIONS && entry.key.starts_with("x-") => {}
            None => meant.extend(unknown_key(entry, R::KEYS, reader)),
        }
    }
    // A key that is there under a wrong name is not missing as well.
    for index in meant.iter().filter_map(|key| R::KEYS.iter().position(|known| known == key)) {
        record.meta().1.add(index);
    }
    for key in R::REQUIRED.iter().flatten() {
        if !record.wrote(key) {
            let fault = Diagnostic::error(code::MISSING_KEY, node.at, format!("`{key}` is missing"));
            reader.fault(fault.help(format!("add `{key}: …`")));
        }
    }
    Some(record)
}

/// Reads the value of a key.
pub(super) fn read_key<T: Read>(entry: &Entry<'_>, reader: &mut Reader<'_>) -> Key<T> {
    let value = reader.read(&entry.value)?;
    Some(Box::new(Field { key: entry.at, at: entry.value.target().at, value }))
}

/// Reports a key that does not exist at its place; says which one was probably meant.
fn unknown_key(
    entry: &Entry<'_>,
    keys: &'static [&'static str],
    reader: &mut Reader<'_>,
) -> Option<&'static str> {
    let foreign = foreign_key(&entry.key, keys);
    let help = match foreign {
        Some(ours) => format!("here it is called `{ours}`"),
        None => did_you_mean(&entry.key, keys.iter().copied())
            .unwrap_or_else(|| format!("the keys here are {}", choices(keys.iter().copied()))),
    };
    let fault = Diagnostic::error(code::UNKNOWN_KEY, entry.at, format!("unknown key `{}`", entry.key));
    reader.fault(fault.help(help));
    foreign.or_else(|| nearest(&entry.key, keys.iter().copied()).first().copied())
}

fn some_keys(keys: &[&str]) -> String {
    let shown: Vec<String> = keys.iter().take(4).map(|key| format!("`{key}`")).collect();
    let more = if keys.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The name of a key as authors write it: without the `r#` of a Rust keyword.
pub(super) const fn key_name(ident: &'static str) -> &'static str {
    match ident.as_bytes() {
        [b'r', b'#', ..] => ident.split_at(2).1,
        _ => ident,
    }
}

/// The schema of one key: that of its type, with the key's own description.
pub(super) fn described<T: Read>(generator: &mut SchemaGenerator, lines: &[&str]) -> Value {
    let mut schema = match generator.subschema_for::<T>().to_value() {
        Value::Object(schema) => schema,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    let text: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let mut described = Map::new();
    described.insert("description".to_owned(), Value::String(text.join(" ").replace("  ", "\n\n")));
    schema.shift_remove("description");
    described.extend(schema);
    Value::Object(described)
}

/// The schema of a record.
pub(super) fn record_schema(
    about: &[&str],
    properties: Map<String, Value>,
    required: &[Option<&str>],
    extensions: bool,
) -> Schema {
    let required: Vec<&str> = required.iter().copied().flatten().collect();
    let about: Vec<&str> = about.iter().map(|line| line.trim()).collect();
    let mut schema = Map::new();
    schema.insert("description".to_owned(), Value::String(about.join(" ")));
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if extensions {
        let free = serde_json::json!({ "^x-": { "description": "Yours: fanout does not read it." } });
        schema.insert("patternProperties".to_owned(), free);
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema.into()
}

/// Declares a record: a doc comment, a name, and for each key a doc comment, its type and,
/// where it must be there, `= required`.
macro_rules! record {
    (@required $key:ident required) => { Some($crate::plan::record::key_name(stringify!($key))) };
    (@required $key:ident) => { None };
    (
        $(#[doc = $about:literal])*
        $(#[extensions = $extensions:literal])?
        struct $name:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $type:ty $(= $required:ident)?, )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            /// The whole map.
            pub(crate) place: $crate::plan::diagnostic::Span,
            /// The keys that were written.
            pub(crate) wrote: $crate::plan::record::Wrote,
            $( $(#[doc = $doc])* pub(crate) $key: $crate::plan::read::Key<$type>, )*
        }

        impl $crate::plan::record::Record for $name {
            const KEYS: &'static [&'static str] = &[$($crate::plan::record::key_name(stringify!($key))),*];
            const REQUIRED: &'static [Option<&'static str>] = &[$(record!(@required $key $($required)?)),*];
            $(const EXTENSIONS: bool = $extensions;)?

            fn meta(&mut self) -> (&mut $crate::plan::diagnostic::Span, &mut $crate::plan::record::Wrote) {
                (&mut self.place, &mut self.wrote)
            }

            fn written(&self) -> $crate::plan::record::Wrote {
                self.wrote
            }

            fn fill(&mut self, defaults: &$name) {
                let mut index = 0;
                $(
                    if self.$key.is_none() && !self.wrote.has(index) {
                        self.$key.clone_from(&defaults.$key);
                    }
                    index += 1;
                )*
                let _ = index;
            }

            fn places(
                &self,
                key: &str,
            ) -> Option<($crate::plan::diagnostic::Span, $crate::plan::diagnostic::Span)> {
                $(
                    if key == $crate::plan::record::key_name(stringify!($key)) {
                        return self.$key.as_ref().map(|field| (field.key, field.at));
                    }
                )*
                None
            }

            fn set(
                &mut self,
                index: usize,
                entry: &$crate::plan::yaml::Entry<'_>,
                reader: &mut $crate::plan::read::Reader<'_>,
            ) {
                let mut at = 0;
                $(
                    if index == at {
                        self.$key = $crate::plan::record::read_key(entry, reader);
                        return;
                    }
                    at += 1;
                )*
                let _ = at;
            }
        }

        impl $crate::plan::read::Read for $name {
            fn read(
                node: &$crate::plan::yaml::Node<'_>,
                reader: &mut $crate::plan::read::Reader<'_>,
            ) -> Option<$name> {
                $crate::plan::record::read_record(node, reader)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::plan::record::Record;
                let mut properties = serde_json::Map::new();
                $(
                    properties.insert(
                        $crate::plan::record::key_name(stringify!($key)).to_owned(),
                        $crate::plan::record::described::<$type>(generator, &[$($doc),*]),
                    );
                )*
                $crate::plan::record::record_schema(&[$($about),*], properties, Self::REQUIRED, Self::EXTENSIONS)
            }
        }
    };
}

/// Declares a set of words: a doc comment, a name, what one of them is called in a message,
/// and for each a doc comment and the word.
macro_rules! words {
    (
        $(#[doc = $about:literal])*
        enum $name:ident ($what:literal) {
            $( $(#[doc = $doc:literal])* $variant:ident = $word:literal, )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $( $(#[doc = $doc])* $variant, )* }

        impl $crate::plan::record::Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),*];

            fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )* }
            }
        }

        impl $crate::plan::read::Read for $name {
            fn read(
                node: &$crate::plan::yaml::Node<'_>,
                reader: &mut $crate::plan::read::Reader<'_>,
            ) -> Option<$name> {
                let $crate::plan::yaml::Kind::Scalar(text, _) = &node.kind else {
                    let words = $crate::plan::suggest::choices(<$name as $crate::plan::record::Word>::WORDS.iter().copied());
                    return reader.expected(node, &format!("{}: {words}", $what));
                };
                match &**text {
                    $( $word => Some($name::$variant), )*
                    other => reader.unknown_word(other, node.at, $what, <$name as $crate::plan::record::Word>::WORDS),
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let words = <$name as $crate::plan::record::Word>::WORDS;
                schemars::json_schema!({ "enum": words, "enumDescriptions": [$(concat!($($doc),*).trim()),*] })
            }
        }
    };
}

pub(super) use {record, words};
