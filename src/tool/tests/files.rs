//! `read`, `write`, `edit` and `list`.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn a_file_is_read_with_its_line_numbers() {
    let workspace = Workspace::with(&[("a.txt", "one\r\ntwo\nthree")]);
    let read = |input| workspace.call(ToolGrant::Read, input);
    assert_eq!(read(json!({ "path": "a.txt" })).await, ok("     1\tone\n     2\ttwo\n     3\tthree\n"));
    let some = read(json!({ "path": "./a.txt", "offset": 2, "limit": 1 })).await;
    assert_eq!(some, ok("     2\ttwo\n[lines 2 to 2 of 3 lines; go on with `offset: 3`]\n"));
    let behind = read(json!({ "path": "a.txt", "offset": 9 })).await;
    assert_eq!(behind, error("`a.txt` has no line 9: it ends before that"));
    let absolute = workspace.ground.root().join("a.txt");
    assert_eq!(read(json!({ "path": absolute, "offset": 3 })).await, ok("     3\tthree\n"));
}

#[tokio::test]
async fn what_is_no_text_is_named_and_not_shown() {
    let workspace = Workspace::new();
    workspace.put("image.png", b"\x89PNG\r\n\x1a\n0000");
    workspace.put("program", b"\x7fELF\0\0\0");
    workspace.put("wide.txt", b"\xff\xfea\0");
    workspace.put("latin.txt", b"caf\xe9\n");
    workspace.put("empty", b"");
    std::fs::create_dir(workspace.path("folder")).unwrap();
    let read = |path| workspace.call(ToolGrant::Read, json!({ "path": path }));
    let not_shown = |what: &str| error(&format!("{what}, which is not shown as text"));
    assert_eq!(read("image.png").await, not_shown("`image.png` is an image (PNG) of 12 bytes"));
    assert_eq!(read("program").await, not_shown("`program` is a binary file of 7 bytes"));
    let wide = "`wide.txt` is a text in UTF-16, and would have to be converted to UTF-8 of 4 bytes";
    assert_eq!(read("wide.txt").await, not_shown(wide));
    assert_eq!(read("latin.txt").await, ok("     1\tcaf\u{fffd}\n"));
    assert_eq!(read("empty").await, ok("(`empty` is empty)"));
    assert_eq!(read("folder").await, error("`folder` is a folder: use `list`"));
    assert_eq!(read("none").await, error("there is no `none`"));
}

