//! Attempts to get out of the sandbox: each is shown to work without it, and not to work with it, with
//! namespaces and without. docs/sandbox.md lists them by these names.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Folder, Ran, outcomes, parse_lines};

/// What is outside: files, a process, servers. Gone when dropped.
struct Outside {
    folder: Folder,
    victim: Child,
    address: String,
    tcp: TcpListener,
    udp: UdpSocket,
    _unix: UnixListener,
    _abstract: UnixListener,
    name: String,
    shared: PathBuf,
}

impl Outside {
    fn new() -> Outside {
        let folder = Folder::new();
        folder.write("secret", "geheim\n");
        folder.write("keep", "geheim\n");
        folder.write("home/.ssh/id", "geheim\n");
        for who in ["plain", "confined"] {
            folder.write(&format!("in-{who}"), "geheim\n");
            folder.write(&format!("gone-{who}"), "geheim\n");
        }
        let secret = std::fs::File::open(folder.path().join("secret")).unwrap();
        let victim = Command::new("sh")
            .args(["-c", "exec sleep 600 3<secret"])
            .current_dir(folder.path())
            .env("VICTIMS_KEY", "geheim")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // Until it is what it will be.
        let maps = format!("/proc/{}/maps", victim.id());
        super::support::eventually("the victim sleeps", || {
            std::fs::read_to_string(&maps).is_ok_and(|maps| maps.contains("/sleep"))
        });
        let first = std::fs::read_to_string(&maps).unwrap();
        let address = u64::from_str_radix(first.split('-').next().unwrap(), 16).unwrap().to_string();
        let name = format!("fanout-test-{}-{}", std::process::id(), secret.as_raw_fd());
        let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
        let hidden = SocketAddr::from_abstract_name(format!("{name}-{}", victim.id())).unwrap();
        let shared = PathBuf::from(format!("/dev/shm/{name}-{}", victim.id()));
        std::fs::write(&shared, "geheim\n").unwrap();
        Outside {
            victim,
            address,
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _unix: unix,
            _abstract: UnixListener::bind_addr(&hidden).unwrap(),
            name: hidden.as_abstract_name().map(|it| String::from_utf8_lossy(it).into_owned()).unwrap(),
            shared,
            folder,
        }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("OUT", path(self.folder.path())),
            ("VICTIM", self.victim.id().to_string()),
            ("ADDRESS", self.address.clone()),
            ("PORT", self.tcp.local_addr().unwrap().port().to_string()),
            ("UDP", self.udp.local_addr().unwrap().port().to_string()),
            ("SOCKET", path(&self.folder.path().join("socket"))),
            ("ABSTRACT", self.name.clone()),
            ("SHARED", path(&self.shared)),
        ]
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        let _ = std::fs::remove_file(&self.shared);
    }
}

/// Runs an attempt without a sandbox and then in one, and returns what each printed.
fn tried(script: &str, setting: &str, before: &dyn Fn(&Folder)) -> (String, String) {
    let outside = Outside::new();
    let work = Folder::new();
    work.write("mine", "mine\n");
    work.write("attempt.sh", script);
    before(&work);
    let mut env: String =
        outside.variables().iter().map(|(name, value)| format!("      {name}: '{value}'\n")).collect();
    if work.path().join("evil.so").exists() {
        env.push_str(&format!("      LD_PRELOAD: '{}'\n", work.path().join("evil.so").display()));
    }
    let call = |who: &str, keys: &str| {
        format!(
            "  {who}:\n    run: . ./attempt.sh\n    on_error: ignore\n    timeout: 60s\n{keys}    env:\n      WHO: {who}\n{env}"
        )
    };
    let confined = "    needs: { plain: done }\n    sandbox: workspace-write\n";
    work.write("plan.yaml", &format!("calls:\n{}{}", call("plain", ""), call("confined", confined)));
    let journal = Folder::new();
    // Descriptor 9 is one that whoever starts fanout has left open.
    let mut command = Command::new("sh");
    let ready = work.fanout(&["run", "plan.yaml", "--json"]);
    for (name, value) in ready.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .args(["-c", "exec \"$0\" run plan.yaml --json 9<\"$1\""])
        .arg(ready.get_program())
        .arg(outside.folder.path().join("secret"))
        .current_dir(work.path())
        .env("HOME", outside.folder.path().join("home"))
        .env("FANOUT_TEST_SANDBOX", setting)
        .env("LAB_KEY", "geheim-lab")
        .stdin(Stdio::null());
    if !work.path().join("journal-here").exists() {
        command.env("FANOUT_DIR", journal.path());
    }
    let ran = Ran::of(command.output().unwrap());
    let ended = outcomes(&parse_lines(&ran.out));
    let said = |who: &str| {
        let end = ended.get(who).unwrap_or_else(|| panic!("{who} did not run: {} {}", ran.out, ran.err));
        format!("{} {} {}", end["output"]["text"].as_str().unwrap_or_default(), end["stderr"], end["cause"])
    };
    (said("plain"), said("confined"))
}

