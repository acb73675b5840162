//! One page with everything about a run (`report: {html: …}`, `fanout report`).
//!
//! Invariants: a pure function of the view; one file that loads nothing from anywhere
//! and says so to the browser; what others wrote is text on it and never markup
//! (`markup` sees to that, the content security policy stands behind it); without its
//! script it shows everything and only does not filter.
//!
//! The verdict comes first, then what the parent made of the results, then how it went
//! over time, then every call, folded.

mod calls;
mod differences;
mod drawn;
mod graph;
mod head;
mod markup;
mod names;
mod prose;
mod reconciled;
mod spending;
mod timeline;
mod value;

use std::time::Duration;

use super::course::Course;
use super::fold::RunView;
use markup::{Anchor, Attr, Html, class};
use names::Names;

use crate::unit::human_duration;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");
/// The SHA-256 of the script, as the policy names it; a test holds it to the file.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
     style-src 'unsafe-inline'; script-src 'sha256-XEKPUVs5CHXIGMjqK77sY/zQBpE+ABnkiTV975iyZ30='; base-uri 'none'; form-action 'none'\">";

/// What keeps the page up while it is served, and nothing else.
const LIVE: &str = include_str!("html/live.js");
/// The policy of a page that is served: it may also ask where it came from for news.
pub const LIVE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; \
     script-src 'sha256-XEKPUVs5CHXIGMjqK77sY/zQBpE+ABnkiTV975iyZ30=' 'sha256-naJSD/AcAcmVy75S9dRXz+p10jcYIoi4GUvEPnHVIU4='; base-uri 'none'; form-action 'none'";

/// What the sections share.
struct Context<'a> {
    view: &'a RunView,
    course: Course<'a>,
    names: Names,
    /// The run's name, for commands to type.
    run: &'a str,
}

/// The page.
pub fn render(view: &RunView) -> String {
    page(view, false)
}

/// The page as `fanout serve` gives it: it asks for news of the run, and its policy is in the answer's head.
pub fn render_live(view: &RunView) -> String {
    page(view, true)
}

fn page(view: &RunView, live: bool) -> String {
    let run = view.head.as_ref().map_or("RUN", |head| head.run.as_str());
    let context = Context { view, course: Course::of(view), names: Names::of(view), run };
    let mut html = Html::default();
    html.literal("<!DOCTYPE html>\n");
    html.tag("html", &[Attr::Fixed("lang", "en")], |html| {
        html.tag("head", &[], |html| {
            html.literal("<meta charset=\"utf-8\">");
            // Two policies would both hold; the one of a page that is served allows a little more.
            html.literal(if live { "" } else { POLICY });
            html.literal("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
            html.literal("<meta name=\"color-scheme\" content=\"light dark\">");
            html.literal("<meta name=\"referrer\" content=\"no-referrer\">");
            html.tag("title", &[], |html| head::title(html, view));
            html.literal("<style>");
            html.literal(STYLE);
            html.literal("</style>");
        });
        html.tag("body", &[], |html| {
            html.literal("<a class=\"skip\" href=\"#calls\">Skip to the calls</a>");
            html.tag("header", &[], |html| head::write(html, &context));
            html.tag("main", &[], |html| {
                reconciled::write(html, &context);
                timeline::write(html, &context);
                graph::write(html, &context);
                differences::write(html, &context);
                spending::write(html, &context);
                calls::write(html, &context);
            });
            html.tag("footer", &[], |html| {
                let version = view.head.as_ref().map_or("", |head| head.fanout.as_str());
                html.text(&format!("fanout {version}, run {run}"));
            });
            html.literal("<script>");
            html.literal(SCRIPT);
            html.literal("</script>");
            if live {
                html.literal("<script>");
                html.literal(LIVE);
                html.literal("</script>");
            }
        });
    });
    let mut page = html.finish();
    page.push('\n');
    page
}

/// A section with its heading.
fn section(html: &mut Html, name: &'static str, title: &str, inside: impl FnOnce(&mut Html)) {
    html.tag("section", &[Attr::Here(Anchor::Section(name))], |html| {
        html.leaf("h2", "", title);
        inside(html);
    });
}

/// A folded part of the page.
fn fold(html: &mut Html, title: &str, open: bool, inside: impl FnOnce(&mut Html)) {
    let attrs: &[Attr<'_>] = if open { &[class("fold"), Attr::Flag("open")] } else { &[class("fold")] };
    html.tag("details", attrs, |html| {
        html.leaf("summary", "", title);
        inside(html);
    });
}

/// A length of time as the page shows it: bars are compared, so short ones keep their digits.
fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{}ms", time.as_millis()) } else { human_duration(time) }
}

#[cfg(test)]
mod tests;
