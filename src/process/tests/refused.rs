//! Programs that do not start, and what their authors are told.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::{Environment, SpawnError};
use super::*;

async fn refusal(spec: Spec) -> SpawnError {
    run(spec, std::future::pending(), |_, _| {}).await.unwrap_err()
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn with_path(argv: &[&str], folder: &Path) -> Spec {
    let env = Environment { set: vec![("PATH".into(), folder.into())], ..Environment::default() };
    Spec { env, ..Spec::new(argv, folder) }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_refused_with_the_closest_that_is() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("frobnicate"), "", 0o755);
    let error = refusal(with_path(&["frobnicat"], folder.path())).await;
    assert_eq!(error.to_string(), "`frobnicat` was not found in PATH; did you mean `frobnicate`?");
    assert_eq!((error.code(), error.is_transient()), ("not_found", false));
    let error = refusal(with_path(&["other"], folder.path())).await;
    assert_eq!(error.to_string(), "`other` was not found in PATH");
    let error = refusal(with_path(&["./missing"], folder.path())).await;
    assert_eq!(error.to_string(), "`./missing` was not found");
    assert_eq!(refusal(with_path(&[], folder.path())).await.code(), "no_program");
}

#[tokio::test]
async fn a_program_is_looked_up_where_it_will_run() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("greet"), "#!/bin/sh\necho \"$0 $1\"\n", 0o755);
    for (name, path) in [("greet", folder.path()), ("./greet", Path::new("/")), ("greet", Path::new("."))] {
        let mut spec = with_path(&[name, "you"], path);
        spec.cwd = folder.path().to_owned();
        let ended = finish(spec).await;
        assert!(text(&ended).0.ends_with("greet you\n"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_run_is_refused_with_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("plain", "#!/bin/sh\n", 0o644, "it is not executable (`chmod +x` makes it so)"),
        ("orphan", "#!/no/such/python3 -u\n", 0o755, "its interpreter `/no/such/python3` is missing"),
        ("text", "hello\n", 0o755, "it is no program for this machine and has no `#!` line"),
    ];
    for (name, content, mode, problem) in cases {
        write(&folder.path().join(name), content, mode);
        let error = refusal(with_path(&[name], folder.path())).await;
        let path = folder.path().join(name);
        assert_eq!(error.to_string(), format!("`{}` cannot be run: {problem}", path.display()));
        assert_eq!(error.code(), "not_executable");
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_is_named_not_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    drop(folder);
    for argv in [["sh", "-c"], ["no-such-program", ""]] {
        let error = refusal(Spec::new(argv, &path)).await;
        assert_eq!(error.code(), "no_such_folder", "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refusal(Spec::new(["true"], file.path())).await;
    assert!(error.to_string().ends_with("it is no folder"), "{error}");
}

#[tokio::test]
async fn an_argument_that_the_system_does_not_take_is_named_with_the_way_around() {
    let long = "x".repeat(3 << 20);
    let error = refusal(Spec::new(["echo", "a", &long], "/")).await;
    assert_eq!(
        error.to_string(),
        "the arguments of `echo` are too long for the system (the longest, argument 2, has 3145728 bytes): \
         give large text on standard input or as a file"
    );
    let mut spec = Spec::new(["echo"], "/");
    spec.env.set.push(("PROMPT".into(), long.into()));
    assert!(refusal(spec).await.to_string().contains("the longest, variable PROMPT, has 3145735 bytes"));
}