#[tokio::test]
async fn a_pipe_that_nobody_writes_to_does_not_hold_up_a_read() {
    let workspace = Workspace::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, workspace.path("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let read = workspace.call(ToolGrant::Read, json!({ "path": "pipe" })).await;
    assert_eq!(read, error("`pipe` is no regular file"));
    let write = workspace.call(ToolGrant::Write, json!({ "path": "pipe", "content": "x" })).await;
    assert_eq!(write, error("`pipe` is no regular file"));
}

#[tokio::test]
async fn of_a_huge_file_a_part_is_shown_and_the_rest_counted() {
    let workspace = Workspace::new();
    workspace.put("long.txt", "line\n".repeat(100_000));
    workspace.put("wide.txt", "é".repeat(5_000_000));
    let long = workspace.call(ToolGrant::Read, json!({ "path": "long.txt" })).await.unwrap();
    assert!(long.ends_with("  2000\tline\n[lines 1 to 2000 of 100000 lines; go on with `offset: 2001`]\n"));
    let all = workspace.call(ToolGrant::Read, json!({ "path": "long.txt", "limit": 90_000 })).await.unwrap();
    assert!(
        all.len() < 110 * 1024 && all.ends_with("of 100000 lines; go on with `offset: 8535`]\n"),
        "{}",
        all.len()
    );
    let wide = workspace.call(ToolGrant::Read, json!({ "path": "wide.txt" })).await.unwrap();
    assert_eq!(wide.len(), 7 + 2000 + " [… 9997999 more bytes of this line …]\n".len());
}

#[tokio::test]
async fn a_file_is_written_with_the_folders_on_its_way() {
    let workspace = Workspace::new();
    let write =
        |text: &str| workspace.call(ToolGrant::Write, json!({ "path": "a/b/c.txt", "content": text }));
    assert_eq!(write("one\ntwo\n").await, ok("written: `a/b/c.txt` (2 lines, 8 bytes)"));
    assert_eq!(write("three\n").await, ok("replaced: `a/b/c.txt` (1 lines, 6 bytes)"));
    assert_eq!(workspace.text("a/b/c.txt"), "three\n");
    assert_eq!(names(&workspace.path("a/b")), ["c.txt"]);
}

#[tokio::test]
async fn a_changed_file_keeps_its_mode_and_its_line_endings() {
    let workspace = Workspace::with(&[("dos.bat", "one\r\ntwo\r\nthree\r\n")]);
    let mode = |n| std::fs::Permissions::from_mode(n);
    std::fs::set_permissions(workspace.path("dos.bat"), mode(0o754)).unwrap();
    let edited = json!({ "path": "dos.bat", "old": "one\ntwo", "new": "1\n2" });
    assert_eq!(workspace.call(ToolGrant::Edit, edited).await, ok("edited: `dos.bat`, 1 place"));
    assert_eq!(workspace.text("dos.bat"), "1\r\n2\r\nthree\r\n");
    let whole = json!({ "path": "dos.bat", "content": "x\ny\n" });
    let said = workspace.call(ToolGrant::Write, whole).await;
    assert_eq!(said, ok("replaced: `dos.bat` (2 lines, 6 bytes, with its CRLF line endings)"));
    assert_eq!(workspace.text("dos.bat"), "x\r\ny\r\n");
    assert_eq!(workspace.path("dos.bat").metadata().unwrap().permissions().mode() & 0o7777, 0o754);
    assert_eq!(names(workspace.folder.path()), ["dos.bat"]);
}

#[tokio::test]
async fn an_edit_says_why_it_cannot_be_made() {
    let text = "fn one() {\n    call();\n}\nfn two() {\n    call();\n}\n";
    let workspace = Workspace::with(&[("a.rs", text)]);
    workspace.put("latin.txt", b"caf\xe9\n");
    let edit = |path: &str, old: &str, new: &str| {
        workspace.call(ToolGrant::Edit, json!({ "path": path, "old": old, "new": new }))
    };
    let twice = "`a.rs`: `old` stands 2 times, at lines 2, 5: take in lines around the one that is meant, or \
                 set `replace_all`";
    assert_eq!(edit("a.rs", "call();", "other();").await, error(twice));
    let blanks = "`a.rs`: `old` stands at line 1 with other blanks or blank lines: read that line again and \
                  copy it exactly";
    assert_eq!(edit("a.rs", "fn one() {\n  call();", "x").await, error(blanks));
    let first = "`a.rs`: `old` does not stand in it; its first line does, at line 4, but goes on differently";
    assert_eq!(edit("a.rs", "fn two() {\n    none();", "x").await, error(first));
    let none = "`a.rs`: `old` does not stand in it: read the file again and copy the text exactly";
    assert_eq!(edit("a.rs", "three", "x").await, error(none));
    assert_eq!(edit("a.rs", "x", "x").await, error("`old` and `new` are the same: nothing would change"));
    let empty = "`old` is empty: to make a file or replace all of it use `write`";
    assert_eq!(edit("a.rs", "", "x").await, error(empty));
    assert_eq!(edit("b.rs", "a", "x").await, error("there is no `b.rs`: use `write` to make it"));
    let latin = "`latin.txt` is no UTF-8 text (the byte at 3 is none), and is not edited";
    assert_eq!(edit("latin.txt", "caf", "tea").await, error(latin));
    assert_eq!(workspace.text("a.rs"), text);

    let all = json!({ "path": "a.rs", "old": "call();", "new": "other();", "replace_all": true });
    assert_eq!(workspace.call(ToolGrant::Edit, all).await, ok("edited: `a.rs`, 2 places"));
    assert_eq!(workspace.text("a.rs"), text.replace("call", "other"));
}

#[tokio::test]
async fn on_read_only_ground_nothing_is_written() {
    let mut workspace = Workspace::with(&[("a.txt", "one\n")]);
    workspace.ground.read_only = true;
    let refused = error("nothing can be written here: the workspace is read-only for this agent");
    let write = json!({ "path": "new/b.txt", "content": "" });
    assert_eq!(workspace.call(ToolGrant::Write, write).await, refused);
    let edit = json!({ "path": "a.txt", "old": "one", "new": "two" });
    assert_eq!(workspace.call(ToolGrant::Edit, edit).await, refused);
    assert_eq!(names(workspace.folder.path()), ["a.txt"]);
    let command = json!({ "command": "touch b.txt" });
    let said = workspace.call(ToolGrant::Bash(None), command).await.unwrap_err();
    assert!(said.starts_with("nothing can be written here, and nothing keeps this command from writing"));
    let command = json!({ "command": "cat a.txt | wc -l 2>&1" });
    assert_eq!(workspace.call(ToolGrant::Bash(None), command).await, ok("1"));
    assert_eq!(names(workspace.folder.path()), ["a.txt"]);
}

#[tokio::test]
async fn a_file_without_the_right_to_write_is_left_alone() {
    let workspace = Workspace::with(&[("a.txt", "one\n")]);
    std::fs::set_permissions(workspace.path("a.txt"), std::fs::Permissions::from_mode(0o444)).unwrap();
    if std::fs::OpenOptions::new().append(true).open(workspace.path("a.txt")).is_ok() {
        eprintln!("skipped: this user may write whatever the mode says");
        return;
    }
    let edit = json!({ "path": "a.txt", "old": "one", "new": "two" });
    assert_eq!(workspace.call(ToolGrant::Edit, edit).await, error("`a.txt` is read-only"));
}

#[tokio::test]
async fn a_folder_is_listed_in_order_with_what_git_ignores_only_named() {
    let workspace = Workspace::with(&[
        (".gitignore", "target/\n*.log\n"),
        (".github/x.yml", ""),
        ("b.txt", "12345"),
        ("src/main.rs", ""),
        ("target/x", ""),
        ("run.log", ""),
    ]);
    std::os::unix::fs::symlink("/etc", workspace.path("etc")).unwrap();
    let top = ".github/\n.gitignore\t14\nb.txt\t5\netc@\nsrc/\n[ignored: run.log, target]\n";
    assert_eq!(workspace.call(ToolGrant::List, json!({})).await, ok(top));
    assert_eq!(workspace.call(ToolGrant::List, json!({ "path": "src" })).await, ok("main.rs\t0\n"));
    let file = workspace.call(ToolGrant::List, json!({ "path": "b.txt" })).await;
    assert_eq!(file, error("`b.txt` is no folder"));
    let many: Vec<String> = (0..1003).map(|n| format!("many/{n:04}")).collect();
    many.iter().for_each(|path| workspace.put(path, ""));
    let many = workspace.call(ToolGrant::List, json!({ "path": "many" })).await.unwrap();
    assert!(many.ends_with("0999\t0\n[3 more left out: use `glob`]\n"));
}

#[tokio::test]
async fn calls_that_write_the_same_file_are_known_as_such() {
    let workspace = Workspace::with(&[("dir/a.txt", "")]);
    std::os::unix::fs::symlink("dir", workspace.path("link")).unwrap();
    let write = workspace.tool(ToolGrant::Write).await;
    let edit = workspace.tool(ToolGrant::Edit).await;
    let one = write.writes(&json!({ "path": "./dir/a.txt", "content": "" }));
    assert_eq!(one, Some("dir/a.txt".into()));
    assert_eq!(one, edit.writes(&json!({ "path": "link/a.txt" })));
    assert_eq!(write.writes(&json!({ "path": "new/b.txt" })), Some("new/b.txt".into()));
    assert_eq!(write.writes(&json!({})), None);
}
