//! The metrics: tokens, durations and waits of requests, as histograms.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::attributes::{ERROR, MODEL, OPERATION, PROVIDER, TOKEN_TYPE, provider};
use crate::event::{Event, Record, RequestFinished};
use crate::id::InstanceId;

/// What the conventions recommend for tokens: powers of four.
const TOKENS: [f64; 14] =
    [1., 4., 16., 64., 256., 1024., 4096., 16384., 65536., 262144., 1048576., 4194304., 16777216., 67108864.];
/// What they recommend for seconds.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

pub(super) struct Figures {
    tokens: Histogram<u64>,
    duration: Histogram<f64>,
    waited: Histogram<f64>,
    /// When each request that is under way began.
    open: HashMap<(InstanceId, u64), Duration>,
}

impl Figures {
    pub(super) fn new(meter: &Meter) -> Figures {
        let seconds = |name: &'static str, what: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        Figures {
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of a request.")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            duration: seconds("gen_ai.client.operation.duration", "How long a request took."),
            waited: seconds("fanout.request.wait", "How long a request waited for its gate and its budget."),
            open: HashMap::new(),
        }
    }

    pub(super) fn hear(&mut self, record: &Record) {
        if let Event::RequestStarted(started) = &record.event {
            self.open.insert((started.instance.clone(), started.number), record.elapsed);
        }
        if let Event::RequestFinished(finished) = &record.event {
            let began = self.open.remove(&(finished.instance.clone(), finished.number));
            self.finished(finished, began.map(|began| record.elapsed.saturating_sub(began)));
        }
    }

    fn finished(&self, finished: &RequestFinished, took: Option<Duration>) {
        let program = finished.model.is_empty();
        let mut about = vec![
            KeyValue::new(OPERATION, if program { "invoke_agent" } else { "chat" }),
            KeyValue::new(PROVIDER, provider(&finished.provider)),
        ];
        if !program {
            about.push(KeyValue::new(MODEL, finished.model.clone()));
        }
        for (kind, count) in [("input", finished.usage.input), ("output", finished.usage.output)] {
            if !count.is_zero() {
                let mut about = about.clone();
                about.push(KeyValue::new(TOKEN_TYPE, kind));
                self.tokens.record(count.0, &about);
            }
        }
        self.waited.record(finished.waited.0.as_secs_f64(), &about);
        if let Some(failure) = &finished.failure {
            about.push(KeyValue::new(ERROR, failure.clone()));
        }
        if let Some(took) = took {
            self.duration.record(took.as_secs_f64(), &about);
        }
    }
}
