//! Text to syntax tree, and what is wrong with a text that has none.
//!
//! Invariant: what comes out is shallow enough to be walked and compiled by
//! recursion; what would not be is refused before anything recurses over it.

use std::ops::Range;
use std::sync::LazyLock;

use minijinja::machinery::{Token, ast, parse, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::place::Places;
use crate::plan::code;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::suggest::did_you_mean;

/// How deep one tag may nest, counted generously: every operator, dot and bracket is a step.
const MAX_STEPS: usize = 300;

/// The statements of the language, with what closes each.
const STATEMENTS: [(&str, &str); 5] =
    [("if", "endif"), ("for", "endfor"), ("set", "endset"), ("with", "endwith"), ("filter", "endfilter")];

/// What is wrong, and where in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxFault {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl SyntaxFault {
    /// Adds it, for a text that begins at `offset` of the scalar.
    pub(super) fn report(self, places: &Places, offset: usize, faults: &mut Vec<Diagnostic>) {
        let at = places.span(offset + self.at.start..offset + self.at.end);
        faults.push(Diagnostic::error(code::TEMPLATE_SYNTAX, at, self.message).maybe_help(self.help));
    }
}

/// The dialect: Jinja's, with the newline at the end of a text kept.
pub(super) fn dialect() -> SyntaxConfig {
    static DIALECT: LazyLock<SyntaxConfig> = LazyLock::new(|| {
        // Building it fails only for delimiters that are not Jinja's own.
        SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
    });
    DIALECT.clone()
}

/// True for a text that stands for itself, so that nothing needs to be read.
pub(super) fn is_plain(text: &str) -> bool {
    let opens = |pair: &[u8]| matches!(pair, b"{{" | b"{%" | b"{#" | b"}}");
    // `${#name}` of a shell is no comment.
    let comment = |text: &str| text.split_once("{#").is_some_and(|(_, rest)| rest.contains("#}"));
    let tags = |text: &str| ["{{", "{%", "}}"].iter().any(|tag| text.contains(tag));
    !text.as_bytes().windows(2).any(opens) || !tags(text) && !comment(text)
}

/// Reads a template: the statements of its top level.
pub(super) fn read_template(text: &str) -> Result<ast::Stmt<'_>, SyntaxFault> {
    if has_only_simple_tags(text)
        && let Ok(tree) = parse(text, "template", dialect())
    {
        return Ok(tree);
    }
    scan(text, false)?;
    parse(text, "template", dialect()).map_err(|error| explain(text, &error))
}

/// Reads one expression.
pub(super) fn read_expression(text: &str) -> Result<ast::Expr<'_>, SyntaxFault> {
    scan(text, true)?;
    parse_expr(text).map_err(|error| explain(text, &error))
}

/// True where a look at each tag could find no more than the parser does, as in nearly every prompt:
/// `{{ }}` in turn, with too little between them to nest deep, and without quotes and braces, which
/// could make a tag end elsewhere.
fn has_only_simple_tags(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut open, mut at) = (None, 0);
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1);
        match (byte, open) {
            (b'{', None) if next == Some(&b'{') => {
                open = Some(at);
                at += 1;
            }
            (b'{', None) if matches!(next, Some(b'%' | b'#')) => return false,
            (b'}', None) if next == Some(&b'}') => return false,
            (b'}', Some(start)) if next == Some(&b'}') && at - start <= MAX_STEPS => {
                open = None;
                at += 1;
            }
            (b'{' | b'}' | b'"' | b'\'', Some(_)) => return false,
            _ => {}
        }
        at += 1;
    }
    open.is_none()
}