/// The attempt works without a sandbox, and in none that there is.
#[track_caller]
fn refused(script: &str) {
    refused_after(script, &|_| {});
}

#[track_caller]
fn refused_after(script: &str, before: &dyn Fn(&Folder)) {
    for setting in ["", "no-namespaces"] {
        let (plain, confined) = tried(script, setting, before);
        assert!(plain.contains("ESCAPED"), "it does not even work without a sandbox: {plain}");
        assert!(!confined.contains("ESCAPED"), "got out ({setting}): {confined}");
        // What failed for another reason than the sandbox says nothing.
        for trouble in ["not found", "syntax error", "could not be set up", "Can't locate"] {
            assert!(!confined.contains(trouble), "{setting}: {confined}");
        }
    }
}

/// A Perl program that reaches a call of the system by its number, as x86-64 has it.
#[track_caller]
fn refused_call(program: &str) {
    if cfg!(target_arch = "x86_64") {
        refused(&format!("perl -e '{program}'"));
    }
}

macro_rules! attempts {
    ($check:ident: $($name:ident = $script:expr;)*) => {
        $(#[test] fn $name() { $check($script); })*
    };
}

attempts! { refused:
    reads_a_file_outside = "grep -q geheim $OUT/secret && echo ESCAPED";
    lists_a_folder_outside = "ls $OUT | grep -q secret && echo ESCAPED";
    reads_a_key_in_the_home = "grep -q geheim $OUT/home/.ssh/id && echo ESCAPED";
    reads_the_password_hashes = "grep -q root /etc/shadow && echo ESCAPED";
    writes_a_file_outside = "echo x > $OUT/new-$WHO && echo ESCAPED";
    appends_to_a_file_outside = "echo x >> $OUT/keep && echo ESCAPED";
    empties_a_file_outside = "perl -e 'print qq(ESCAPED) if truncate(qq($ENV{OUT}/keep), 0)'";
    deletes_a_file_outside = "rm -f $OUT/gone-$WHO; [ -e $OUT/gone-$WHO ] || ls $OUT > /dev/null && [ ! -e $OUT/gone-$WHO ] && echo ESCAPED";
    moves_a_file_out = "cp mine mine-$WHO; mv mine-$WHO $OUT/moved-$WHO && echo ESCAPED";
    moves_a_file_in = "mv $OUT/in-$WHO got-$WHO && grep -q geheim got-$WHO && echo ESCAPED";
    makes_a_hard_link_to_a_file_outside = "ln $OUT/secret linked-$WHO && grep -q geheim linked-$WHO && echo ESCAPED";
    makes_a_hard_link_outside = "ln mine $OUT/linked-$WHO && echo ESCAPED";
    reads_through_a_link = "ln -s $OUT/secret link-$WHO && grep -q geheim link-$WHO && echo ESCAPED";
    writes_through_a_linked_folder = "ln -s $OUT folder-$WHO && echo x > folder-$WHO/planted-$WHO && echo ESCAPED";
    goes_up_from_its_folder = "grep -q geheim ../$(basename $OUT)/secret && echo ESCAPED";
    changes_its_folder_to_one_outside = "cd $OUT && grep -q geheim secret && echo ESCAPED";
    takes_its_own_folder_outside = "mkdir sub-$WHO && cd sub-$WHO && mv ../sub-$WHO $OUT/sub-$WHO && echo x > file && echo ESCAPED";
    changes_the_mode_of_a_file_outside = "chmod 666 $OUT/keep && echo x >> $OUT/keep && echo ESCAPED";
    reads_through_its_own_root_in_proc = "grep -q geheim /proc/self/root$OUT/secret && echo ESCAPED";
    reads_through_the_root_of_another_process = "for p in 1 $VICTIM; do grep -q geheim /proc/$p/root$OUT/secret && echo ESCAPED; done";
    reads_through_its_own_folder_in_proc = "grep -q geheim /proc/self/cwd/../$(basename $OUT)/secret && echo ESCAPED";
    reads_through_the_folder_of_a_process_outside = "grep -q geheim /proc/$VICTIM/cwd/secret && echo ESCAPED";
    reads_a_descriptor_of_a_process_outside = "grep -q geheim /proc/$VICTIM/fd/3 && echo ESCAPED";
    reads_the_environment_of_a_process_outside = "grep -q geheim /proc/$VICTIM/environ && echo ESCAPED";
    reads_the_environment_of_fanout = "grep -q geheim-lab /proc/$PPID/environ && echo ESCAPED";
    finds_a_key_in_its_own_environment = "[ \"$LAB_KEY\" = geheim-lab ] && echo ESCAPED";
    opens_the_memory_of_a_process_outside = "perl -e 'open(F, q(<), qq(/proc/$ENV{VICTIM}/mem)) and print qq(ESCAPED)'";
    reads_a_descriptor_that_was_left_open = "perl -e 'open(F, q(<&=), 9) and <F> =~ /geheim/ and print qq(ESCAPED)'";
    signals_a_process_outside = "kill -0 $VICTIM && echo ESCAPED";
    changes_a_setting_of_the_kernel = "h=$(cat /proc/sys/kernel/hostname); echo $h > /proc/sys/kernel/hostname && echo ESCAPED";
    uses_memory_that_is_shared_by_name = "grep -q geheim $SHARED && echo ESCAPED";
    makes_a_device = "mknod device-$WHO c 1 5 && echo ESCAPED";
    reads_the_log_of_the_kernel = "perl -e 'sysopen(F, q(/dev/kmsg), 2048) and print qq(ESCAPED)'";
    connects_by_tcp = "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => q(127.0.0.1), PeerPort => $ENV{PORT}) and print qq(ESCAPED)'";
    listens_by_tcp = "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalAddr => q(0.0.0.0)) and print qq(ESCAPED)'";
    sends_by_udp = "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => q(udp), PeerAddr => q(127.0.0.1), PeerPort => $ENV{UDP}) and $s->send(q(x)) and print qq(ESCAPED)'";
    asks_a_name_server = "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => q(udp), PeerAddr => q(127.0.0.1), PeerPort => $ENV{UDP}) and $s->send(pack(q(nnnnnn), 1, 256, 1, 0, 0, 0).qq(\\x06geheim\\x07example\\x00).pack(q(nn), 1, 1)) and print qq(ESCAPED)'";
    opens_a_raw_socket = "perl -MSocket -e 'socket(S, PF_INET, SOCK_RAW, 1) and print qq(ESCAPED)'";
    opens_a_packet_socket = "perl -MSocket -e 'socket(S, 17, SOCK_RAW, 0) and print qq(ESCAPED)'";
    opens_a_netlink_socket = "perl -MSocket -e 'socket(S, 16, SOCK_RAW, 0) and print qq(ESCAPED)'";
    connects_to_a_unix_socket = "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => $ENV{SOCKET}) and print qq(ESCAPED)'";
    connects_to_an_abstract_socket = "perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) and connect(S, pack_sockaddr_un(qq(\\0).$ENV{ABSTRACT})) and print qq(ESCAPED)'";
    mounts_a_file_system = "mkdir m-$WHO; mount -t tmpfs none m-$WHO && umount m-$WHO && echo ESCAPED";
    changes_its_root = "chroot / true && echo ESCAPED";
    makes_a_user_namespace = "unshare -U true && echo ESCAPED";
    makes_a_mount_namespace = "unshare -m true && echo ESCAPED";
    makes_a_network_namespace = "unshare -n true && echo ESCAPED";
    shares_memory_by_number = "perl -e '$k = 7000000 + $ENV{VICTIM}; if ($ENV{WHO} eq q(plain)) { $i = shmget($k, 64, 01666); shmwrite($i, q(geheim), 0, 6) } else { $i = shmget($k, 64, 0666) } defined $i and shmread($i, $b, 0, 6) and $b eq q(geheim) and print qq(ESCAPED); $ENV{WHO} eq q(plain) or exit; fork or do { sleep 5; shmctl($i, 0, 0) }'";
}

attempts! { refused_call:
    attaches_to_a_process_outside = "print qq(ESCAPED) if syscall(101, 0x4206, 0+$ENV{VICTIM}, 0, 0) == 0";
    reads_the_memory_of_a_process_outside = "my $b = qq(\\0) x 8; my $l = pack(q(PQ), $b, 8); my $r = pack(q(QQ), 0+$ENV{ADDRESS}, 8); print qq(ESCAPED) if syscall(310, 0+$ENV{VICTIM}, $l, 1, $r, 1, 0) == 8";
    takes_a_descriptor_from_a_process_outside = "my $p = syscall(434, 0+$ENV{VICTIM}, 0); print qq(ESCAPED) if syscall(438, $p, 3, 0) >= 0";
    signals_a_process_outside_by_its_handle = "my $p = syscall(434, 0+$ENV{VICTIM}, 0); print qq(ESCAPED) if syscall(424, $p, 0, 0, 0) == 0";
    sets_limits_of_a_process_outside = "my $l = pack(q(QQ), 1 << 30, 1 << 30); print qq(ESCAPED) if syscall(302, 0+$ENV{VICTIM}, 1, $l, 0) == 0";
    sets_the_priority_of_a_process_outside = "print qq(ESCAPED) if setpriority(0, $ENV{VICTIM}, 3)";
    clones_into_a_user_namespace = "my $p = syscall(56, 0x10000011, 0, 0, 0, 0); exit if $p == 0; print qq(ESCAPED) if $p > 0";
    clones_by_the_newer_call = "my $a = pack(q(Q8), 0x10000000, 0, 0, 0, 17, 0, 0, 0); my $p = syscall(435, $a, 64); exit if $p == 0; print qq(ESCAPED) if $p > 0";
    enters_a_namespace = "open(F, q(<), q(/proc/self/ns/uts)); print qq(ESCAPED) if syscall(308, fileno(F), 0) == 0";
    opens_a_file_by_its_handle = "my $h = pack(q(Ll), 128, 0).(qq(\\0) x 128); my $m = pack(q(l), 0); my $d = qq($ENV{OUT}/secret); syscall(303, -100, $d, $h, $m, 0); opendir(D, q(.)); my $f = syscall(304, fileno(D), $h, 0); open(F, qq(<&=$f)) and <F> =~ /geheim/ and print qq(ESCAPED)";
    lets_the_kernel_make_its_calls = "my $a = qq(\\0) x 120; print qq(ESCAPED) if syscall(425, 8, $a) >= 0";
    loads_a_program_into_the_kernel = "my $a = pack(q(LLLL), 2, 4, 4, 1).(qq(\\0) x 56); print qq(ESCAPED) if syscall(321, 0, $a, 72) >= 0";
    handles_its_own_page_faults = "print qq(ESCAPED) if syscall(323, 0) >= 0";
    reaches_the_keyring_of_the_session = "print qq(ESCAPED) if syscall(250, 0, -3, 1) != -1";
    watches_the_files_of_everybody = "print qq(ESCAPED) if syscall(300, 0, 0) >= 0";
    renames_the_machine = "my $h = qx(cat /proc/sys/kernel/hostname); chomp $h; print qq(ESCAPED) if syscall(170, $h, length $h) == 0";
    types_into_a_terminal = "my $x = q(x); syscall(16, 0, 0x5412, $x); print qq(ESCAPED) if $! != 1";
    types_into_a_terminal_by_a_long_number = "my $x = q(x); syscall(16, 0, 0x100005412, $x); print qq(ESCAPED) if $! != 1";
    runs_a_program_from_memory = "my $n = q(x); my $f = syscall(319, $n, 0); open(C, q(<), q(/bin/cat)); open(M, qq(>&=$f)); local $/; print M <C>; M->flush if M->can(q(flush)); $| = 1; select(M); $| = 1; select(STDOUT); my $o = qx(/proc/$$/fd/$f $ENV{OUT}/secret); print qq(ESCAPED) if $o =~ /geheim/";
}

#[test]
fn gains_rights_by_a_program_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can make a program that belongs to somebody else");
        return;
    }
    let copy = |folder: &Folder| {
        let file = folder.path().join("who");
        std::fs::copy("/usr/bin/id", &file).unwrap();
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4755)).unwrap();
    };
    refused_after("[ \"$(./who -u)\" = 65534 ] && echo ESCAPED", &copy);
}

