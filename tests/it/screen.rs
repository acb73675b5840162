//! A live run on a real terminal (tmux; skipped where it is not): it follows the size of its window,
//! and Ctrl-C leaves a screen that can be read.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Folder;

/// A terminal of its own server, gone when dropped.
struct Screen<'f> {
    folder: &'f Folder,
}

impl Screen<'_> {
    fn start(folder: &Folder) -> Option<Screen<'_>> {
        if Command::new("tmux").arg("-V").output().is_err() {
            let line = "SKIPPED: tmux is not there; apt-get install tmux\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let screen = Screen { folder };
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "sh"]);
        screen.tmux(&["set-option", "-g", "window-size", "manual"]);
        Some(screen)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = self.folder.fanout(&[]);
        let (dir, envs) =
            (self.folder.path(), command.get_envs().map(|(n, v)| (n.to_owned(), v.map(ToOwned::to_owned))));
        let mut tmux = Command::new("tmux");
        for (name, value) in envs {
            match value {
                Some(value) => tmux.env(name, value),
                None => tmux.env_remove(name),
            };
        }
        let socket = dir.join("tmux");
        let out = tmux.current_dir(dir).env_remove("TMUX").arg("-S").arg(socket).args(args).output().unwrap();
        command.env_clear();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J"])
    }

    /// Waits until the screen shows what is wanted, and returns it.
    fn until(&self, wanted: &str, is: impl Fn(&str) -> bool) -> String {
        // A bound for the whole suite, not a measurement.
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.shown();
            if is(&shown) {
                return shown;
            }
            assert!(Instant::now() < end, "{wanted} never came:\n{shown}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ =
            Command::new("tmux").arg("-S").arg(self.folder.path().join("tmux")).arg("kill-server").output();
    }
}

#[test]
fn a_question_whose_time_is_up_leaves_the_next_line_to_the_next_question() {
    let folder = Folder::with_plan(
        "name: questions\ncalls:\n  early: { ask: 'The first question?', timeout: 1s, default: nobody }\n  \
         late: { ask: 'The second question?', needs: [early] }\n  \
         told: { run: 'echo early={{ calls.early.output }} late={{ calls.late.output }}' }\n",
    );
    let Some(screen) = Screen::start(&folder) else { return };
    let line = format!("clear; {} run plan.yaml; echo status $?", env!("CARGO_BIN_EXE_fanout"));
    screen.tmux(&["send-keys", &line, "Enter"]);
    // Nobody answers the first one.
    screen.until("the second question", |shown| shown.contains("The second question?"));
    screen.tmux(&["send-keys", "for the second", "Enter"]);
    let last = screen.until("the exit status", |shown| shown.contains("status 0"));
    assert!(last.contains("early=nobody late=for the second"), "{last}");
}

/// The terminal that a run in the background was started from is closed, which ends everything in it with
/// SIGHUP; another one waits for the run.
#[test]
fn a_run_in_the_background_outlives_its_terminal_and_tells_another_one_its_exit_status() {
    let folder = Folder::with_plan(
        "name: away\nnotify: { command: 'echo $FANOUT_NOTICE >> told' }\n\
         calls:\n  slow: { run: 'cat gate; echo done; exit 3', retries: 0 }\n",
    );
    assert!(Command::new("mkfifo").arg(folder.path().join("gate")).status().unwrap().success());
    let Some(screen) = Screen::start(&folder) else { return };
    let line = format!("clear; {} run plan.yaml --detach; echo status $?", env!("CARGO_BIN_EXE_fanout"));
    screen.tmux(&["send-keys", &line, "Enter"]);
    screen.until("that it is on its way", |shown| shown.contains("status 0"));
    let shell = screen.tmux(&["display-message", "-p", "#{pane_pid}"]).trim().to_owned();
    drop(screen);
    crate::support::eventually("the terminal is closed", || {
        !std::path::Path::new("/proc").join(&shell).exists()
    });
    // The run goes on: it is waited for, and ends only when its command may.
    let waiting = folder.start(&["wait", "last"]);
    drop(std::fs::OpenOptions::new().write(true).open(folder.path().join("gate")).unwrap());
    let ran = crate::support::Ran::of(waiting.wait_with_output().unwrap()).expect_code(1);
    assert!(ran.err.contains("failed, exit status 1"), "{}", ran.err);
    assert_eq!(folder.run(&["wait", "last", "-q"]).code, 1, "and again for whoever comes later");
    assert_eq!(folder.read("told").lines().count(), 1, "{}", folder.read("told"));
    let show = folder.run(&["show", "last", "--json"]).expect_code(0).out;
    assert_eq!(show.matches("\"type\":\"notice_delivered\"").count(), 1, "{show}");
}

#[test]
fn a_live_run_follows_its_window_and_leaves_a_clean_screen_after_ctrl_c() {
    let folder = Folder::with_plan(
        "name: live\ncalls:\n  quick: { run: echo quick }\n  \
         first: { description: The first of two that take their time, run: 'echo working on it; sleep 300' }\n  \
         second: { description: The second one, run: sleep 300 }\n",
    );
    let Some(screen) = Screen::start(&folder) else { return };
    let line = format!("clear; {} run plan.yaml; echo status $?", env!("CARGO_BIN_EXE_fanout"));
    screen.tmux(&["send-keys", &line, "Enter"]);
    let wide = screen.until("the running calls", |shown| {
        shown.contains("first")
            && shown.contains("second")
            && shown.contains("working on it")
            && shown.contains("1/3")
    });
    assert!(wide.lines().all(|line| line.chars().count() <= 80), "{wide}");
    screen.tmux(&["resize-window", "-x", "40", "-y", "24"]);
    screen.until("a frame of 40 columns", |shown| {
        let frame: Vec<&str> = shown.lines().filter(|line| line.contains("second")).collect();
        !frame.is_empty() && shown.lines().all(|line| line.chars().count() <= 40)
    });
    screen.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    screen.until("a frame again", |shown| shown.contains("second"));
    screen.tmux(&["send-keys", "C-c"]);
    let last = screen.until("the exit status", |shown| shown.contains("status 130"));
    assert!(last.contains("cancelled") && last.contains("fanout resume"), "{last}");
    // Nothing of the live view is left: no bar, no spinner, no second copy of a frame.
    assert_eq!(last.matches("exit status 130").count(), 1, "{last}");
    assert!(!last.contains(['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏', '█', '░']), "{last}");
    // The cursor is back, in the first column after the prompt's line.
    assert_eq!(screen.tmux(&["display-message", "-p", "#{cursor_flag}"]).trim(), "1");
}
