//! The results as Markdown, for a file or a comment (`--output markdown`, `report: {markdown: …}`).
//!
//! Invariant: what others wrote stands in code, or with everything escaped that would be markup: no
//! HTML, no image, no link, no mention. A fence is longer than any run of backticks
//! inside, so nothing gets out of it.

mod drawn;
mod prose;

use std::fmt::Write as _;
use std::time::Duration;

use super::computed;
use super::fold::{CallView, InstanceView, RunView, State};
use super::sanitise;
use super::style::Style;
use crate::id::{CallId, InstanceId};
use crate::outcome::{Outcome, Status};
use crate::unit::human_duration;

/// What a comment on GitHub may have: 65,536 characters, with room for a line of one's own.
pub const COMMENT: usize = 64_000;

/// The document, with a newline at its end.
pub fn render(view: &RunView) -> String {
    document(view, usize::MAX)
}

/// What a step of the parent's computed, by itself; `text` is the same for a shape that is not known.
pub fn render_computed(result: &serde_json::Value, text: &str) -> String {
    let mut out = Document { out: String::new(), most: usize::MAX };
    match computed::of(result) {
        Some(shown) => out.shown(&shown),
        None => out.fence(text, ""),
    }
    out.out.truncate(out.out.trim_end().len());
    out.out.push('\n');
    out.out
}

/// A text in a fold with a title.
pub fn folded(title: &str, text: &str, language: &str) -> String {
    let mut out = Document { out: String::new(), most: usize::MAX };
    out.folded(title, text, language);
    out.out
}

/// The document in at most so many bytes: outputs are cut first, then calls are left out.
pub fn within(view: &RunView, bytes: usize) -> String {
    for most in [usize::MAX, 16 * 1024, 4 * 1024, 1024, 256, 0] {
        let text = document(view, most);
        if text.len() <= bytes {
            return text;
        }
        if most == 0 {
            let run = view.head.as_ref().map_or("RUN", |head| head.run.as_str());
            let rest = format!("\nThe rest does not fit here: `fanout show {run}`\n");
            let start = sanitise::prefix(&text, bytes.saturating_sub(rest.len()));
            return format!("{}{rest}", whole(start));
        }
    }
    String::new()
}

/// As much of the start of a document as ends between two lines where no fence and no fold is open.
fn whole(start: &str) -> &str {
    let (mut at, mut end, mut fence, mut folds) = (0, 0, 0, 0_usize);
    for line in start.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        at += line.len();
        let line = line.trim_start_matches(['>', ' ']).trim_end();
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            0 if ticks >= 3 => fence = ticks,
            0 if line.starts_with("<details>") => folds += 1,
            0 if line == "</details>" => folds = folds.saturating_sub(1),
            0 => {}
            open if ticks == open && line.len() == ticks => fence = 0,
            _ => {}
        }
        if fence == 0 && folds == 0 {
            end = at;
        }
    }
    start.get(..end).unwrap_or_default()
}

fn document(view: &RunView, most: usize) -> String {
    let mut out = Document { out: String::new(), most };
    let census = view.census();
    if let Some(head) = &view.head {
        let _ = writeln!(out.out, "# {}\n", escape(&head.name));
        if let Some(goal) = &head.goal {
            let _ = writeln!(out.out, "{}\n", escape(goal));
        }
    }
    out.verdict(view);
    let _ = writeln!(out.out, "| outcome | calls |\n| --- | ---: |");
    for status in Status::ALL {
        if census.of(status) > 0 || status == Status::Ok {
            let _ = writeln!(out.out, "| {} | {} |", status.words(), census.of(status));
        }
    }
    if census.empty > 0 {
        let _ = writeln!(out.out, "| of the ok ones: empty | {} |", census.empty);
    }
    let ended: u32 = census.by_status.values().sum();
    if census.planned > ended {
        let _ = writeln!(out.out, "| {} | {} |", view.open_word(), census.planned - ended);
    }
    let _ = writeln!(out.out, "| planned | {} |\n", census.planned);
    out.reconciliation(view);
    for call in &view.calls {
        out.call(call);
    }
    out.notifications(view);
    out.out.truncate(out.out.trim_end().len());
    out.out.push('\n');
    out.out
}

