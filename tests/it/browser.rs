//! The page in a real browser (Debian's `chromium`; skipped where it is not): nothing on it runs, asks
//! for anything or complains. Screenshots for people are left in `target/browser`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::Folder;

const NASTY: &[&str] = &[
    "<script>document.title='owned'</script>",
    "<img src=http://evil.example/x.png onerror=document.title='owned'>",
    "</pre></details><script src=http://evil.example/x.js></script>",
    "<svg/onload=document.title='owned'>",
    "\\\"><iframe src=http://evil.example/></iframe>",
    "<a href=javascript:document.title='owned'>x</a>",
    "<style>@import url(http://evil.example/x.css);*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href=http://evil.example/><form action=http://evil.example/><input name=x autofocus>",
    "<link rel=preconnect href=http://evil.example/><object data=http://evil.example/></object>",
];

#[test]
fn a_page_of_a_thousand_calls_is_inert_in_chromium() {
    if Command::new("chromium").arg("--version").output().is_err() {
        let line = "SKIPPED: chromium is not there; apt-get install chromium\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    let folder = Folder::in_memory();
    let mut items = String::new();
    for n in 0..994 {
        let text = if n < 500 { NASTY[n % NASTY.len()] } else { "a harmless finding" };
        let _ = writeln!(items, "  - \"{text} {n}\"");
    }
    folder.write("items.yaml", &format!("items:\n{items}"));
    folder.write(
        "plan.yaml",
        "name: thousand\nvars: { items: [] }\nlimits: { concurrency: 16 }\ncalls:\n  \
         each: { for_each: '{{ vars.items }}', run: [printf, '%s\\nmore\\n', '{{ item }}'] }\n  \
         left: { run: \"printf 'one\\ntwo\\nthree\\n'\" }\n  right: { run: \"printf 'one\\n2\\nthree\\n'\" }\n  \
         bad: { run: 'echo broken >&2; exit 3' }\nreconcile: { strategy: compare, of: [left, right] }\n\
         report: { html: report.html }\n",
    );
    folder.run(&["run", "plan.yaml", "--vars-file", "items.yaml", "-q"]).expect_code(1);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser");
    std::fs::create_dir_all(&kept).unwrap();
    let page = folder.path().join("report.html");
    let browse = |more: &[String]| {
        let mut command = Command::new("chromium");
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
        ]);
        command.args([
            "--disable-background-networking",
            "--disable-component-update",
            "--enable-logging=stderr",
        ]);
        command.arg(format!("--user-data-dir={}", folder.path().join("profile").display())).args(more);
        let out = command.arg(format!("file://{}", page.display())).output().unwrap();
        (String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let net = folder.path().join("net.json");
    let (dom, log) = browse(&["--dump-dom".to_owned(), format!("--log-net-log={}", net.display())]);
    assert!(!log.contains("CONSOLE"), "{log}");
    let asked = folder.read("net.json");
    assert!(
        asked.contains("\"constants\"") && !asked.contains("evil.example"),
        "the page asked for something"
    );
    assert!(
        dom.contains("<title>failure: thousand</title>"),
        "the title is {:?}",
        dom.split("</title>").next()
    );
    assert_eq!(dom.matches("<script").count(), 1);
    for element in ["<img", "<iframe", "<object", "<base", "<link", "<svg/"] {
        assert!(!dom.contains(element), "{element}");
    }
    // The script has run: without it the filter stays hidden.
    assert!(dom.contains("<form id=\"tools\"") && !dom.contains("<form id=\"tools\" hidden"));
    for (width, height) in [(1280, 2400), (390, 3200)] {
        let file = kept.join(format!("report-{width}.png"));
        browse(&[format!("--screenshot={}", file.display()), format!("--window-size={width},{height}")]);
        assert!(std::fs::metadata(&file).unwrap().len() > 20_000, "{}", file.display());
    }
}
