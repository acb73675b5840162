//! Whether a plan's programs can be confined as it says, found out before any of them starts.

use super::args::How;
use super::{Complaint, exit};
use crate::plan::{Action, Plan};
use crate::sandbox::{self, Report, Sandbox, Tier};

/// Who confines the programs of a plan.
///
/// # Errors
/// [`Complaint`] with the status of a policy where the plan has a call that is to be confined and the
/// system cannot do that.
pub async fn of(plan: &Plan, how: &How) -> Result<Sandbox, Complaint> {
    if how.no_sandbox {
        return Ok(Sandbox::off());
    }
    let Some(call) = first(plan) else { return Ok(Sandbox::untried()) };
    let refused = |message| Complaint { code: exit::POLICY, message };
    let exe = std::env::current_exe()
        .map_err(|error| refused(format!("this program's own file cannot be found: {error}")))?;
    let report = sandbox::available(&exe).await;
    match report.tier {
        Some(_) => Ok(Sandbox::new(exe, report)),
        None => Err(refused(format!("`{call}` is to run in a sandbox, and {}", report.unavailable()))),
    }
}

/// What is said of a run without the sandbox that its plan asks for.
pub fn warning(plan: &Plan, sandbox: &Sandbox) -> Option<String> {
    let call = first(plan).filter(|_| !sandbox.is_on())?;
    Some(format!(
        "`--no-sandbox`: `{call}` and whatever else is to run in a sandbox can touch all that you can"
    ))
}

/// What was found, for `fanout doctor`: how strong, what was tried, what is missing.
pub fn described(report: &Report) -> String {
    let head = match report.tier {
        Some(Tier::Namespaces) => "sandbox: Landlock, seccomp and namespaces".to_owned(),
        Some(Tier::Kernel) => "sandbox: Landlock and seccomp, without namespaces".to_owned(),
        None => "sandbox: none".to_owned(),
    };
    let mut lines = vec![head];
    lines.extend(report.attempts.iter().map(|attempt| {
        let how = if attempt.held { "refused" } else { "WORKED" };
        format!("  {how}: {} ({})", attempt.what, attempt.answer)
    }));
    lines.extend(report.missing.iter().map(|what| format!("  missing: {what}")));
    if !report.missing.is_empty() {
        lines.push(format!("  help: {}", report.help));
    }
    lines.join("\n") + "\n"
}

/// The first call that is to be confined, of a plan or of one that it runs.
fn first(plan: &Plan) -> Option<&str> {
    plan.calls.iter().find_map(|call| match &call.action {
        Action::Plan { plan, .. } => first(plan),
        Action::Prompt { .. }
        | Action::Run(_)
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => call.sandbox.is_on().then_some(call.id.as_str()),
    })
}
