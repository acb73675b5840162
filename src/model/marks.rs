//! Where Anthropic's prompt cache is asked to keep what came so far.
//!
//! Invariant: at most four marks, the most that the API takes, and none inside what the
//! model said: that goes back untouched.

use serde_json::{Map, Value, json};

/// Marks a request body: its constant beginning (tools and system prompt) and what others begin
/// with as well (`shared` bytes of its first message); where `turns` of the same conversation will
/// follow, its first message and its last two of the user's.
///
/// Two at the end, since a mark finds an earlier one among the twenty blocks before it
/// only, and the results of one message may be more.
pub(super) fn set(body: &mut Map<String, Value>, turns: bool, shared: Option<usize>) {
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
    let split = users.first_mut().is_some_and(|first| split(first, shared.unwrap_or_default()));
    let count = users.len();
    for (at, content) in users.iter_mut().enumerate() {
        if turns && (at == 0 && !split || at + 2 >= count) {
            mark(content);
        }
    }
}

/// Makes two blocks of a text and marks the first of them, or all of it where it is shared as a
/// whole; true if it did.
fn split(content: &mut Value, at: usize) -> bool {
    let Value::String(text) = &*content else { return false };
    let Some((head, rest)) = text.split_at_checked(at).filter(|(head, _)| !head.is_empty()) else {
        return false;
    };
    let mut blocks = vec![json!({"type": "text", "text": head, "cache_control": ephemeral()})];
    if !rest.is_empty() {
        blocks.push(json!({"type": "text", "text": rest}));
    }
    *content = Value::Array(blocks);
    true
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
    fn marks(mut body: Value, turns: bool, shared: Option<usize>) -> Vec<String> {
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
        set(body.as_object_mut().unwrap(), turns, shared);
        let mut found = Vec::new();
        find(&body, "", &mut found);
        found
    }

    fn marked(body: Value) -> Vec<String> {
        marks(body, true, None)
    }

    #[test]
    fn what_others_begin_with_is_a_block_of_its_own_with_a_mark() {
        let body = || json!({"system": "s", "messages": [{"role": "user", "content": "héad tail"}]});
        assert_eq!(marks(body(), false, Some(5)), ["/system/0", "/messages/0/content/0"]);
        let mut split = body();
        set(split.as_object_mut().unwrap(), true, Some(5));
        let texts = split["messages"][0]["content"].as_array().unwrap().iter().map(|block| &block["text"]);
        assert_eq!(texts.collect::<Vec<_>>(), ["héad", " tail"]);
        let both = ["/system/0", "/messages/0/content/0", "/messages/0/content/1"];
        assert_eq!(marks(body(), true, Some(5)), both, "the turns to come find all of it");
        // All of it, nothing of it, and the middle of a character.
        assert_eq!(marks(body(), false, Some(10)), ["/system/0", "/messages/0/content/0"]);
        for nothing in [0, 2, 99] {
            assert_eq!(marks(body(), false, Some(nothing)), ["/system/0"]);
        }
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
