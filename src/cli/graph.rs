//! `fanout graph`: a plan's calls as text by turns, as Mermaid and as Graphviz dot.
//!
//! Invariants: plan and graph in, text out; nothing is read, run or printed. Whatever a plan
//! calls its calls, the text stays on its lines, and the diagrams stay valid: nodes are
//! numbered, and what people wrote only ever stands, escaped, in a quoted label.

use std::collections::HashSet;
use std::fmt::Write;

use crate::graph::{CallGraph, instances};
use crate::plan::{Call, Plan, Reconcile};

/// A turn shows at most so many calls as text; the rest is counted.
const CALLS_A_TURN: usize = 60;
/// The text shows at most so many turns; the rest is counted.
const TURNS: usize = 60;
/// A list of calls names at most so many; the rest is counted.
const NAMES_A_LIST: usize = 8;
/// The critical path names at most so many calls at each of its ends.
const ENDS_OF_A_PATH: usize = 10;
/// Descriptions are cut after so many characters.
const DESCRIPTION: usize = 60;
/// Mermaid draws no more edges than this unless its `maxEdges` is raised.
const MERMAID_EDGES: usize = 500;

/// The graph for people: turns with ids, descriptions and needs, the last step, the critical path.
///
/// Ends with a line feed. Of a turn 60 calls are shown and of a plan 60 turns; the rest is counted.
pub fn text(plan: &Plan, graph: &CallGraph) -> String {
    let mut out = String::new();
    let turns = graph.turns();
    let calls = count(graph.len(), "call");
    line(&mut out, format_args!("{}: {calls} in {}", one_line(&plan.name), count(turns.len(), "turn")));
    for (number, turn) in turns.iter().take(TURNS).enumerate() {
        line(&mut out, format_args!("\nturn {}", number + 1));
        let shown: Vec<(usize, &Call)> = calls_at(plan, turn).take(CALLS_A_TURN).collect();
        let width = shown.iter().map(|(_, call)| call.id.as_str().len()).max().unwrap_or(0);
        for &(position, call) in &shown {
            line(
                &mut out,
                format_args!("  {:width$}  {}", call.id.as_str(), about(plan, graph, position, call)),
            );
        }
        if turn.len() > shown.len() {
            line(&mut out, format_args!("  … and {} more", turn.len() - shown.len()));
        }
    }
    if turns.len() > TURNS {
        let calls = turns.iter().skip(TURNS).map(Vec::len).sum();
        line(
            &mut out,
            format_args!("\n… and {} more turns with {}", turns.len() - TURNS, count(calls, "call")),
        );
    }
    let Reconcile { strategy, of, .. } = &plan.reconcile;
    line(&mut out, format_args!("\nreconcile  {} of {}", one_line(&strategy.name), names(plan, of)));
    let path = graph.longest_chain();
    if path.len() > 1 {
        line(
            &mut out,
            format_args!("\ncritical path  {} ({})", chain(plan, &path), count(path.len(), "call")),
        );
    }
    // Nothing to say about a call leaves spaces behind its id.
    out.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// The graph as a Mermaid flowchart: one box a turn, thick arrows for data, dotted ones for order alone.
///
/// Background calls have a dashed border, calls on the critical path a thick one.
pub fn mermaid(plan: &Plan, graph: &CallGraph) -> String {
    let mut out = String::from("flowchart TD\n");
    let edges: usize = (0..graph.len()).map(|call| graph.needs(call).len()).sum();
    if edges + plan.reconcile.of.len() > MERMAID_EDGES {
        line(&mut out, format_args!("  %% more than {MERMAID_EDGES} edges: raise maxEdges to draw them"));
    }
    for (number, turn) in graph.turns().iter().enumerate() {
        line(&mut out, format_args!("  subgraph t{0}[\"turn {0}\"]", number + 1));
        for (position, call) in calls_at(plan, turn) {
            let label = label(call, mermaid_escaped, "<br/>");
            line(&mut out, format_args!("    n{position}[\"{label}\"]"));
        }
        out.push_str("  end\n");
    }
    line(
        &mut out,
        format_args!("  r{{{{\"reconcile<br/>{}\"}}}}", mermaid_escaped(&plan.reconcile.strategy.name)),
    );
    for call in 0..graph.len() {
        for need in graph.needs(call) {
            line(
                &mut out,
                format_args!("  n{} {} n{call}", need.call, if need.data { "==>" } else { "-.->" }),
            );
        }
    }
    for call in &plan.reconcile.of {
        line(&mut out, format_args!("  n{call} ==> r"));
    }
    let in_background = plan.calls.iter().enumerate().filter(|(_, call)| call.background);
    let background: Vec<usize> = in_background.map(|(position, _)| position).collect();
    for (class, style, calls) in [
        ("background", "stroke-dasharray:5 5", background),
        ("critical", "stroke-width:4px", graph.longest_chain()),
    ] {
        if !calls.is_empty() {
            let nodes: Vec<String> = calls.iter().map(|call| format!("n{call}")).collect();
            line(&mut out, format_args!("  classDef {class} {style}\n  class {} {class}", nodes.join(",")));
        }
    }
    out
}

/// The graph in Graphviz' dot language: one rank a turn, bold arrows for data, dashed ones for order alone.
///
/// Background calls have a dashed border, calls on the critical path a thick one.
pub fn dot(plan: &Plan, graph: &CallGraph) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("digraph \"{}\" {{\n  node [shape=box]", dot_escaped(&one_line(&plan.name))));
    let critical: HashSet<usize> = graph.longest_chain().into_iter().collect();
    for turn in graph.turns() {
        out.push_str("  { rank=same\n");
        for (position, call) in calls_at(plan, &turn) {
            let label = label(call, dot_escaped, "\\n");
            let dashed = if call.background { ", style=dashed" } else { "" };
            let thick = if critical.contains(&position) { ", penwidth=3" } else { "" };
            line(&mut out, format_args!("    n{position} [label=\"{label}\"{dashed}{thick}]"));
        }
        out.push_str("  }\n");
    }
    let strategy = dot_escaped(&one_line(&plan.reconcile.strategy.name));
    line(&mut out, format_args!("  r [label=\"reconcile\\n{strategy}\", shape=hexagon]"));
    for call in 0..graph.len() {
        for need in graph.needs(call) {
            let style = if need.data { "bold" } else { "dashed" };
            line(&mut out, format_args!("  n{} -> n{call} [style={style}]", need.call));
        }
    }
    for call in &plan.reconcile.of {
        line(&mut out, format_args!("  n{call} -> r [style=bold]"));
    }
    out.push_str("}\n");
    out
}

