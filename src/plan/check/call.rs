//! One call: its keys to a [`Call`] with every default filled in.

use std::path::{Component, Path};
use std::time::Duration;

use super::action;
use super::agents::Agents;
use super::budget;
use super::expand;
use super::needs::Needs;
use super::{Scope, at_least_one};
use super::{output, sandbox, session, workspace};
use crate::id::CallId;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::call::{
    CacheFile, CallFile, OnErrorWord, OnInterruptWord, OutputUse, RepeatFile, RetryWord,
};
use crate::plan::file::value::{Text, Time};
use crate::plan::load::Load;
use crate::plan::read::{At, Field, Key, OneOrMany};
use crate::plan::record::Record as _;
use crate::plan::template::{Also, Destination, Mention, Names, Template};
use crate::plan::{Action, Cache, Call, Need, OnError, OnInterrupt, Repeat, RetryOn, code};

const TIMEOUT: Duration = Duration::from_secs(600);
const AGENT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const RETRIES: u32 = 3;
const ROUNDS: u32 = 10;

/// A call, as far as it could be checked.
pub(super) struct CheckedCall {
    /// What it needs, whatever else is wrong with it.
    pub(super) needs: Vec<Need>,
    /// The call; `None` where something is missing that it cannot be without.
    pub(super) call: Option<Call>,
}

/// Checks a call. `file` has its defaults filled in already.
pub(super) fn check(
    load: &mut Load<'_>,
    mut file: CallFile,
    name: &At<String>,
    id: Option<CallId>,
    agents: &mut Agents<'_>,
    scope: &Scope<'_>,
) -> CheckedCall {
    misplaced(load, &file, name);
    let own = scope.positions.get(&name.value).copied();
    let mut mentions: Vec<Mention> = Vec::new();
    let mut needs = Needs::default();
    needs.written(load, file.needs.as_deref(), own, !file.wrote("needs"), scope);

    let when = file.when.take();
    let when = when.map(|text| load.expression(&text.value, &Names::call(scope.known), &mut mentions));
    let expansion = expand::read(load, &mut file, name, scope, &mut mentions);
    let env = file.env.take().map_or_else(Vec::new, |env| env.value.0);
    let mut names = Names::call(scope.known);
    names.env = env.iter().map(|(key, _)| key.value.as_str()).collect();
    names.item = expansion.item.as_deref();
    names.axes = expansion.axes.iter().map(String::as_str).collect();
    if expansion.many {
        names.also.push(Also::Index);
    }
    if file.repeat.is_some() {
        names.also.extend([Also::Previous, Also::Round]);
    }
    let mut around =
        action::Around { agents, scope, names: &names, mentions: &mut mentions, needs: &mut needs };
    let action = action::read(load, &mut file, name, &mut around);

    let env = variables(load, &env, &names, &mut mentions);
    let cwd = raw(load, file.cwd.take(), &names, &mut mentions);
    let stdin = raw(load, file.stdin.take(), &names, &mut mentions);
    let check = file.check.take().map(|check| workspace::check(load, check.value, &names, &mut mentions));
    let (check, protect) = check.unwrap_or_default();
    let mut workspace = workspace::read(load, &mut file, name, protect, &names, &mut mentions);
    let output = output::shape(load, file.output.take(), scope.place, &names, &mut mentions);
    if file.wrote("attempts")
        && check.is_none()
        && output.schema.is_none()
        && !file.wrote("check")
        && !file.wrote("output")
    {
        let at = file.attempts.as_ref().map_or(name.at, |attempts| attempts.key);
        let fault =
            Diagnostic::error(code::CONTRADICTION, at, "`attempts` needs something that can fail an answer");
        load.fault(
            fault.help("add `check` or `output: { schema: … }`; for transient faults there is `retries`"),
        );
    }
    let repeat = file.repeat.take().and_then(|repeat| rounds(load, *repeat, &names, &mut mentions));
    needs.mentioned(load, &mentions, own, scope);
    let session = session::of(file.session.take(), own, &mut needs, scope);
    let needs = needs.finish();
    let needs_at_least = at_least(load, file.needs_at_least.take(), needs.len());
    let timeout = some_time(load, file.timeout.take(), "timeout").unwrap_or(TIMEOUT);
    let idle_timeout = some_time(load, file.idle_timeout.take(), "idle_timeout");
    let description = file.description.take().map_or_else(|| name.value.clone(), |text| text.value);
    let join = expand::join(load, file.join.take(), expansion.over.as_ref());
    let concurrency = file.concurrency.take().map(|n| at_least_one(load, n.value, n.at, "concurrency"));
    let attempts = file.attempts.take().map_or(1, |n| at_least_one(load, n.value, n.at, "attempts"));
    let retry_on = file.retry_on.take().map_or_else(RetryOn::default, |words| faults_to_retry(&words.value));
    let item_name = expansion.item.unwrap_or_else(|| "item".to_owned());
    let caches = file.cache.as_ref().map(|cache| cache.key);
    let cache = kept(load, file.cache.take());
    let budget = budget::of_call(load, file.limits.take());
    let tags = file.tags.take().map_or_else(Vec::new, |tags| tags.value.0);
    let (Some(id), Some(action)) = (id, action) else { return CheckedCall { needs, call: None } };
    let asks = matches!(action, Action::Prompt { .. });
    workspace::settle(&mut workspace, &action);
    if let (Some(at), true, true) = (caches, workspace.isolation.is_own(), !matches!(cache, Cache::Off)) {
        let isolation = workspace.isolation.as_str();
        let message = format!(
            "`{}` works in a {isolation} of its own, and what it finds there is not known to the cache",
            name.value
        );
        let fault = Diagnostic::error(code::CONTRADICTION, at, message);
        load.fault(fault.help("remove `cache`, or give the call `isolation: shared` or `read-only`"));
    }
    if cwd.is_none() {
        workspace::survey(load, &workspace, &scope.place.dir);
    }
    let idle_timeout = idle_timeout.or(match action {
        Action::Prompt { .. } => Some(AGENT_IDLE_TIMEOUT),
        Action::Run(_)
        | Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => None,
    });
    let sandbox = sandbox::read(load, file.sandbox.take(), &action, workspace.isolation);
    let call = Call {
        id,
        at: name.at,
        description,
        action,
        needs: needs.clone(),
        needs_at_least,
        when,
        expand: expansion.over,
        item_name,
        join,
        concurrency,
        background: file.background.is_some_and(|background| background.value),
        cwd,
        sandbox,
        env,
        stdin,
        timeout,
        idle_timeout,
        retries: file.retries.map_or(RETRIES, |retries| retries.value),
        retry_on,
        on_interrupt: match file.on_interrupt.map(|word| word.value) {
            None | Some(OnInterruptWord::Retry) => OnInterrupt::Retry,
            Some(OnInterruptWord::Fail) => OnInterrupt::Fail,
            Some(OnInterruptWord::Ask) => OnInterrupt::Ask,
        },
        on_error: match file.on_error.map(|word| word.value) {
            Some(OnErrorWord::Stop) => OnError::Stop,
            None | Some(OnErrorWord::Continue) => OnError::Continue,
            Some(OnErrorWord::Ignore) => OnError::Ignore,
        },
        output,
        workspace,
        check,
        attempts,
        repeat,
        session: session.filter(|_| asks),
        pass: output::pass(file.pass),
        cache,
        budget,
        tags,
    };
    CheckedCall { needs, call: Some(call) }
}

