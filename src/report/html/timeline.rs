//! What ran when, what it waited for, the critical path, and how much ran at once.

use std::fmt::Write as _;
use std::time::Duration;

use super::head::ending;
use super::markup::{Anchor, Attr, Html, class};
use super::{Context, section};
use crate::report::course::{Course, Row, Step};

/// Rows that stand open; the rest is folded.
const OPEN: usize = 60;
/// Instances of one call beyond which they are folded under one row.
const INSTANCES: usize = 20;
/// Names listed of the critical path.
const PATH: usize = 40;
/// Size of the chart of concurrency, in its own units.
const CHART: (f64, f64) = (960.0, 96.0);

/// Writes the section.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let course = &context.course;
    section(html, "timeline", "Timeline", |html| {
        if course.rows.is_empty() {
            html.leaf("p", "dim", "Nothing was started.");
            return;
        }
        path(html, context);
        concurrency(html, context);
        html.literal(
            "<p class=\"legend dim\"><i class=\"key wait\"></i> waiting for a place \
             <i class=\"key good\"></i> ok <i class=\"key bad\"></i> not ok \
             <i class=\"key retry\"></i> failed, waiting to try again <i class=\"key critical\"></i> critical path</p>",
        );
        axis(html, course);
        rows(html, context);
    });
}

/// The sentences: what decided how long it took, and what more concurrency would have saved.
fn path(html: &mut Html, context: &Context<'_>) {
    let course = &context.course;
    html.tag("p", &[], |html| {
        html.leaf("b", "", "Critical path ");
        let hidden = course.critical.len().saturating_sub(PATH);
        for (n, row) in course.critical.iter().skip(hidden).filter_map(|at| course.rows.get(*at)).enumerate()
        {
            html.text(if n > 0 { " → " } else { "" });
            context.names.write(html, &row.id.to_string());
            html.text(&format!(" {}", super::time(row.took())));
            if !row.waited().is_zero() {
                html.text(&format!(" (after {} for a place)", super::time(row.waited())));
            }
        }
        if hidden > 0 {
            html.text(&format!(" ({hidden} more before)"));
        }
    });
    let limit = context.view.head.as_ref().map_or(0, |head| head.concurrency);
    let mut text = format!(
        "At most {} ran at once ({limit} allowed), {:.1} on average. All of it took {}; one call after the other it \
         would have been {}, and with no limit on how many run at once {}.",
        course.most,
        course.average,
        super::time(course.whole),
        super::time(course.sequential),
        super::time(course.least),
    );
    let (queued, time) = course.queued;
    if queued > 0 {
        let noun = if queued == 1 { "call" } else { "calls" };
        let _ = write!(text, " {queued} {noun} waited for a place, {} in all.", super::time(time));
    }
    html.leaf("p", "", &text);
}

/// How many ran and how many could have, as areas over time.
fn concurrency(html: &mut Html, context: &Context<'_>) {
    let course = &context.course;
    let limit = context.view.head.as_ref().map_or(0, |head| head.concurrency) as usize;
    let top =
        course.steps.iter().map(|step| step.ready).max().unwrap_or(0).min(limit.max(course.most) * 2).max(1);
    let (width, height) = CHART;
    let level = |count: usize| height - (count.min(top) as f64 / top as f64) * (height - 4.0);
    let outline = |count: fn(&Step) -> usize| {
        let mut path = format!("M0 {height}");
        let step_width = width / course.steps.len().max(1) as f64;
        for (n, step) in course.steps.iter().enumerate() {
            let (x, y) = (n as f64 * step_width, level(count(step)));
            let _ = write!(path, " L{x:.1} {y:.1} L{:.1} {y:.1}", x + step_width);
        }
        let _ = write!(path, " L{width} {height} Z");
        path
    };
    html.tag("figure", &[class("chart")], |html| {
        html.literal("<svg viewBox=\"0 0 960 96\" preserveAspectRatio=\"none\" role=\"img\" ");
        html.literal("aria-label=\"Calls at work over time, and calls that were ready\">");
        html.tag("path", &[class("area-ready"), Attr::Text("d", &outline(|step| step.ready))], |_| {});
        html.tag("path", &[class("area-running"), Attr::Text("d", &outline(|step| step.running))], |_| {});
        if limit > 0 && limit <= top {
            let y = level(limit);
            let ends = [("x1", 0.0), ("x2", width), ("y1", y), ("y2", y)].map(|(name, at)| Attr::Number(name, at));
            let [x1, x2, y1, y2] = ends;
            html.tag("line", &[class("limit"), x1, x2, y1, y2], |_| {});
        }
        html.literal("</svg>");
        html.tag("figcaption", &[class("dim")], |html| {
            html.literal("<i class=\"key running\"></i> at work <i class=\"key ready\"></i> ready, but waiting for a place");
            html.text(&format!("; the top is {top}"));
            if limit > 0 && limit <= top {
                html.text(&format!(", the dashed line the limit of {limit}"));
            }
        });
    });
}

fn axis(html: &mut Html, course: &Course<'_>) {
    html.tag("div", &[class("row axis"), Attr::Fixed("aria-hidden", "true")], |html| {
        html.literal("<span class=\"who\"></span>");
        html.tag("span", &[class("track")], |html| {
            for quarter in 0..=4_u32 {
                let left = f64::from(quarter) * 25.0;
                let text = super::time(course.whole * quarter / 4);
                html.tag("span", &[class("tick"), Attr::Span(left, 0.0)], |html| {
                    html.leaf("span", "", &text)
                });
            }
        });
        html.literal("<span class=\"took\"></span>");
    });
}

