//! The graph: a column for each turn, a box for each call, a line for each need.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::head::{ending, open_mark};
use super::markup::{Anchor, Attr, Html, class};
use super::{Context, section};
use crate::id::CallId;
use crate::outcome::Outcome;
use crate::report::fold::{CallView, RunView, Standing, State};

/// Boxes drawn in one column; the others are counted.
const BOXES: usize = 24;
/// Size of a box.
const BOX: (f64, f64) = (200.0, 44.0);
/// From one box's corner to the next one's.
const PITCH: (f64, f64) = (272.0, 58.0);
/// Characters of a name and of what stands below it.
const LETTERS: (usize, usize) = (22, 29);

struct Placed<'a> {
    at: usize,
    call: &'a CallView,
    x: f64,
    y: f64,
}

/// Writes the section.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    // Calls of sub-plans stand in the head of no run: they are on the time line and in the list.
    let planned = context.view.calls.iter().enumerate().filter(|(_, call)| !call.planned.kind.is_empty());
    let mut columns: Vec<Vec<(usize, &CallView)>> = Vec::new();
    for (at, call) in planned {
        let turn = usize::try_from(call.planned.turn.clamp(1, 10_000)).unwrap_or(1);
        columns.resize_with(columns.len().max(turn), Vec::new);
        if let Some(column) = columns.get_mut(turn - 1) {
            column.push((at, call));
        }
    }
    let inner = context.view.calls.iter().filter(|call| call.planned.kind.is_empty()).count();
    section(html, "graph", "Graph", |html| {
        if columns.is_empty() {
            html.leaf("p", "dim", "The plan has no calls.");
            return;
        }
        draw(html, context, &columns);
        if inner > 0 {
            html.leaf(
                "p",
                "dim",
                &format!("{inner} calls of sub-plans are on the timeline and in the list of calls."),
            );
        }
    });
}

fn draw(html: &mut Html, context: &Context<'_>, columns: &[Vec<(usize, &CallView)>]) {
    let mut placed: HashMap<&CallId, Placed<'_>> = HashMap::new();
    let mut hidden: Vec<(usize, f64, f64)> = Vec::new();
    let mut bottom = 0.0_f64;
    for (turn, column) in columns.iter().enumerate() {
        let x = 1.0 + turn as f64 * PITCH.0;
        let shown = choose(column, &placed);
        for (row, (at, call)) in shown.iter().enumerate() {
            let y = 26.0 + row as f64 * PITCH.1;
            bottom = bottom.max(y + BOX.1);
            placed.insert(call.id(), Placed { at: *at, call, x, y });
        }
        if column.len() > shown.len() {
            let y = 26.0 + shown.len() as f64 * PITCH.1;
            bottom = bottom.max(y + 24.0);
            hidden.push((column.len() - shown.len(), x, y));
        }
    }
    let (width, height) = ((columns.len() - 1) as f64 * PITCH.0 + BOX.0 + 2.0, bottom + 2.0);
    let scroll = [
        class("scroll"),
        Attr::Fixed("tabindex", "0"),
        Attr::Fixed("role", "group"),
        Attr::Fixed("aria-label", "Graph of the calls"),
    ];
    html.tag("div", &scroll, |html| {
        let size = [class("graph"), Attr::Number("width", width), Attr::Number("height", height)];
        html.tag("svg", &size, |html| {
            for turn in 0..columns.len() {
                let at =
                    [Attr::Number("x", 1.0 + turn as f64 * PITCH.0), Attr::Number("y", 14.0), class("turn")];
                html.tag("text", &at, |html| html.text(&format!("turn {}", turn + 1)));
            }
            edges(html, context, &placed);
            let mut boxes: Vec<&Placed<'_>> = placed.values().collect();
            boxes.sort_by_key(|placed| placed.at);
            boxes.iter().for_each(|placed| node(html, context, placed));
            for (count, x, y) in &hidden {
                let at = [Attr::Number("x", *x), Attr::Number("y", y + 16.0), class("turn")];
                html.tag("text", &at, |html| html.text(&format!("… {count} more, in the list of calls")));
            }
        });
    });
}