/// What one call does cannot be a default for all.
pub(super) fn refuse_in_defaults(load: &mut Load<'_>, defaults: &mut CallFile) {
    for key in action::ACTIONS {
        let Some((at, _)) = defaults.places(key) else { continue };
        let message = format!("`{key}` says what one call does; it cannot be a default for all");
        load.fault(Diagnostic::error(code::CONTRADICTION, at, message).help("move it into the calls"));
    }
    let nothing = CallFile::default();
    defaults.prompt = nothing.prompt;
    defaults.run = nothing.run;
    defaults.plan = nothing.plan;
    defaults.reconcile = nothing.reconcile;
    defaults.value = nothing.value;
    defaults.ask = nothing.ask;
    defaults.stop = nothing.stop;
}

/// `env`, `output` and `pass` of the defaults are merged key by key; everything else is replaced.
pub(super) fn merge_parts(call: &mut CallFile, defaults: &CallFile) {
    if let (Some(env), Some(more)) = (&mut call.env, &defaults.env) {
        let missing = |(key, _): &&(At<String>, Option<Text>)| {
            !env.value.0.iter().any(|(own, _)| own.value == key.value)
        };
        let missing: Vec<_> = more.value.0.iter().filter(missing).cloned().collect();
        env.value.0.extend(missing);
    }
    if let (Some(pass), Some(more)) = (&mut call.pass, &defaults.pass) {
        pass.value.fill(&more.value);
    }
    if let (Some(own), Some(more)) = (&mut call.output, &defaults.output) {
        let mut full = output::full(&own.value, own.key, own.at);
        full.fill(&output::full(&more.value, more.key, more.at));
        own.value = OutputUse::Full(Box::new(full));
    }
}

