//! What a server's tool answered, as text for a model.
//!
//! Invariant: what is no text is named, never left out silently.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

use crate::tool::Said;

/// The text of a result. A tool that failed says so itself; that is no fault of the server.
pub(super) fn said(result: &CallToolResult) -> Said {
    let mut parts: Vec<String> = result.content.iter().map(part).collect();
    // Where there is text, it says the same as what is structured.
    if let (true, Some(value)) = (parts.is_empty(), &result.structured_content) {
        parts.push(value.to_string());
    }
    let text = parts.join("\n");
    match result.is_error {
        Some(true) => Said::error(text),
        Some(false) | None => Said::done(text),
    }
}

fn part(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => not_shown("image", &image.mime_type, image.data.len()),
        ContentBlock::Audio(audio) => not_shown("sound", &audio.mime_type, audio.data.len()),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("[{uri}]\n{text}"),
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                let kind = mime_type.as_deref().unwrap_or("of unknown type");
                format!("[{uri}]\n{}", not_shown("file", kind, blob.len()))
            }
            _ => "[a resource of a kind that is not known here]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[a link to {}: {}]", link.name, link.uri),
        _ => "[content of a kind that is not known here]".to_owned(),
    }
}

/// `encoded` is the length of the Base64 text, of which four characters are three bytes.
fn not_shown(what: &str, kind: &str, encoded: usize) -> String {
    format!("[a {what} ({kind}, about {} bytes) that is not shown]", encoded / 4 * 3)
}
