//! The plans of the sweep: one for each way in which work is asked for and put together.

/// Commands side by side and in turn, one in the background, one that must not be repeated.
const COMMANDS: &str = r#"
name: commands
vars: { tag: none }
calls:
  server: { run: "echo server >> effects; echo up", background: true }
  a: { run: "echo a >> effects; echo A" }
  b: { run: "echo b >> effects; echo {{ calls.a.output }}", on_interrupt: fail }
  c: { run: "echo c >> effects; exit 3", retries: 0, on_error: ignore }
  d: { run: "echo d >> effects; echo {{ calls.a.output }}{{ calls.b.output }}", needs: { c: done } }
  e: { value: "calls.d.output ~ '!'" }
  f: { run: "echo f >> effects; echo {{ calls.e.output }}" }
"#;

/// Lists that are known beforehand, lists that a call makes, samples, a matrix.
const LISTS: &str = r#"
name: lists
vars: { tag: none }
calls:
  names: { run: "echo names >> effects; echo '[\"x\",\"y\",\"z\"]'", output: { format: json } }
  each: { for_each: "calls.names.json", run: "echo each-{{ item }} >> effects; echo got {{ item }}" }
  same: { samples: 3, run: "echo same-{{ index }} >> effects; echo s" }
  grid: { matrix: { os: [l, m], v: [1, 2] }, run: "echo grid-{{ matrix.os }}{{ matrix.v }} >> effects; echo ok", needs: [names] }
  all: { run: "echo all >> effects; wc -l", stdin: "{% for one in calls.each.outputs %}{{ one.output }}\n{% endfor %}", needs: [grid] }
reconcile: { strategy: compare, of: [each] }
"#;

/// Prompts side by side, in turn, and as a list.
const MODELS: &str = r#"
name: models
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
agents: { m: { model: lab/tiny, tools: [] } }
defaults: { agent: m }
vars: { tag: none }
calls:
  one: { prompt: "{{ vars.tag }} one" }
  two: { prompt: "{{ vars.tag }} two" }
  list: { for_each: [p, q, r], prompt: "{{ vars.tag }} list {{ item }}" }
  join: { prompt: "{{ vars.tag }} join {{ calls.one.output }}", needs: [two, list] }
  use: { run: "echo use >> effects; cat", stdin: "{{ calls.join.output }}" }
reconcile: { strategy: vote, of: [list] }
"#;

/// Rounds, answers that are asked for again, checks.
const REPEATS: &str = r#"
name: repeats
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
agents: { m: { model: lab/tiny, tools: [] } }
vars: { tag: none }
calls:
  rounds: { run: "echo round-{{ round }} >> effects; echo {{ round }}", repeat: { until: "round >= 3", max: 5 } }
  talk: { prompt: "{{ vars.tag }} talk round {{ round }}", agent: m, repeat: { until: "round >= 3", max: 5, fresh: true } }
  shape:
    prompt: "{{ vars.tag }} shape"
    agent: m
    attempts: 3
    check: "grep -q 'third'"
  checked: { run: "echo checked >> effects; echo fine", check: "grep -q fine", needs: [rounds] }
"#;

/// Parent steps in the middle and at the end, a program among them, and a plan inside a plan.
const STEPS: &str = r#"
name: steps
vars: { tag: none }
calls:
  l: { run: "echo l >> effects; echo 1" }
  r: { run: "echo r >> effects; echo 2" }
  mid: { reconcile: { of: [l, r], strategy: command, command: "echo mid >> effects; echo merged" } }
  inner: { plan: inner.yaml, with: { who: "calls.mid.output" } }
  last: { run: "echo last >> effects; echo {{ calls.inner.output }}" }
reconcile: { strategy: command, command: "echo end >> effects; echo decided" }
"#;

pub(super) const INNER: &str = r#"
name: inner
vars: { who: nobody }
calls:
  x: { run: "echo x >> effects; echo {{ vars.who }}" }
  y: { run: "echo y >> effects; echo {{ calls.x.output }}" }
reconcile: { of: [y] }
"#;

/// Agents that work: files, commands, background jobs, subagents and a tool server; one of a list that a
/// command makes, one in rounds; conflicts that the parent's model settles.
const TOOLS: &str = r#"
name: tools
goal: "{{ vars.tag }} goal"
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
mcp: { notes: { command: [sh, notes.sh] } }
agents:
  w: { model: lab/tiny, tools: [read, write, edit, bash, background_run, agent, "mcp(notes)"] }
  s: { model: lab/tiny, tools: [bash] }
  p: { model: lab/tiny, tools: [] }
parent: p
vars: { tag: none }
limits: { concurrency: 4 }
defaults: { timeout: 120s }
calls:
  work: { prompt: "{{ vars.tag }} task work: files shell job helper notes", agent: w }
  names: { run: "echo names >> effects; echo '[\"x\",\"y\"]'", output: { format: json } }
  each: { for_each: "calls.names.json", prompt: "{{ vars.tag }} task each-{{ item }}: shell", agent: s }
  rounds: { prompt: "{{ vars.tag }} task round-{{ round }}: shell", agent: s, repeat: { until: "round >= 2", max: 3, fresh: true } }
  mid: { reconcile: { of: [each], strategy: vote, on_conflict: decide } }
  last: { run: "echo last >> effects; cat", stdin: "{{ calls.mid.output }}", needs: [work, rounds] }
reconcile: { strategy: command, of: [work, last], command: "echo end >> effects; wc -l" }
"#;

/// A tool server of one tool, which has an effect.
pub(super) const NOTES: &str = r#"
while read -r line; do id=${line#*'"id":'}; id=${id%%[,\}]*}
case $line in
*'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id";;
*'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}}\n' "$id";;
*'"notifications/'*) ;;
*'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"note","description":"Notes it.","inputSchema":{"type":"object","properties":{"mark":{"type":"string"}}}}]}}\n' "$id";;
*) mark=${line#*'"mark":"'}; mark=${mark%%\"*}; echo "$mark" >> effects
   printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"noted"}]}}\n' "$id";;
esac; done
"#;

/// One of the plans.
#[derive(Clone, Copy)]
pub(super) struct Swept {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    /// Fewer points than this mean that the hook does not kill.
    pub(super) least: u32,
    /// Agents that look before they repeat something ask more when they were interrupted.
    pub(super) looks: bool,
}

pub(super) const PLANS: [Swept; 6] = [
    Swept { name: "commands", text: COMMANDS, least: 40, looks: false },
    Swept { name: "lists", text: LISTS, least: 40, looks: false },
    Swept { name: "models", text: MODELS, least: 40, looks: false },
    Swept { name: "repeats", text: REPEATS, least: 40, looks: false },
    Swept { name: "steps", text: STEPS, least: 40, looks: false },
    Swept { name: "tools", text: TOOLS, least: 150, looks: true },
];
