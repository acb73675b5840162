//! Seccomp: calls of the system that no policy needs, and sockets where there is no network.
//!
//! Invariant: numbers of other call tables than this machine's own are refused whole, so that no
//! call has a second name. Refused calls answer as they would without the right to them.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Op,
    SeccompCondition, SeccompFilter, SeccompRule, sock_filter,
};

use super::super::launch::Launch;
use super::Fault;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused as such: reaching into other processes, into the kernel, and around paths.
const REFUSED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    // Files without a path, and watching everybody's.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // The kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    // Keys of the session.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Calls made by the kernel itself, which this filter never sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Refused where processes share their memory by number with everybody of this user.
const SHARED_BY_NUMBER: &[i64] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semtimedop,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_kexec_file_load, libc::SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// `CLONE_NEW*`: a namespace of its own is a new set of rights.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    0x80, // CLONE_NEWTIME
];

/// Typing into the terminal that this was started from.
const TERMINAL: &[u64] = &[libc::TIOCSTI, libc::TIOCLINUX];

/// The bit that marks a number of the x32 table (`__X32_SYSCALL_BIT`).
const OTHER_TABLE: u32 = 0x4000_0000;

/// Restricts this process and all that come from it.
pub(super) fn restrict(launch: &Launch) -> Result<(), Fault> {
    let filters = filters(launch).map_err(|error| Fault::Seccomp(error.to_string()))?;
    for filter in &filters {
        seccompiler::apply_filter(filter).map_err(|error| Fault::Seccomp(error.to_string()))?;
    }
    Ok(())
}

/// One filter for each answer. The last one loaded is asked first, and the strictest answer holds.
fn filters(launch: &Launch) -> Result<Vec<BpfProgram>, BackendError> {
    let mut refused: Rules = REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    if !launch.namespaces {
        // Others of this user can be named, so their limits and priorities are out of reach.
        refused.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![is_not(0, 0)?])?]);
        refused.insert(libc::SYS_setpriority, vec![SeccompRule::new(vec![is_not(1, 0)?])?]);
        refused.extend(SHARED_BY_NUMBER.iter().map(|call| (*call, Vec::new())));
    }
    let flags =
        |argument| NAMESPACES.iter().map(move |flag| has(argument, flag.cast_unsigned().into())).collect();
    refused.insert(libc::SYS_clone, either(flags(0))?);
    refused.insert(libc::SYS_unshare, either(flags(0))?);
    refused.insert(libc::SYS_ioctl, either(TERMINAL.iter().map(|request| is(1, *request)).collect())?);
    let mut closed = Rules::new();
    closed.insert(libc::SYS_socket, sockets(launch.network)?);
    closed.insert(libc::SYS_socketpair, vec![SeccompRule::new(vec![is_not(0, libc::AF_UNIX)?])?]);
    // Its flags stand in memory, which no filter can read; whoever misses it uses `clone`.
    let missing = Rules::from([(libc::SYS_clone3, Vec::new())]);
    Ok(vec![filter(refused, libc::EPERM)?, filter(closed, libc::EACCES)?, filter(missing, libc::ENOSYS)?])
}

/// What `socket` refuses. Unix sockets lead to services outside that act for whoever asks (docker, agents of
/// keys, the desktop), with or without a network.
fn sockets(network: bool) -> Result<Vec<SeccompRule>, BackendError> {
    if !network {
        return Ok(Vec::new());
    }
    let netlink_for_more =
        vec![is(0, u64::from(libc::AF_NETLINK.cast_unsigned()))?, is_not(2, libc::NETLINK_ROUTE)?];
    let other_family =
        vec![is_not(0, libc::AF_INET)?, is_not(0, libc::AF_INET6)?, is_not(0, libc::AF_NETLINK)?];
    Ok(vec![SeccompRule::new(netlink_for_more)?, SeccompRule::new(other_family)?])
}

fn filter(rules: Rules, answer: i32) -> Result<BpfProgram, BackendError> {
    let machine = std::env::consts::ARCH.try_into()?;
    let refuse = SeccompAction::Errno(answer.cast_unsigned());
    let program: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refuse, machine)?.try_into()?;
    Ok(no_other_table().into_iter().chain(program).collect())
}

/// Loads the number of the call; from the mark of the other table on: no such call.
fn no_other_table() -> [sock_filter; 3] {
    let instruction = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    [
        // BPF_LD | BPF_W | BPF_ABS: seccomp_data.nr is at 0.
        instruction(0x20, 0, 0),
        // BPF_JMP | BPF_JGE | BPF_K.
        instruction(0x35, 1, OTHER_TABLE),
        // BPF_RET | BPF_K: SECCOMP_RET_ERRNO | ENOSYS.
        instruction(0x06, 0, 0x0005_0000 | libc::ENOSYS.cast_unsigned()),
    ]
}

fn either(conditions: Vec<Result<SeccompCondition, BackendError>>) -> Result<Vec<SeccompRule>, BackendError> {
    conditions.into_iter().map(|condition| SeccompRule::new(vec![condition?])).collect()
}

/// The kernel reads 32 bits of these arguments; whatever stands above them must not hide them.
fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Length::Dword, Op::Eq, value)
}

fn is_not(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Length::Dword, Op::Ne, value.cast_unsigned().into())
}

fn has(argument: u8, flag: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Length::Qword, Op::MaskedEq(flag), flag)
}
