//! Does what a model asks for in one message: all of it at once, and answers all of it together.
//!
//! Invariants: every call gets one result, in its place; what was done once is not done again
//! unless that changes nothing; calls that write the same file are made in order; a call that
//! cannot be made is an error that the model can act on, never the end of the conversation.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use super::desk::{Desk, Wanted, content};
use super::jobs::{End, MOST};
use super::news::Seldom;
use super::own_tools::{self, Own};
use crate::event::{JobStatus, ToolAsked};
use crate::id::ContentKey;
use crate::journal::JournalError;
use crate::model::{ToolResult, ToolSpec};
use crate::tool::{Class, Said, Tool};

/// The most of a tool's text that goes into a conversation, in characters: half a small context.
const MOST_TEXT: usize = 100_000;

/// The tools of one conversation.
pub(super) struct Toolbox<'a> {
    pub(super) desk: &'a Arc<Desk>,
    pub(super) seldom: &'a Seldom<'a>,
}

/// Who does what was asked for.
enum Doer {
    Tool(Arc<dyn Tool>),
    /// Runs a command that nobody waits for.
    BackgroundRun(Arc<dyn Tool>, u32),
    CheckBackground,
    /// A subagent that is waited for.
    Subagent(Wanted),
    /// A subagent that is not, and its number as a job.
    BackgroundSubagent(Wanted, u32),
}

/// One call that can be made.
struct Call<'a> {
    at: usize,
    key: ContentKey,
    asked: &'a ToolAsked,
    doer: Doer,
}

type Ends = Result<Vec<(usize, Said)>, JournalError>;

