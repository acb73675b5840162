//! Agents that are programs: known ones by name, others by configuration.
//!
//! Invariant: a setting that the program has no way to keep is refused, not ignored.

use super::{at_least_one, program_tools};
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::agent::{AgentFile, AgentOutputWord, DeniedWord, InputWord};
use crate::plan::file::pattern::PatternsFile;
use crate::plan::load::Load;
use crate::plan::read::At;
use crate::plan::record::Record as _;
use crate::plan::suggest::list;
use crate::plan::template::Template;
use crate::plan::{CommandAgent, CommandInput, CommandOutput, Denied, Patterns, Program, code};

/// Keys that are about a model in this process, unless a known program has them, too.
const MODEL_KEYS: &[&str] = &["model", "tools", "max_turns", "max_tokens", "temperature", "effort"];
/// Keys that say how a program is talked to, which is known of a known one.
const TALKING_KEYS: &[&str] = &["input", "output", "patterns"];

/// Checks an agent that is a program.
pub(super) fn command_agent(
    load: &mut Load<'_>,
    at: Span,
    file: AgentFile,
    system: Option<Template>,
    servers: &[&str],
) -> Option<CommandAgent> {
    if file.command.is_none() {
        if !file.wrote("command") {
            let fault = Diagnostic::error(code::MISSING_KEY, at, "this agent has no `command`");
            load.fault(fault.help("add `command: [program, argument, …]`"));
        }
        return None;
    }
    let program = named(&file);
    if !may_have(load, at, &file, program) {
        return None;
    }
    let AgentFile {
        command,
        args,
        input,
        output,
        patterns,
        inherit,
        denied,
        model,
        effort,
        max_turns,
        tools,
        ..
    } = file;
    let command = command?;
    if let ([one], None) = (command.value.0.as_slice(), program) {
        refuse_words(load, one, command.at == one.at);
    }
    let mut argv: Vec<String> = command.value.0.into_iter().map(|word| word.value).collect();
    if argv.first().is_none_or(String::is_empty) {
        load.fault(Diagnostic::error(code::NO_VALUE, command.at, "the command has no program"));
        return None;
    }
    argv.extend(args.map_or_else(Vec::new, |args| args.value));
    let names = inherit.map_or_else(Vec::new, |inherit| inherit.value.0);
    for name in names.iter().filter(|name| !is_variable(&name.value)) {
        let message = "`inherit` holds names of variables, not values";
        load.fault(Diagnostic::error(code::SECRET, name.at, message).help("write `inherit: [LAB_KEY]`"));
    }
    let model = model.and_then(|model| match model.value.0.as_slice() {
        [one] => Some(one.value.clone()),
        _ => {
            let fault = Diagnostic::error(code::WRONG_TYPE, model.at, "a program takes one model");
            load.fault(fault.help("give one; a fallback is the program's own business"));
            None
        }
    });
    let input = input.map(|input| match input.value {
        InputWord::Stdin => CommandInput::Stdin,
        InputWord::Arg => CommandInput::Arg,
        InputWord::File => CommandInput::File,
    });
    let output = output.map(|output| match output.value {
        AgentOutputWord::Text => CommandOutput::Text,
        AgentOutputWord::Json => CommandOutput::Json,
        AgentOutputWord::JsonLines => CommandOutput::JsonLines,
        AgentOutputWord::StreamJson => CommandOutput::StreamJson,
    });
    let tools = program.zip(tools).map(|(program, tools)| program_tools::of(load, program, &tools, servers));
    let otherwise = match program {
        Some(_) => CommandOutput::StreamJson,
        None => CommandOutput::Text,
    };
    Some(CommandAgent {
        program,
        input: input.unwrap_or(CommandInput::Stdin),
        output: output.unwrap_or(otherwise),
        patterns: patterns.map_or_else(Box::default, |patterns| Box::new(all(patterns.value))),
        inherit: names.into_iter().map(|name| name.value).collect(),
        system,
        model,
        effort: effort.map(|effort| effort.value),
        max_turns: max_turns.map(|n| at_least_one(load, n.value, n.at, "max_turns")),
        tools,
        denied: match denied.map(|denied| denied.value) {
            None | Some(DeniedWord::Block) => Denied::Block,
            Some(DeniedWord::Continue) => Denied::Continue,
        },
        argv,
    })
}

/// The known program that a command of one word names.
fn named(file: &AgentFile) -> Option<Program> {
    let command = file.command.as_ref()?;
    match command.value.0.as_slice() {
        // In a list it is spelt out, arguments and all.
        [one] if command.at == one.at => Program::named(&one.value),
        _ => None,
    }
}

/// Refuses the keys that this agent cannot have; true if there are none.
fn may_have(load: &mut Load<'_>, at: Span, file: &AgentFile, program: Option<Program>) -> bool {
    let has = |key: &&&str| program.is_some_and(|program| program.settings().contains(*key));
    let unknown: Vec<&str> = MODEL_KEYS.iter().filter(|key| file.wrote(key) && !has(key)).copied().collect();
    let known: &[&str] = if program.is_some() { TALKING_KEYS } else { &[] };
    let known: Vec<&str> = known.iter().filter(|key| file.wrote(key)).copied().collect();
    let quoted = |keys: &[&str]| -> String {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        list(&keys, "and")
    };
    let name = program.map_or("", Program::name);
    let fault = match (unknown.as_slice(), known.as_slice(), program) {
        ([], [], _) => return true,
        ([], known, _) => {
            let message = format!("`{name}` is known: it takes no {}", quoted(known));
            let help = format!("leave them out, or spell it out: `command: [{name}, argument, …]`");
            Diagnostic::error(code::CONTRADICTION, at, message).help(help)
        }
        (unknown, _, None) => {
            let message = format!("an agent with `command` has no {}", quoted(unknown));
            let fault = Diagnostic::error(code::CONTRADICTION, at, message);
            fault.help("an agent is a model in this process or a `command`, not both")
        }
        (unknown, _, Some(program)) => {
            let message = format!("`{name}` has no way to be given {}", quoted(unknown));
            let help = format!("it takes {}, and `args`", quoted(program.settings()));
            Diagnostic::error(code::CONTRADICTION, at, message).help(help)
        }
    };
    load.fault(fault);
    false
}

/// A command of one word that was meant to be several.
fn refuse_words(load: &mut Load<'_>, word: &At<String>, bare: bool) {
    if bare && word.value.contains(char::is_whitespace) {
        let words: Vec<&str> = word.value.split_whitespace().collect();
        let fault = Diagnostic::error(code::WRONG_TYPE, word.at, "a program with arguments is a list");
        load.fault(fault.help(format!("write `command: [{}]`", words.join(", "))));
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn all(file: PatternsFile) -> Patterns {
    Patterns {
        text: file.text.map(|it| it.value),
        error: file.error.map(|it| it.value),
        blocked: file.blocked.map(|it| it.value),
        rate_limited: file.rate_limited.map(|it| it.value),
        input_tokens: file.input_tokens.map(|it| it.value),
        output_tokens: file.output_tokens.map(|it| it.value),
        cost: file.cost.map(|it| it.value),
        session: file.session.map(|it| it.value),
    }
}
