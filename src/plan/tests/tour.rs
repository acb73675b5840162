//! The examples of the plan language's own page.

use super::*;

#[test]
fn the_smallest_plan_has_every_default() {
    let plan = plan(
        "calls:\n  sites:      { prompt: \"List every call site of `legacyClient.fetch`.\" }\n  migrations: { prompt: \"Classify every file under db/migrations/.\" }\n  flags:      { prompt: \"Map every use of `growthbook`.\" }\n",
    );
    println!("{plan:#?}");
}
