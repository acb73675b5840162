//! What telling people needs of this process: its terminal, its environment.
//!
//! Invariant: a bell rings between two frames of the display, never inside one.

use std::sync::{Arc, Mutex};

use super::detach;
use super::load::Ready;
use super::terminal::Terminal;
use crate::notify;
use crate::report::live::Handle;
use crate::report::style::Style;
use crate::run::World;

/// What telling people needs of this process.
pub fn surroundings(
    ready: &Ready,
    world: &World,
    display: &Arc<Mutex<Handle>>,
    terminal: &Terminal,
) -> notify::Surroundings {
    let style = terminal.err_style();
    let is_terminal = terminal.is_watched() && !detach::is_detached();
    // Not the display itself: whoever ends it wants to be the last to hold it.
    let display = Arc::downgrade(display);
    let bell = move |notice: &notify::Notice| {
        let Some(display) = display.upgrade().filter(|_| is_terminal) else { return false };
        let text = bell(&notice.title, &style);
        let ring = || std::io::Write::write_all(&mut std::io::stderr().lock(), text.as_bytes()).is_ok();
        // While a question is on the screen, the display has made room already.
        display.try_lock().map_or_else(|_| ring(), |display| display.suspend(ring))
    };
    let environment = Arc::clone(&world.environment);
    notify::Surroundings {
        journal: Arc::clone(&world.journal),
        dir: ready.plan.dir.clone(),
        variable: Box::new(move |name| environment.get(name).cloned()),
        reaper: world.reaper.clone(),
        bell: Box::new(bell),
    }
}

/// The bell, and the sequence by which many terminals show a notification of their own (OSC 9).
fn bell(title: &str, style: &Style) -> String {
    let clean = crate::report::sanitise::short(title, 120, style);
    let clean: String = clean.chars().filter(|c| !c.is_control()).collect();
    if style.color { format!("\x07\x1b]9;{clean}\x07") } else { "\x07".to_owned() }
}
