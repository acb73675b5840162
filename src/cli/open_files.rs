//! Whether as many calls as a plan wants to have at work at once can have their files open.
//!
//! Invariant: a run never takes on more at once than the system lets it, and says so where that is
//! fewer than the plan asks for: calls would fail one after the other with "too many open files".

use crate::plan::{Action, AgentKind, Call, Plan};

/// What a run has open besides its calls: the journal, the terminal, its threads' own, with room.
const OWN: u64 = 128;
/// What a call with a program has open: its pipes, both ends while it is being started, and the process.
const OF_A_PROGRAM: u64 = 8;

/// What to do about too few.
pub const HELP: &str = "raise the hard limit (`ulimit -Hn`, `LimitNOFILE=` of a service, `--ulimit nofile=` of a \
                        container) or lower `limits.concurrency`";

/// How many calls can be at work at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// As the plan says, or as the system allows.
    pub at_once: u32,
    /// What to tell people, where that is fewer.
    pub warning: Option<String>,
}

/// The room that a plan finds where so many files may be open; `None` where nothing limits that.
pub fn room(plan: &Plan, open_files: Option<u64>) -> Room {
    let wanted = plan.limits.concurrency;
    let enough = Room { at_once: wanted, warning: None };
    let Some(open_files) = open_files else { return enough };
    let spare = open_files.saturating_sub(OWN);
    let fits = match plan.calls.iter().all(only_asks) {
        // A connection each; a fifth is left for those that are being made while another one comes free.
        true => spare / 5 * 4,
        false => spare / OF_A_PROGRAM,
    };
    let fits = u32::try_from(fits).unwrap_or(u32::MAX).max(1);
    // Without lists and plans inside, no more are at work than there are.
    let known = plan.calls.iter().all(|call| call.expand.is_none() && !runs_a_plan(call));
    let calls = u32::try_from(plan.calls.len()).unwrap_or(u32::MAX);
    if fits >= if known { wanted.min(calls) } else { wanted } {
        return enough;
    }
    let warning = format!(
        "the system lets this process have {open_files} files open, which is room for {fits} calls at once, and \
         `limits.concurrency` is {wanted}: no more than {fits} are at work at a time; {HELP}"
    );
    Room { at_once: fits, warning: Some(warning) }
}

/// True for a call that has nothing open but its connection.
fn only_asks(call: &Call) -> bool {
    call.check.is_none()
        && match &call.action {
            Action::Prompt { agent, .. } => match &agent.kind {
                AgentKind::Model(model) => model.tools.is_empty(),
                AgentKind::Command(_) => false,
            },
            Action::Value(_) | Action::Ask { .. } | Action::Stop { .. } => true,
            Action::Run(_) | Action::Plan { .. } | Action::Reconcile(_) => false,
        }
}

fn runs_a_plan(call: &Call) -> bool {
    match &call.action {
        Action::Plan { .. } => true,
        Action::Prompt { .. }
        | Action::Run(_)
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::sample::{Sample, model_agent};
    use crate::plan::Expand;

    fn plan(sample: Sample) -> Plan {
        let mut plan = sample.build();
        plan.limits.concurrency = 10_000;
        plan.calls[0].expand = Some(Expand::Samples(10_000));
        plan
    }

    #[test]
    fn ten_thousand_requests_have_room_under_twenty_thousand_files_and_as_many_commands_have_not() {
        let asks = plan(Sample::new().agent(model_agent("explore", &[])).prompt("a", "look"));
        assert_eq!(room(&asks, Some(20_000)), Room { at_once: 10_000, warning: None });
        assert_eq!(room(&asks, Some(10_000)).at_once, 7_896);
        let commands = plan(Sample::new().run("a", "true"));
        let few = room(&commands, Some(20_000));
        assert_eq!(few.at_once, 2_484);
        assert!(few.warning.is_some_and(|warning| warning.contains("no more than 2484")));
        assert_eq!(room(&commands, None).at_once, 10_000, "nothing limits it");
    }
}
