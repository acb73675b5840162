//! Runs a checked template or expression over what is in scope.
//!
//! Invariants: an undefined value is an error; a template that does not end, or whose
//! text grows without end, is an error, not a hang; a value that was written into the
//! text is never read as template text.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::emit::{ENTER, route, unroute};
use super::filters::{self, wrong};
use super::shell::Quoting;
use super::{
    Destination, Expression, Facts, RenderError, Rendered, Results, Scope, Template, insertion, syntax,
};

/// How many steps of the engine one rendering may take.
const MAX_STEPS: u64 = 2_000_000;
/// The longest text that a template may come to.
const MAX_TEXT: usize = 64 << 20;
/// How much may be written in all, into `{% set %}` blocks too.
const MAX_WRITTEN: u64 = 4 * MAX_TEXT as u64;
/// The longest `NAME=value` that Linux hands to a process (`MAX_ARG_STRLEN`), its last byte a NUL.
const MAX_VARIABLE: usize = 128 << 10;
/// The most that all of them may take; with the environment they have to fit a quarter of the stack.
const MAX_VARIABLES: usize = 1 << 20;
/// The name under which a rendering finds itself; no template can mention it.
const SELF: &str = "__render";

/// The engine: Jinja without escaping, strict, with fanout's filters.
pub(super) fn engine() -> &'static Environment<'static> {
    static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut engine = Environment::new();
        engine.set_syntax(syntax::dialect());
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(MAX_STEPS));
        // So that an error says which value was missing.
        engine.set_debug(true);
        engine.set_formatter(write_value);
        engine.remove_global("debug");
        engine.remove_global("namespace");
        filters::install(&mut engine);
        engine.add_filter(ENTER, enter);
        engine
    });
    &ENGINE
}

/// One rendering.
#[derive(Debug)]
pub(super) struct Render {
    scope: Scope,
    text: Arc<str>,
    facts: Arc<Facts>,
    to: Destination,
    written: AtomicU64,
    variables: Mutex<Vec<(String, String)>>,
}

impl Render {
    /// The rendering that a filter is called in.
    pub(super) fn of(state: &State) -> Result<Arc<Render>, Error> {
        let found = state.lookup(SELF).and_then(|value| value.downcast_object::<Render>());
        found.ok_or_else(|| wrong("this filter works in templates of a plan only"))
    }

    /// The plan's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.scope.dir
    }

    fn new(scope: &Scope, text: &Arc<str>, facts: &Arc<Facts>, to: Destination) -> Arc<Render> {
        Arc::new(Render {
            scope: scope.clone(),
            text: text.clone(),
            facts: facts.clone(),
            to,
            written: AtomicU64::new(0),
            variables: Mutex::default(),
        })
    }

    /// A new shell variable with this value, as the text mentions it.
    fn variable(&self, value: &Value, quoting: Quoting) -> Result<String, Error> {
        if quoting == Quoting::Comment {
            return Ok(String::new());
        }
        let text = plain_text(value)?;
        if text.contains('\0') {
            return Err(wrong("a value for a shell holds a NUL byte, which no shell can take"));
        }
        if quoting == Quoting::Number && text.parse::<i64>().is_err() {
            return Err(wrong(format!(
                "a value in `$((…))` must be a whole number, not `{}`",
                shorten(&text)
            )));
        }
        let mut variables = self.variables.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("FANOUT_{}", variables.len() + 1);
        let taken: usize = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let size = name.len() + text.len() + 2;
        if size > MAX_VARIABLE || taken + size > MAX_VARIABLES {
            return Err(wrong(format!(
                "the values for this shell text are too long for its environment ({} bytes): give them as `stdin` instead",
                taken + size
            )));
        }
        let mention = match quoting {
            Quoting::Bare => format!("\"${{{name}}}\""),
            Quoting::Quoted | Quoting::Number => format!("${{{name}}}"),
            Quoting::Comment => String::new(),
        };
        variables.push((name, text));
        Ok(mention)
    }
}

impl Object for Render {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Everything in scope, as the engine looks it up.
#[derive(Debug)]
struct Top(Arc<Render>);

impl Object for Top {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            SELF => Some(Value::from_dyn_object(self.0.clone())),
            "calls" => Some(Value::from_object(Calls(self.0.scope.results.clone()))),
            key => self.0.scope.names.iter().find(|(name, _)| **name == *key).map(|(_, value)| value.clone()),
        }
    }
}

/// `calls`.
struct Calls(Arc<dyn Results>);

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("calls")
    }
}

impl Object for Calls {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.call(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.call(key)
    }
}