/// What stands inside the `{{ }}` of a text that is nothing but one tag; the text itself where there is no tag.
pub(super) fn unwrapped(text: &str) -> Result<Range<usize>, SyntaxFault> {
    let blank = |text: &str| text.len() - text.trim_start().len();
    let whole = blank(text)..text.trim_end().len().max(blank(text));
    // Braces may also be those of a map, or stand in a text in quotes.
    if !["{{", "{%", "{#"].iter().any(|tag| text.contains(tag)) || read_expression(text).is_ok() {
        return Ok(whole);
    }
    if let ast::Stmt::Template(template) = read_template(text)? {
        let mut inner = Vec::new();
        let mut others = false;
        for child in &template.children {
            if let ast::Stmt::EmitExpr(emit) = child {
                inner.push(emit_range(text, emit));
            } else if let ast::Stmt::EmitRaw(raw) = child {
                others |= !raw.raw.trim().is_empty();
            } else {
                others = true;
            }
        }
        if let (false, [inner]) = (others, inner.as_slice()) {
            return Ok(inner.clone());
        }
    }
    Err(SyntaxFault {
        at: whole,
        message: "this is a text with templates in it, but an expression belongs here".to_owned(),
        help: Some("write one expression, such as `vars.a == \"x\"`; join texts with `~`".to_owned()),
    })
}

/// The bytes of the expression inside `{{ }}`, parentheses included.
pub(super) fn emit_range(text: &str, emit: &ast::Spanned<ast::EmitExpr>) -> Range<usize> {
    let span = emit.span();
    let mut start = span.start_offset as usize + 2;
    if matches!(text.as_bytes().get(start), Some(b'-' | b'+')) {
        start += 1;
    }
    let inner = text.get(start..).unwrap_or("");
    start += inner.len() - inner.trim_start().len();
    start..(span.end_offset as usize).max(start)
}

/// Looks at the tags one by one: are they closed, do they match, are they simple enough?
fn scan(text: &str, in_expression: bool) -> Result<(), SyntaxFault> {
    let mut tags = Tags { text, open: None, blocks: Vec::new(), steps: 0, branches: 0, braces: 0, after: 0 };
    let mut tokens = Vec::new();
    for token in tokenize(text, in_expression, dialect()) {
        let (token, span) = token.map_err(|error| tags.stumbled(&error))?;
        let at = span.start_offset as usize..span.end_offset as usize;
        match &token {
            Token::TemplateData(data) => tags.data(data, &at)?,
            Token::VariableStart | Token::BlockStart => {
                tags.open = Some(at.clone());
                tags.steps = 0;
                tokens.clear();
            }
            Token::VariableEnd => tags.open = None,
            Token::BlockEnd => {
                tags.block(&tokens)?;
                tags.open = None;
            }
            Token::Ident(word) => {
                tags.steps += usize::from(matches!(*word, "and" | "or" | "not" | "is" | "in" | "if"));
            }
            Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => {}
            Token::Comma | Token::Colon | Token::Assign => {}
            Token::BracketClose | Token::ParenClose | Token::BraceClose => {}
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::FloorDiv | Token::Pow => {
                tags.steps += 1
            }
            Token::Mod | Token::Dot | Token::Tilde | Token::Pipe | Token::Eq | Token::Ne => tags.steps += 1,
            Token::Gt | Token::Gte | Token::Lt | Token::Lte => tags.steps += 1,
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => tags.steps += 1,
        }
        tags.after = at.end;
        if tags.steps > MAX_STEPS || tags.branches > MAX_STEPS {
            return Err(SyntaxFault {
                at: tags.open.unwrap_or(at),
                message: "this is too long to be an expression".to_owned(),
                help: Some("expressions are small on purpose: compute it in a `run` or a `value`".to_owned()),
            });
        }
        if tags.open.is_some() {
            tokens.push((token, at));
        }
    }
    tags.end()
}

struct Tags<'a> {
    text: &'a str,
    /// The opening brace of the tag that is being read.
    open: Option<Range<usize>>,
    /// The statements that are not closed yet.
    blocks: Vec<(&'static str, &'static str, Range<usize>)>,
    /// How much nests in this tag.
    steps: usize,
    /// How many `elif` there are: each one nests in the last.
    branches: usize,
    /// How many braces of the plain text are open.
    braces: usize,
    /// Where the last token ended.
    after: usize,
}