/// Keys that mean nothing without another one. What `defaults` brings is not blamed on the call.
fn misplaced(load: &mut Load<'_>, file: &CallFile, name: &At<String>) {
    const MANY: &str = "a call with `for_each`, `matrix` or `samples`";
    let expanded = expand::is_expanded(file);
    let each = file.wrote("for_each") || file.for_each.is_some();
    let rows = [
        ("agent", file.wrote("prompt"), "a call with a `prompt`"),
        ("stdin", file.wrote("run"), "a call with `run`"),
        ("cache", file.wrote("prompt") || file.wrote("run"), "a call with a `prompt` or `run`"),
        ("limits", file.wrote("prompt") || file.wrote("plan"), "a call with a `prompt` or `plan`"),
        ("session", file.wrote("prompt"), "a call with a `prompt`"),
        ("with", file.wrote("plan"), "a call with `plan`"),
        ("default", file.wrote("ask"), "a call with `ask`"),
        ("as", each, "a call with `for_each`"),
        ("sandbox", file.wrote("prompt") || file.wrote("run"), "a call with a `prompt` or `run`"),
        ("join", expanded, MANY),
        ("concurrency", expanded, MANY),
    ];
    for (key, there, owner) in rows {
        if !there && file.wrote(key) {
            let at = file.places(key).map_or(name.at, |(key, _)| key);
            let message = format!("`{key}` means nothing in `{}`: it belongs to {owner}", name.value);
            load.fault(Diagnostic::error(code::CONTRADICTION, at, message).help("remove it"));
        }
    }
}

fn kept(load: &mut Load<'_>, cache: Key<CacheFile>) -> Cache {
    match cache.map(|cache| cache.value) {
        None | Some(CacheFile::Switch(false)) => Cache::Off,
        Some(CacheFile::Switch(true)) => Cache::On,
        Some(CacheFile::Inputs(file)) => {
            let globs = file.inputs.map_or_else(Vec::new, |inputs| inputs.value.0);
            for glob in &globs {
                let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
                if glob.value.is_empty() || !Path::new(&glob.value).components().all(inside) {
                    let message = format!("`{}` leads out of the call's working directory", glob.value);
                    let fault = Diagnostic::error(code::CONTRADICTION, glob.at, message);
                    load.fault(fault.help("write globs of files beneath it: `src/**/*.rs`"));
                }
            }
            Cache::Inputs(globs.into_iter().map(|glob| glob.value).collect())
        }
    }
}

fn raw(
    load: &mut Load<'_>,
    text: Key<Text>,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Option<Template> {
    text.map(|text| load.template(&text.value, names, Destination::Raw, mentions))
}

fn variables(
    load: &mut Load<'_>,
    env: &[(At<String>, Option<Text>)],
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Vec<(String, Template)> {
    let mut made = Vec::with_capacity(env.len());
    for (key, text) in env {
        if key.value.is_empty()
            || key.value.contains(['=', '\0'])
            || key.value.starts_with(|c: char| c.is_ascii_digit())
        {
            let message = format!("`{}` cannot be the name of a variable", key.value.escape_debug());
            load.fault(
                Diagnostic::error(code::INVALID_ID, key.at, message).help("use letters, digits and `_`"),
            );
        }
        if let Some(text) = text {
            made.push((key.value.clone(), load.template(text, names, Destination::Raw, mentions)));
        }
    }
    made
}

fn rounds(
    load: &mut Load<'_>,
    repeat: Field<RepeatFile>,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Option<Repeat> {
    let RepeatFile { until, max, fresh, .. } = repeat.value;
    let mut names = names.clone();
    names.also.extend([Also::Output, Also::Json, Also::Status]);
    let until = until.map(|until| load.expression(&until.value, &names, mentions));
    let max = max.map_or(ROUNDS, |max| at_least_one(load, max.value, max.at, "max"));
    Some(Repeat { until: until?, max, fresh: fresh.is_none_or(|fresh| fresh.value) })
}

fn at_least(load: &mut Load<'_>, number: Key<u32>, needs: usize) -> Option<u32> {
    let number = number?;
    if number.value == 0 {
        at_least_one(load, 0, number.at, "needs_at_least");
    } else if number.value as usize > needs {
        let message = format!("this call needs {needs} others; {} of them can never be enough", number.value);
        load.fault(Diagnostic::error(code::IMPOSSIBLE, number.at, message));
    }
    Some(number.value)
}

fn some_time(load: &mut Load<'_>, time: Key<Time>, key: &str) -> Option<Duration> {
    let time = time?;
    if time.value.0.is_zero() {
        let message = format!("`{key}` must be more than nothing");
        load.fault(Diagnostic::error(code::OUT_OF_RANGE, time.at, message));
    }
    Some(time.value.0)
}

fn faults_to_retry(words: &OneOrMany<RetryWord>) -> RetryOn {
    let mut on = RetryOn::default();
    for word in &words.0 {
        match word {
            RetryWord::Error => on.error = true,
            RetryWord::Timeout => on.timeout = true,
            RetryWord::InvalidOutput => on.invalid_output = true,
            RetryWord::Check => on.check = true,
        }
    }
    on
}
