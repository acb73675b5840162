//! tmp
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let t = std::time::Instant::now();
    let given = fanout::plan::Given {
        environment: fanout::plan::Environment {
            vars: [("ANTHROPIC_API_KEY".to_string(), "x".to_string())].into(),
        },
        ..Default::default()
    };
    let loaded = fanout::plan::load(std::path::Path::new(&path), &given);
    let took = t.elapsed();
    println!(
        "{}",
        fanout::cli::diagnostics::render(
            &loaded.diagnostics,
            &loaded.sources,
            std::env::args().nth(2).is_some()
        )
    );
    for d in loaded.diagnostics.iter().take(3) {
        println!("{}", fanout::cli::diagnostics::line(d, &loaded.sources));
    }
    println!("{took:?} {}", loaded.plan.map_or(0, |p| p.calls.len()));
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find(|l| l.starts_with("VmHWM"))
            .unwrap()
    );
}
