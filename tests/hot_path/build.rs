//! Builds the optimised child: a package of its own, made in the target directory, because tests
//! run in the dev profile and a bench target would need every dev-dependency optimised first.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// cargo's own release profile, as a user of the library gets it: no LTO, so that what is not
/// inlined across crates by itself shows. `[workspace]`: it lies inside of this one.
const MANIFEST: &str = r#"
[workspace]
[package]
name = "child-of-hot-path"
version = "0.0.0"
edition = "2024"
[[bin]]
name = "child-of-hot-path"
path = CHILD
[dependencies]
segring = { path = SEGRING }
"#;

/// The child's executable, built once per run. An error: there is no cargo.
pub fn child() -> Result<&'static Path, &'static str> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref().ok_or("no cargo, to build the optimised program")
}

fn build() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hot_path");
    fs::create_dir_all(&package).expect("a directory for the package");
    let quoted = |path: &Path| format!("{:?}", path.to_str().expect("a path in UTF-8"));
    let manifest = MANIFEST
        .replace("CHILD", &quoted(&root.join("tests/hot_path/child.rs")))
        .replace("SEGRING", &quoted(root));
    fs::write(package.join("Cargo.toml"), manifest).expect("written");
    // The same versions, which are there already. cargo takes out what this package does not need.
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).expect("copied");

    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--release", "--offline", "--quiet", "--message-format=json"]);
    command.arg("--manifest-path").arg(package.join("Cargo.toml"));
    command.arg("--target-dir").arg(package.join("target"));
    // Flags and profiles of the caller's would change the counts.
    command.env("CARGO_ENCODED_RUSTFLAGS", "");
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        if name == "RUSTFLAGS" || name == "CARGO_BUILD_TARGET" || name.starts_with("CARGO_PROFILE_") {
            command.env_remove(&key);
        }
    }
    let output = match command.output() {
        Err(e) if e.kind() == ErrorKind::NotFound => return None,
        output => output.expect("cargo runs"),
    };
    let messages = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the child: {}\n{messages}", String::from_utf8_lossy(&output.stderr));
    let executable = messages.split_once(r#""executable":""#).and_then(|(_, rest)| rest.split_once('"'));
    Some(PathBuf::from(executable.expect("the name of the executable").0))
}
