//! Everything that a plan reads besides itself: prompts, includes, other plans, the project's agents.

use std::path::PathBuf;

use super::*;

/// A folder with these files; the plan is `plan.yaml` in it.
struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let project = Project { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(project.path(".git")).unwrap();
        for (name, text) in files {
            let path = project.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn load(&self, name: &str) -> Loaded {
        load(&self.path(name), &given())
    }

    /// Each fault in a line, with paths from the project's folder.
    fn faults(&self, name: &str) -> Vec<String> {
        let canonical = self.dir.path().canonicalize().unwrap().display().to_string();
        let named = self.dir.path().display().to_string();
        let clean = |line: String| {
            line.replace(&format!("{named}/"), "").replace(&canonical, "ROOT").replace("plan.yaml:", "")
        };
        lines(&self.load(name)).into_iter().map(clean).collect()
    }
}

#[test]
fn a_prompt_in_a_file_is_read_at_load_and_its_faults_are_shown_there() {
    let project = Project::new(&[
        ("plan.yaml", "calls:\n  a: { prompt: { file: prompts/a.md } }\n  b: { run: x }\n"),
        ("prompts/a.md", "# Task\n\nLook at {{ calls.b.output }}.\n"),
    ]);
    let plan = sound(project.load("plan.yaml"));
    let Action::Prompt { prompt, .. } = &plan.calls[0].action else { panic!() };
    assert_eq!(&*prompt.source, "# Task\n\nLook at {{ calls.b.output }}.\n");
    assert_eq!(plan.calls[0].needs.len(), 1);
    std::fs::write(project.path("prompts/a.md"), "# Täsk\n\nLook at é {{ calls.bb.output }}.\n").unwrap();
    assert_eq!(
        project.faults("plan.yaml"),
        ["prompts/a.md:3:20: E0403 there is no call `bb` (did you mean `calls.b`?)"]
    );
}

#[cfg(unix)]
#[test]
fn no_path_leads_out_of_the_plans_folder() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let project = Project::new(&[("sub/plan.yaml", ""), ("near.md", "x")]);
    std::os::unix::fs::symlink(outside.path().join("secret"), project.path("sub/link.md")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path("sub/folder")).unwrap();
    let absolute = outside.path().join("secret").display().to_string();
    for path in
        ["../near.md", "link.md", "folder/secret", &absolute, "~/x", "a/../../near.md", "../gone.md", ""]
    {
        let text = format!("calls:\n  a: {{ prompt: {{ file: '{path}' }} }}\n");
        std::fs::write(project.path("sub/plan.yaml"), text).unwrap();
        let found = project.faults("sub/plan.yaml");
        assert!(found.len() == 1 && found[0].contains("E0211"), "{path}: {found:?}");
    }
    std::fs::write(project.path("sub/plan.yaml"), "calls:\n  a: { prompt: { file: gone.md } }\n").unwrap();
    assert_eq!(
        project.faults("sub/plan.yaml"),
        ["sub/2:24: E0101 `sub/gone.md` cannot be read: there is no such file"]
    );
}

#[test]
fn a_plan_that_cannot_be_read_says_why() {
    let project = Project::new(&[]);
    assert_eq!(
        project.faults("gone.yaml"),
        ["gone.yaml:1:1: E0101 `gone.yaml` cannot be read: there is no such file"]
    );
    std::fs::write(project.path("latin.yaml"), b"name: caf\xe9\ncalls: {}\n").unwrap();
    assert_eq!(
        project.faults("latin.yaml"),
        ["latin.yaml:1:10: E0101 this is not UTF-8 (save the file as UTF-8)"]
    );
}

#[test]
fn includes_are_merged_and_the_nearest_wins() {
    let project = Project::new(&[
        (
            "plans/plan.yaml",
            "include: [../shared/one.yaml, ../shared/two.yaml]\nvars: { a: own }\ncalls:\n  x: { prompt: hi, agent: rev }\n",
        ),
        ("shared/one.yaml", "include: deep/three.yaml\nvars: { a: one, b: one, c: one }\n"),
        (
            "shared/two.yaml",
            "vars: { b: two }\nagents: { rev: { model: lab/m, system: { file: rev.md } } }\n",
        ),
        ("shared/rev.md", "You review {{ vars.a }}."),
        (
            "shared/deep/three.yaml",
            "include: [../one.yaml]\nvars: { c: three, d: three }\nproviders: { lab: { api: openai-chat, base_url: 'http://lab/v1' } }\n",
        ),
    ]);
    assert_eq!(
        project.faults("plans/plan.yaml"),
        [
            "plans/../shared/deep/three.yaml:1:11: E0209 `../one.yaml` includes itself (remove one of the includes)"
        ]
    );
    std::fs::write(
        project.path("shared/deep/three.yaml"),
        "vars: { c: three, d: three }\nproviders: { lab: { api: openai-chat, base_url: 'http://lab/v1' } }\n",
    )
    .unwrap();
    let plan = sound(project.load("plans/plan.yaml"));
    assert_eq!(
        serde_json::Value::Object(plan.vars),
        serde_json::json!({"a": "own", "b": "two", "c": "one", "d": "three"})
    );
    let AgentKind::Model(rev) = &plan.agents["rev"].kind else { panic!() };
    assert_eq!(
        rev.system.as_ref().map(|text| text.source.to_string()).as_deref(),
        Some("You review {{ vars.a }}.")
    );
}

