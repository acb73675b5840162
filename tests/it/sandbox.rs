//! What a sandboxed program can reach.

use std::path::Path;

use fanout::sandbox;

#[tokio::test]
async fn the_sandbox_is_found_out_by_trying() {
    let report = sandbox::available(Path::new(env!("CARGO_BIN_EXE_fanout"))).await;
    assert!(report.tier.is_some(), "no sandbox here: {report:#?}");
    assert!(report.attempts.len() >= 11 && report.attempts.iter().all(|attempt| attempt.held));
}
