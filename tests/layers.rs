//! Imports run downwards only: api → ring → layout → sync, and api → region → {layout, sync, sys}.
//! A reader can tell from the path of a file what it may touch.

use std::fs;
use std::path::{Path, PathBuf};

/// Which layers a layer may import, besides itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("sys", &[]),
    ("layout", &["sync"]),
    ("ring", &["layout", "sync"]),
    ("region", &["layout", "sync", "sys"]),
    ("api", &["ring", "region", "layout", "sync"]),
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The layers that a text names with `crate::layer`, comments left out.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            let layer: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // A grouped import would hide its layers from this scan: write them one by one.
            assert!(!rest.starts_with('{'), "line {}: `crate::{{…}}` hides layers", number + 1);
            if MAY_IMPORT.iter().any(|(name, _)| *name == layer) {
                found.push((number + 1, layer));
            }
        }
    }
    found
}

fn forbidden(layer: &str, text: &str) -> Vec<(usize, String)> {
    let (_, allowed) = MAY_IMPORT.iter().find(|(name, _)| *name == layer).expect("a known layer");
    imports(text).into_iter().filter(|(_, to)| to != layer && !allowed.contains(&to.as_str())).collect()
}

#[test]
fn imports_run_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (layer, _) in MAY_IMPORT {
        let mut files = Vec::new();
        rust_files(&src.join(layer), &mut files);
        assert!(!files.is_empty(), "layer {layer} has no files");
        for file in files {
            let text = fs::read_to_string(&file).expect("readable");
            seen += imports(&text).len();
            for (line, to) in forbidden(layer, &text) {
                wrong.push(format!("{}:{line}: {layer} imports {to}", file.display()));
            }
        }
    }
    assert!(seen > 50, "the scan found only {seen} imports: does it still understand the code?");
    assert!(wrong.is_empty(), "imports that run upwards:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_a_known_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).expect("src") {
        let path = entry.expect("entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("text");
        let known = MAY_IMPORT.iter().any(|(layer, _)| *layer == name);
        assert!(known || name == "lib.rs" || name == "loom_tests", "{name} is in no layer");
    }
}

#[test]
fn system_calls_are_made_in_sys_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for layer in ["sync", "layout", "ring", "api"] {
        let mut files = Vec::new();
        rust_files(&src.join(layer), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("readable");
            // Its own tests may use threads.
            let code = text.split("\nmod tests {").next().unwrap_or_default();
            for word in ["libc::", "std::fs", "std::process", "std::thread"] {
                let code = code.lines().map(|l| l.split("//").next().unwrap_or_default());
                assert!(!code.into_iter().any(|l| l.contains(word)), "{} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn the_scan_notices_an_upward_import() {
    assert_eq!(forbidden("ring", "use crate::sys::futex;"), [(1, "sys".to_owned())]);
    assert_eq!(forbidden("layout", "let x = crate::ring::f();"), [(1, "ring".to_owned())]);
    assert!(forbidden("ring", "// crate::sys\nuse crate::sync::Ordering;").is_empty());
}
