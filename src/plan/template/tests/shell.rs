//! Values in shell text, run by real shells.

use std::process::Command;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The shells of this machine that `sh` could be.
fn shells() -> Vec<&'static str> {
    let has =
        |shell: &&str| Command::new(shell).args(["-c", ":"]).output().is_ok_and(|out| out.status.success());
    ["sh", "dash", "bash", "busybox"].into_iter().filter(has).collect()
}

fn rendered(text: &str, value: &str) -> Rendered {
    let scope = scope(json!({"vars": {"text": value}}), Made::default());
    read(text, Destination::Shell).render(&scope, Destination::Shell).unwrap()
}

/// What a shell prints for a text in which `vars.text` is `value`.
fn printed(shell: &str, text: &str, value: &str) -> String {
    let rendered = rendered(text, value);
    let mut command = Command::new(shell);
    command.arg("-c").arg(&rendered.text).envs(rendered.variables).env("LC_ALL", "C.UTF-8");
    let out = command.output().unwrap();
    assert!(out.status.success(), "{shell}: {}\n{}", rendered.text, String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Texts that print the value, or what a shell's command substitution leaves of it.
const TEXTS: &[(&str, &str, &str)] = &[
    ("unquoted", "printf '<%s>' {{ vars.text }}", ""),
    ("in a word", "printf '<%s>' a{{ vars.text }}b", "ab"),
    ("in double quotes", "printf '<%s>' \"a {{ vars.text }} b\"", "a  b"),
    ("twice", "printf '<%s>' {{ vars.text }}{{ '' }}", ""),
    ("after an escape", "printf '<%s>' \"\\\"\\\\{{ vars.text }}\\\"\"", "\"\\\""),
    ("between quotes", "printf '<%s>' 'it'{{ vars.text }}'s'", "its"),
    ("after a default", "unset x; printf '<%s>' ${x:-{{ vars.text }}}", ""),
    ("after a quoted default", "unset x; printf '<%s>' \"${x:-{{ vars.text }}}\"", ""),
    ("assigned", "x={{ vars.text }}; printf '<%s>' \"$x\"", ""),
    ("after a comment", "# it's \"{{ vars.text }}\nprintf '<%s>' {{ vars.text }}", ""),
    ("in a case", "case y in a) ;; (y) printf '<%s>' {{ vars.text }} ;; esac", ""),
    ("in braces", "f() { printf '<%s>' \"$1\"; }; f {{ vars.text }}", ""),
    ("in a loop", "{% for t in [vars.text] %}printf '<%s>' {{ t }};{% endfor %}", ""),
    (
        "in a branch",
        "printf '<%s>' {% if vars.text == 'x' %}{{ vars.text }}{% else %}\"{{ vars.text }}\"{% endif %}",
        "",
    ),
    ("after a here-document", "cat <<'E' >/dev/null\nit's `\nE\nprintf '<%s>' {{ vars.text }}", ""),
    ("after a dollar quote", "x=\"$'\"; printf '<%s>' {{ vars.text }}", ""),
    ("set beforehand", "{% set x %}{{ vars.text }}{% endset %}printf '<%s>' {{ x }}", ""),
    ("redirected", "printf '<%s>' {{ vars.text }} 2>/dev/null </dev/null", ""),
    ("matched", "case a{{ vars.text }} in \"a\"{{ vars.text }}) printf '<%s>' {{ vars.text }};; esac", ""),
];

fn expected(name: &str, around: &str, value: &str) -> String {
    let (before, after) = match name {
        "in a word" => ("a", "b"),
        "in double quotes" => ("a ", " b"),
        "after an escape" => ("\"\\", "\""),
        "between quotes" => ("it", "s"),
        _ => ("", ""),
    };
    assert_eq!(format!("{before}{after}"), around);
    format!("<{before}{value}{after}>")
}

/// Texts in which the value passes through a command substitution, which takes the line ends off.
const SUBSTITUTED: &[&str] = &[
    "printf '<%s>' \"$(printf '%s' {{ vars.text }})\"",
    "printf '<%s>' \"$(printf '%s' \"{{ vars.text }}\")\"",
    "x=$(printf '%s' {{ vars.text }}); printf '<%s>' \"$x\"",
    "printf '<%s>' \"`printf %s {{ vars.text }}`\"",
    "x=`printf %s \"{{ vars.text }}\"`; printf '<%s>' \"$x\"",
    "x=$(cat <<E\n{{ vars.text }}\nE\n); printf '<%s>' \"$x\"",
    "x=$(cat <<-E\n\t\t{{ vars.text }}\n\tE\n); printf '<%s>' \"$x\"",
    "x=\"$(case a in a) printf %s {{ vars.text }};; esac)\"; printf '<%s>' \"$x\"",
    "x=$(printf '%s\\n' \"$( (printf %s {{ vars.text }}) )\" # it's a \" comment )\n); printf '<%s>' \"$x\"",
];

fn nasty() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("'".to_owned()),
        Just("\"".to_owned()),
        Just("$(echo pwned)".to_owned()),
        Just("`echo pwned`".to_owned()),
        Just("\\".to_owned()),
        Just("\n".to_owned()),
        Just("; exit 3".to_owned()),
        Just("${HOME}".to_owned()),
        Just(" ".to_owned()),
        Just("*".to_owned()),
        Just("-n".to_owned()),
        Just("E".to_owned()),
        Just("\nE\n".to_owned()),
        Just("}".to_owned()),
        Just(")".to_owned()),
        Just("))".to_owned()),
        Just("~".to_owned()),
        Just("!".to_owned()),
        Just("FANOUT_1".to_owned()),
        Just("{{ vars.text }}".to_owned()),
        "[^\\x00]{0,4}",
        "[a-z]{0,3}",
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat().replace('\0', ""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_shell_gets_each_value_as_it_is_in_every_kind_of_quotes(value in nasty()) {
        for shell in shells() {
            for (name, text, around) in TEXTS {
                prop_assert_eq!(printed(shell, text, &value), expected(name, around, &value), "{} {}", shell, name);
            }
            for text in SUBSTITUTED {
                let plain = format!("<{}>", value.trim_end_matches('\n'));
                prop_assert_eq!(printed(shell, text, &value), plain, "{} {}", shell, text);
            }
        }
    }

    #[test]
    fn a_pattern_is_matched_as_it_is(value in "[a*?\\[\\]$`'\"\\\\ ]{1,5}") {
        for shell in shells() {
            for text in [
                "x={{ vars.text }}end; printf '<%s>' \"${x#{{ vars.text }}}\"",
                "x={{ vars.text }}end; printf '<%s>' ${x#{{ vars.text }}}",
                "x={{ vars.text }}end; printf '<%s>' \"${x##\"{{ vars.text }}\"}\"",
            ] {
                prop_assert_eq!(printed(shell, text, &value), "<end>", "{} {}", shell, text);
            }
        }
    }
}

#[test]
fn an_empty_value_stays_one_word() {
    for shell in shells() {
        assert_eq!(printed(shell, "set -- {{ vars.text }} b; echo $#", ""), "2\n");
        assert_eq!(printed(shell, "set -- \"{{ vars.text }}\" b; echo $#", ""), "2\n");
    }
}

#[test]
fn a_line_that_begins_with_a_value_does_not_end_a_here_document() {
    for shell in shells() {
        let text = "cat <<E\n{{ vars.text }}E\n'{{ vars.text }}'\nE\nprintf '<%s>' {{ vars.text }}";
        assert_eq!(printed(shell, text, "a  *"), "a  *E\n'a  *'\n<a  *>");
    }
}

#[test]
fn the_text_only_mentions_the_variables() {
    let rendered = rendered("a {{ vars.text }} \"{{ vars.text }}\" $(b {{ vars.text }})\n", "; rm");
    let expected = Rendered {
        text: "a \"${FANOUT_1}\" \"${FANOUT_2}\" $(b \"${FANOUT_3}\")\n".to_owned(),
        variables: (1..4).map(|n| (format!("FANOUT_{n}"), "; rm".to_owned())).collect(),
    };
    assert_eq!(rendered, expected);
}

#[test]
fn arithmetic_takes_whole_numbers_and_nothing_else() {
    for shell in shells() {
        assert_eq!(printed(shell, "echo $(( 2 * ({{ vars.text }}) ))", "21"), "42\n");
        assert_eq!(printed(shell, "echo \"$((2*{{ vars.text }}))\"", "-4"), "-8\n");
    }
    let scope = scope(json!({"vars": {"text": "x[$(touch pwned)]"}}), Made::default());
    let template = read("echo $(( {{ vars.text }} ))", Destination::Shell);
    let error = template.render(&scope, Destination::Shell).unwrap_err();
    assert_eq!(error.message, "a value in `$((…))` must be a whole number, not `x[$(touch pwned)]`");
}

#[test]
fn what_no_variable_can_hold_is_refused() {
    let error = |value: String| {
        let scope = scope(json!({"vars": {"text": value}}), Made::default());
        read("echo {{ vars.text }}", Destination::Shell)
            .render(&scope, Destination::Shell)
            .unwrap_err()
            .message
    };
    assert!(error("a\0b".to_owned()).contains("NUL byte"));
    assert!(error("x".repeat(128 << 10)).contains("give them as `stdin` instead"));
    let most = "x".repeat((128 << 10) - "FANOUT_1=".len() - 1);
    for shell in shells() {
        assert_eq!(
            printed(shell, "printf %s {{ vars.text }} | wc -c | tr -d ' '", &most),
            format!("{}\n", most.len())
        );
    }
}

#[test]
fn a_place_where_no_quoting_helps_is_refused_when_the_plan_is_read() {
    let cases = [
        ("echo 'a {{ vars.text }}'", "a value cannot stand in single quotes: the shell would not see it"),
        (
            "cat <<'E'\n{{ vars.text }}\nE",
            "a value cannot stand in a here-document with a quoted end: the shell would not see it",
        ),
        (
            "cat <<\\E\n{{ vars.text }}\nE",
            "a value cannot stand in a here-document with a quoted end: the shell would not see it",
        ),
        ("cat <<{{ vars.text }}\nE", "the word that ends a here-document cannot be a value"),
        ("echo ${{ vars.text }}", "`$` stands right before the value"),
        ("echo \"${{ vars.text }}\"", "`$` stands right before the value"),
        ("echo \\{{ vars.text }}", "a backslash stands right before the value"),
        ("echo ${x{{ vars.text }}}", "a value cannot be part of a variable's name or of this kind of `${…}`"),
        ("echo ${!{{ vars.text }}}", "a value cannot be part of a variable's name or of this kind of `${…}`"),
        (
            "echo ${x:{{ vars.text }}}",
            "a value cannot be part of a variable's name or of this kind of `${…}`",
        ),
        (
            "echo ${x/a/{{ vars.text }}}",
            "a value cannot be part of a variable's name or of this kind of `${…}`",
        ),
        (
            "echo ${x[{{ vars.text }}]}",
            "a value cannot be part of a variable's name or of this kind of `${…}`",
        ),
        (
            "(( x = {{ vars.text }} ))",
            "a value cannot stand in `((…))`: some shells would run it as arithmetic",
        ),
        ("echo `a \\`b {{ vars.text }}\\``", "a value cannot stand between backticks that hold a backslash"),
        (
            "echo $'a' 'b {{ vars.text }}'",
            "a value cannot stand in single quotes: the shell would not see it",
        ),
        ("echo $'it\\'s' {{ vars.text }}", "shells disagree on where the `$'…'` before this value ends"),
        ("echo $((1)+2) {{ vars.text }}", "it is not clear how a shell reads the text before this value"),
    ];
    for (text, message) in cases {
        let at = text.find("vars.text").unwrap();
        let found = faults(text, Destination::Shell);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(
            found[0].starts_with(&format!("E0408 [{}] {message} (", &text[at..at + 9])),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn branches_that_leave_different_quotes_open_are_refused() {
    for text in [
        "echo {% if vars.text %}'{% endif %}{{ vars.text }}",
        "echo {% if vars.text %}\"a{% else %}'a{% endif %} {{ vars.text }}",
        "{% for x in vars.list %}echo '{{ '' }}{% endfor %}",
        "{% if vars.text %}cat <<E{% endif %}\n{{ vars.text }}\nE\n",
    ] {
        let found = faults(text, Destination::Shell);
        assert!(
            found.iter().any(|fault| fault.contains("in quotes or not, depending on this")),
            "{text}: {found:?}"
        );
    }
    for text in ["echo {{ vars.text }} 'a", "echo \"{{ vars.text }}", "echo $(a {{ vars.text }}"] {
        assert!(faults(text, Destination::Shell)[0].contains("is never closed"), "{text}");
    }
    assert_eq!(faults("{% filter upper %}echo{% endfilter %} {{ vars.text }}", Destination::Shell).len(), 1);
    let fine = "echo {% if vars.text %}'a'{% else %}\"b\" # c\n{% endif %} {{ vars.text }} {% for x in vars.list %}'{% raw %}{{{% endraw %}' {{ x }} {% endfor %}";
    assert_eq!(faults(fine, Destination::Shell), [""; 0]);
}

#[test]
fn a_value_in_a_comment_is_left_out() {
    let rendered = rendered("# {{ vars.text }}\necho `a # {{ vars.text }}`", "\nrm");
    assert_eq!(rendered, Rendered { text: "# \necho `a # `".to_owned(), variables: Vec::new() });
}

#[test]
fn a_template_that_was_not_read_as_shell_text_is_not_run_as_such() {
    let scope = scope(json!({"vars": {"text": "; rm"}}), Made::default());
    let error =
        read("echo {{ vars.text }}", Destination::Raw).render(&scope, Destination::Shell).unwrap_err();
    assert!(error.message.contains("not read as shell text"));
    let literal = read("echo 'a' $b", Destination::Raw).render(&scope, Destination::Shell).unwrap();
    assert_eq!(literal.text, "echo 'a' $b");
}

/// Shell text put together at random, with values in it.
fn anything() -> impl Strategy<Value = String> {
    let pieces = [
        "'",
        "\"",
        "`",
        "\\",
        "$",
        "$(",
        "(",
        ")",
        "$((",
        "))",
        "${",
        "}",
        "${x:-",
        "${x#",
        "\"${x%",
        "{ ",
        "#",
        " # ",
        " ",
        "\n",
        ";",
        "|",
        "&&",
        " <<E\n",
        " <<-E\n",
        " <<'E'\n",
        " <<\"E\"\n",
        "\nE\n",
        "E",
        "<",
        "<<",
        "case x in ",
        "x) ",
        ";;",
        " esac ",
        "in ",
        "if ",
        "then ",
        "fi ",
        "echo ",
        "printf %s ",
        ": ",
        "x",
        "=",
        "x=1 ",
        "$x",
        "$'",
        "\\'",
        "{{ vars.text }}",
        "{{ vars.text }}",
        " {{ vars.text }} ",
        "\"{{ vars.text }}\"",
        "{% if vars.good %}",
        "{% else %}",
        "{% endif %}",
        "{% for i in [1, 2] %}",
        "{% endfor %}",
        "((",
        "[",
        "]",
        "!",
        "~",
        "/",
        "%",
        "-",
        "\t",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(piece, 1..14).prop_map(|pieces| pieces.concat())
}

/// Values that make a file where a shell reads them as its own text.
fn attack() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "$(:>pwned)",
        "`:>pwned`",
        ";:>pwned;",
        "\n:>pwned\n",
        "';:>pwned;'",
        "\";:>pwned;\"",
        "\nE\n:>pwned\n",
        "E\n:>pwned\n",
        "};:>pwned;",
        ");:>pwned;(",
        "))$(:>pwned)",
        "x[$(:>pwned)]",
        "esac;:>pwned;",
        "1|:>pwned",
        "'\"`;:>pwned;`\"'",
        "\\\";:>pwned;",
        ">pwned",
        "&&>pwned",
        "#\n:>pwned",
        "${x:-$(:>pwned)}",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 100_000, ..ProptestConfig::default() })]
    #[test]
    fn a_value_is_never_run_whatever_the_text_around_it(text in anything(), value in attack()) {
        let known = known();
        let mut faults = Vec::new();
        let template = template(&plain(&text), &all_names(&known), Destination::Shell, &mut faults);
        prop_assume!(faults.is_empty() && text.contains("vars.text"));
        for good in [true, false] {
            let scope = scope(json!({"vars": {"text": value, "good": good}}), Made::default());
            let Ok(rendered) = template.render(&scope, Destination::Shell) else { continue };
            for shell in shells() {
                let dir = tempfile::tempdir().unwrap();
                let mut command = Command::new(shell);
                command.arg("-c").arg(&rendered.text).envs(rendered.variables.clone()).current_dir(dir.path());
                let out = command.stdin(std::process::Stdio::null()).output().unwrap();
                let pwned = dir.path().join("pwned").exists();
                let said = String::from_utf8_lossy(&out.stderr).into_owned();
                prop_assert!(!pwned, "{} ran {:?} in {:?}\n{}", shell, value, rendered.text, said);
            }
        }
    }
}

/// Shell text in which nothing but the values could be split into words.
fn unsplit() -> impl Strategy<Value = String> {
    let pieces = [
        "'",
        "\"",
        "\\",
        "${x:-",
        "${x#",
        "\"${x%",
        "}",
        "#",
        " # ",
        " ",
        "\n",
        ";",
        " <<E\n",
        "<<'E'\n",
        "\nE\n",
        "E",
        "a'b",
        "case x in ",
        "x) ",
        ";;",
        " esac ",
        "cat ",
        "echo ",
        "printf '[%s]' ",
        "x",
        "x=",
        "( ",
        ")",
        "{ ",
        "}\n",
        "{{ vars.text }}",
        "{{ vars.text }}",
        " {{ vars.text }} ",
        "\"{{ vars.text }}\"",
        "if :; then ",
        " fi ",
        "-",
        "~",
        "\\\"",
        "$'",
        "{% if vars.good %}",
        "{% endif %}",
        "{% else %}",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(piece, 1..12).prop_map(|pieces| format!("printf '<%s>' {}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 100_000, ..ProptestConfig::default() })]
    #[test]
    fn a_value_stays_one_word_whatever_the_text_around_it(text in unsplit()) {
        let known = known();
        let mut faults = Vec::new();
        let template = template(&plain(&text), &all_names(&known), Destination::Shell, &mut faults);
        prop_assume!(faults.is_empty() && text.contains("vars.text"));
        let (simple, hard) = ("QQ", "Q  *  'Q#");
        for shell in shells() {
            let run = |value: &str| {
                let scope = scope(json!({"vars": {"text": value, "good": true}}), Made::default());
                let rendered = template.render(&scope, Destination::Shell).unwrap();
                let mut command = Command::new(shell);
                command.arg("-c").arg(&rendered.text).envs(rendered.variables).current_dir("/");
                let out = command.stdin(std::process::Stdio::null()).output().unwrap();
                String::from_utf8_lossy(&out.stdout).into_owned()
            };
            prop_assert_eq!(run(hard), run(simple).replace(simple, hard), "{}", shell);
        }
    }
}
