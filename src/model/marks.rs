//! Where Anthropic's prompt cache is asked to keep what came so far.
//!
//! Invariant: at most four marks, the most that the API takes, and none inside what the
//! model said: that goes back untouched.

use serde_json::{Map, Value, json};

/// Marks a request body: its constant beginning (tools and system prompt), its first
/// message, which siblings with one prompt share, and its last two of the user's.
///
/// Two at the end, since a mark finds an earlier one among the twenty blocks before it
/// only, and the results of one message may be more.
pub(super) fn set(body: &mut Map<String, Value>) {
    if let Some(system) = body.get_mut("system") {
        mark(system);
    } else if let Some(Value::Object(tool)) =
        body.get_mut("tools").and_then(Value::as_array_mut).and_then(|tools| tools.last_mut())
    {
        tool.insert("cache_control".to_owned(), ephemeral());
    }
    let Some(Value::Array(messages)) = body.get_mut("messages") else { return };
    let mut users: Vec<&mut Value> = messages
        .iter_mut()
        .filter(|message| message.get("role") == Some(&json!("user")))
        .filter_map(|message| message.get_mut("content"))
        .collect();
    let count = users.len();
    for (at, content) in users.iter_mut().enumerate() {
        if at == 0 || at + 2 >= count {
            mark(content);
        }
    }
}

fn ephemeral() -> Value {
    json!({"type": "ephemeral"})
}

/// Marks the last block of a content. An empty text may not carry a mark.
fn mark(content: &mut Value) {
    if let Value::String(text) = content
        && !text.is_empty()
    {
        *content = json!([{"type": "text", "text": text}]);
    }
    if let Some(Value::Object(block)) = content.as_array_mut().and_then(|blocks| blocks.last_mut()) {
        block.insert("cache_control".to_owned(), ephemeral());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the marks are in a body, as JSON pointers.
    fn marked(mut body: Value) -> Vec<String> {
        fn find(value: &Value, at: &str, found: &mut Vec<String>) {
            match value {
                Value::Object(object) => {
                    for (key, value) in object {
                        if key == "cache_control" {
                            assert_eq!(*value, json!({"type": "ephemeral"}));
                            found.push(at.to_owned());
                        }
                        find(value, &format!("{at}/{key}"), found);
                    }
                }
                Value::Array(list) => {
                    list.iter().enumerate().for_each(|(n, value)| find(value, &format!("{at}/{n}"), found));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        set(body.as_object_mut().unwrap());
        let mut found = Vec::new();
        find(&body, "", &mut found);
        found
    }

    #[test]
    fn the_beginning_and_the_end_of_what_we_say_are_marked() {
        let user = |text: &str| json!({"role": "user", "content": text});
        let said = json!({"role": "assistant", "content": [{"type": "text", "text": "a"}]});
        let results = json!({"role": "user", "content": [{"type": "tool_result"}, {"type": "tool_result"}]});
        assert_eq!(
            marked(json!({"system": "s", "tools": [{}, {}], "messages": [user("1")]})),
            ["/system/0", "/messages/0/content/0"]
        );
        assert_eq!(
            marked(
                json!({"tools": [{}, {}], "messages": [user("1"), said, user("2"), said, results, said, user("4")]})
            ),
            ["/tools/1", "/messages/0/content/0", "/messages/4/content/1", "/messages/6/content/0"]
        );
        assert_eq!(marked(json!({"messages": [user("")]})), [""; 0]);
    }
}
