//! Traces and metrics for an OpenTelemetry collector, over OTLP by HTTP.
//!
//! Invariants: it hears the same redacted records as every other report and is heard by
//! nobody; what is to be sent stands in a bounded queue of the SDK, which drops rather
//! than waits; at the end it is waited for no longer than it is told. Where to, how
//! often and with which headers the SDK reads from the standard `OTEL_*` variables.

mod attributes;
mod figures;
mod spans;

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::event::Record;
use figures::Figures;
use spans::Spans;

/// The name of the instrumentation scope, and of the service where nobody gave one.
const NAME: &str = "fanout";

/// What is sent, and what with it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether traces are sent.
    pub traces: bool,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// Whether prompts, answers and what tools were given and gave back go with the spans.
    pub content: bool,
    /// `OTEL_SERVICE_NAME`; `fanout` where that is not set.
    pub service: Option<String>,
    /// The W3C `traceparent` of whatever started this process.
    pub parent: Option<String>,
}

/// One run's way to a collector.
#[derive(Clone)]
pub struct Telemetry {
    folds: Arc<Mutex<Folds>>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

struct Folds {
    spans: Option<Spans>,
    figures: Option<Figures>,
}

impl Telemetry {
    /// Sets it up; connects to nobody yet.
    ///
    /// # Errors
    /// Why it cannot be: a variable with a value that nothing can be made of.
    pub fn start(settings: &Settings) -> Result<Telemetry, String> {
        let resource = Resource::builder();
        let resource = match &settings.service {
            Some(_) => resource,
            None => resource.with_service_name(NAME),
        };
        let resource = resource.build();
        let traces = if settings.traces {
            let exporter = SpanExporter::builder().with_http().build().map_err(|error| error.to_string())?;
            let traces = SdkTracerProvider::builder().with_resource(resource.clone());
            Some(traces.with_batch_exporter(exporter).build())
        } else {
            None
        };
        let metrics = if settings.metrics {
            let exporter =
                MetricExporter::builder().with_http().build().map_err(|error| error.to_string())?;
            let metrics = SdkMeterProvider::builder().with_resource(resource);
            Some(metrics.with_periodic_exporter(exporter).build())
        } else {
            None
        };
        let folds = Folds {
            spans: traces.as_ref().map(|traces| Spans::new(traces.tracer(NAME), settings)),
            figures: metrics.as_ref().map(|metrics| Figures::new(&metrics.meter(NAME))),
        };
        Ok(Telemetry { folds: Arc::new(Mutex::new(folds)), traces, metrics })
    }

    /// What earlier processes of the run recorded: known, and not sent again.
    pub fn remember(&self, record: &Record) {
        if let Some(spans) = &mut self.folds().spans {
            spans.remember(record);
        }
    }

    /// One more record.
    pub fn hear(&self, record: &Record) {
        let Folds { spans, figures } = &mut *self.folds();
        if let Some(spans) = spans {
            spans.hear(record);
        }
        if let Some(figures) = figures {
            figures.hear(record);
        }
    }

    /// Sends what is left, and waits no longer than `within`.
    ///
    /// # Errors
    /// Why not everything was delivered.
    pub fn finish(self, within: Duration) -> Result<(), String> {
        if let Some(spans) = &mut self.folds().spans {
            spans.close();
        }
        let (tell, told) = mpsc::channel();
        let Telemetry { traces, metrics, .. } = self;
        // A collector that does not answer holds this thread and nothing else.
        let flush = move || {
            let traces = traces.map_or(Ok(()), |traces| traces.shutdown_with_timeout(within));
            let metrics = metrics.map_or(Ok(()), |metrics| metrics.shutdown_with_timeout(within));
            // Nobody listens any more where it took too long.
            let _ = tell.send(traces.and(metrics));
        };
        let spawned = std::thread::Builder::new().name("telemetry".to_owned()).spawn(flush);
        spawned.map_err(|error| error.to_string())?;
        match told.recv_timeout(within) {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }

    fn folds(&self) -> std::sync::MutexGuard<'_, Folds> {
        self.folds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
