//! `grep` and `glob`.

use super::*;

fn project() -> Workspace {
    let workspace = Workspace::with(&[
        (".gitignore", "target/\n"),
        (".hidden/conf.toml", "needle = 1\n"),
        ("b/two.rs", "fn two() {}\n// needle\nfn end() {}\n"),
        ("a/one.rs", "// Needle\nlet needle = 1;\n"),
        ("target/built.rs", "needle\n"),
        (".git/needle", "needle\n"),
    ]);
    workspace.put("data.bin", b"needle\0needle\n");
    workspace
}

#[tokio::test]
async fn matches_come_by_path_and_line_without_what_git_ignores() {
    let workspace = project();
    let grep = |input| workspace.call(ToolGrant::Grep, input);
    let all = ".hidden/conf.toml:1:needle = 1\na/one.rs:2:let needle = 1;\nb/two.rs:2:// needle\n";
    assert_eq!(grep(json!({ "pattern": "needle" })).await, ok(all));
    let some = grep(json!({ "pattern": "NEEDLE", "ignore_case": true, "glob": "*.rs", "path": "a" })).await;
    assert_eq!(some, ok("a/one.rs:1:// Needle\na/one.rs:2:let needle = 1;\n"));
    let around = grep(json!({ "pattern": "needle", "context": 1, "glob": "**/*.rs" })).await;
    let expected = "a/one.rs-1-// Needle\na/one.rs:2:let needle = 1;\n--\nb/two.rs-1-fn two() {}\n\
                    b/two.rs:2:// needle\nb/two.rs-3-fn end() {}\n";
    assert_eq!(around, ok(expected));
    let files = grep(json!({ "pattern": "needle", "files_only": true })).await;
    assert_eq!(files, ok(".hidden/conf.toml\na/one.rs\nb/two.rs\n"));
    let literal = grep(json!({ "pattern": "two() {", "literal": true, "path": "b/two.rs" })).await;
    assert_eq!(literal, ok("b/two.rs:1:fn two() {}\n"));
    assert_eq!(grep(json!({ "pattern": "none" })).await, ok("no matches\n"));
    assert_eq!(grep(json!({ "pattern": "x", "path": "none" })).await, error("there is no `none`"));
    let wrong = grep(json!({ "pattern": "two(" })).await.unwrap_err();
    assert!(wrong.starts_with("the pattern cannot be used: regex parse error"), "{wrong}");
}

#[tokio::test]
async fn what_is_too_much_is_counted() {
    let workspace = Workspace::new();
    workspace.put("a.txt", "needle\n".repeat(500));
    workspace.put("b.txt", format!("needle {}\n", "x".repeat(100_000)));
    let few = workspace.call(ToolGrant::Grep, json!({ "pattern": "needle", "limit": 2 })).await;
    let expected = "a.txt:1:needle\na.txt:2:needle\n\
                    [the first 2 of 501 matching lines in 2 files; narrow `pattern`, `path` or `glob`]\n";
    assert_eq!(few, ok(expected));
    let long =
        workspace.call(ToolGrant::Grep, json!({ "pattern": "needle", "path": "b.txt" })).await.unwrap();
    assert!(long.len() < 600 && long.ends_with("x […]\n"), "{}", long.len());
}

#[tokio::test]
async fn files_are_found_by_name_in_order() {
    let workspace = project();
    let glob = |pattern| workspace.call(ToolGrant::Glob, json!({ "pattern": pattern }));
    assert_eq!(glob("*.rs").await, ok("a/one.rs\nb/two.rs\n"));
    assert_eq!(glob("./b/*.rs").await, ok("b/two.rs\n"));
    assert_eq!(glob("{a,.hidden}/*").await, ok(".hidden/conf.toml\na/one.rs\n"));
    assert_eq!(glob("*.py").await, ok("no file matches `*.py`\n"));
    let wrong = glob("a{").await.unwrap_err();
    assert!(wrong.starts_with("the pattern cannot be used: error parsing glob"), "{wrong}");
    let under = workspace.call(ToolGrant::Glob, json!({ "pattern": "*", "path": "b" })).await;
    assert_eq!(under, ok("b/two.rs\n"));
    (0..1002).for_each(|n| workspace.put(&format!("many/{n:04}.md"), ""));
    let many = glob("*.md").await.unwrap();
    assert!(many.ends_with("many/0999.md\n[2 more left out: narrow `pattern` or `path`]\n"));
}

/// A home folder under git's control often ignores everything.
#[tokio::test]
async fn ignore_files_around_a_workspace_without_a_repository_do_not_count() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".gitignore"), "*\n").unwrap();
    let folder = home.path().join("work/sub");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(home.path().join("work/.gitignore"), "*.log\n").unwrap();
    std::fs::write(folder.join("a.txt"), "").unwrap();
    std::fs::write(folder.join("a.log"), "").unwrap();
    let mut workspace = Workspace::new();
    workspace.ground = Ground::new(&home.path().join("work")).unwrap();
    for path in [".", "sub"] {
        let found = workspace.call(ToolGrant::Glob, json!({ "pattern": "a.*", "path": path })).await;
        assert_eq!(found, ok("sub/a.txt\n"), "{path}");
    }
}
