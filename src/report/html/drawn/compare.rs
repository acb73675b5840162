//! A comparison: texts side by side, answers field by field, groups, what they share, how alike they are.

use super::{Drawn, STYLE, more, pre, table, tone};
use crate::report::computed::counted;
use crate::report::computed::part::{Field, Fields, Groups, Head, Kind, Matrix, Spread, Texts};
use crate::report::computed::texts::{COLUMNS, Line, Stretch};
use crate::report::html::fold;
use crate::report::html::markup::{Attr, Html, class};

/// Groups whose answer is shown.
const GROUPS: usize = 100;
/// Rows of texts side by side.
const ROWS: usize = 1500;
/// Fields.
const FIELDS: usize = 300;
/// Lines or items of one list.
const LISTED: usize = 100;
/// Groups up to which the matrix is shown.
const MATRIX: usize = 40;

impl Drawn<'_> {
    /// The groups with their sizes, and what they say.
    pub(super) fn groups(&self, html: &mut Html, groups: &Groups<'_>) {
        let all = groups.all;
        table(html, "groups", &["group", "answers", "what they say", "who"], |html| {
            for (number, group) in (1..).zip(groups.groups.iter().take(GROUPS)) {
                let size = group.who.len();
                html.tag("tr", &[], |html| {
                    html.tag("th", &[Attr::Fixed("scope", "row")], |html| html.text(&format!("{number}.")));
                    html.tag("td", &[], |html| {
                        html.text(&format!("{size} of {all}"));
                        let tone = if number == 1 && size > 1 { "good" } else { "" };
                        super::tally::gauge(html, tone, size as f64 / all.max(1) as f64);
                    });
                    html.tag("td", &[class("said")], |html| match group.value.as_str() {
                        Some(text) => pre(html, text.trim_start_matches('\n')),
                        None => pre(html, &format!("{:#}", group.value)),
                    });
                    html.tag("td", &[class("names")], |html| self.who(html, &group.who));
                });
            }
        });
        more(html, groups.groups.len(), GROUPS, "group");
    }

    /// What all share, what some, what only one has.
    pub(super) fn spread(&self, html: &mut Html, spread: &Spread) {
        let noun = spread.noun;
        let item = |html: &mut Html, mark: &'static str, of_class: &'static str, text: &str| {
            html.tag("li", &[], |html| {
                html.leaf("b", of_class, mark);
                html.text(" ");
                html.leaf("code", "", text);
            });
        };
        if !spread.shared.is_empty() {
            let title = format!("All share {}", counted(spread.shared.len(), noun));
            fold(html, &title, spread.shared.len() <= 12, |html| {
                html.tag("ul", &[class("signed")], |html| {
                    spread.shared.iter().take(LISTED).for_each(|text| item(html, "=", "dim", text));
                });
                more(html, spread.shared.len(), LISTED, noun);
            });
        }
        if !spread.some.is_empty() {
            let title = format!("Some share {}", counted(spread.some.len(), noun));
            fold(html, &title, spread.some.len() <= 24, |html| {
                table(html, "shares", &[noun, "answers", "who"], |html| {
                    for (text, who) in spread.some.iter().take(LISTED) {
                        html.tag("tr", &[], |html| {
                            html.tag("td", &[], |html| html.leaf("code", "", text));
                            html.leaf("td", "number", &who.len().to_string());
                            html.tag("td", &[class("names")], |html| self.who(html, who));
                        });
                    }
                });
                more(html, spread.some.len(), LISTED, noun);
            });
        }
        if !spread.only.is_empty() {
            let open = spread.only.iter().map(|(_, values)| values.len()).sum::<usize>() <= 8;
            fold(html, "Only one has", open, |html| {
                for (who, values) in spread.only.iter().take(LISTED) {
                    html.tag("p", &[], |html| {
                        self.name(html, who);
                        html.text(&format!(": {}", counted(values.len(), noun)));
                    });
                    html.tag("ul", &[class("signed")], |html| {
                        values.iter().take(LISTED).for_each(|text| item(html, "+", "warn", text));
                    });
                    more(html, values.len(), LISTED, noun);
                }
                more(html, spread.only.len(), LISTED, "answer");
            });
        }
    }

    /// Texts side by side; where they are too many, as groups.
    pub(super) fn texts(&self, html: &mut Html, texts: &Texts<'_>) {
        if texts.rows.is_empty() {
            self.groups(html, &texts.groups);
            return self.spread(html, &texts.spread);
        }
        html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
            html.tag("table", &[class("abreast")], |html| {
                html.tag("thead", &[], |html| {
                    html.tag("tr", &[], |html| {
                        html.literal(
                            "<th class=\"n\" scope=\"col\"><span class=\"unseen\">differs</span></th>",
                        );
                        texts.heads.iter().for_each(|head| self.head(html, head));
                    });
                });
                html.tag("tbody", &[], |html| self.rows(html, texts));
            });
        });
        let rows = texts.rows.iter().filter(|row| matches!(row, Stretch::Row(_))).count();
        more(html, rows, ROWS, "row");
    }

    fn rows(&self, html: &mut Html, texts: &Texts<'_>) {
        let columns = texts.heads.len() as f64 + 1.0;
        let mut shown = 0;
        for stretch in &texts.rows {
            match stretch {
                Stretch::Same(count) => html.tag("tr", &[class("gap")], |html| {
                    html.tag("td", &[Attr::Number("colspan", columns)], |html| {
                        html.text(&format!("⋮ {} that all have", counted(*count, "line")));
                    });
                }),
                Stretch::Row(line) => {
                    shown += 1;
                    if shown <= ROWS {
                        row(html, line);
                    }
                }
            }
        }
    }

    /// The head of a group's column.
    fn head(&self, html: &mut Html, head: &Head) {
        html.tag("th", &[Attr::Fixed("scope", "col")], |html| {
            html.text(&head.number);
            self.who(html, &head.who);
            html.text(&head.size);
        });
    }

    /// Answers field by field: a column a group, or a row a value where they are many.
    pub(super) fn fields(&self, html: &mut Html, fields: &Fields) {
        html.leaf("p", "dim", &fields.legend(STYLE));
        if fields.heads.len() > COLUMNS {
            return self.values(html, &fields.fields);
        }
        html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
            html.tag("table", &[class("fields")], |html| {
                html.tag("thead", &[], |html| {
                    html.tag("tr", &[], |html| {
                        super::head(html, "field");
                        fields.heads.iter().for_each(|head| self.head(html, head));
                    });
                });
                html.tag("tbody", &[], |html| {
                    for field in fields.fields.iter().take(FIELDS) {
                        html.tag("tr", &[class(kind(field.kind))], |html| {
                            html.tag("th", &[Attr::Fixed("scope", "row")], |html| name(html, field));
                            for column in &field.columns {
                                match column {
                                    None => html.leaf("td", "dim", "– not there"),
                                    Some((tone, value)) => html.leaf("td", super::tone(*tone), value),
                                }
                            }
                        });
                    }
                });
            });
        });
        more(html, fields.fields.len(), FIELDS, "field");
    }

    /// Each field with its values, and who has them.
    fn values(&self, html: &mut Html, fields: &[Field]) {
        table(html, "tally", &["field", "value", "answers", "", "who"], |html| {
            for field in fields.iter().take(FIELDS) {
                let choices: Vec<_> = field.choices.iter().take(LISTED).chain(&field.absent).collect();
                for (n, choice) in choices.iter().enumerate() {
                    html.tag("tr", &[class(kind(field.kind))], |html| {
                        if n == 0 {
                            let rows = Attr::Number("rowspan", choices.len() as f64);
                            html.tag("th", &[Attr::Fixed("scope", "rowgroup"), rows], |html| {
                                name(html, field)
                            });
                        }
                        if field.kind == Kind::Shared {
                            html.leaf("td", "value dim", &choice.value);
                            html.literal("<td class=\"number\">all</td><td></td><td></td>");
                        } else {
                            self.choice(html, choice);
                        }
                    });
                }
            }
        });
        more(html, fields.len(), FIELDS, "field");
    }

    /// How alike each two groups are.
    pub(super) fn matrix(&self, html: &mut Html, matrix: &Matrix) {
        let size = matrix.rows.len();
        let title = format!("How alike the groups are, by {}", matrix.by);
        if size > MATRIX {
            return html.leaf("p", "dim", &format!("{title}: {size} groups, in the JSON result"));
        }
        fold(html, &title, size <= COLUMNS * 2, |html| {
            html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
                html.tag("table", &[class("matrix")], |html| {
                    html.tag("thead", &[], |html| {
                        html.tag("tr", &[], |html| {
                            super::head(html, "group");
                            (1..=size).for_each(|number| super::head(html, &number.to_string()));
                        });
                    });
                    html.tag("tbody", &[], |html| {
                        for (at, row) in matrix.rows.iter().enumerate() {
                            html.tag("tr", &[], |html| {
                                html.tag("th", &[Attr::Fixed("scope", "row")], |html| {
                                    html.text(&format!("{}. ", at + 1));
                                    let who = matrix.heads.get(at).map(|head| head.who.text());
                                    html.short(&who.unwrap_or_default(), 24);
                                });
                                for (column, likeness) in row.iter().enumerate() {
                                    let of_class = if column == at { "same" } else { shade(*likeness) };
                                    html.leaf("td", of_class, &format!("{likeness:.2}"));
                                }
                            });
                        }
                    });
                });
            });
        });
    }
}

