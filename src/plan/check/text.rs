//! Texts of the file to templates and expressions, with the calls that they mention.

use crate::plan::check::Place;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::value::{CommandText, PromptText, Text};
use crate::plan::files::Files;
use crate::plan::load::Load;
use crate::plan::template::{
    Destination, Expression, Mention, Names, ScalarText, Template, expression, template,
};
use crate::plan::{Command, code, yaml::Style};

impl Load<'_> {
    /// Checks a template; what it mentions is added to `mentions`.
    pub(in crate::plan) fn template(
        &mut self,
        text: &Text,
        names: &Names<'_>,
        to: Destination,
        mentions: &mut Vec<Mention>,
    ) -> Template {
        let file = self.files.text(text.at.file);
        let made = template(&scalar(text, &file), names, to, &mut self.faults);
        mentions.extend_from_slice(made.mentions());
        made
    }

    /// Checks an expression; what it mentions is added to `mentions`.
    pub(in crate::plan) fn expression(
        &mut self,
        text: &Text,
        names: &Names<'_>,
        mentions: &mut Vec<Mention>,
    ) -> Expression {
        let file = self.files.text(text.at.file);
        let made = expression(&scalar(text, &file), names, &mut self.faults);
        mentions.extend_from_slice(made.mentions());
        made
    }

    /// Checks a prompt that stands in the plan or in a file. `None` where the file was refused.
    pub(in crate::plan) fn prompt(
        &mut self,
        text: PromptText,
        names: &Names<'_>,
        place: &Place,
        mentions: &mut Vec<Mention>,
    ) -> Option<Template> {
        let text = self.prompt_text(text, place)?;
        if text.text.trim().is_empty() {
            self.fault(Diagnostic::error(code::NO_VALUE, text.at, "the prompt is empty"));
        }
        Some(self.template(&text, names, Destination::Prompt, mentions))
    }

    /// The text of a prompt, from its file where it has one.
    pub(in crate::plan) fn prompt_text(&mut self, text: PromptText, place: &Place) -> Option<Text> {
        match text {
            PromptText::Text(text) => Some(text),
            PromptText::File(path) => {
                let number = self.beneath(&path, &place.dir, &place.shown)?;
                let text = self.files.text(number).to_string();
                Some(Text { at: self.whole(number), text, style: Style::Plain })
            }
        }
    }

    /// Checks a command.
    pub(in crate::plan) fn command(
        &mut self,
        text: &CommandText,
        names: &Names<'_>,
        mentions: &mut Vec<Mention>,
    ) -> Command {
        match text {
            CommandText::Shell(text) => {
                if text.text.trim().is_empty() {
                    self.fault(Diagnostic::error(code::NO_VALUE, text.at, "the command is empty"));
                }
                Command::Shell(self.template(text, names, Destination::Shell, mentions))
            }
            CommandText::Argv(words) => {
                if words.value.first().is_none_or(|program| program.text.is_empty()) {
                    let fault = Diagnostic::error(code::NO_VALUE, words.at, "the command has no program");
                    self.fault(fault.help("write `[program, argument, …]`"));
                }
                let words = words.value.iter();
                Command::Argv(
                    words.map(|word| self.template(word, names, Destination::Raw, mentions)).collect(),
                )
            }
        }
    }
}

fn scalar<'a>(text: &'a Text, file: &'a str) -> ScalarText<'a> {
    ScalarText { text: &text.text, at: text.at, raw: Files::slice(file, text.at), style: text.style }
}
