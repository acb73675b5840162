//! Data with expressions in it: `value`, `with`, and lists under `for_each`.
//!
//! Invariant: data without templates stays data, and is never read as an expression
//! where the plan language says text.

use serde_json::Value;

use crate::plan::Computed;
use crate::plan::code;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::value::{Data, DataKind, Text};
use crate::plan::load::Load;
use crate::plan::template::{self, Destination, Expression, Mention, Names, ScalarText};

/// `value`: every text is an expression.
pub(super) fn value(
    load: &mut Load<'_>,
    data: &Data,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Computed {
    convert(load, data, &mut |load, text| match parts(&text.text) {
        Parts::Mixed(_) => mixed(load, text, names, mentions),
        Parts::Plain | Parts::Whole(_) => Computed::Expression(load.expression(text, names, mentions)),
        Parts::Statements => statements(load, text),
    })
}

/// `with`: a text is a text, unless templates stand in it.
pub(super) fn with(
    load: &mut Load<'_>,
    data: &Data,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Computed {
    convert(load, data, &mut |load, text| match parts(&text.text) {
        Parts::Plain => Computed::Literal(Value::String(text.text.clone())),
        Parts::Whole(_) => Computed::Expression(load.expression(text, names, mentions)),
        Parts::Mixed(_) => mixed(load, text, names, mentions),
        Parts::Statements => statements(load, text),
    })
}

/// A list whose texts may hold templates, as one expression.
pub(super) fn list(
    load: &mut Load<'_>,
    items: &[Data],
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Option<Expression> {
    let before = load.faults.len();
    let first = items.iter().find(|item| item.has_templates())?;
    for item in items {
        // Faults get their exact places here; the expression made below then has none.
        with(load, item, names, mentions);
    }
    if load.any_error_since(before) {
        return None;
    }
    let mut source = String::from("[");
    for item in items {
        write(item, &mut source);
        source.push(',');
    }
    source.push(']');
    assemble(load, &source, first, names)
}

/// Goes through data; what holds no expression becomes one literal.
fn convert(
    load: &mut Load<'_>,
    data: &Data,
    text: &mut dyn FnMut(&mut Load<'_>, &Text) -> Computed,
) -> Computed {
    match &data.kind {
        DataKind::Value(value) => Computed::Literal(value.clone()),
        DataKind::Text(words) => text(load, words),
        DataKind::List(items) => {
            let items: Vec<Computed> = items.iter().map(|item| convert(load, item, text)).collect();
            let literals: Option<Vec<Value>> = items.iter().map(literal).collect();
            literals.map_or(Computed::List(items), |values| Computed::Literal(Value::Array(values)))
        }
        DataKind::Map(entries) => {
            let mut made = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                made.push((key.value.clone(), convert(load, value, text)));
            }
            let literals: Option<serde_json::Map<String, Value>> =
                made.iter().map(|(key, value)| Some((key.clone(), literal(value)?))).collect();
            literals.map_or(Computed::Map(made), |map| Computed::Literal(Value::Object(map)))
        }
    }
}

fn literal(computed: &Computed) -> Option<Value> {
    match computed {
        Computed::Literal(value) => Some(value.clone()),
        Computed::Expression(_) | Computed::Map(_) | Computed::List(_) => None,
    }
}

/// What a text is made of.
enum Parts<'t> {
    /// No templates.
    Plain,
    /// One expression between `{{` and `}}`, and nothing else.
    Whole(&'t str),
    /// Texts and expressions, in turn: the first is a text, which may be empty.
    Mixed(Vec<&'t str>),
    /// Statements or comments of the template language, or braces that do not close.
    Statements,
}

fn parts(text: &str) -> Parts<'_> {
    if text.contains("{%") || text.contains("{#") {
        return Parts::Statements;
    }
    if !text.contains("{{") {
        return Parts::Plain;
    }
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some(end) = closing(after) else { return Parts::Statements };
        let (Some(inside), Some(behind)) = (after.get(..end), after.get(end + 2..)) else {
            return Parts::Statements;
        };
        found.extend([before, inside.trim_matches('-').trim()]);
        rest = behind;
    }
    found.push(rest);
    match found.as_slice() {
        [before, inside, after] if before.trim().is_empty() && after.trim().is_empty() => {
            Parts::Whole(inside)
        }
        _ => Parts::Mixed(found),
    }
}

/// Where the `}}` stands that closes an expression, past those in its quoted texts and maps.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut skip = false;
    for (at, c) in text.char_indices() {
        if skip {
            skip = false;
            continue;
        }
        match (quote, c) {
            (Some(_), '\\') => skip = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') => return text.get(at + 1..)?.starts_with('}').then_some(at),
            (None, _) => {}
        }
    }
    None
}

