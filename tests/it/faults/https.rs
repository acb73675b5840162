//! What stands between fanout and a provider in the real world: certificates, HTTP/2, proxies.
//! Through the program, since whom it trusts and which proxy it takes stands in its environment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::Rude;
use crate::provider::{Provider, Script};
use crate::support::{Folder, Ran, outcomes, parse_lines};

const ANSWER: &[u8] = br#"{"type":"message","role":"assistant","model":"tiny","stop_reason":"end_turn",
"content":[{"type":"text","text":"from afar"}],"usage":{"input_tokens":3,"output_tokens":2}}"#;

/// What a server does.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Answers,
    /// Resets the first stream as not processed.
    Refuses,
    /// Closes the first connection, saying that it has processed nothing of it.
    Goes,
    /// Resets the first stream in the middle of its answer.
    Breaks,
}

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name until the end of that year.
    fn signs(&self, name: &str, year: i32) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 12, 31));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// A provider on loopback that speaks TLS and HTTP/2.
struct Secure {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    /// Ends the server when dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Secure {
    fn start((certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>), does: Does) -> Secure {
        let config = ServerConfig::builder().with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counted, opened) = (Arc::clone(&requests), Arc::clone(&connections));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, requests, connections) =
                    (acceptor.clone(), Arc::clone(&counted), Arc::clone(&opened));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
                    if does == Does::Goes && is_first {
                        go_away(stream).await;
                    } else {
                        serve(stream, does, &requests).await;
                    }
                });
            }
        });
        Secure { address, requests, connections, _runtime: runtime }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Waits for a request, and closes with GOAWAY: the last stream that it has looked at is none.
async fn go_away(mut stream: TlsStream<TcpStream>) {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let _ = stream.write_all(&settings).await;
    let mut preface = [0; 24];
    let _ = stream.read_exact(&mut preface).await;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        let _ = stream.read_exact(&mut payload).await;
        let is_request = head[3] == 1;
        if is_request {
            break;
        }
    }
    let _ = stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    let _ = stream.shutdown().await;
}

async fn serve(stream: TlsStream<TcpStream>, does: Does, requests: &AtomicUsize) {
    let mut builder = h2::server::Builder::new();
    let Ok(mut connection) = builder.max_concurrent_streams(16).handshake::<_, &'static [u8]>(stream).await
    else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let is_first = requests.fetch_add(1, Ordering::SeqCst) == 0;
        let does = if is_first { does } else { Does::Answers };
        tokio::spawn(reply(request.into_body(), respond, does));
    }
}

async fn reply(mut body: RecvStream, mut respond: SendResponse<&'static [u8]>, does: Does) {
    if does == Does::Refuses {
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    }
    while let Some(Ok(bytes)) = body.data().await {
        let _ = body.flow_control().release_capacity(bytes.len());
    }
    let mut answer = respond.send_response(Default::default(), false).unwrap();
    if does == Does::Breaks {
        answer.send_data(&ANSWER[..60], false).unwrap();
        // What was written goes out before the reset.
        tokio::time::sleep(crate::provider::ms(100)).await;
        answer.send_reset(Reason::INTERNAL_ERROR);
    } else {
        let _ = answer.send_data(ANSWER, true);
    }
}

/// Runs a plan of so many calls with a provider at `base_url`.
fn run(base_url: &str, calls: usize, retries: usize, env: &[(&str, &str)], folder: &Folder) -> Ran {
    let calls: String = (0..calls).map(|n| format!("  c{n}: {{ prompt: 'call {n}' }}\n")).collect();
    folder.write(
        "plan.yaml",
        &format!(
            "providers: {{ lab: {{ api: anthropic, base_url: '{base_url}' }} }}
defaults: {{ agent: {{ model: lab/tiny, tools: [] }}, retries: {retries}, timeout: 60s }}
calls:
{calls}"
        ),
    );
    folder.run_with(env, &["run", "plan.yaml", "--json"])
}

fn trusting(authority: &Authority, server: &Secure, calls: usize, retries: usize) -> (Vec<Value>, Ran) {
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &authority.0.pem());
    let base_url = format!("https://localhost:{}/v1", server.address.port());
    let ran = run(&base_url, calls, retries, &[("SSL_CERT_FILE", ca.to_str().unwrap())], &folder);
    (parse_lines(&ran.out), ran)
}

#[test]
fn many_calls_share_one_connection_where_the_provider_speaks_http_2() {
    let authority = Authority::new("the lab");
    let server = Secure::start(authority.signs("localhost", 2090), Does::Answers);
    let (events, ran) = trusting(&authority, &server, 100, 0);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(outcomes(&events).values().all(|outcome| outcome["output"]["text"] == "from afar"));
    assert_eq!(server.requests(), 100);
    // Those that start before the first handshake is over may bring one of their own.
    assert!(server.connections() < 20, "{} connections", server.connections());
}

