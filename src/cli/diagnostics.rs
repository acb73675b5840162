//! Draws what is wrong with a plan: each fault with its place, the line underlined, and what to write.
//!
//! Invariant: drawing changes nothing and leaves nothing out silently; control
//! characters of the plan never reach the terminal.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::plan::code;
use crate::plan::diagnostic::{Diagnostic, Severity, Sources, Span};

/// More than this are counted, not drawn.
const MAX_DRAWN: usize = 100;
/// Places further apart than so many lines are drawn apart.
const APART: usize = 12;

/// Draws them one below the other, by file and place, with a last line that counts them.
///
/// Empty for none. `color` adds ANSI styles.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| (diagnostic.at.file, diagnostic.at.start, diagnostic.severity));
    let lines: Vec<Lines<'_>> = sources.files.iter().map(|(_, text)| Lines::new(text)).collect();
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut drawn = String::new();
    for diagnostic in sorted.iter().take(MAX_DRAWN) {
        drawn.push_str(&draw(diagnostic, sources, &lines, &renderer));
        drawn.push_str("\n\n");
    }
    if sorted.len() > MAX_DRAWN {
        drawn.push_str(&format!("… and {} more\n\n", sorted.len() - MAX_DRAWN));
    }
    if let Some(summary) = summary(diagnostics) {
        drawn.push_str(&summary);
        drawn.push('\n');
    }
    drawn
}

/// `3 errors, 1 warning`; `None` for none.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let words = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts = [words(count(Severity::Error), "error"), words(count(Severity::Warning), "warning")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// One line: `plan.yaml:7:13: error[E0202]: there is no call `summry` (did you mean `summary`?)`.
pub fn line(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let (row, column) = sources.position(diagnostic.at);
    let help = diagnostic.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
    let line = format!(
        "{}:{row}:{column}: {}[{}]: {}{help}",
        path(sources, diagnostic.at),
        word(diagnostic.severity),
        diagnostic.code,
        diagnostic.message
    );
    // Also the characters that turn the direction of writing.
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    line.chars().map(|c| if hidden(c) { ' ' } else { c }).collect()
}