fn nobody_answered(view: &RunView) -> bool {
    let census = view.census();
    census.planned > 0 && census.of(Status::Ok) == census.empty
}

struct Document {
    out: String,
    /// Bytes of one text.
    most: usize,
}

impl Document {
    fn verdict(&mut self, view: &RunView) {
        let text = match &view.finish {
            None if view.running_now() => "**This run is still going on**; nothing here is final.".to_owned(),
            None => "**This run did not finish**; nothing here is final.".to_owned(),
            Some(finish) => {
                let word = if finish.success { "Success" } else { "Failure" };
                let mut text = format!("**{word}**, exit status {}", finish.exit);
                for reason in &finish.reasons {
                    let _ = write!(text, "\n- {}", code(reason));
                }
                text
            }
        };
        let _ = writeln!(self.out, "{text}\n");
        if view.finish.is_some() && nobody_answered(view) {
            let _ = writeln!(self.out, "**Nobody answered.** An absence of results is not a result.\n");
        }
        for warning in &view.warnings {
            let _ = writeln!(self.out, "- warning: {}", code(&warning.message));
        }
        if let Some(stop) = &view.stop {
            let _ = writeln!(self.out, "- stopped early: {}", code(&stop.message));
        }
        if !view.warnings.is_empty() || view.stop.is_some() {
            self.out.push('\n');
        }
    }

    fn reconciliation(&mut self, view: &RunView) {
        let step = CallId::parent_step();
        let computed = view.reconciled.iter().find(|result| result.step == step);
        let parent = view.parent.as_ref();
        let failed = parent.filter(|parent| parent.outcome.as_ref().is_some_and(|outcome| !outcome.is_ok()));
        // What `collect` collects stands below, call by call.
        let computed = computed.filter(|computed| computed.strategy() != "collect");
        if failed.is_none() && computed.is_none() {
            return;
        }
        let _ = writeln!(self.out, "## Reconciliation\n");
        if let Some(failed) = failed {
            self.instance(failed, false);
        }
        if let Some(computed) = computed {
            if nobody_answered(view) {
                let _ = writeln!(self.out, "Computed from no answers, because nobody answered:\n");
            }
            match computed::of(&computed.result) {
                Some(shown) => self.shown(&shown),
                None => self.fence(&computed.text, ""),
            }
        }
    }

    fn call(&mut self, call: &CallView) {
        let happened = call.each().any(|(_, view)| view.state != State::Waiting);
        if !happened {
            return;
        }
        let what = &call.planned.description;
        let title = if what == call.id().as_str() { String::new() } else { format!(": {}", escape(what)) };
        let _ = writeln!(self.out, "## `{}`{title}\n", call.id());
        for (id, view) in call.each().filter(|(_, view)| view.state != State::Waiting) {
            if let InstanceId { index: Some(_), .. } = id {
                let label = call.label(id.index).unwrap_or_default();
                let _ = writeln!(self.out, "### `{id}` {}\n", code(label));
            }
            self.instance(view, call.planned.kind == "reconcile");
        }
    }

    fn instance(&mut self, view: &InstanceView, is_step: bool) {
        let Some(outcome) = &view.outcome else {
            let _ = writeln!(self.out, "did not end\n");
            return;
        };
        let _ = writeln!(self.out, "{}\n", facts(outcome, view));
        if let Some(cause) = &outcome.cause {
            let _ = writeln!(self.out, "{}\n", code(&cause.message));
        }
        if !outcome.is_ok() && !outcome.stderr.trim().is_empty() {
            let _ = writeln!(self.out, "Standard error:\n");
            self.fence(&outcome.stderr, "");
        }
        let computed = outcome.output.json.as_deref().filter(|result| is_step && computed::is_known(result));
        if let Some(shown) = computed.and_then(computed::of) {
            self.shown(&shown);
        } else if !outcome.output.is_empty() {
            self.fence(&outcome.output.text, if outcome.output.json.is_some() { "json" } else { "" });
        }
    }

    fn notifications(&mut self, view: &RunView) {
        if view.notifications.is_empty() {
            return;
        }
        let _ = writeln!(self.out, "## Notifications\n");
        for (number, posted) in &view.notifications {
            let _ = writeln!(self.out, "{number}. `{}` {}", posted.instance, posted.status.words());
        }
    }