fn rows(html: &mut Html, context: &Context<'_>) {
    let groups: Vec<&[Row<'_>]> = context.course.rows.chunk_by(|a, b| a.at == b.at).collect();
    let open: usize = groups.len().min(OPEN);
    let (first, rest) = groups.split_at(open);
    for chunk in first.chunks(25) {
        html.tag("div", &[class("rows")], |html| {
            chunk.iter().for_each(|group| group_rows(html, context, group))
        });
    }
    if !rest.is_empty() {
        super::fold(html, &format!("{} more calls", rest.len()), false, |html| {
            for chunk in rest.chunks(50) {
                html.tag("div", &[class("rows")], |html| {
                    chunk.iter().for_each(|group| group_rows(html, context, group));
                });
            }
        });
    }
}

/// The rows of one call: its instances, folded under one row when they are many.
fn group_rows(html: &mut Html, context: &Context<'_>, group: &[Row<'_>]) {
    if group.len() <= INSTANCES {
        return group.iter().for_each(|row| one(html, context, row));
    }
    html.tag("details", &[], |html| {
        html.tag("summary", &[class("row")], |html| {
            let ok = group.iter().filter(|row| row.view.outcome.as_ref().is_some_and(|o| o.is_ok())).count();
            let name = group.first().map_or("", |row| row.call.id().as_str());
            html.tag("span", &[class("who")], |html| {
                html.text(&format!("{name} ({ok} of {} ok)", group.len()))
            });
            html.tag("span", &[class("track")], |html| {
                let from = group.iter().filter_map(|row| row.started).min().unwrap_or_default();
                let to = group.iter().map(|row| row.ended).max().unwrap_or_default();
                let of_class = if ok == group.len() {
                    "good"
                } else if ok == 0 {
                    "bad"
                } else {
                    "warn"
                };
                let critical = group.iter().any(|row| row.critical);
                bar(
                    html,
                    &context.course,
                    (of_class, if critical { "bar critical" } else { "bar" }),
                    (from, to),
                );
            });
            html.literal("<span class=\"took\"></span>");
        });
        group.iter().for_each(|row| one(html, context, row));
    });
}

fn one(html: &mut Html, context: &Context<'_>, row: &Row<'_>) {
    let course = &context.course;
    let (mark, of_class, word) = ending(context.view, row.view.outcome.as_ref());
    let anchor = row.id.index.map_or(Anchor::Call(row.at), |index| Anchor::Instance(row.at, index));
    let story = story(course, row, word);
    html.tag("a", &[class("row"), Attr::To(anchor), Attr::Text("title", &story)], |html| {
        html.tag("span", &[class("who")], |html| {
            html.leaf("b", of_class, mark);
            html.text(" ");
            html.text(&row.id.to_string());
            if row.call.planned.background {
                html.leaf("small", "dim", " background");
            }
        });
        html.tag("span", &[class("track")], |html| {
            if let Some(started) = row.started {
                if !row.waited().is_zero() {
                    bar(html, course, ("wait", "bar"), (row.ready, started));
                }
                let classes = if row.critical { "bar critical" } else { "bar" };
                bar(html, course, (of_class, classes), (started, row.ended));
                for attempt in row.view.attempts.iter().filter(|attempt| attempt.retry_in.is_some()) {
                    let next = attempt.at + attempt.retry_in.unwrap_or_default();
                    bar(html, course, ("retry", "bar"), (attempt.at, next.min(row.ended)));
                }
            } else {
                bar(html, course, (of_class, "bar never"), (row.ended, row.ended));
            }
        });
        let took = if row.started.is_some() { super::time(row.took()) } else { word.to_owned() };
        html.leaf("span", "took", &took);
    });
}

fn bar(
    html: &mut Html,
    course: &Course<'_>,
    classes: (&'static str, &'static str),
    time: (Duration, Duration),
) {
    let (left, right) = (course.percent(time.0), course.percent(time.1));
    html.tag("i", &[Attr::Classes(classes.0, classes.1), Attr::Span(left, (right - left).max(0.0))], |_| {});
}

/// The row in words: what it waited for, when it began, how it ended.
fn story(course: &Course<'_>, row: &Row<'_>, word: &str) -> String {
    let mut text = format!("{}: ", row.id);
    if let Some(after) = row.after.and_then(|at| course.rows.get(at)) {
        let _ = write!(text, "waited for {} until {}; ", after.id, super::time(row.ready));
    }
    match row.started {
        None => text.push_str("never started; "),
        Some(started) => {
            if !row.waited().is_zero() {
                let _ = write!(text, "then {} for a place; ", super::time(row.waited()));
            }
            let _ = write!(text, "began at {}; took {}; ", super::time(started), super::time(row.took()));
        }
    }
    let failed = row.view.attempts.iter().filter(|attempt| attempt.retry_in.is_some()).count();
    if failed > 0 {
        let _ = write!(text, "{failed} failed attempts before; ");
    }
    text.push_str(word);
    if row.critical {
        text.push_str("; on the critical path");
    }
    text
}