/// For programs: `code`, `severity`, `file`, `line`, `column`, `end_line`, `end_column` (from 1, in
/// characters), `message`, and `label`, `help` and `related` where there are any.
pub fn to_json(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let place = |at: Span| {
        let (row, column) = sources.position(at);
        let (end_row, end_column) = sources.position(Span { start: at.end, ..at });
        json!({
            "file": path(sources, at), "line": row, "column": column,
            "end_line": end_row, "end_column": end_column,
        })
    };
    let mut json = json!({
        "code": diagnostic.code,
        "severity": word(diagnostic.severity),
        "message": diagnostic.message,
    });
    let mut add = |key: &str, value: Value| {
        if let Value::Object(map) = &mut json {
            map.insert(key.to_owned(), value);
        }
    };
    if let Value::Object(at) = place(diagnostic.at) {
        at.into_iter().for_each(|(key, value)| add(&key, value));
    }
    if !diagnostic.label.is_empty() {
        add("label", json!(diagnostic.label));
    }
    if let Some(help) = &diagnostic.help {
        add("help", json!(help));
    }
    if !diagnostic.related.is_empty() {
        let related = diagnostic.related.iter().map(|(at, words)| {
            let mut related = place(*at);
            if let Value::Object(map) = &mut related {
                map.insert("message".to_owned(), json!(words));
            }
            related
        });
        add("related", related.collect());
    }
    json
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn path(sources: &Sources, at: Span) -> String {
    sources.files.get(usize::from(at.file)).map_or_else(String::new, |(path, _)| path.display().to_string())
}

fn draw(diagnostic: &Diagnostic, sources: &Sources, lines: &[Lines<'_>], renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code);
    // A file that could not be read has no line to show; the message names it.
    let unread = matches!(diagnostic.code, code::UNREADABLE | code::TOO_BIG)
        && lines.get(usize::from(diagnostic.at.file)).is_some_and(|lines| lines.text.is_empty());
    let snippets = if unread { Vec::new() } else { snippets(diagnostic, sources, lines) };
    let mut group = title.elements(snippets);
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// The source around every place, nearby places together, the fault's own file and place first.
fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a Sources,
    lines: &[Lines<'a>],
) -> Vec<Snippet<'a, Annotation<'a>>> {
    let own = (diagnostic.at, diagnostic.label.as_str(), AnnotationKind::Primary);
    let related = diagnostic.related.iter();
    let related = related.map(|(at, words)| (*at, words.as_str(), AnnotationKind::Context));
    let mut places: Vec<(Span, &str, AnnotationKind)> = std::iter::once(own).chain(related).collect();
    places.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
    let mut snippets = Vec::new();
    while let Some((first, ..)) = places.first().copied() {
        let Some(text) = lines.get(usize::from(first.file)) else {
            places.remove(0);
            continue;
        };
        let (mut low, mut high) = text.rows(first);
        // Everything of this file that is near is drawn with it.
        let mut near = vec![places.remove(0)];
        while let Some(next) = places.iter().position(|(at, ..)| {
            let (top, bottom) = text.rows(*at);
            at.file == first.file && top <= high + APART && bottom + APART >= low
        }) {
            let place = places.remove(next);
            let (top, bottom) = text.rows(place.0);
            (low, high) = (low.min(top), high.max(bottom));
            near.push(place);
        }
        let (start, shown) = text.slice(low, high);
        let annotations = near.into_iter().map(|(at, words, kind)| {
            let annotation = kind.span(text.within(at, start, shown));
            if words.is_empty() { annotation } else { annotation.label(words) }
        });
        let snippet = Snippet::source(shown).line_start(low + 1).path(path(sources, first));
        snippets.push(snippet.annotations(annotations));
    }
    snippets
}

/// A text with the places of its lines.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn row(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The row of the place, and that of what is underlined of it: its first line only.
    fn rows(&self, at: Span) -> (usize, usize) {
        let row = self.row((at.start as usize).min(self.text.len()));
        (row, row)
    }

    /// Where rows `low` to `high` begin, and their text.
    fn slice(&self, low: usize, high: usize) -> (usize, &'a str) {
        let start = self.starts.get(low).copied().unwrap_or(0);
        let end = self.starts.get(high + 1).copied().unwrap_or(self.text.len());
        (start, self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r']))
    }

    /// A place in such a slice, cut at the end of its first line, and never empty where that can be.
    fn within(&self, at: Span, start: usize, shown: &str) -> Range<usize> {
        let clamp = |offset: usize| {
            let mut offset = offset.saturating_sub(start).min(shown.len());
            while !shown.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        let (from, to) = (clamp(at.start as usize), clamp(at.end as usize));
        let line =
            shown.get(from..).map_or(from, |rest| from + rest.find(['\n', '\r']).unwrap_or(rest.len()));
        let next =
            shown.get(from..).and_then(|rest| rest.chars().next()).map_or(from, |c| from + c.len_utf8());
        from..to.min(line).max(next.min(line)).max(from)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::{Given, Loaded, load_text};

    /// Ten mistakes of ten kinds.
    const TEN: &str = "version: 1
name: ten mistakes
limits: { concurrency: 4, time: 20 }
vars:
  good: a3f2b1

agents:
  explore:
    model: antropic/claude-sonnet-5

defaults: { agent: { model: anthropic/claude-sonnet-5 } }

calls:
  graph:
    description: Call graph of the tést 日本
    promt: Map the call graph.
  history:
    agent: explorer
    prompt: |
      Summarise every commit
      since {{ vars.god }}.
  diff:
    needs: [graph, histroy]
    run: echo '{{ calls.graph.output }}'
    on_error: ignroe
  a: { run: make a, needs: [c] }
  b: { run: make b, needs: [a] }
  c: { run: make c, needs: [b] }
  diff: { run: make diff }
reconcile:
  strategy: synthesize
";

    fn read(text: &str) -> Loaded {
        load_text(text, Path::new("plans/ten.yaml"), &Given::default())
    }

    #[test]
    fn ten_mistakes_are_ten_diagnostics_each_at_its_place() {
        let loaded = read(TEN);
        let mut codes: Vec<&str> = loaded.diagnostics.iter().map(|fault| fault.code).collect();
        codes.dedup();
        assert!(codes.len() >= 10, "{codes:?}");
        insta::assert_snapshot!(render(&loaded.diagnostics, &loaded.sources, false));
    }

    #[test]
    fn one_line_and_json_say_the_same() {
        let loaded = read("calls:\n  é: { run: x, needs: [a] }\n  a: { run: x }\n  a: { run: y }\n");
        let lines: Vec<String> =
            loaded.diagnostics.iter().map(|fault| line(fault, &loaded.sources)).collect();
        assert_eq!(
            lines[1],
            "plans/ten.yaml:4:3: error[E0103]: the key `a` stands twice (rename one of them, or remove it: none is ever dropped)"
        );
        assert_eq!(
            to_json(&loaded.diagnostics[1], &loaded.sources),
            json!({
                "code": "E0103", "severity": "error", "message": "the key `a` stands twice",
                "file": "plans/ten.yaml", "line": 4, "column": 3, "end_line": 4, "end_column": 4,
                "label": "again here", "help": "rename one of them, or remove it: none is ever dropped",
                "related": [{
                    "file": "plans/ten.yaml", "line": 3, "column": 3, "end_line": 3, "end_column": 4,
                    "message": "first here"
                }],
            })
        );
    }

    #[test]
    fn control_characters_of_a_plan_do_not_reach_the_terminal() {
        let loaded =
            read("calls:\n  a: { \"r\\e[31mun\": x, \"wh\\u202een\": y }\n  b: { \u{202e}run: x }\n");
        let drawn = render(&loaded.diagnostics, &loaded.sources, false);
        assert!(!drawn.contains('\u{1b}') && !drawn.contains('\u{202e}'), "{drawn}");
        assert!(
            loaded
                .diagnostics
                .iter()
                .all(|fault| !line(fault, &loaded.sources).contains(['\u{1b}', '\u{202e}']))
        );
    }

    #[test]
    fn more_than_can_be_read_are_counted() {
        let calls: String = (0..150).map(|n| format!("  c{n}: {{ rum: x }}\n")).collect();
        let loaded = read(&format!("calls:\n{calls}"));
        let drawn = render(&loaded.diagnostics, &loaded.sources, false);
        assert_eq!(drawn.matches("error[E0105]").count(), 100);
        assert!(drawn.ends_with("… and 50 more\n\n150 errors\n"), "{}", &drawn[drawn.len() - 80..]);
        assert_eq!(render(&[], &loaded.sources, true), "");
    }

    #[test]
    fn a_place_at_the_end_of_a_text_or_beyond_it_is_drawn() {
        let sources = Sources { files: vec![("p".into(), "a: é\n".into()), ("empty".into(), "".into())] };
        for (file, start, end) in [(0, 6, 6), (0, 5, 99), (0, 4, 5), (1, 0, 0), (9, 3, 4), (0, 4, 3)] {
            let fault = Diagnostic::error("E0102", Span { file, start, end }, "here")
                .related(Span { file: 1, start: 7, end: 9 }, "there");
            assert!(render(&[fault], &sources, true).contains("here"), "{file} {start} {end}");
        }
    }
}