    fn fence(&mut self, text: &str, language: &str) {
        let kept = sanitise::prefix(text, self.most);
        let cut = text.len() - kept.len();
        let text = clean(kept);
        if self.most == 0 && cut > 0 {
            let _ = writeln!(self.out, "({cut} bytes)\n");
            return;
        }
        let fence = "`".repeat(longest_run(&text).max(2) + 1);
        let _ = writeln!(self.out, "{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'));
        if cut > 0 {
            let _ = writeln!(self.out, "… {cut} more bytes\n");
        }
    }
}

fn facts(outcome: &Outcome, view: &InstanceView) -> String {
    let word = if outcome.is_empty_success() { "ok but empty" } else { outcome.status.words() };
    let mut text = format!("**{word}**");
    if let Some(agent) = outcome.agent.as_ref().or(view.agent.as_ref()) {
        let _ = write!(text, ", {}", code(agent));
    }
    if outcome.took > Duration::ZERO {
        let _ = write!(text, ", {}", human_duration(outcome.took));
    }
    let used = outcome.usage.input + outcome.usage.output;
    if !used.is_zero() {
        let _ = write!(text, ", {used} tokens");
    }
    if outcome.attempts > 1 {
        let _ = write!(text, ", {} attempts", outcome.attempts);
    }
    text
}

fn clean(text: &str) -> String {
    sanitise::text(text, &Style::FILE).into_owned()
}

fn one_line(text: &str) -> String {
    sanitise::line(text, &Style::FILE)
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// One line as a code span.
fn code(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() {
        return text;
    }
    let ticks = "`".repeat(longest_run(&text) + 1);
    // A space keeps the text's own backticks off the delimiters; renderers strip it again.
    if text.starts_with('`') || text.ends_with('`') {
        format!("{ticks} {text} {ticks}")
    } else {
        format!("{ticks}{text}{ticks}")
    }
}

/// One line of text, with everything escaped that would be markup, a mention or a link.
fn escape(text: &str) -> String {
    /// A character between is all that keeps what is looked for after rendering from being found.
    const BETWEEN: char = '\u{2060}';
    let line = one_line(text);
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut out = String::new();
    for (at, c) in line.char_indices() {
        let rest = line.get(at..).unwrap_or_default();
        let ends_number = at > 0 && at + number == line.len();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '#' => out.extend(['\\', c, BETWEEN]),
            '@' => out.extend([c, BETWEEN]),
            ':' if rest.starts_with("://") => out.extend([c, BETWEEN]),
            '.' if line.get(..at).is_some_and(|before| before.to_ascii_lowercase().ends_with("www")) => {
                out.extend([BETWEEN, c]);
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '|' | '~' | '$' => out.extend(['\\', c]),
            // At the start of a line these begin a list or make a heading of the one before.
            '-' | '+' | '=' if at == 0 => out.extend(['\\', c]),
            '.' | ')' if ends_number => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Script};

    #[test]
    fn a_mixed_run_as_markdown() {
        insta::assert_snapshot!(render(&RunView::of(&sample::mixed())));
    }

    #[test]
    fn nothing_gets_out_of_its_fence() {
        let mut script = Script::new("p", &["a"]);
        let hostile = "```\n````\n<img src=x onerror=alert(1)>\n![x](http://e/?q)\n`````";
        script.start("a").ok("a", hostile).finish(true, &[]);
        let text = render(&RunView::of(&script.records));
        assert!(text.contains(&format!("\n``````\n{hostile}\n``````\n")), "{text}");
    }

    /// What GitHub would make of a document that is neither text nor code nor of ours.
    fn strange(document: &str) -> Vec<String> {
        use pulldown_cmark::{Event, Options, Parser, Tag};
        let ours = |html: &str| html.starts_with("<details><summary>") || html.trim() == "</details>";
        let mut in_code = 0;
        let mut found = Vec::new();
        for event in Parser::new_ext(document, Options::all()) {
            match event {
                Event::Start(Tag::CodeBlock(_)) => in_code += 1,
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_code -= 1,
                Event::Html(html) if ours(&html) => {}
                Event::Html(html) | Event::InlineHtml(html) => found.push(html.to_string()),
                Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. })) => found.push(format!("{tag:?}")),
                Event::Text(text) if in_code == 0 => {
                    let leads = ["://", "www.", "@all", "#12"].iter().any(|lead| text.contains(lead));
                    found.extend(leads.then(|| text.to_string()));
                }
                Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                    found.push(text.to_string());
                }
                Event::Start(_)
                | Event::End(_)
                | Event::Text(_)
                | Event::Code(_)
                | Event::SoftBreak
                | Event::HardBreak
                | Event::Rule
                | Event::TaskListMarker(_) => {}
            }
        }
        found
    }

    #[test]
    fn whatever_a_strategy_computed_from_hostile_answers_is_text_or_code() {
        let hostile = [
            "<img src=x onerror=alert(1)> ![x](http://e/?q) [y](http://e) @all #12 www.e.example",
            "```\n</details><b>x</b>\n````\n@all https://e.example\n| a | b |\n- #12\n> ~~~",
            "`</summary><script>` \\` | \\| `|` <!-- @all",
            "# h\n\n1. [x]: http://e\n\n***\n<details>\n\n| <b> |\n|-|\n| `a|b` |\n\n&lt;b&gt; \\<b>",
            "\u{202e}<b>\n\n    <script>\n\n<http://e.example> <a@b.example> $$x$$ ==\n==",
        ];
        for evil in hostile {
            assert!(!strange(evil).is_empty(), "it would be strange as it is: {evil}");
            for result in computed::sample::results(evil) {
                let mut script = Script::new("p", &["a", "b"]);
                script.start("a").ok("a", evil).reconciled(result, evil).finish(true, &[]);
                let document = render(&RunView::of(&script.records));
                assert_eq!(strange(&document), Vec::<String>::new(), "{document}");
                let lines = |start: &str| document.lines().filter(|line| line.starts_with(start)).count();
                assert_eq!(lines("<details><summary>"), lines("</details>") - lines("</details><b>"));
            }
        }
    }

    #[test]
    fn a_comment_has_room_for_any_result() {
        let long = "a finding in many words | with `marks`\n".repeat(400);
        for result in computed::sample::results(&long) {
            let mut script = Script::new("p", &["a"]);
            script.start("a").ok("a", &long).reconciled(result, "").finish(true, &[]);
            let view = RunView::of(&script.records);
            for bytes in [COMMENT, 20_000] {
                let text = within(&view, bytes);
                assert!(text.len() <= bytes && text.contains("## Reconciliation"), "{}", text.len());
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let ids: Vec<String> = (0..1000).map(|n| format!("call_{n}")).collect();
        let mut script = Script::new("many", &ids.iter().map(String::as_str).collect::<Vec<_>>());
        for id in &ids {
            script.start(id).ok(id, &"a line\n".repeat(100));
        }
        let view = RunView::of(&script.finish(true, &[]).records);
        for bytes in [500 * 1024, COMMENT, 2_000] {
            let text = within(&view, bytes);
            assert!(text.len() <= bytes && text.len() > bytes / 4, "{}", text.len());
            assert!(text.contains("more bytes") || text.contains("does not fit here"), "{text}");
            assert_eq!(text.matches("```").count() % 2, 0);
        }
        assert_eq!(within(&view, usize::MAX), render(&view));
    }

    #[test]
    fn names_and_causes_are_no_markup() {
        assert_eq!(escape("<b>*x*</b> [y](z)"), "&lt;b&gt;\\*x\\*&lt;/b&gt; \\[y\\](z)");
        assert_eq!(
            escape("@a #1 www.x.y https://z"),
            "@\u{2060}a \\#\u{2060}1 www\u{2060}.x.y https:\u{2060}//z"
        );
        assert_eq!(escape("1. a 2. - b"), "1\\. a 2. - b");
        assert_eq!([escape("- a"), escape("==="), escape("a|b")], ["\\- a", "\\===", "a\\|b"]);
        assert_eq!(code("a ``` b"), "````a ``` b````");
        assert_eq!(code("`x`"), "`` `x` ``");
    }
}
