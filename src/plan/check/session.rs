//! `session`: which calls go on with one conversation, in which order, and what keeps a call from it.
//!
//! Invariant: the calls of a session come one after the other, in plan order, each needs the one
//! before it, and one agent has all of it.

use std::collections::HashMap;

use super::Scope;
use super::needs::Needs;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::call::CallFile;
use crate::plan::load::Load;
use crate::plan::read::Key;
use crate::plan::record::Record as _;
use crate::plan::{Action, Agent, Cache, Call, Session, code};

/// The sessions of a plan as its calls are gone through.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// The last call of each so far.
    last: HashMap<String, usize>,
}

impl Sessions {
    /// Takes in the call at a position; says which one comes before it in its session.
    pub(super) fn join(&mut self, call: &CallFile, position: usize) -> Option<usize> {
        let session = call.session.as_ref().filter(|_| call.wrote("prompt"))?;
        self.last.insert(session.value.clone(), position)
    }
}

/// The session of the call at a position. It needs the call before it in there.
pub(super) fn of(
    name: Key<String>,
    own: Option<usize>,
    needs: &mut Needs,
    scope: &Scope<'_>,
) -> Option<Session> {
    let name = name?;
    let previous = own.and_then(|own| scope.traits.get(own)?.previous);
    if let Some(previous) = previous {
        needs.goes_on_from(previous, name.at);
    }
    Some(Session { name: name.value, at: name.at, previous })
}

/// Refuses what cannot be one conversation. `whole`: no call is missing, so that positions hold.
pub(super) fn check(load: &mut Load<'_>, calls: &[Call], whole: bool) {
    for call in calls {
        let (Some(session), Action::Prompt { agent, .. }) = (&call.session, &call.action) else { continue };
        if session.name.trim().is_empty() {
            load.fault(Diagnostic::error(code::NO_VALUE, session.at, "the session has no name"));
        }
        if let Some((message, help)) = unfit(call) {
            load.fault(Diagnostic::error(code::CONTRADICTION, session.at, message).help(help));
        }
        let before = session.previous.filter(|_| whole).and_then(|previous| calls.get(previous));
        let Some(before) = before else { continue };
        let Action::Prompt { agent: first, .. } = &before.action else { continue };
        let (name, id) = (&session.name, &call.id);
        if !is_same(first, agent) {
            let message = format!(
                "`{id}` goes on with the session `{name}` as `{}`, and `{}` before it is `{}`",
                agent.name, before.id, first.name
            );
            let fault = Diagnostic::error(code::CONTRADICTION, session.at, message);
            load.fault(fault.related(before.at, "the session's call before it").help(format!(
                "one agent has one conversation: give both the same `agent`, or leave `session` out and \
                 write `{{{{ calls.{}.output }}}}` into the prompt",
                before.id
            )));
        }
        if cwd(before) != cwd(call) {
            let message =
                format!("`{id}` and `{}` share the session `{name}` and not their `cwd`", before.id);
            let fault = Diagnostic::error(code::CONTRADICTION, session.at, message);
            load.fault(fault.help("give both the same `cwd`: what was said is about the files there"));
        }
    }
}

/// What keeps a call from being a part of any conversation, and what to do about it.
fn unfit(call: &Call) -> Option<(String, &'static str)> {
    let id = &call.id;
    if call.expand.is_some() {
        return Some((
            format!(
                "`{id}` is several calls at once, and a session is one conversation, one call after the other"
            ),
            "leave one of them out; for a conversation an item put its calls into a plan of their own, and \
             run that with `plan:` and `for_each`",
        ));
    }
    if call.workspace.isolation.is_own() {
        return Some((
            format!("`{id}` works in a workspace of its own, where nothing is of what its session was about"),
            "remove `isolation`, or the `session`",
        ));
    }
    if call.cache != Cache::Off {
        return Some((
            format!(
                "`{id}` may take over the result of another run, whose conversation this run does not have"
            ),
            "remove `cache`, or the `session`",
        ));
    }
    if call.needs_at_least.is_some()
        && call.session.as_ref().is_some_and(|session| session.previous.is_some())
    {
        return Some((
            format!("`{id}` may begin before the call before it in its session has ended"),
            "remove `needs_at_least`; `needs: { id: done }` takes any outcome of a call",
        ));
    }
    None
}

/// True for one agent. An inline one of `defaults` is read anew for each call.
fn is_same(one: &Agent, other: &Agent) -> bool {
    (&one.name, one.at) == (&other.name, other.at)
}

fn cwd(call: &Call) -> Option<&str> {
    call.cwd.as_ref().map(|cwd| &*cwd.source)
}
