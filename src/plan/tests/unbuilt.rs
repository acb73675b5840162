//! What is not built yet is refused by name, never ignored.

use super::*;
use crate::plan::unbuilt::ALL;

#[test]
fn every_row_of_the_table_is_refused_where_the_plan_asks_for_it() {
    let top = |keys: &str| format!("{keys}\ncalls: {{ a: {{ run: x }} }}\n");
    let table = [(top("limits: { background: detach }"), "detach")];
    for (text, place) in &table {
        let loaded = read(text);
        let [fault] = loaded.diagnostics.as_slice() else { panic!("{text}{:?}", lines(&loaded)) };
        assert_eq!(fault.code, code::NOT_BUILT, "{text}");
        assert_eq!(&text[fault.at.start as usize..fault.at.end as usize], *place, "{text}");
        assert!(fault.message.ends_with(" is not built yet") && fault.help.is_some());
    }
    assert_eq!(table.len(), ALL.len(), "each row is asked for once");
}

#[test]
fn what_is_switched_off_is_allowed() {
    plan(&call("run: x\nisolation: shared\nsandbox: off\ncache: false"));
    plan(&call("run: x\nsandbox: { mode: off }"));
    plan(
        "agents: { x: { tools: [] } }\nreport: { json: out.json, markdown: out.md }\nlimits: { background: cancel }\ncalls: { a: { run: x } }",
    );
}