#[test]
fn acts_before_it_is_confined_by_a_library() {
    let source = "#include <stdio.h>\n#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { char p[999]; \
                  snprintf(p, 999, \"%s/loaded-%s\", getenv(\"OUT\") ? getenv(\"OUT\") : getenv(\"FANOUT_INSIDE_OUT\"), \"x\"); \
                  FILE *o = fopen(p, \"w\"); if (o) { puts(\"ESCAPED\"); fflush(stdout); fclose(o); } }\n";
    let built = |folder: &Folder| {
        let file = folder.write("evil.c", source);
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(folder.path().join("evil.so")).arg(file);
        cc.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !built(&Folder::new()) {
        eprintln!("SKIPPED: there is no C compiler to build the library with");
        return;
    }
    refused_after("true", &|folder| assert!(built(folder)));
}

fn repository(folder: &Folder) {
    let init = Command::new("git").args(["init", "-q", "."]).current_dir(folder.path()).status();
    assert!(init.unwrap().success());
}

#[test]
fn plants_a_hook_in_the_repository_that_it_works_in() {
    refused_after("echo x > .git/hooks/post-checkout && echo ESCAPED", &repository);
}

#[test]
fn sets_a_command_for_git_to_run() {
    refused_after("git config core.fsmonitor 'touch x' && echo ESCAPED", &repository);
}

#[test]
fn puts_another_repository_in_the_place_of_the_one_it_works_in() {
    refused_after("mv .git git-$WHO && echo ESCAPED; mv git-$WHO .git", &repository);
}

#[test]
fn writes_into_the_journal_of_its_run() {
    let here = |folder: &Folder| drop(folder.write("journal-here", ""));
    refused_after("for j in .fanout/runs/*/*; do [ -f $j ] && : >> $j && echo ESCAPED; done", &here);
}

#[test]
fn lets_fanout_write_its_output_outside() {
    let (outside, work) = (Folder::new(), Folder::new());
    for (sandbox, leads_out) in [("off", true), ("workspace-write", false)] {
        let link = format!("rm -rf sub; ln -s {} sub; echo text", outside.path().display());
        work.write(
            "plan.yaml",
            &format!("calls:\n  a: {{ run: '{link}', sandbox: {sandbox}, output: {{ file: sub/{sandbox}.txt }} }}\n"),
        );
        let journal = Folder::new();
        let ran = work.run_with(&[("FANOUT_DIR", journal.path().to_str().unwrap())], &["run", "plan.yaml"]);
        assert_eq!(outside.path().join(format!("{sandbox}.txt")).exists(), leads_out, "{}", ran.err);
        assert_eq!(ran.code, i32::from(!leads_out), "{}", ran.err);
    }
}

#[test]
fn every_attempt_stands_in_the_docs_and_every_row_there_is_an_attempt() {
    let page = std::fs::read_to_string(super::support::repository().join("docs/sandbox.md")).unwrap();
    let table = page.split("## What was tried to get out").nth(1).unwrap();
    let told: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
        .collect();
    let own = include_str!("escapes.rs");
    let mut tests: Vec<&str> = own
        .lines()
        .filter_map(|line| {
            let line = line.trim_end();
            let listed =
                line.strip_prefix("    ").and_then(|rest| rest.split_once(" = \"")).map(|(name, _)| name);
            let written = line.strip_prefix("fn ").and_then(|rest| rest.strip_suffix("() {"));
            listed.or(written).filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        })
        .filter(|name| !name.starts_with("every_attempt"))
        .collect();
    let mut told = told;
    tests.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, tests);
    assert!(tests.len() >= 40);
}