impl Tags<'_> {
    /// Plain text between tags: a `}}` that closes nothing is a tag that was not opened.
    fn data(&mut self, data: &str, at: &Range<usize>) -> Result<(), SyntaxFault> {
        // What `{% raw %}` holds follows no tag that the tokenizer shows.
        let raw = self.after < at.start && self.text[..at.start].ends_with("%}");
        if raw {
            return Ok(());
        }
        let bytes = data.as_bytes();
        let mut offset = 0;
        while let Some(byte) = bytes.get(offset) {
            match byte {
                b'{' => self.braces += 1,
                b'}' if bytes.get(offset + 1) == Some(&b'}') && self.braces < 2 => {
                    return Err(SyntaxFault {
                        at: at.start + offset..at.start + offset + 2,
                        message: "this `}}` closes nothing".to_owned(),
                        help: Some(
                            "open it with `{{`, or write `{% raw %}}}{% endraw %}` for the braces themselves"
                                .to_owned(),
                        ),
                    });
                }
                b'}' => self.braces = self.braces.saturating_sub(1),
                _ => {}
            }
            offset += 1;
        }
        Ok(())
    }

    /// One `{% … %}`, the tokens between its ends.
    fn block(&mut self, tokens: &[(Token, Range<usize>)]) -> Result<(), SyntaxFault> {
        let at = self.open.clone().unwrap_or_default();
        let Some((Token::Ident(word), at_word)) = tokens.get(1) else { return Ok(()) };
        let fail =
            |message: String, help: Option<String>| Err(SyntaxFault { at: at_word.clone(), message, help });
        if let Some((open, close)) = STATEMENTS.into_iter().find(|(open, _)| open == word) {
            let sign = tokens.iter().find(|(token, _)| matches!(token, Token::Assign | Token::Pipe));
            if open != "set" || !matches!(sign, Some((Token::Assign, _))) {
                self.blocks.push((open, close, at));
            }
            return Ok(());
        }
        let inside = self.blocks.last().map(|(open, ..)| *open);
        match *word {
            "elif" | "else" => {
                self.branches += usize::from(*word == "elif");
                match inside {
                    Some("if") => Ok(()),
                    Some("for") if *word == "else" => Ok(()),
                    _ => fail(format!("`{word}` stands outside of an `if`"), None),
                }
            }
            "raw" | "endraw" => Ok(()),
            word if word.starts_with("end") => match self.blocks.pop() {
                Some((_, close, _)) if close == word => Ok(()),
                Some((open, close, _)) => {
                    fail(format!("`{word}` cannot close `{open}`"), Some(format!("write `{{% {close} %}}`")))
                }
                None => fail(format!("`{word}` closes nothing"), None),
            },
            "macro" | "call" | "include" | "import" | "from" | "extends" | "block" | "do" | "autoescape"
            | "break" | "continue" => {
                let help = "there are `if`, `for`, `set`, `with` and `filter`; anything bigger is a `run`";
                fail(format!("`{word}` is not part of this language"), Some(help.to_owned()))
            }
            word => {
                let known =
                    STATEMENTS.iter().flat_map(|(open, close)| [*open, *close]).chain(["else", "elif"]);
                let help = did_you_mean(word, known);
                fail(format!("there is no statement `{word}`"), help)
            }
        }
    }

    /// The tokenizer cannot go on.
    fn stumbled(&self, error: &minijinja::Error) -> SyntaxFault {
        let rest = self.text.get(self.after..).unwrap_or("");
        match (error.detail(), rest.find(['\'', '"'])) {
            (Some("unexpected end of string"), Some(quote))
                if unclosed(self.text, self.text.len()).is_none() =>
            {
                SyntaxFault {
                    at: self.after + quote..self.after + quote + 1,
                    message: "this quote is never closed".to_owned(),
                    help: None,
                }
            }
            _ => explain(self.text, error),
        }
    }

    fn end(self) -> Result<(), SyntaxFault> {
        if let Some(at) = self.open {
            return Err(never_closed(self.text, at));
        }
        match self.blocks.into_iter().next_back() {
            None => Ok(()),
            Some((open, close, at)) => Err(SyntaxFault {
                at: at.start..self.text[at.start..].find("%}").map_or(at.end, |end| at.start + end + 2),
                message: format!("this `{open}` is never closed"),
                help: Some(format!("write `{{% {close} %}}` where it ends")),
            }),
        }
    }
}