/// Renders a template that is more than text.
pub(super) fn render(
    template: &Template,
    facts: &Arc<Facts>,
    scope: &Scope,
    to: Destination,
) -> Result<Rendered, RenderError> {
    if to == Destination::Shell && facts.emits.iter().any(|emit| emit.quoting.is_none()) {
        let message = "this template was not read as shell text, so its values cannot be quoted".to_owned();
        return Err(RenderError { message, at: template.at });
    }
    let routed = facts.routed.get_or_init(|| route(&template.source, &facts.emits));
    let text = routed.as_deref().unwrap_or(&template.source);
    let render = Render::new(scope, &template.source, facts, to);
    let top = Value::from_object(Top(render.clone()));
    let mut out = Bounded(Vec::with_capacity(text.len()));
    let done = engine().template_from_str(text).and_then(|compiled| {
        compiled.render_captured_to(top, &mut out)?;
        Ok(())
    });
    done.map_err(|error| failed(&error, template.at, &template.source, facts))?;
    // The engine writes whole strings.
    let text = String::from_utf8(out.0).unwrap_or_default();
    let variables = std::mem::take(&mut *render.variables.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Rendered { text, variables })
}

/// Evaluates an expression; what comes out is defined.
pub(super) fn evaluate(expression: &Expression, scope: &Scope) -> Result<Value, RenderError> {
    let render = Render::new(scope, &expression.source, &expression.facts, Destination::Raw);
    let done = engine().compile_expression(&expression.source).and_then(|compiled| {
        let value = compiled.eval(Value::from_object(Top(render)))?;
        if value.is_undefined() {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                format!("`{}` has no value", expression.source),
            ));
        }
        Ok(value)
    });
    done.map_err(|error| failed(&error, expression.at, &expression.source, &expression.facts))
}

/// A value as JSON: numbers stay what they are.
pub(super) fn to_json(value: &Value) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| wrong(format!("this is not JSON: {error}")))
}

/// A value as text: strings as they are, nothing for none, all else as compact JSON.
pub(super) fn plain_text(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    if value.is_none() {
        Ok(String::new())
    } else if value.is_undefined() {
        Err(Error::from(ErrorKind::UndefinedError))
    } else if let Some(bytes) = value.as_bytes() {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    } else {
        serde_json::to_string(value)
            .map_err(|error| wrong(format!("this cannot be written as text: {error}")))
    }
}

/// How the engine writes every value.
fn write_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let count = |length: usize| {
        let Ok(render) = Render::of(state) else { return Ok(()) };
        let before = render.written.fetch_add(length as u64, Ordering::Relaxed);
        if before + length as u64 > MAX_WRITTEN { Err(Error::from(ErrorKind::WriteFailure)) } else { Ok(()) }
    };
    if let Some(text) = value.as_str() {
        count(text.len())?;
        return Ok(out.write_str(text)?);
    }
    let text = plain_text(value)?;
    count(text.len())?;
    Ok(out.write_str(&text)?)
}

/// The filter behind every `{{ }}` whose value does not just enter as it is.
fn enter(state: &State, value: Value, number: usize, index: Option<Value>) -> Result<Value, Error> {
    let render = Render::of(state)?;
    let Some(emit) = render.facts.emits.get(number) else { return Ok(value) };
    if value.is_undefined() {
        let written = render.text.get(emit.at.start as usize..emit.at.end as usize).unwrap_or("this");
        return Err(Error::new(ErrorKind::UndefinedError, format!("`{}` has no value", written.trim())));
    }
    match (render.to, emit.quoting) {
        (Destination::Raw, _) | (Destination::Shell, None) => Ok(value),
        (Destination::Shell, Some(quoting)) => render.variable(&value, quoting).map(Value::from),
        (Destination::Prompt, _) => {
            let index = index.and_then(|index| u64::try_from(index.as_i64()?).ok());
            insertion::enter(&value, &emit.into, index, &render.scope.results).map(Value::from)
        }
    }
}

/// The engine's error in our words, with its place in the plan.
fn failed(error: &Error, at: crate::plan::diagnostic::Span, text: &str, facts: &Facts) -> RenderError {
    let kind = error.kind();
    let message = if kind == ErrorKind::OutOfFuel {
        format!("this template takes more than {MAX_STEPS} steps: one of its loops is too long")
    } else if kind == ErrorKind::WriteFailure {
        format!("this template comes to more than {} MiB", MAX_TEXT >> 20)
    } else if let Some(detail) = error.detail() {
        match detail.strip_suffix(" is undefined") {
            Some(name) if kind == ErrorKind::UndefinedError => format!("{name} has no value"),
            Some(_) | None => detail.to_owned(),
        }
    } else if kind == ErrorKind::UndefinedError {
        "a value is missing".to_owned()
    } else {
        kind.to_string()
    };
    let place = error.range().and_then(|range| {
        let start = unroute(text, &facts.emits, range.start) as u64;
        let holds = |spot: &&(std::ops::Range<u32>, _)| {
            (u64::from(spot.0.start)..=u64::from(spot.0.end)).contains(&start)
        };
        let spots = facts.spots.iter().filter(holds);
        spots.min_by_key(|(range, _)| range.end - range.start).map(|(_, at)| *at)
    });
    RenderError { message, at: place.unwrap_or(at) }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(40).chain(['…']).collect() }
}

/// Takes text up to [`MAX_TEXT`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
