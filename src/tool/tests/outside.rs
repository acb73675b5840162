//! Ways out of the workspace, and into `.git`.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A workspace beside a secret, with links to it.
fn walled() -> (TempDir, Workspace) {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.txt"), "secret\n").unwrap();
    let workspace = Workspace::with(&[("in/a.txt", "inside\n"), (".git/config", "[core]\n")]);
    symlink(outside.path(), workspace.path("out")).unwrap();
    symlink(outside.path().join("secret.txt"), workspace.path("leak.txt")).unwrap();
    symlink("../../../../../../etc/passwd", workspace.path("in/up")).unwrap();
    symlink("loop", workspace.path("loop")).unwrap();
    symlink(".git", workspace.path("repository")).unwrap();
    symlink("../.git/config", workspace.path("in/config")).unwrap();
    symlink(workspace.ground.root().join("in"), workspace.path("absolute")).unwrap();
    symlink("nowhere/yet.txt", workspace.path("dangling")).unwrap();
    (outside, workspace)
}

#[tokio::test]
async fn no_path_leads_out_of_the_workspace() {
    let (outside, workspace) = walled();
    let secret = outside.path().join("secret.txt").display().to_string();
    let paths = [
        "../x",
        "in/../../x",
        "out/secret.txt",
        "leak.txt",
        "in/up",
        "/etc/passwd",
        "absolute/../../x",
        secret.as_str(),
        "..",
        "out",
        "out/new.txt",
    ];
    for path in paths {
        for (grant, input) in [
            (ToolGrant::Read, json!({ "path": path })),
            (ToolGrant::Write, json!({ "path": path, "content": "x" })),
            (ToolGrant::Edit, json!({ "path": path, "old": "secret", "new": "x" })),
            (ToolGrant::List, json!({ "path": path })),
            (ToolGrant::Glob, json!({ "path": path, "pattern": "*" })),
            (ToolGrant::Grep, json!({ "path": path, "pattern": "." })),
        ] {
            let said = workspace.call(grant.clone(), input).await;
            let expected = error(&format!(
                "`{path}` is outside the workspace: name a path inside it, relative to its root"
            ));
            assert_eq!(said, expected, "{grant} {path}");
        }
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret\n");
    assert_eq!(names(outside.path()), ["secret.txt"]);
}

#[tokio::test]
async fn links_inside_the_workspace_are_followed() {
    let (_outside, workspace) = walled();
    let read = |path| workspace.call(ToolGrant::Read, json!({ "path": path }));
    assert_eq!(read("absolute/a.txt").await, ok("     1\tinside\n"));
    assert_eq!(read("in/../absolute/./a.txt").await, ok("     1\tinside\n"));
    assert_eq!(read("in/config").await, ok("     1\t[core]\n"));
    assert_eq!(read("loop").await, error("`loop` leads through more than 40 links"));
    assert_eq!(read("in/a.txt/b").await, error("`in/a.txt` is no folder"));
    let dangling = json!({ "path": "dangling", "content": "x" });
    assert_eq!(
        workspace.call(ToolGrant::Write, dangling).await,
        ok("written: `dangling` (1 lines, 1 bytes)")
    );
    assert_eq!(workspace.text("nowhere/yet.txt"), "x");
}

#[tokio::test]
async fn nothing_inside_git_is_written() {
    let (_outside, workspace) = walled();
    for path in [
        ".git/config",
        ".git/hooks/pre-commit",
        "./in/../.git/x",
        ".GIT/config",
        "repository/config",
        "in/config",
        "in/.git/config",
        ".git",
    ] {
        for (grant, input) in [
            (ToolGrant::Write, json!({ "path": path, "content": "x" })),
            (ToolGrant::Edit, json!({ "path": path, "old": "core", "new": "x" })),
        ] {
            let refused = format!("`{path}` is inside `.git`, which no tool writes to");
            assert_eq!(workspace.call(grant, input).await, error(&refused));
        }
    }
    assert_eq!(workspace.text(".git/config"), "[core]\n");
    assert_eq!(names(&workspace.path(".git")), ["config"]);
    assert_eq!(names(&workspace.path("in")), ["a.txt", "config", "up"]);
}

/// Somebody turns a folder into a link that leads out, and back, as fast as they can.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("a.txt"), "secret\n").unwrap();
    std::fs::write(outside.path().join("only-outside.txt"), "secret\n").unwrap();
    let workspace = Workspace::with(&[("dir/a.txt", "inside\n")]);
    symlink(outside.path(), workspace.path("link")).unwrap();
    let (dir, link) = (workspace.path("dir"), workspace.path("link"));
    let done = Arc::new(AtomicBool::new(false));
    let swapper = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let here = rustix::fs::CWD;
                rustix::fs::renameat_with(here, &dir, here, &link, flags).unwrap();
                swaps += 1;
            }
            swaps
        })
    };
    let mut seen = (0, 0);
    for n in 0..400 {
        let read = workspace.call(ToolGrant::Read, json!({ "path": "dir/a.txt" })).await;
        match &read {
            Ok(text) => assert_eq!(text, "     1\tinside\n"),
            Err(_) => seen.0 += 1,
        }
        seen.1 += usize::from(read.is_ok());
        let text = format!("inside\n{n}");
        let _ = workspace.call(ToolGrant::Write, json!({ "path": "dir/b.txt", "content": text })).await;
        let found = workspace.call(ToolGrant::Grep, json!({ "pattern": "secret" })).await;
        assert!(!found.clone().unwrap_or_default().contains("secret\n"), "{found:?}");
        let listed = workspace.call(ToolGrant::Glob, json!({ "pattern": "*" })).await;
        assert!(!listed.clone().unwrap_or_default().contains("only-outside"), "{listed:?}");
    }
    done.store(true, Ordering::Relaxed);
    let swaps = swapper.join().unwrap();
    assert!(swaps > 100 && seen.0 > 0 && seen.1 > 0, "{swaps} swaps, {seen:?}");
    assert_eq!(names(outside.path()), ["a.txt", "only-outside.txt"]);
}
