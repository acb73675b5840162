//! What goes in and what comes out.

use std::ffi::OsString;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Captured, EndedBy, Environment, Inherit, Input, Running};
use super::*;

#[tokio::test]
async fn a_program_that_reads_its_input_sees_the_end_at_once() {
    let ended = finish(sh("read line || echo nothing to read; echo err >&2; exit 3")).await;
    assert_eq!(text(&ended), ("nothing to read\n".to_owned(), "err\n".to_owned()));
    assert_eq!((ended.exit, ended.ended_by, ended.leaked), (Exit::Code(3), EndedBy::Itself, 0));
}

#[tokio::test]
async fn a_program_has_no_terminal_to_ask_at() {
    let ended = finish(sh("(: </dev/tty) 2>/dev/null || echo no terminal")).await;
    assert_eq!(text(&ended).0, "no terminal\n");
}

#[tokio::test]
async fn more_input_than_a_pipe_holds_goes_through_while_the_output_is_read() {
    let input: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut spec = sh("cat");
    spec.stdin = Input::Bytes(input.clone());
    let mut seen = Vec::new();
    let ended = run(spec, std::future::pending(), |_, chunk| seen.extend_from_slice(chunk)).await.unwrap();
    assert!(seen == input, "{} bytes came back", seen.len());
    assert_eq!(ended.exit, Exit::Code(0));
}

#[tokio::test]
async fn input_that_is_not_read_does_no_harm() {
    let mut spec = sh("exec <&-; echo done");
    spec.stdin = Input::Bytes(vec![b'x'; 1_000_000]);
    let ended = finish(spec).await;
    assert_eq!((ended.exit, text(&ended).0), (Exit::Code(0), "done\n".to_owned()));
}

#[tokio::test]
async fn of_256_megabytes_without_a_newline_head_and_tail_are_kept_and_the_rest_is_counted() {
    let size = 256 << 20;
    let mut seen = 0;
    let spec = sh(&format!("printf begin; head -c {size} /dev/zero; printf end"));
    let ended = run(spec, std::future::pending(), |_, chunk| seen += chunk.len() as u64).await.unwrap();
    let expected = Captured {
        head: [b"begin".as_slice(), &[0; 995]].concat(),
        tail: [[0; 997].as_slice(), b"end"].concat(),
        dropped: size + 8 - 2000,
    };
    assert_eq!((seen, ended.exit), (size + 8, Exit::Code(0)));
    assert!(ended.stdout == expected, "kept {} and {}", ended.stdout.head.len(), ended.stdout.tail.len());
}

#[tokio::test]
async fn a_program_that_closes_its_streams_is_still_waited_for() {
    let ended = finish(sh("exec >&- 2>&-; sleep 0.05; exit 4")).await;
    assert_eq!((ended.exit, ended.ended_by), (Exit::Code(4), EndedBy::Itself));
}

#[tokio::test]
async fn a_death_by_signal_is_named() {
    let ended = finish(sh("kill -SEGV $$")).await;
    assert_eq!((ended.exit, ended.exit.status()), (Exit::Signal(11, "SIGSEGV"), 139));
}

#[tokio::test]
async fn only_listed_variables_reach_a_program_besides_those_that_are_set() {
    let mut spec = sh("env | sed 's/=.*//' | sort | grep -v -e '^_$' -e '^PWD$' -e '^SHLVL$' -e '^OLDPWD$'");
    spec.env = Environment {
        inherit: Inherit::Only(vec!["PATH".to_owned()]),
        set: vec![(OsString::from("GREETING"), OsString::from("hello"))],
    };
    assert_eq!(text(&finish(spec).await).0, "FANOUT_TEST\nFANOUT_TREE\nGREETING\nPATH\n");
    let mut spec = sh("echo ${CARGO_PKG_NAME-gone} ${HOME:+home}");
    spec.env.inherit = Inherit::AllBut(vec!["CARGO_*".to_owned()]);
    assert_eq!(text(&finish(spec).await).0, "gone home\n");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_that_this_process_holds_open_are_closed_to_a_program() {
    let held = tempfile::NamedTempFile::new().unwrap();
    let listing = text(&finish(sh("ls -l /proc/self/fd")).await).0;
    let name = held.path().to_str().unwrap();
    assert!(listing.contains("0 -> /dev/null") && listing.contains("1 -> pipe:"), "{listing}");
    assert!(!listing.contains(name), "{listing}");
}

#[tokio::test]
async fn a_program_that_one_talks_to_answers_and_ends_when_its_input_does() {
    let mut spec = sh("while read line; do echo \"got $line\"; done; exit 7");
    spec.stdin = Input::Pipe;
    let mut running = Running::start(&spec).unwrap();
    let (mut stdin, mut stdout) = (running.stdin.take().unwrap(), running.stdout.take().unwrap());
    stdin.write_all(b"this\n").await.unwrap();
    let mut answer = [0; 9];
    stdout.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"got this\n");
    drop(stdin);
    running.exited().await;
    assert_eq!(running.end(Duration::from_secs(60)).await, (Exit::Code(7), 0));
}

#[tokio::test]
async fn where_there_is_no_handle_to_wait_on_the_end_is_seen_all_the_same() {
    let mut spec = sh("read line; exit 7");
    spec.stdin = Input::Pipe;
    let mut running = Running::start(&spec).unwrap();
    running.drop_handle();
    assert!(!running.is_over());
    let stdin = running.stdin.take();
    tokio::join!(running.exited(), async { drop(stdin) });
    assert!(running.is_over());
    assert_eq!(running.end(Duration::from_secs(60)).await, (Exit::Code(7), 0));
}

#[test]
fn a_run_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&run(sh("true"), std::future::ready(()), |_, _| {}));
}