fn row(html: &mut Html, line: &Line<'_>) {
    let two = line.cells.len() == 2;
    html.tag("tr", &[class(if line.same { "" } else { "changed" })], |html| {
        html.leaf("td", "n", if line.same { "" } else { "≠" });
        for (at, pieces) in line.cells.iter().enumerate() {
            let side = match (two, at) {
                (true, 0) => "del",
                (true, _) => "ins",
                (false, _) => "odd",
            };
            let differs = pieces.iter().flatten().any(|piece| piece.differs);
            let of_class = match (pieces, differs) {
                (None, _) => "none",
                (Some(_), true) => side,
                (Some(_), false) => "",
            };
            html.tag("td", &[class(of_class)], |html| {
                let whole = pieces.iter().flatten().all(|piece| piece.differs);
                for piece in pieces.iter().flatten() {
                    if piece.differs && !whole {
                        html.leaf("mark", "", piece.text)
                    } else {
                        html.text(piece.text)
                    }
                }
            });
        }
    });
}

/// The mark and the name of a field.
fn name(html: &mut Html, field: &Field) {
    let (mark_tone, mark) = field.kind.mark(STYLE);
    html.tag("b", &[class(tone(Some(mark_tone))), Attr::Fixed("title", field.kind.words())], |html| {
        html.text(mark);
    });
    html.text(" ");
    html.leaf("code", "", &field.pointer);
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Disputed => "changed",
        Kind::Partial => "partial",
        Kind::Shared => "shared",
    }
}

/// How dark a cell is; its figure says the same.
fn shade(likeness: f64) -> &'static str {
    match likeness {
        0.8.. => "shade4",
        0.6.. => "shade3",
        0.4.. => "shade2",
        0.2.. => "shade1",
        _ => "",
    }
}