/// `a {{ x }} b` as the expression `"a " ~ (x) ~ " b"`.
fn mixed(load: &mut Load<'_>, text: &Text, names: &Names<'_>, mentions: &mut Vec<Mention>) -> Computed {
    let before = load.faults.len();
    // Faults get their exact places here; the expression made below then has none.
    load.template(text, names, Destination::Raw, mentions);
    let nothing = Computed::Literal(Value::Null);
    if load.any_error_since(before) {
        return nothing;
    }
    let data = Data { at: text.at, kind: DataKind::Text(text.clone()) };
    let mut source = String::new();
    write(&data, &mut source);
    assemble(load, &source, &data, names).map_or(nothing, Computed::Expression)
}

fn statements(load: &mut Load<'_>, text: &Text) -> Computed {
    let message = "only `{{ … }}` can stand in data, no `{% … %}` and no `{# … #}`";
    let fault = Diagnostic::error(code::TEMPLATE_NOT_ALLOWED, text.at, message);
    load.fault(fault.help("compute it in a `value` or `run` call"));
    Computed::Literal(Value::Null)
}

/// Writes data as an expression.
fn write(data: &Data, to: &mut String) {
    match &data.kind {
        DataKind::Value(value) => to.push_str(&value.to_string()),
        DataKind::Text(text) => match parts(&text.text) {
            Parts::Plain | Parts::Statements => to.push_str(&quoted(&text.text)),
            Parts::Whole(inside) => to.push_str(&format!("({inside})")),
            Parts::Mixed(parts) => {
                let parts = parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
                let written: Vec<String> = parts
                    .map(|(n, part)| if n % 2 == 0 { quoted(part) } else { format!("({part})") })
                    .collect();
                // A text in front, so that two values side by side are joined and not added.
                to.push_str(&format!("(\"\" ~ {})", written.join(" ~ ")));
            }
        },
        DataKind::List(items) => {
            to.push('[');
            for item in items {
                write(item, to);
                to.push(',');
            }
            to.push(']');
        }
        DataKind::Map(entries) => {
            to.push('{');
            for (key, value) in entries {
                to.push_str(&quoted(&key.value));
                to.push(':');
                write(value, to);
                to.push(',');
            }
            to.push('}');
        }
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Reads an expression that was put together from parts that are known to be sound.
fn assemble(load: &mut Load<'_>, source: &str, from: &Data, names: &Names<'_>) -> Option<Expression> {
    let text = ScalarText { text: source, at: from.at, raw: source, style: template::Style::Plain };
    let mut faults = Vec::new();
    let made = template::expression(&text, names, &mut faults);
    match faults.into_iter().next() {
        None => Some(made),
        Some(fault) => {
            load.fault(Diagnostic { at: from.at, related: Vec::new(), ..fault });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::diagnostic::Span;
    use crate::plan::yaml::Style;

    fn written(text: &str) -> String {
        let at = Span::default();
        let text = Text { at, text: text.to_owned(), style: Style::Plain };
        let mut source = String::new();
        write(&Data { at, kind: DataKind::Text(text) }, &mut source);
        source
    }

    #[test]
    fn a_text_with_templates_becomes_one_expression() {
        assert_eq!(written("plain \"text\""), r#""plain \"text\"""#);
        assert_eq!(written(" {{ vars.x }} "), "(vars.x)");
        assert_eq!(written("a {{ x }} b{{- y -}}"), r#"("" ~ "a " ~ (x) ~ " b" ~ (y))"#);
        assert_eq!(written("{{ \"}}\" }}{{ {'a': 1} }}"), r#"("" ~ ("}}") ~ ({'a': 1}))"#);
    }

    #[test]
    fn braces_that_do_not_close_are_no_expression() {
        assert!(matches!(parts("{{ x "), Parts::Statements));
        assert!(matches!(parts("{% if x %}"), Parts::Statements));
        assert!(matches!(parts("a } b }} c"), Parts::Plain));
    }
}