/// Those who are drawn: the ones that are not ok before the others; then by what they need, so that
/// few lines cross.
fn choose<'a>(
    column: &[(usize, &'a CallView)],
    placed: &HashMap<&CallId, Placed<'_>>,
) -> Vec<(usize, &'a CallView)> {
    let mut shown = column.to_vec();
    if shown.len() > BOXES {
        shown.sort_by_key(|(_, call)| call.ok() == call.size());
        shown.truncate(BOXES);
        shown.sort_by_key(|(at, _)| *at);
    }
    let middle = |call: &CallView| {
        let needs = call.planned.needs.iter().filter_map(|need| placed.get(need).map(|need| need.y));
        let (sum, count) = needs.fold((0.0, 0.0), |(sum, count), y| (sum + y, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    // Stable: those who need the same stay in plan order.
    shown.sort_by(|(_, a), (_, b)| middle(a).total_cmp(&middle(b)));
    shown
}

fn edges(html: &mut Html, context: &Context<'_>, placed: &HashMap<&CallId, Placed<'_>>) {
    let critical: Vec<&CallId> = chain(context);
    let steps: HashSet<(&CallId, &CallId)> =
        critical.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect();
    let mut calls: Vec<&Placed<'_>> = placed.values().collect();
    calls.sort_by_key(|placed| placed.at);
    for to in calls {
        for from in to.call.planned.needs.iter().filter_map(|need| placed.get(need)) {
            let (x1, y1) = (from.x + BOX.0, from.y + BOX.1 / 2.0);
            let (x2, y2) = (to.x, to.y + BOX.1 / 2.0);
            let bend = (x2 - x1).abs() / 2.0;
            let mut path = String::new();
            let _ = write!(path, "M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2 - bend);
            let on_path = steps.contains(&(from.call.id(), to.call.id()));
            let of_class = if on_path { "edge critical" } else { "edge" };
            html.tag("path", &[class(of_class), Attr::Text("d", &path)], |_| {});
        }
    }
}

fn chain<'a>(context: &'a Context<'_>) -> Vec<&'a CallId> {
    let rows = context.course.critical.iter().filter_map(|at| context.course.rows.get(*at));
    rows.map(|row| row.call.id()).collect()
}

fn node(html: &mut Html, context: &Context<'_>, placed: &Placed<'_>) {
    let call = placed.call;
    let (mark, of_class, words) = state(context.view, call);
    let critical = chain(context).contains(&call.id());
    let title = format!("{}: {}; {words}", call.id(), call.planned.description);
    html.tag("a", &[Attr::To(Anchor::Call(placed.at))], |html| {
        html.leaf("title", "", &title);
        let mut kind = "node";
        if call.planned.background {
            kind = "node background";
        }
        if critical {
            kind = "node critical";
        }
        let corner = [Attr::Number("x", placed.x), Attr::Number("y", placed.y), Attr::Number("rx", 6.0)];
        let [x, y, rx] = corner;
        let size = [Attr::Number("width", BOX.0), Attr::Number("height", BOX.1)];
        let [width, height] = size;
        html.tag("rect", &[Attr::Classes(kind, of_class), x, y, rx, width, height], |_| {});
        let line = |html: &mut Html, down: f64, of_class: &'static str, text: &str, letters: usize| {
            let at =
                [Attr::Number("x", placed.x + 10.0), Attr::Number("y", placed.y + down), class(of_class)];
            html.tag("text", &at, |html| html.short(text, letters));
        };
        line(html, 18.0, "name", &format!("{mark} {}", call.id()), LETTERS.0);
        line(html, 35.0, "sub", &words, LETTERS.1);
    });
}

/// How a call stands, all its instances together.
fn state(view: &RunView, call: &CallView) -> (&'static str, &'static str, String) {
    if call.is_expanded() {
        let (mark, of_class) = match call.standing() {
            Standing::Good => ("✓", "good"),
            Standing::Open => (open_mark(view), "warn"),
            Standing::Mixed => ("!", "warn"),
            Standing::Bad => ("✗", "bad"),
        };
        return (mark, of_class, call.stands());
    }
    match &call.whole {
        Some(whole) if whole.state != State::Waiting => {
            let (mark, of_class, word) = ending(view, whole.outcome.as_ref());
            let took = whole.outcome.as_ref().filter(|outcome| !outcome.took.is_zero());
            let took =
                took.map_or_else(String::new, |outcome: &Outcome| format!(", {}", super::time(outcome.took)));
            let kind = &call.planned.kind;
            (mark, of_class, format!("{kind}, {word}{took}"))
        }
        Some(_) | None => ("·", "dim", view.untouched_word().to_owned()),
    }
}