impl Toolbox<'_> {
    /// What the model is told of.
    pub(super) fn specs(desk: &Desk) -> Vec<ToolSpec> {
        let tools = desk.kit.tools.iter().map(|tool| tool.spec());
        tools.chain(own_tools::specs(&desk.kit)).collect()
    }

    /// Makes all calls of the answer to the request `request`.
    ///
    /// # Errors
    /// [`JournalError`] where something could not be written down: nothing more may be done.
    pub(super) async fn make(
        &self,
        request: &ContentKey,
        calls: &[ToolAsked],
    ) -> Result<Vec<ToolResult>, JournalError> {
        let mut groups: Vec<Vec<Call<'_>>> = Vec::new();
        let mut children: Vec<Call<'_>> = Vec::new();
        let mut files: HashMap<PathBuf, usize> = HashMap::new();
        let mut ends: Vec<(usize, Said)> = Vec::new();
        for (at, asked) in calls.iter().enumerate() {
            let (place, input) = (at.to_string(), asked.input.to_string());
            let parts = [request.as_str(), &place, &asked.name, &input];
            let key = ContentKey::of(parts.map(str::as_bytes));
            let doer = match self.doer(asked, &key) {
                Ok(doer) => doer,
                Err(why) => {
                    let said = Said { text: why, is_error: true };
                    self.desk.keep(self.desk.ended(&key, &asked.name, &said, Duration::ZERO), false).await?;
                    ends.push((at, said));
                    continue;
                }
            };
            let call = Call { at, key, asked, doer };
            match &call.doer {
                Doer::Subagent(_) => children.push(call),
                Doer::Tool(tool) => match tool.writes(&asked.input) {
                    None => groups.push(vec![call]),
                    Some(file) => {
                        let group = *files.entry(file).or_insert(groups.len());
                        match groups.get_mut(group) {
                            Some(calls) => calls.push(call),
                            None => groups.push(vec![call]),
                        }
                    }
                },
                Doer::BackgroundRun(..) | Doer::CheckBackground | Doer::BackgroundSubagent(..) => {
                    groups.push(vec![call]);
                }
            }
        }
        for made in self.both(&groups, &children).await {
            ends.extend(made?);
        }
        ends.sort_by_key(|(at, _)| *at);
        let result = |(asked, (_, said)): (&ToolAsked, (usize, Said))| ToolResult {
            id: asked.id.clone(),
            name: asked.name.clone(),
            text: said.text,
            is_error: said.is_error,
        };
        Ok(calls.iter().zip(ends).map(result).collect())
    }

    /// All at once. The place under the limits is kept as long as something of the agent's own is at
    /// work, and not while it only waits for subagents: they may be waiting for that very place.
    async fn both(&self, groups: &[Vec<Call<'_>>], children: &[Call<'_>]) -> Vec<Ends> {
        let own = join_all(groups.iter().map(|group| self.in_order(group)));
        let waited_for = join_all(children.iter().map(|call| self.in_order(std::slice::from_ref(call))));
        if children.is_empty() {
            return own.await;
        }
        tokio::pin!(own, waited_for);
        let mut theirs = None;
        let mut all = loop {
            tokio::select! {
                biased;
                ends = &mut own => break ends,
                ends = &mut waited_for, if theirs.is_none() => theirs = Some(ends),
            }
        };
        all.extend(match theirs {
            Some(ends) => ends,
            None => self.desk.aside(waited_for).await,
        });
        all
    }

    async fn in_order(&self, calls: &[Call<'_>]) -> Ends {
        let mut ends = Vec::with_capacity(calls.len());
        for call in calls {
            ends.push((call.at, self.once(call).await?));
        }
        Ok(ends)
    }

    /// Who does it. Numbers are given here, in the order of the message, whatever overtakes what later.
    fn doer(&self, asked: &ToolAsked, key: &ContentKey) -> Result<Doer, String> {
        let kit = &self.desk.kit;
        let tool = kit.tools.iter().find(|tool| tool.spec().name == asked.name);
        let own = if tool.is_none() { own_tools::named(kit, &asked.name) } else { None };
        if tool.is_none() && own.is_none() {
            let names: Vec<String> = Self::specs(self.desk).into_iter().map(|spec| spec.name).collect();
            return Err(match names.as_slice() {
                [] => format!("there is no tool `{}`; you have none: answer without", asked.name),
                names => format!("there is no tool `{}`; the tools are {}", asked.name, names.join(", ")),
            });
        }
        if let Some(why) = &asked.unreadable {
            return Err(format!("{why}. Call `{}` again with arguments that fit its schema.", asked.name));
        }
        if let Some(tool) = tool {
            return Ok(Doer::Tool(Arc::clone(tool)));
        }
        match own {
            Some(Own::BackgroundRun) => {
                let tool = kit.background.clone().ok_or("`background_run` is not granted")?;
                own_tools::command(&asked.input)?;
                Ok(Doer::BackgroundRun(tool, self.desk.jobs.number(key)))
            }
            Some(Own::CheckBackground) | None => Ok(Doer::CheckBackground),
            Some(Own::Agent) => {
                let subagents = kit.subagents.as_ref().ok_or("`agent` is not granted")?;
                let wanted = own_tools::wanted(subagents, &asked.input)?;
                let wanted = Wanted { number: self.desk.subagent_number(key), ..wanted };
                Ok(match wanted.background {
                    true => Doer::BackgroundSubagent(wanted, self.desk.jobs.number(key)),
                    false => Doer::Subagent(wanted),
                })
            }
        }
    }

    /// What it came to when it was made before; else makes it.
    async fn once(&self, call: &Call<'_>) -> Result<Said, JournalError> {
        let (desk, name, input) = (self.desk, call.asked.name.as_str(), &call.asked.input);
        if let Some(said) = desk.tool_end(&call.key) {
            if !said.is_error {
                self.take_up(call).await?;
            }
            return Ok(said);
        }
        let (class, file) = match &call.doer {
            Doer::Tool(tool) => (tool.class(input), tool.writes(input)),
            Doer::BackgroundRun(..) => (Class::Unsafe, None),
            // Each is a call of its own, which knows by itself what it has done.
            Doer::Subagent(_) | Doer::BackgroundSubagent(..) | Doer::CheckBackground => (Class::Pure, None),
        };
        let now = file.filter(|_| class == Class::Idempotent).and_then(|file| content(&desk.kit.root, &file));
        if let Some(before) = desk.tool_start(&call.key)
            && !(class == Class::Pure || class == Class::Idempotent && before == now)
        {
            let text = format!(
                "fanout was stopped while `{name}` was at work: it was interrupted and its outcome is unknown. \
                 Look at what it did before you repeat it."
            );
            let said = Said { text, is_error: true };
            desk.keep(desk.ended(&call.key, name, &said, Duration::ZERO), true).await?;
            return Ok(said);
        }
        let durable = class != Class::Pure;
        desk.keep(desk.started(&call.key, name, input, now), durable).await?;
        self.seldom.say(&own_tools::activity(name, input));
        let began = Instant::now();
        let said = bounded(self.work(call).await);
        desk.keep(desk.ended(&call.key, name, &said, began.elapsed()), durable).await?;
        Ok(said)
    }

    async fn work(&self, call: &Call<'_>) -> Said {
        let (desk, input) = (self.desk, &call.asked.input);
        let heard = |line: &str| self.seldom.text(line, crate::unit::Tokens(0));
        match &call.doer {
            Doer::Tool(tool) => tool.call(input.clone(), &heard).await,
            Doer::CheckBackground => {
                let id = input.get("id").and_then(Value::as_str);
                match desk.jobs.look(id) {
                    Ok(text) => Said { text, is_error: false },
                    Err(text) => Said { text, is_error: true },
                }
            }
            Doer::Subagent(wanted) => desk.subagent(wanted.clone()).await,
            Doer::BackgroundRun(_, job) | Doer::BackgroundSubagent(_, job) => {
                if !desk.jobs.start(*job, &self.what(call)) {
                    let text = format!(
                        "{MOST} background jobs are at work, the most there may be; wait for one to end"
                    );
                    return Said { text, is_error: true };
                }
                if let Some(refused) = self.go(call) {
                    desk.jobs.withdraw(*job);
                    return refused;
                }
                let text =
                    format!("bg-{job} is at work. You will be told when it ends; go on with something else.");
                Said { text, is_error: false }
            }
        }
    }

    /// Sees to a background job that was started before: in an earlier try it may still be at work, and
    /// in an earlier process it ended, or was cut off.
    async fn take_up(&self, call: &Call<'_>) -> Result<(), JournalError> {
        let (Doer::BackgroundRun(_, job) | Doer::BackgroundSubagent(_, job)) = &call.doer else {
            return Ok(());
        };
        let desk = self.desk;
        if !desk.jobs.start(*job, &self.what(call)) {
            return Ok(());
        }
        if let Some(end) = desk.job_end(&call.key) {
            desk.jobs.end(*job, end);
        } else if matches!(call.doer, Doer::BackgroundSubagent(..)) {
            self.go(call);
        } else {
            let text = "fanout was stopped while it was at work. Look at what it did before you repeat it.";
            let end = End { status: JobStatus::Interrupted, text: text.to_owned(), took: Duration::ZERO };
            desk.job_ended(*job, &call.key, end).await?;
        }
        Ok(())
    }

    /// What a job is, in a line.
    fn what(&self, call: &Call<'_>) -> String {
        match &call.doer {
            Doer::BackgroundSubagent(wanted, _) => format!("agent: {}", wanted.description),
            Doer::BackgroundRun(..) | Doer::Tool(_) | Doer::CheckBackground | Doer::Subagent(_) => {
                own_tools::command(&call.asked.input).unwrap_or_default()
            }
        }
    }

    /// Lets a job go on beside the conversation, to its recorded end; or what it was refused with at once.
    fn go(&self, call: &Call<'_>) -> Option<Said> {
        let (desk, key) = (Arc::clone(self.desk), call.key.clone());
        let began = Instant::now();
        let work = match &call.doer {
            Doer::BackgroundRun(tool, job) => {
                let (tool, job, input) = (Arc::clone(tool), *job, call.asked.input.clone());
                let heard = Arc::clone(&desk);
                let mut work =
                    async move { tool.call(input, &|text| heard.jobs.heard(job, text)).await }.boxed();
                // What is not allowed is refused before anything is started.
                if let Some(said) = (&mut work).now_or_never() {
                    return Some(said);
                }
                async move { end_job(&desk, job, &key, work.await, began).await }.boxed()
            }
            Doer::BackgroundSubagent(wanted, job) => {
                let (wanted, job) = (wanted.clone(), *job);
                async move {
                    let said = desk.subagent(wanted).await;
                    end_job(&desk, job, &key, said, began).await;
                }
                .boxed()
            }
            Doer::Tool(_) | Doer::CheckBackground | Doer::Subagent(_) => return None,
        };
        self.desk.beside(work);
        None
    }
}

async fn end_job(desk: &Desk, job: u32, key: &ContentKey, said: Said, began: Instant) {
    let status = if said.is_error { JobStatus::Failed } else { JobStatus::Completed };
    let end = End { status, text: bounded(said).text, took: began.elapsed() };
    // If that cannot be written down the run is over, and says so itself.
    let _ = desk.job_ended(job, key, end).await;
}

/// Both ends of a long text, with what is missing named.
fn bounded(said: Said) -> Said {
    let length = said.text.chars().count();
    if length <= MOST_TEXT {
        return said;
    }
    let head: String = said.text.chars().take(MOST_TEXT * 3 / 4).collect();
    let tail: String = said.text.chars().skip(length - MOST_TEXT / 4).collect();
    let gone = length - MOST_TEXT;
    Said { text: format!("{head}\n[… {gone} characters left out …]\n{tail}"), ..said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_both_ends_and_names_what_is_missing() {
        let text = format!("a{}z", "é".repeat(MOST_TEXT + 98));
        let said = bounded(Said { text, is_error: true });
        assert!(said.is_error && said.text.starts_with("aé") && said.text.ends_with("éz"));
        assert!(said.text.contains("[… 100 characters left out …]"));
    }
}
