//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    fanout::cli::main()
}
