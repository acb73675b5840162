//! What every program needs to work at all: system folders, toolchains, a home, an environment.
//!
//! Invariant: tables of what is open, never of what is closed; nothing in them is where people or
//! services keep secrets (keys, tokens, sockets, password hashes, other people's files).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::policy::{Policy, Roots};
use super::real;
use crate::process::Environment;

/// Programs, libraries and data of the system; devices that hold nothing; the process table.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/run/current-system",
    "/home/linuxbrew/.linuxbrew",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
];

/// What programs read of the system's settings.
const SETTINGS: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "default/locale",
    "environment",
    "fonts",
    "gai.conf",
    "gitattributes",
    "gitconfig",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "magic.mime",
    "manpath.config",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "openssl",
    "os-release",
    "passwd",
    "perl",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "python",
    "python3",
    "redhat-release",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "vim",
    "xdg",
    "zsh",
];

/// Where toolchains live in a home, without what they keep there of credentials.
const TOOLCHAINS: &[&str] = &[
    ".asdf",
    ".bun/bin",
    ".bun/install",
    ".cargo/bin",
    ".cargo/config.toml",
    ".cargo/env",
    ".cargo/git",
    ".cargo/registry",
    ".deno/bin",
    ".dotnet",
    ".ghcup",
    ".goenv",
    ".juliaup",
    ".local/bin",
    ".local/lib",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/pipx",
    ".local/share/pnpm",
    ".local/share/uv",
    ".nix-profile",
    ".nodenv",
    ".nvm",
    ".opam",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".rye",
    ".sdkman",
    ".stack",
    ".swiftly",
    ".volta",
    "go/bin",
    "go/pkg",
];

/// Variables that say something of the surroundings and nothing of the person's keys.
const VARIABLES: &[&str] = &[
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "USER",
    "LOGNAME",
    "SHELL",
    "CI",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_HOME",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "RBENV_ROOT",
    "VIRTUAL_ENV",
    "SOURCE_DATE_EPOCH",
];

/// Private places of one program.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) home: PathBuf,
    pub(super) temporary: PathBuf,
}

/// What programs read under every policy.
pub(super) fn readable(own: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = home(own);
    let mut paths: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    paths.extend(SETTINGS.iter().map(|name| real(&Path::new("/etc").join(name))));
    if let Some(home) = &home {
        paths.extend(TOOLCHAINS.iter().map(|name| real(&home.join(name))));
    }
    let path = own("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path).filter(|folder| folder.is_absolute()) {
        paths.extend(installation(&real(&folder), home.as_deref()));
    }
    let mut paths: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).map(|path| real(path)).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The folder of an entry of `PATH`, with the installation that it belongs to: of `~/.nvm/v22/bin` also
/// `~/.nvm/v22`, but never a home or a place that holds more than one program's files.
fn installation(folder: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let is_bin = folder.file_name().is_some_and(|name| name == "bin" || name == "shims");
    let above = folder.parent().filter(|_| is_bin);
    let shared = |above: &Path| {
        // `/tmp`, `/srv`, `/home`: nobody's installation.
        above.components().count() < 3
            || home.is_some_and(|home| {
                home.starts_with(above)
                    || [".local", ".cargo", ".config", ".bun", "go"]
                        .iter()
                        .any(|name| above == home.join(name))
            })
    };
    found.extend(above.filter(|above| !shared(above)).map(Path::to_owned));
    // Someone whose PATH names their home, or the root, has not given it away.
    found.retain(|path| path.parent().is_some() && !home.is_some_and(|home| home.starts_with(path)));
    found
}

fn home(own: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    own("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute() && home.parent().is_some())
        .map(|home| real(&home))
}

/// Makes a private home and a folder for temporary files. What the policy opens of the real home is
/// found in the private one at the same place.
pub(super) fn furnish(
    scratch: &Path,
    roots: &Roots,
    own: &dyn Fn(&str) -> Option<OsString>,
) -> io::Result<Places> {
    let scratch = real(scratch);
    let places = Places { home: scratch.join("home"), temporary: scratch.join("tmp") };
    std::fs::create_dir(&places.home)?;
    std::fs::create_dir(&places.temporary)?;
    let Some(real_home) = home(own) else { return Ok(places) };
    for open in roots.read.iter().chain(&roots.write) {
        let Ok(inside) = open.strip_prefix(&real_home) else { continue };
        // Work is reached by its own path; only what programs look for in a home is linked there.
        if !inside.to_string_lossy().starts_with('.') && !inside.starts_with("go") {
            continue;
        }
        let link = places.home.join(inside);
        if let Some(parent) = link.parent()
            && std::fs::create_dir_all(parent).is_ok()
        {
            // There already: something above it is open as a whole.
            let _ = std::os::unix::fs::symlink(open, &link);
        }
    }
    Ok(places)
}

/// All variables that a program starts with.
pub(super) fn environment(
    asked: &Environment,
    policy: &Policy,
    places: &Places,
    own: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| is_open(name, policy))
        .filter(|(name, _)| own(&name.to_string_lossy()).is_some())
        .collect();
    let mut set = |name: &str, value: &OsStr| all.push((name.into(), value.to_owned()));
    set("HOME", places.home.as_os_str());
    for name in ["TMPDIR", "TMP", "TEMP"] {
        set(name, places.temporary.as_os_str());
    }
    all.extend(asked.set.iter().cloned());
    all
}

fn is_open(name: &OsStr, policy: &Policy) -> bool {
    let patterns = VARIABLES.iter().copied().chain(policy.env.iter().map(String::as_str));
    let name = name.to_string_lossy();
    patterns.into_iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_path_opens_its_installation_but_no_home_and_no_place_of_credentials() {
        let home = Some(Path::new("/home/me"));
        let of = |folder: &str| installation(Path::new(folder), home);
        assert_eq!(
            of("/home/me/.nvm/v22/bin"),
            [Path::new("/home/me/.nvm/v22/bin"), Path::new("/home/me/.nvm/v22")]
        );
        assert_eq!(of("/home/me/.cargo/bin"), [Path::new("/home/me/.cargo/bin")]);
        assert_eq!(of("/home/me/.local/bin"), [Path::new("/home/me/.local/bin")]);
        assert_eq!(of("/home/me/bin"), [Path::new("/home/me/bin")]);
        assert_eq!(of("/home/bin"), [Path::new("/home/bin")]);
        assert_eq!(of("/tmp/bin"), [Path::new("/tmp/bin")]);
        assert_eq!(of("/bin"), [Path::new("/bin")]);
        assert_eq!(of("/home/me"), Vec::<PathBuf>::new());
        assert_eq!(of("/"), Vec::<PathBuf>::new());
    }

    #[test]
    fn variables_pass_by_name_and_by_beginning_and_no_key_does() {
        let policy = Policy { env: vec!["MY_*".to_owned(), "GH_TOKEN".to_owned()], ..Policy::default() };
        let open = |name: &str| is_open(OsStr::new(name), &policy);
        assert!(open("PATH") && open("LC_ALL") && open("MY_VAR") && open("GH_TOKEN"));
        assert!(
            !open("ANTHROPIC_API_KEY") && !open("LD_PRELOAD") && !open("SSH_AUTH_SOCK") && !open("GH_TOKEN2")
        );
    }
}
