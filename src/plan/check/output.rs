//! The shape of a call's output, and how much of it is passed on.

use std::sync::Arc;

use serde_json::Value;

use super::Place;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::call::{FormatWord, OutputFile, OutputUse, OverflowWord, PassFile, PassWord};
use crate::plan::file::value::{Data, DataKind};
use crate::plan::load::Load;
use crate::plan::read::{At, Field, Key, Reader};
use crate::plan::template::{Destination, Mention, Names};
use crate::plan::{Format, OutputSpec, Overflow, Pass, code, yaml};
use crate::unit::{Bytes, Tokens};

/// Output of a call, where the plan says nothing.
const MAX_BYTES: Bytes = Bytes(1024 * 1024);
/// Passed on, where the plan says nothing.
const MAX_TOKENS: Tokens = Tokens(16_000);

/// The shape of an output.
pub(super) fn shape(
    load: &mut Load<'_>,
    output: Key<OutputUse>,
    place: &Place,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> OutputSpec {
    let file = output.map_or_else(OutputFile::default, |output| full(&output.value, output.key, output.at));
    let OutputFile { format, schema, max_bytes, file, .. } = file;
    let word = format.as_ref().map(|format| format.value);
    if let (Some(schema), Some(format)) = (&schema, format.filter(|format| format.value == FormatWord::Text))
    {
        let fault = Diagnostic::error(code::CONTRADICTION, format.at, "a text has no schema");
        load.fault(
            fault.related(schema.key, "the schema is here").help("write `format: json`, or remove it"),
        );
    }
    let schema = schema.and_then(|schema| load.schema(&schema.value, place));
    if let Some(max) = max_bytes.as_ref().filter(|max| max.value.0 == Bytes(0)) {
        load.fault(Diagnostic::error(code::OUT_OF_RANGE, max.at, "`max_bytes` must be more than nothing"));
    }
    OutputSpec {
        format: match word {
            Some(FormatWord::Json) => Format::Json,
            Some(FormatWord::Lines) => Format::Lines,
            None if schema.is_some() => Format::Json,
            None | Some(FormatWord::Text) => Format::Text,
        },
        schema,
        max_bytes: max_bytes.map_or(MAX_BYTES, |max| max.value.0),
        file: file.map(|file| load.template(&file.value, names, Destination::Raw, mentions)),
    }
}

/// `output: json` written out.
pub(super) fn full(output: &OutputUse, key: Span, at: Span) -> OutputFile {
    match output {
        OutputUse::Full(file) => (**file).clone(),
        OutputUse::Format(word) => {
            let format = Some(Box::new(Field { key, at, value: *word }));
            OutputFile { place: at, format, ..OutputFile::default() }
        }
    }
}

/// How much is passed on.
pub(super) fn pass(file: Key<PassFile>) -> Pass {
    let PassFile { fields, max_tokens, r#as, overflow, .. } = file.map(|file| file.value).unwrap_or_default();
    Pass {
        fields: fields.map_or_else(Vec::new, |fields| fields.value.0),
        max_tokens: max_tokens.map_or(MAX_TOKENS, |max| max.value.0),
        as_file: r#as.is_some_and(|word| word.value == PassWord::File),
        overflow: match overflow.map(|word| word.value) {
            None | Some(OverflowWord::Truncate) => Overflow::Truncate,
            Some(OverflowWord::File) => Overflow::File,
            Some(OverflowWord::Fail) => Overflow::Fail,
        },
    }
}

impl Load<'_> {
    /// A JSON Schema, checked once however many calls share it.
    fn schema(&mut self, data: &Data, place: &Place) -> Option<Arc<Value>> {
        if let Some(known) = self.schemas.get(&data.at) {
            return known.clone();
        }
        let checked = self.read_schema(data, place).map(Arc::new);
        self.schemas.insert(data.at, checked.clone());
        checked
    }

    fn read_schema(&mut self, data: &Data, place: &Place) -> Option<Value> {
        let schema = match file_of(data) {
            Some(path) => {
                let number = self.beneath(&path, &place.dir, &place.shown)?;
                let text = self.files.text(number);
                let tree = yaml::parse(&text, number, &mut self.faults)?;
                Reader::new(&mut self.faults).read::<Data>(&tree)?.to_json()
            }
            None => data.to_json(),
        };
        let problem = match &schema {
            Value::Object(_) | Value::Bool(_) => {
                jsonschema::validator_for(&schema).err().map(|e| e.to_string())
            }
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Some("it is no map".to_owned())
            }
        };
        if let Some(problem) = problem {
            let fault =
                Diagnostic::error(code::SCHEMA, data.at, format!("this is no JSON Schema: {problem}"));
            self.fault(fault.help("write a JSON Schema, such as `{ type: object, required: [verdict] }`"));
            return None;
        }
        Some(schema)
    }
}

/// `{file: schemas/x.json}`.
fn file_of(data: &Data) -> Option<At<String>> {
    let DataKind::Map(entries) = &data.kind else { return None };
    match entries.as_slice() {
        [(key, Data { at, kind: DataKind::Text(text) })] if key.value == "file" => {
            Some(At { at: *at, value: text.text.clone() })
        }
        _ => None,
    }
}
