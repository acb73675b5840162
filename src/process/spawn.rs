//! From a `Spec` to a started child, or to the reason why there is none.
//!
//! Invariants: the child has a process group of its own and no controlling
//! terminal; every other descriptor of this process is closed to it; the plain
//! path needs no `fork`, whose cost grows with this process's memory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
use rustix::io::Errno;
use rustix::process::Pid;
use tokio::process::Command;

use super::spec::{Environment, Inherit, Input, Spec};
use super::sweep::{TAG, Tag};
use super::{open_files, orphans};

/// Where programs are looked up when the environment names no `PATH` (as `execvp` does).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

const NO_FORMAT: &str = "it is no program for this machine and has no `#!` line";

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// `argv` is empty.
    #[error("there is no program to run: the command is empty")]
    Empty,
    /// No such program.
    #[error("`{program}` was not found{}{}", if *.searched { " in PATH" } else { "" }, did_you_mean(.similar))]
    NotFound {
        /// As it was named.
        program: String,
        /// Whether it was looked up in `PATH`, because its name has no `/`.
        searched: bool,
        /// The most similar name of a program in `PATH`, if one is close.
        similar: Option<String>,
    },
    /// The file is there but cannot be run.
    #[error("`{}` cannot be run: {problem}", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The folder to run it in is missing, no folder, or closed to this user.
    #[error("cannot work in `{}`: {problem}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An argument or variable, or all of them together, are longer than the system takes.
    #[error(
        "the arguments of `{program}` are too long for the system (the longest, {what}, has {bytes} bytes): give large text on standard input or as a file"
    )]
    TooLong {
        /// As it was named.
        program: String,
        /// The longest: `argument 2`, `variable PROMPT`.
        what: String,
        /// Its length.
        bytes: usize,
    },
    /// The system is short of processes, memory or descriptors now; it may work later.
    #[error("the system has no room for another process now: {0}")]
    Resources(#[source] io::Error),
    /// Anything else.
    #[error("`{program}` could not be started: {source}")]
    Other {
        /// As it was named.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

impl SpawnError {
    /// Whether the same may work a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            SpawnError::Resources(_) => true,
            SpawnError::Empty
            | SpawnError::NotFound { .. }
            | SpawnError::NotExecutable { .. }
            | SpawnError::Folder { .. }
            | SpawnError::TooLong { .. }
            | SpawnError::Other { .. } => false,
        }
    }

    /// A stable code for programs: `not_found`, `not_executable`, …
    pub fn code(&self) -> &'static str {
        match self {
            SpawnError::Empty => "no_program",
            SpawnError::NotFound { .. } => "not_found",
            SpawnError::NotExecutable { .. } => "not_executable",
            SpawnError::Folder { .. } => "no_such_folder",
            SpawnError::TooLong { .. } => "arguments_too_long",
            SpawnError::Resources(_) => "no_resources",
            SpawnError::Other { .. } => "not_started",
        }
    }
}

