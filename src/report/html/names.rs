//! Which names on the page can be followed, and where to.

use std::collections::HashMap;

use super::markup::{Anchor, Attr, Html};
use crate::report::fold::RunView;

/// Names of calls and instances with their anchors.
#[derive(Debug)]
pub(super) struct Names {
    anchors: HashMap<String, Anchor>,
}

impl Names {
    /// The names of a run.
    pub(super) fn of(view: &RunView) -> Names {
        let mut anchors = HashMap::new();
        for (at, call) in view.calls.iter().enumerate() {
            anchors.insert(call.id().to_string(), Anchor::Call(at));
            for (id, _) in call.each() {
                let anchor = id.index.map_or(Anchor::Call(at), |index| Anchor::Instance(at, index));
                anchors.insert(id.to_string(), anchor);
            }
        }
        Names { anchors }
    }

    /// Where a name leads.
    pub(super) fn anchor(&self, name: &str) -> Option<Anchor> {
        self.anchors.get(name).copied()
    }

    /// A name, as a link where it leads somewhere.
    pub(super) fn write(&self, html: &mut Html, name: &str) {
        match self.anchor(name) {
            Some(anchor) => html.tag("a", &[Attr::To(anchor)], |html| html.text(name)),
            None => html.text(name),
        }
    }
}
