//! Whether a run is told to a collector: the standard `OTEL_*` variables decide.
//!
//! Invariant: a collector that is not there, or does not answer, costs a line and two seconds
//! at most; the run and its exit status are the same.

use std::sync::Arc;
use std::time::Duration;

use super::run::Listeners;
use super::terminal::Terminal;
use crate::event::Record;
use crate::report::otel::{Settings, Telemetry};
use crate::report::redact::Redactor;

/// How long the end of a run waits for a collector.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the variables say; `None` where they ask for nothing.
fn settings(get: impl Fn(&str) -> Option<String>) -> Option<Result<Settings, String>> {
    let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let is = |name: &str, word: &str| get(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if is("OTEL_SDK_DISABLED", "true") {
        return None;
    }
    let wanted = |signal: &str| {
        let endpoint =
            ["OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")];
        match get(&format!("OTEL_{signal}_EXPORTER")) {
            Some(exporter) => exporter.split(',').any(|one| one.trim().eq_ignore_ascii_case("otlp")),
            None => endpoint.iter().any(|name| get(name).is_some()),
        }
    };
    let (traces, metrics) = (wanted("TRACES"), wanted("METRICS"));
    if !traces && !metrics {
        return None;
    }
    let protocols = [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    ];
    for name in protocols {
        if let Some(protocol) = get(name).filter(|protocol| protocol != "http/protobuf") {
            return Some(Err(format!("{name} is `{protocol}`; fanout speaks http/protobuf (port 4318)")));
        }
    }
    let content = get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT");
    Some(Ok(Settings {
        traces,
        metrics,
        content: content.is_some_and(|value| {
            ["true", "span_only", "span_and_event"].iter().any(|word| value.eq_ignore_ascii_case(word))
        }),
        service: get("OTEL_SERVICE_NAME"),
        parent: get("TRACEPARENT"),
    }))
}

/// The way to the collector, if there is to be one, and the listeners with it.
pub(super) fn start(
    earlier: &[Arc<Record>],
    redactor: &Redactor,
    terminal: &Terminal,
    mut listeners: Listeners,
) -> (Option<Telemetry>, Listeners) {
    let Some(settings) = settings(|name| std::env::var(name).ok()) else { return (None, listeners) };
    match settings.and_then(|settings| Telemetry::start(&settings)) {
        Ok(telemetry) => {
            earlier.iter().for_each(|record| telemetry.remember(&redactor.record(record)));
            let hears = telemetry.clone();
            listeners.push(Box::new(move |record: &Arc<Record>| hears.hear(record)));
            (Some(telemetry), listeners)
        }
        Err(why) => {
            terminal.err(&format!("warning: nothing is sent to OpenTelemetry: {why}\n"));
            (None, listeners)
        }
    }
}

/// Sends the rest, and says what was not delivered.
pub(super) fn finish(telemetry: Option<Telemetry>, terminal: &Terminal) {
    if let Some(Err(why)) = telemetry.map(|telemetry| telemetry.finish(PATIENCE)) {
        terminal.err(&format!("warning: OpenTelemetry's collector did not get everything: {why}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Option<Result<Settings, String>> {
        settings(|name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_usual_variables_turn_it_on_and_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let both =
            |vars: &[_]| of(vars).map(|settings| settings.map(|it| (it.traces, it.metrics, it.content)));
        assert_eq!(both(&[]), None);
        assert_eq!(both(&[("OTEL_SERVICE_NAME", "x")]), None);
        assert_eq!(both(&[endpoint]), Some(Ok((true, true, false))));
        assert_eq!(both(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(both(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]), Some(Ok((true, false, false))));
        assert_eq!(
            both(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x")]),
            Some(Ok((true, false, false)))
        );
        let content = ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
        assert_eq!(both(&[endpoint, content]), Some(Ok((true, true, true))));
        let grpc = of(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap().unwrap_err();
        assert!(grpc.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"), "{grpc}");
    }
}