/// Text from a plan on one line, without anything that moves a cursor or turns the writing round.
pub(super) fn one_line(text: &str) -> String {
    let plain = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (c.is_control() && !c.is_whitespace()) { '\u{fffd}' } else { c }
    };
    let text: String = text.chars().map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `1 call`, `3 calls`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The ids of some calls; a long list is cut and counted.
pub(super) fn names(plan: &Plan, calls: &[usize]) -> String {
    let ids: Vec<&str> = calls.iter().take(NAMES_A_LIST).map(|&call| id(plan, call)).collect();
    match calls.len().saturating_sub(NAMES_A_LIST) {
        _ if calls.is_empty() => "nothing".to_owned(),
        0 => ids.join(", "),
        more => format!("{} and {more} more", ids.join(", ")),
    }
}

/// A chain of calls with arrows; a long one is cut in its middle.
pub(super) fn chain(plan: &Plan, path: &[usize]) -> String {
    let mut ids: Vec<&str> = path.iter().map(|&call| id(plan, call)).collect();
    let middle = path.len().saturating_sub(2 * ENDS_OF_A_PATH);
    let left_out = format!("({middle} more)");
    if middle > 1 {
        ids.splice(ENDS_OF_A_PATH..ENDS_OF_A_PATH + middle, [left_out.as_str()]);
    }
    ids.join(" → ")
}

