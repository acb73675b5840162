//! A full disk and a broken one: the run ends in order, says what is safe, and goes on later.

use std::process::Command;

use crate::support::{Folder, Ran};

/// `big` fills the disk, and the answer of `wide` has to go to a file of its own.
const PLAN: &str = r#"
name: full
calls:
  a: { run: "echo a >> ../effects; echo 1" }
  big: { run: "echo big >> ../effects; test -e ../roomy || cat /dev/zero > filler; true", needs: [a] }
  wide: { run: "echo wide >> ../effects; yes word | head -c 300000", needs: [big], output: { max_bytes: 1MiB } }
  last: { run: "echo last >> ../effects; echo done", needs: [wide] }
"#;

#[expect(clippy::print_stderr, reason = "a test that shows nothing must say so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

fn effects(folder: &Folder) -> Vec<String> {
    folder.read("effects").lines().map(str::to_owned).collect()
}

#[test]
fn a_full_disk_ends_the_run_with_exit_seven_and_with_room_it_goes_on() {
    let folder = Folder::new();
    folder.write("disk/.keep", "");
    // A disk of 4 MiB, in a mount namespace of its own.
    let script = format!(
        "mount -t tmpfs -o size=4m none disk || exit 99\n\
         cat > disk/plan.yaml <<'EOF'\n{PLAN}\nEOF\n\
         cd disk && \"$FANOUT\" run plan.yaml -q > ../out1 2> ../err1; echo $? > ../code1\n\
         rm filler; touch ../roomy\n\
         \"$FANOUT\" resume -q > ../out2 2> ../err2; echo $? > ../code2\n"
    );
    let mut command = folder.fanout(&[]);
    let program = command.get_program().to_owned();
    command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.current_dir(folder.path()).env("FANOUT", program).env("TMPDIR", folder.path());
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            return skipped(&format!("no mounts here: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Err(error) => return skipped(&format!("no `unshare` here: {error}")),
    }
    let (code, told) = (folder.read("code1"), folder.read("err1"));
    assert_eq!(code.trim(), "7", "{}\n{told}", folder.read("out1"));
    assert!(told.contains("No space left on device") && told.contains("records are safe in"), "{told}");
    assert_eq!(folder.read("code2").trim(), "0", "{}\n{}", folder.read("out2"), folder.read("err2"));
    // The answer in hand when the disk was full is kept as well.
    assert_eq!(effects(&folder), ["a", "big", "wide", "last"]);
}

const CHAIN: &str = r#"
name: broken
calls:
  a: { run: "echo a >> effects; echo 1" }
  b: { run: "echo b >> effects; echo {{ calls.a.output }}2" }
  c: { run: "echo c >> effects; echo {{ calls.b.output }}3" }
  d: { run: "echo d >> effects; echo {{ calls.c.output }}4" }
"#;

#[test]
fn an_io_error_at_any_sync_ends_the_run_with_exit_seven_and_the_resume_repeats_nothing_that_ended() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("no `strace` here");
    }
    let mut failures = 0;
    for when in 1..=12 {
        let folder = Folder::with_plan(CHAIN);
        folder.write("effects", "");
        let plain = folder.fanout(&[]);
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"]);
        command.arg(format!("inject=fdatasync:error=EIO:when={when}")).arg(plain.get_program());
        command.args(["run", "plan.yaml", "-q"]).current_dir(folder.path()).env("TMPDIR", folder.path());
        let ran = Ran::of(command.output().unwrap());
        if ran.err.contains("ptrace") {
            return skipped(&format!("no tracing here: {}", ran.err));
        }
        if ran.code == 0 {
            continue;
        }
        failures += 1;
        let ran = ran.expect_code(7);
        assert!(ran.err.contains("Input/output error"), "{}", ran.err);
        let before = effects(&folder);
        let mut resume = folder.fanout(&["resume", "-q"]);
        let resumed = Ran::of(resume.env("TMPDIR", folder.path()).output().unwrap());
        if resumed.err.contains("there are no runs") {
            assert!(before.is_empty(), "{when}: something was done before the first record: {before:?}");
            continue;
        }
        // The sync that failed may have been that of the very last record, which is in the file.
        if !resumed.err.contains("ended as a success") {
            let resumed = resumed.expect_code(0);
            assert!(resumed.out.contains("1234"), "{}", resumed.out);
        }
        // A result that could not be synced was kept elsewhere; only a start may be repeated.
        let after = effects(&folder);
        let twice = ["a", "b", "c", "d"].map(|name| after.iter().filter(|done| *done == name).count());
        assert!(twice.iter().all(|n| *n >= 1) && twice.iter().sum::<usize>() <= 5, "{when}: {after:?}");
    }
    assert!(failures >= 4, "the injection did not work: {failures}");
}

/// The file of the folder's only run, with all of its path.
fn journal(folder: &Folder) -> std::path::PathBuf {
    let runs = folder.path().canonicalize().unwrap().join(".fanout/runs");
    let run = std::fs::read_dir(runs).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_dir());
    run.unwrap().join("journal.jsonl")
}

#[test]
fn a_journal_that_cannot_be_written_at_any_place_ends_the_run_with_exit_seven_and_it_goes_on_later() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("no `strace` here");
    }
    for (error, words) in [("ENOSPC", "No space left on device"), ("EIO", "Input/output error")] {
        let mut points = 0;
        for when in 1.. {
            // A run that has begun already: its file is known, and nothing but that file is broken.
            let folder = Folder::with_plan(CHAIN);
            folder.write("effects", "");
            let mut begun = folder.fanout(&["run", "plan.yaml", "-q"]);
            assert!(begun.env("FANOUT_TEST_KILL_AT", "50").output().unwrap().status.code().is_none());
            let plain = folder.fanout(&[]);
            let mut command = Command::new("strace");
            command.args(["-f", "-o", "trace", "-P"]).arg(journal(&folder));
            command.args(["-e", "trace=write,writev,pwrite64", "-e"]);
            command.arg(format!("inject=write,writev,pwrite64:error={error}:when={when}"));
            command.arg(plain.get_program()).args(["resume", "-q"]);
            command.current_dir(folder.path()).env("TMPDIR", folder.path());
            let ran = Ran::of(command.output().unwrap());
            if ran.err.contains("ptrace") {
                return skipped(&format!("no tracing here: {}", ran.err));
            }
            if !folder.read("trace").contains("INJECTED") {
                ran.expect_code(0);
                break;
            }
            points += 1;
            let ran = ran.expect_code(7);
            assert!(ran.err.contains(words), "{error} {when}: {}", ran.err);
            let mut resume = folder.fanout(&["resume", "-q"]);
            let resumed = Ran::of(resume.env("TMPDIR", folder.path()).output().unwrap());
            if !resumed.err.contains("ended as a success") {
                let resumed = resumed.expect_code(0);
                assert!(resumed.out.contains("1234"), "{error} {when}: {}", resumed.out);
            }
            // Only what was on its way when the kill came, and when the disk failed, may be done again.
            let after = effects(&folder);
            let done = ["a", "b", "c", "d"].map(|name| after.iter().filter(|done| *done == name).count());
            assert!(
                done.iter().all(|n| *n >= 1) && done.iter().sum::<usize>() <= 6,
                "{error} {when}: {after:?}"
            );
        }
        assert!(points >= 8, "the injection did not work: {points}");
    }
}