#[test]
fn includes_hold_definitions_only_and_come_from_the_project_only() {
    let project = Project::new(&[
        (
            "plan.yaml",
            "include: [defs.yaml, 'https://evil.test/x.yaml', /etc/hosts]\ncalls: { a: { run: x } }\n",
        ),
        ("defs.yaml", "calls: { b: { run: x } }\nvars: { x: 1 }\n"),
    ]);
    let found = project.faults("plan.yaml");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("E0209 `https://evil.test/x.yaml` is an address"), "{found:?}");
    assert!(found[1].contains("E0211 `/etc/hosts` is no path"), "{found:?}");
    assert!(found[2].contains("defs.yaml:1:1: E0105 unknown key `calls`"), "{found:?}");
}

#[test]
fn a_sub_plan_is_checked_with_the_plan_that_runs_it() {
    let project = Project::new(&[
        (
            "plan.yaml",
            "vars: { t: src }\ncalls:\n  a: { plan: sub/other.yaml, with: { target: '{{ vars.t }}', n: 3, text: 'in {{ vars.t }}!' } }\n  b: { run: 'echo {{ calls.a.output }}' }\n",
        ),
        (
            "sub/other.yaml",
            "vars: { target: { required: true }, n: 1, text: none }\ncalls: { x: { run: 'ls {{ vars.target }}' } }\n",
        ),
    ]);
    let plan = sound(project.load("plan.yaml"));
    let Action::Plan { plan: sub, with } = &plan.calls[0].action else { panic!() };
    assert_eq!((sub.name.as_str(), sub.calls.len()), ("other", 1));
    assert!(sub.dir.ends_with("sub"));
    assert!(matches!(&with[0].1, Computed::Expression(e) if e.source.contains("vars.t")));
    assert!(matches!(&with[1].1, Computed::Literal(n) if *n == 3));
    assert!(matches!(&with[2].1, Computed::Expression(_)));
    std::fs::write(project.path("plan.yaml"), "calls:\n  a: { plan: sub/other.yaml, with: { tagret: x } }\n")
        .unwrap();
    assert_eq!(
        project.faults("plan.yaml"),
        [
            "2:3: E0208 `sub/other.yaml` requires the var `target` (add `with: { target: … }`)",
            "2:38: E0207 `sub/other.yaml` has no var `tagret` (did you mean `target`?)",
        ]
    );
    std::fs::write(project.path("sub/other.yaml"), "calls:\n  x: { rum: ls }\n").unwrap();
    std::fs::write(
        project.path("plan.yaml"),
        "calls:\n  a: { plan: sub/other.yaml }\n  b: { plan: sub/other.yaml }\n",
    )
    .unwrap();
    assert_eq!(
        project.faults("plan.yaml"),
        ["sub/other.yaml:2:8: E0105 unknown key `rum` (did you mean `run`?)"]
    );
}

#[test]
fn plans_that_run_themselves_are_refused() {
    let project = Project::new(&[
        ("a.yaml", "calls: { x: { plan: b.yaml } }"),
        ("b.yaml", "calls: { x: { plan: a.yaml } }"),
    ]);
    assert_eq!(
        project.faults("a.yaml"),
        ["b.yaml:1:21: E0210 the plan runs itself: a.yaml → b.yaml → a.yaml"]
    );
    let deep: Vec<(String, String)> = (0..12)
        .map(|n| (format!("p{n}.yaml"), format!("calls: {{ x: {{ plan: p{}.yaml }} }}", n + 1)))
        .collect();
    let files: Vec<(&str, &str)> = deep.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let found = Project::new(&files).faults("p0.yaml");
    assert_eq!(found, ["p7.yaml:1:21: E0210 plans run plans more than 8 levels deep here"]);
}

#[test]
fn the_projects_own_agents_work_under_their_own_names() {
    let project = Project::new(&[
        (
            "plans/plan.yaml",
            "calls:\n  a: { prompt: hi, agent: reviewer }\n  b: { prompt: hi, agent: plain }\n",
        ),
        (
            ".claude/agents/code-reviewer.md",
            "---\nname: reviewer\ndescription: Reviews code\nmodel: opus\n---\n\nYou review {{ code }}.\n",
        ),
        (".claude/agents/plain.md", "Be brief.\n"),
        (".claude/agents/broken.md", "---\nname: [\n---\nx\n"),
    ]);
    let plan = sound(project.load("plans/plan.yaml"));
    let agent = |name: &str| match &plan.agents[name].kind {
        AgentKind::Model(model) => model.clone(),
        AgentKind::Command(command) => panic!("{command:?}"),
    };
    assert_eq!(agent("reviewer").models[0].to_string(), "anthropic/claude-opus-5");
    let system = agent("reviewer").system.unwrap();
    assert_eq!(&*system.source, "You review {{ code }}.");
    assert!(system.is_literal(), "what stands there is text, not a template");
    assert_eq!(agent("plain").models[0].to_string(), "anthropic/claude-sonnet-5");
    assert_eq!(plan.agents.len(), 2, "only those that a call uses");

    std::fs::write(
        project.path(".claude/agents/plain.md"),
        "---\nname: plain\ntools: Read, Bash(git log:*), WebFetch\n---\nx\n",
    )
    .unwrap();
    std::fs::write(project.path("plans/plan.yaml"), "calls:\n  a: { prompt: hi, agent: plain }\n  b: { prompt: hi, agent: reviwer }\n  c: { prompt: hi, agent: broken }\n").unwrap();
    let found = project.faults("plans/plan.yaml");
    assert!(found[0].contains("E0204 there is no agent `reviwer` (did you mean `reviewer`?)"), "{found:?}");
    assert!(
        found.iter().any(|line| line.starts_with(
            ".claude/agents/plain.md:3:1: warning[E0302 this agent works without `WebFetch`: no such tool here"
        )),
        "{found:?}"
    );
    assert!(found[2].contains("broken.md:1:1: E0102 the front matter is not YAML"), "{found:?}");
}