#[test]
fn a_request_that_http_2_says_was_not_looked_at_is_sent_again_and_counts_once() {
    for does in [Does::Refuses, Does::Goes] {
        let authority = Authority::new("the lab");
        let server = Secure::start(authority.signs("localhost", 2090), does);
        let (events, ran) = trusting(&authority, &server, 1, 0);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let outcome = &outcomes(&events)["c0"];
        assert_eq!(outcome["output"]["text"], "from afar");
        assert_eq!(outcome["usage"]["requests"], 1, "{outcome}");
    }
}

#[test]
fn a_stream_that_http_2_resets_in_the_middle_is_a_failed_attempt() {
    let authority = Authority::new("the lab");
    for (retries, code) in [(0, 1), (1, 0)] {
        let server = Secure::start(authority.signs("localhost", 2090), Does::Breaks);
        let (events, ran) = trusting(&authority, &server, 1, retries);
        assert_eq!(ran.code, code, "{}", ran.err);
        assert_eq!(server.requests(), 1 + retries);
        let outcome = &outcomes(&events)["c0"];
        if retries == 0 {
            assert_eq!(
                (&outcome["status"], &outcome["cause"]["code"]),
                (&"failed".into(), &"interrupted".into())
            );
            assert_eq!(outcome["output"]["text"], "", "{outcome}");
        }
    }
}

#[test]
fn a_certificate_that_is_not_right_says_what_is_wrong_with_it_and_nothing_is_sent() {
    let authority = Authority::new("the lab");
    let expired = authority.signs("localhost", 2021);
    let elsewhere = authority.signs("elsewhere.test", 2090);
    let stranger = Authority::new("somebody else").signs("localhost", 2090);
    for (certificate, word) in
        [(expired, "expired"), (elsewhere, "not valid for name"), (stranger, "UnknownIssuer")]
    {
        let server = Secure::start(certificate, Does::Answers);
        let (events, ran) = trusting(&authority, &server, 1, 3);
        assert_eq!(ran.code, 1, "{}", ran.err);
        let cause = &outcomes(&events)["c0"]["cause"];
        let message = cause["message"].as_str().unwrap();
        assert_eq!(cause["code"], "unreachable");
        assert!(message.contains("could not trust lab (localhost:") && message.contains(word), "{message}");
        assert_eq!((server.requests(), server.connections()), (0, 0));
    }
}

#[test]
fn a_proxy_of_the_environment_is_used_named_once_and_its_password_is_nowhere() {
    let proxy = Provider::start();
    proxy.answer(|_| Script::text("by proxy"));
    let folder = Folder::new();
    let at = proxy.host();
    let address = format!("http://me:hush-hush-42@{at}");
    let env = [("HTTP_PROXY", address.as_str()), ("NO_PROXY", "near.test")];
    let ran = run("http://far.test/v1", 2, 0, &env, &folder);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.err.matches(&format!("lab is reached through the proxy {at}")).count(), 1, "{}", ran.err);
    assert!(!format!("{}{}", ran.out, ran.err).contains("hush-hush-42"), "{}{}", ran.out, ran.err);
    let asked = proxy.requests();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| request.header("host") == Some("far.test")));
    assert!(asked.iter().all(|request| request.header("proxy-authorization").is_some()));
    // One that is not to go there does not.
    let ran = run("http://near.test/v1", 1, 0, &env, &folder);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(!ran.err.contains("proxy"), "{}", ran.err);
    assert_eq!(proxy.count(), 2);
}

#[test]
fn a_proxy_that_lets_nobody_through_is_named_and_not_taken_for_the_provider() {
    let folder = Folder::new();
    for base_url in ["http://far.test/v1", "https://far.test/v1"] {
        let no = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        // Who asked it again would find nobody.
        let proxy = Rude::start(vec![no.to_vec()]);
        let address = proxy.base_url.trim_end_matches("/v1");
        let ran = run(base_url, 1, 2, &[("HTTP_PROXY", address), ("HTTPS_PROXY", address)], &folder);
        assert_eq!(ran.code, 1, "{}", ran.err);
        let cause = outcomes(&parse_lines(&ran.out))["c0"]["cause"].clone();
        let message = cause["message"].as_str().unwrap();
        assert_eq!(cause["code"], "unreachable", "{cause}");
        let at = address.trim_start_matches("http://");
        assert!(message.contains(&format!("the proxy {at} wants a user and a password")), "{message}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let folder = Folder::new();
    let ran = run("https://far.test/v1", 1, 0, &[("https_proxy", "http://127.0.0.1:1")], &folder);
    let cause = outcomes(&parse_lines(&ran.out))["c0"]["cause"].clone();
    assert_eq!(cause["code"], "unreachable");
    assert!(cause["message"].as_str().unwrap().contains("through the proxy 127.0.0.1:1"), "{cause}");
}