fn never_closed(text: &str, at: Range<usize>) -> SyntaxFault {
    let close = if text[at.clone()].starts_with("{%") { "%}" } else { "}}" };
    let open = &text[at.start..at.start + 2];
    SyntaxFault {
        message: format!("this `{open}` is never closed"),
        help: Some(format!(
            "close it with `{close}`, or write `{{% raw %}}{open}{{% endraw %}}` for the braces themselves"
        )),
        at: at.start..at.start + 2,
    }
}

/// The tag that is open at `end`, if nothing closes it before the next one opens.
///
/// What the engine stumbles over is far from it: the text after it is read as code.
fn unclosed(text: &str, end: usize) -> Option<SyntaxFault> {
    let upto = text.get(..end)?;
    let open = upto.rfind("{{").max(upto.rfind("{%"))?;
    let rest = &text[open + 2..];
    let close = if text[open..].starts_with("{%") { "%}" } else { "}}" };
    let next = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min().unwrap_or(rest.len());
    (!rest[..next].contains(close)).then(|| never_closed(text, open..open + 2))
}

/// The engine's error in our words, at the opening brace where that is what is wrong.
fn explain(text: &str, error: &minijinja::Error) -> SyntaxFault {
    let at = error.range().unwrap_or(text.len()..text.len());
    let at = at.start.min(text.len())..at.end.min(text.len());
    if error.detail() == Some("unexpected end of comment") {
        let open = text.rfind("{#").unwrap_or(at.start);
        return SyntaxFault {
            at: open..(open + 2).min(text.len()),
            message: "this `{#` begins a comment that is never closed".to_owned(),
            help: Some(
                "close it with `#}`, or write `{% raw %}{#{% endraw %}` for the braces themselves".to_owned(),
            ),
        };
    }
    if let Some(fault) = unclosed(text, at.end) {
        return fault;
    }
    let detail = error.detail().unwrap_or("it cannot be read");
    let detail = detail
        .replace("end of variable block", "`}}`")
        .replace("end of block", "`%}`")
        .replace("end of input", "the end");
    let help = match text.get(at.clone()) {
        Some("=") => Some("compare with `==`".to_owned()),
        Some("&" | "&&") => Some("write `and`".to_owned()),
        Some("!") => Some("write `not`".to_owned()),
        Some("?") => Some("write `a if condition else b`".to_owned()),
        _ => None,
    };
    SyntaxFault { at, message: format!("this cannot be read: {detail}"), help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (String, String) {
        let Err(fault) = read_template(text) else { panic!("{text:?} was read") };
        (text[fault.at].to_owned(), fault.message)
    }

    #[test]
    fn a_tag_that_is_not_closed_is_shown_where_it_opens() {
        for text in ["a {{ b", "a {{ b } it's c", "a {{ b \n {{ c }}", "{{ b.c } and {% if x %}y{% endif %}"]
        {
            assert_eq!(fault(text), ("{{".to_owned(), "this `{{` is never closed".to_owned()), "{text}");
        }
        assert_eq!(fault("a {% if b"), ("{%".to_owned(), "this `{%` is never closed".to_owned()));
        assert_eq!(fault("{% if b %}c"), ("{% if b %}".to_owned(), "this `if` is never closed".to_owned()));
    }

    #[test]
    fn braces_of_the_text_itself_are_no_tags() {
        for text in [r#"{"a": {"b": {{ c }}}}"#, "f(){ {{ x }} }", "{% raw %}a }} b {{ c{% endraw %}", "}"] {
            assert!(read_template(text).is_ok(), "{text}");
        }
        assert_eq!(fault("a { b }} c"), ("}}".to_owned(), "this `}}` closes nothing".to_owned()));
    }

    #[test]
    fn a_text_with_simple_tags_needs_no_look_at_each() {
        for text in ["{{ a }}", "f() { {{ a.b|c }} }{{- d -}}\n", "{ x", "a"] {
            assert!(has_only_simple_tags(text) && scan(text, false).is_ok(), "{text}");
        }
        let long = format!("{{{{ {}a }}}}", "a ~ ".repeat(100));
        let quotes = r#"{{ '}}' ~ '{{' }} x }}"#;
        for text in
            [&long, quotes, "{{ a", "a }}", "{{ a }} }}", "{{ {{ }}", "{% if a %}{% endif %}", "{# #}"]
        {
            assert!(!has_only_simple_tags(text), "{text}");
        }
    }

    #[test]
    fn a_length_in_a_shell_is_no_comment() {
        assert!(is_plain("echo ${#x} {a}"));
        assert!(!is_plain("echo {# x #}"));
        let at = ("{#".to_owned(), "this `{#` begins a comment that is never closed".to_owned());
        assert_eq!(fault("echo ${#x} {{ a }}"), at);
    }

    #[test]
    fn statements_are_matched_and_known() {
        let message = |text: &str| fault(text).1;
        assert_eq!(message("{% for a in b %}{% endif %}"), "`endif` cannot close `for`");
        assert_eq!(message("{% endif %}"), "`endif` closes nothing");
        assert_eq!(message("{% else %}"), "`else` stands outside of an `if`");
        assert_eq!(message("{% iff a %}"), "there is no statement `iff`");
        assert_eq!(message("{% include 'x' %}"), "`include` is not part of this language");
        assert!(
            read_template("{% set a = 1 %}{% set b %}x{% endset %}{% set c | upper %}{% endset %}").is_ok()
        );
    }

    #[test]
    fn what_would_nest_too_deep_is_refused_before_it_is_parsed() {
        let long = |part: &str| format!("{{{{ {}a }}}}", part.repeat(100_000));
        for part in ["a ~ ", "not ", "- ", "(", "[", "a if b else ", "a.b | ", "x["] {
            let fault = read_template(&long(part)).err().unwrap();
            assert_eq!(fault.message, "this is too long to be an expression", "{part}");
        }
        let branches = format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(100_000));
        assert!(read_template(&branches).is_err());
        assert!(read_template(&"{% if a %}".repeat(100_000)).is_err());
        let list = format!("{{% for a in [{}] %}}{{% endfor %}}", "'x', ".repeat(10_000));
        assert!(read_template(&list).is_ok());
    }

    #[test]
    fn an_expression_may_stand_in_braces() {
        let inner =
            |text: &'static str| unwrapped(text).map(|range| &text[range]).map_err(|fault| fault.message);
        assert_eq!(inner(" a == b "), Ok("a == b"));
        assert_eq!(inner("{{ a == b }}\n"), Ok("a == b"));
        assert_eq!(inner("{{- (a) | f -}}"), Ok("(a) | f"));
        assert_eq!(inner("{'a': {'b': 1}}"), Ok("{'a': {'b': 1}}"));
        assert_eq!(inner("'{{ a }}' == b"), Ok("'{{ a }}' == b"));
        assert_eq!(inner("{{ a == }}"), Err("this cannot be read: unexpected `}}`".to_owned()));
        assert!(inner("{{ a }} == {{ b }}").is_err());
        assert!(inner("x {{ a }}").is_err());
        assert!(inner("{% if a %}b{% endif %}").is_err());
    }
}