/// What stands behind a call's id: its description, how often, in the background, and what it needs.
fn about(plan: &Plan, graph: &CallGraph, position: usize, call: &Call) -> String {
    let mut parts = Vec::new();
    if call.description != call.id.as_str() {
        parts.push(cut(&one_line(&call.description)));
    }
    if call.expand.is_some() {
        parts.push(instances(call).most.map_or("×?".to_owned(), |most| format!("×{most}")));
    }
    if call.background {
        parts.push("background".to_owned());
    }
    for (data, word) in [(true, "reads"), (false, "after")] {
        let needs: Vec<usize> =
            graph.needs(position).filter(|need| need.data == data).map(|need| need.call).collect();
        if !needs.is_empty() {
            parts.push(format!("{word} {}", names(plan, &needs)));
        }
    }
    parts.join(" · ")
}

fn id(plan: &Plan, call: usize) -> &str {
    plan.calls.get(call).map_or("?", |call| call.id.as_str())
}

fn calls_at<'a>(plan: &'a Plan, positions: &'a [usize]) -> impl Iterator<Item = (usize, &'a Call)> {
    positions.iter().filter_map(|&position| Some((position, plan.calls.get(position)?)))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(DESCRIPTION) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A node's label: the id, and the description below it where there is one.
fn label(call: &Call, escaped: fn(&str) -> String, newline: &str) -> String {
    let id = escaped(call.id.as_str());
    if call.description == call.id.as_str() {
        return id;
    }
    format!("{id}{newline}{}", escaped(&cut(&one_line(&call.description))))
}

/// Text for a quoted Mermaid label: everything that its grammar, its directives or HTML could
/// read becomes a numbered entity (`#34;`), colons too, since Mermaid edits lines with `style…:`.
fn mermaid_escaped(text: &str) -> String {
    one_line(text).chars().fold(String::new(), |mut out, c| {
        if c.is_alphanumeric() || " _-.,/()…".contains(c) {
            out.push(c);
        } else {
            line_less(&mut out, format_args!("#{};", u32::from(c)));
        }
        out
    })
}

/// Text for a quoted dot label: backslashes, quotes and HTML entities mean themselves.
fn dot_escaped(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    line_less(out, text);
    out.push('\n');
}

fn line_less(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::sample::Sample;
    use crate::plan::Expand;

    fn tour() -> Plan {
        Sample::new()
            .run("client", "npm run generate-client")
            .background("client")
            .edit("client", |call| call.description = "Regenerate the API client".to_owned())
            .prompt("graph", "Map the call graph.")
            .prompt("history", "Summarise every commit.")
            .edit("history", |call| call.expand = Some(Expand::Samples(3)))
            .prompt("diff", "Given {{ calls.graph.output }} diff each function.")
            .edit("diff", |call| call.description = "What changed".to_owned())
            .needs("diff", "history")
            .build()
    }

    fn hostile() -> Plan {
        let text = "\"]; end %%{init}%% <b>&amp;\n`x` #quot; \\N style:\"#y\" \u{1b}[2J\u{202e}--> n0 {{}}";
        Sample::new()
            .run("end", "true")
            .edit("end", |call| call.description = text.to_owned())
            .run("subgraph", "true")
            .needs("subgraph", "end")
            .edit("subgraph", |call| call.description = text.repeat(3))
            .with(|plan| plan.name = text.to_owned())
            .build()
    }

    #[test]
    fn the_text_shows_turns_needs_and_the_critical_path() {
        let plan = tour();
        assert_eq!(
            text(&plan, &CallGraph::of(&plan)),
            "\
sample: 4 calls in 2 turns

turn 1
  client   Regenerate the API client · background
  graph
  history  ×3

turn 2
  diff  What changed · reads graph · after history

reconcile  collect of client, history, diff

critical path  graph → diff (2 calls)
"
        );
    }

    #[test]
    fn mermaid_shows_data_thick_and_order_dotted() {
        let plan = tour();
        assert_eq!(
            mermaid(&plan, &CallGraph::of(&plan)),
            "\
flowchart TD
  subgraph t1[\"turn 1\"]
    n0[\"client<br/>Regenerate the API client\"]
    n1[\"graph\"]
    n2[\"history\"]
  end
  subgraph t2[\"turn 2\"]
    n3[\"diff<br/>What changed\"]
  end
  r{{\"reconcile<br/>collect\"}}
  n1 ==> n3
  n2 -.-> n3
  n0 ==> r
  n2 ==> r
  n3 ==> r
  classDef background stroke-dasharray:5 5
  class n0 background
  classDef critical stroke-width:4px
  class n1,n3 critical
"
        );
    }

    #[test]
    fn dot_shows_data_bold_and_order_dashed() {
        let plan = tour();
        assert_eq!(
            dot(&plan, &CallGraph::of(&plan)),
            "\
digraph \"sample\" {
  node [shape=box]
  { rank=same
    n0 [label=\"client\\nRegenerate the API client\", style=dashed]
    n1 [label=\"graph\", penwidth=3]
    n2 [label=\"history\"]
  }
  { rank=same
    n3 [label=\"diff\\nWhat changed\", penwidth=3]
  }
  r [label=\"reconcile\\ncollect\", shape=hexagon]
  n1 -> n3 [style=bold]
  n2 -> n3 [style=dashed]
  n0 -> r [style=bold]
  n2 -> r [style=bold]
  n3 -> r [style=bold]
}
"
        );
    }

    #[test]
    fn what_people_write_cannot_leave_its_label() {
        let plan = hostile();
        let graph = CallGraph::of(&plan);
        for line in mermaid(&plan, &graph).lines() {
            let quotes = line.matches('"').count();
            assert!(quotes == 0 || quotes == 2, "{line}");
            let label = line.split('"').nth(1).unwrap_or("").replace("<br/>", "");
            assert!(!label.contains(['<', '>', '&', '%', '`', ':', '{', '\\', '\u{1b}']), "{line}");
        }
        for line in dot(&plan, &graph).lines() {
            let unescaped = line.replace("\\\\", "").replace("\\\"", "");
            assert!(unescaped.matches('"').count() % 2 == 0, "{line}");
            assert!(!line.contains('\u{1b}') && !line.contains("&\u{20}"), "{line}");
        }
        assert_eq!(dot_escaped(r#"a\"b\N&lt;"#), r#"a\\\"b\\N&amp;lt;"#);
        assert_eq!(mermaid_escaped("a\"b#quot;"), "a#34;b#35;quot#59;");
        let text = text(&plan, &graph);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert_eq!(text.lines().count(), 11, "{text}");
    }

    #[test]
    fn a_thousand_calls_are_folded_with_their_counts() {
        let wide = (0..1000).fold(Sample::new(), |sample, n| sample.run(&format!("c{n}"), "true")).build();
        let wide = text(&wide, &CallGraph::of(&wide));
        assert!(wide.contains("\n  … and 940 more\n"), "{wide}");
        assert!(
            wide.contains("\nreconcile  collect of c0, c1, c2, c3, c4, c5, c6, c7 and 992 more\n"),
            "{wide}"
        );
        assert!(wide.lines().count() < 70);

        let deep = (0..100).fold(Sample::new(), |sample, n| {
            let sample = sample.run(&format!("c{n}"), "true");
            if n == 0 { sample } else { sample.needs(&format!("c{n}"), &format!("c{}", n - 1)) }
        });
        let deep = deep.build();
        let deep = text(&deep, &CallGraph::of(&deep));
        assert!(
            deep.contains("\nturn 60\n  c59  after c58\n\n… and 40 more turns with 40 calls\n"),
            "{deep}"
        );
        assert!(
            deep.ends_with(
                "c9 → (80 more) → c90 → c91 → c92 → c93 → c94 → c95 → c96 → c97 → c98 → c99 (100 calls)\n"
            ),
            "{deep}"
        );
    }

    #[test]
    fn a_graph_of_another_plan_is_drawn_without_a_panic() {
        let graph = CallGraph::of(&tour());
        let empty = Sample::new().build();
        for draw in [text, mermaid, dot] {
            assert!(!draw(&empty, &graph).is_empty());
        }
    }
}