fn did_you_mean(similar: &Option<String>) -> String {
    similar.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Starts the program of a spec, registered as a child of this process.
pub(super) fn start(spec: &Spec, tag: &Tag) -> Result<Child, SpawnError> {
    let name = spec.argv.first().filter(|name| !name.is_empty()).ok_or(SpawnError::Empty)?;
    let program = find(name, spec)?;
    let mut command = match &spec.wrapper {
        None => {
            let mut command = Command::new(&program);
            command.arg0(name);
            command
        }
        Some(wrapper) => {
            runs(&program, name, spec)?;
            let mut command = Command::new(wrapper.argv.first().ok_or(SpawnError::Empty)?);
            command.args(wrapper.argv.iter().skip(1)).arg(&program).arg(name);
            command
        }
    };
    command.args(spec.argv.iter().skip(1)).current_dir(&spec.cwd);
    command.stdin(match &spec.stdin {
        Input::Null => Stdio::null(),
        Input::Bytes(_) | Input::Pipe => Stdio::piped(),
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    set_environment(&mut command, &spec.env);
    if !spec.marker.1.is_empty() {
        command.env(&spec.marker.0, &spec.marker.1);
    }
    command.env(TAG, tag.as_os_str());
    leave_the_terminal(&mut command, &spec.cwd.join(&program))?;
    // As a child of the standard library: `Running` waits for it in its own way.
    let command = command.as_std_mut();
    let spawn = || open_files::start(|| command.spawn(), Pid::from_child);
    orphans::start(spawn, Pid::from_child).map_err(|problem| explain(problem, spec, &program))
}

/// Finds out what the system would say of a program that it does not start itself.
fn runs(program: &Path, name: &OsStr, spec: &Spec) -> Result<(), SpawnError> {
    let path = spec.cwd.join(program);
    if !spec.cwd.is_dir() {
        return Err(folder(&spec.cwd));
    }
    let Ok(found) = std::fs::metadata(&path) else {
        return Err(SpawnError::NotFound { program: display(name), searched: false, similar: None });
    };
    let problem = if found.is_dir() {
        "it is a folder"
    } else if rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_err() {
        "it is not executable (`chmod +x` makes it so)"
    } else if is_text_for_nobody(&path) {
        NO_FORMAT
    } else {
        return Ok(());
    };
    Err(SpawnError::NotExecutable { path, problem: problem.to_owned() })
}

/// A new group in any case, and a new session where there is a terminal to leave.
///
/// A session has to be made between `fork` and `exec`, and `fork` copies the page tables of this
/// process: about 0.2 ms for an empty one, 2 ms at 50 MB and 7 ms at 200 MB, where `posix_spawn`
/// with a new group takes 0.1 ms at any size. Without a terminal (CI, cron, a service) the group
/// alone does the same: there is nothing that the child could open as `/dev/tty`.
fn leave_the_terminal(command: &mut Command, program: &Path) -> Result<(), SpawnError> {
    static TERMINAL: OnceLock<bool> = OnceLock::new();
    if !*TERMINAL.get_or_init(|| File::open("/dev/tty").is_ok()) {
        command.process_group(0);
        return Ok(());
    }
    // After `fork`, what the system cannot run is handed to `sh`, unlike by `posix_spawn`.
    if is_text_for_nobody(program) {
        return Err(SpawnError::NotExecutable { path: program.to_owned(), problem: NO_FORMAT.to_owned() });
    }
    // Only the hook: the crate's own child handle would wait for the whole group.
    let core = CommandWrap::from(Command::new(""));
    ProcessSession.pre_spawn(command, &core).map_err(SpawnError::Resources)
}

/// Whether a file is text that does not begin with the name of its interpreter.
fn is_text_for_nobody(program: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = File::open(program).and_then(|file| file.take(128).read_to_end(&mut beginning));
    read.is_ok() && !beginning.starts_with(b"#!") && !beginning.contains(&0)
}

fn set_environment(command: &mut Command, env: &Environment) {
    match &env.inherit {
        Inherit::All => {}
        Inherit::AllBut(_) => {
            for (name, _) in std::env::vars_os().filter(|(name, _)| !env.inherit.takes(name)) {
                command.env_remove(name);
            }
        }
        Inherit::Only(_) => {
            command.env_clear();
            command.envs(std::env::vars_os().filter(|(name, _)| env.inherit.takes(name)));
        }
    }
    command.envs(env.set.iter().map(|(name, value)| (name, value)));
}

/// The file that a program's name stands for.
///
/// Looked up here rather than by the system: its own search would need `fork` when the child's
/// `PATH` is another one, and cannot say what was close.
fn find(name: &OsStr, spec: &Spec) -> Result<PathBuf, SpawnError> {
    if name.as_encoded_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let path = spec.env.value("PATH", |name| std::env::var_os(name)).unwrap_or_else(|| DEFAULT_PATH.into());
    let mut closed = None;
    for folder in std::env::split_paths(&path) {
        // An empty or relative entry means a folder of the child's, not one of ours.
        let program =
            if folder.is_absolute() { folder.join(name) } else { Path::new(".").join(folder).join(name) };
        let file = spec.cwd.join(&program);
        if !file.is_file() {
            continue;
        }
        if rustix::fs::access(&file, rustix::fs::Access::EXEC_OK).is_ok() {
            return Ok(program);
        }
        closed.get_or_insert(file);
    }
    Err(match closed {
        Some(path) => {
            let problem = "it is not executable (`chmod +x` makes it so)".to_owned();
            SpawnError::NotExecutable { path, problem }
        }
        None if !spec.cwd.is_dir() => folder(&spec.cwd),
        None => {
            let similar = most_similar(&name.to_string_lossy(), &path);
            SpawnError::NotFound { program: display(name), searched: true, similar }
        }
    })
}

/// The program in `path` whose name is closest to `name`, if at most two letters differ.
fn most_similar(name: &str, path: &OsStr) -> Option<String> {
    let allowed = if name.chars().count() < 5 { 1 } else { 2 };
    let files = std::env::split_paths(path).filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let near = names.map(|other| (strsim::osa_distance(name, &other), other));
    near.filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

/// What an error of the system means for whoever wrote the command.
fn explain(problem: io::Error, spec: &Spec, program: &Path) -> SpawnError {
    let name = spec.argv.first().map(|name| display(name)).unwrap_or_default();
    let path = spec.cwd.join(program);
    match Errno::from_io_error(&problem) {
        Some(Errno::TOOBIG) => too_long(name, spec),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::TXTBSY) => {
            SpawnError::Resources(problem)
        }
        // The same codes are given for the folder, which comes first.
        Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)
            if std::fs::read_dir(spec.cwd.join(".")).is_err() =>
        {
            folder(&spec.cwd)
        }
        Some(Errno::NOENT) if path.exists() => {
            SpawnError::NotExecutable { problem: missing_interpreter(&path), path }
        }
        Some(Errno::NOENT | Errno::NOTDIR) => {
            SpawnError::NotFound { program: name, searched: false, similar: None }
        }
        Some(Errno::ACCESS) => {
            let problem = match path.is_dir() {
                true => "it is a folder".to_owned(),
                false => "it is not executable (`chmod +x` makes it so)".to_owned(),
            };
            SpawnError::NotExecutable { path, problem }
        }
        Some(Errno::NOEXEC) => SpawnError::NotExecutable { path, problem: NO_FORMAT.to_owned() },
        Some(_) | None => SpawnError::Other { program: name, source: problem },
    }
}

fn folder(path: &Path) -> SpawnError {
    let problem = match std::fs::metadata(path) {
        Err(problem) => problem.to_string(),
        Ok(found) if !found.is_dir() => "it is no folder".to_owned(),
        Ok(_) => "this user may not enter it".to_owned(),
    };
    SpawnError::Folder { path: path.to_owned(), problem }
}

fn missing_interpreter(path: &Path) -> String {
    let mut beginning = Vec::new();
    // The system itself reads no more than 256 bytes of that line.
    let read = File::open(path).and_then(|file| file.take(256).read_to_end(&mut beginning));
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match (read, line.strip_prefix(b"#!")) {
        (Ok(_), Some(rest)) => {
            let interpreter =
                String::from_utf8_lossy(rest).split_whitespace().next().unwrap_or("").to_owned();
            format!("its interpreter `{interpreter}` is missing")
        }
        (Ok(_) | Err(_), _) => "its loader or interpreter is missing".to_owned(),
    }
}

fn too_long(program: String, spec: &Spec) -> SpawnError {
    let arguments = spec.argv.iter().enumerate().map(|(n, text)| (text.len(), format!("argument {n}")));
    let variables = spec
        .env
        .set
        .iter()
        .map(|(name, value)| (name.len() + value.len() + 1, format!("variable {}", display(name))));
    let (bytes, what) = arguments.chain(variables).max().unwrap_or_default();
    SpawnError::TooLong { program, what, bytes }
}

fn display(name: &OsStr) -> String {
    OsString::from(name).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_is_short_of_something_may_be_asked_again() {
        let spec = Spec::new(["true"], "/");
        let explained = |code: Errno| explain(code.into(), &spec, Path::new("/bin/true"));
        for code in [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::TXTBSY] {
            assert!(explained(code).is_transient(), "{code}");
        }
        assert!(!explained(Errno::PERM).is_transient());
    }
}
