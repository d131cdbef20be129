//! Compiles the C++ loops of the Boost peers, if Boost is there.

use std::path::Path;

/// What this system lacks.
struct Missing {
    why: &'static str,
    /// A file that is there when it no longer does.
    file: &'static str,
}

fn main() {
    println!("cargo::rustc-check-cfg=cfg(boost)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cpp/boost.cpp");
    for variable in ["CXX", "CXXFLAGS", "CPLUS_INCLUDE_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    match missing() {
        None => compile(),
        Some(Missing { why, file }) => {
            // As long as the file is not there, this runs for every build.
            println!("cargo::rerun-if-changed={file}");
            println!("cargo::rustc-env=SEGRING_VERSUS_NO_BOOST={why}");
        }
    }
}

fn missing() -> Option<Missing> {
    if !compiles("compiler", "#include <cstdint>\n") {
        let why = "there is no C++17 compiler: apt-get install g++";
        return Some(Missing { why, file: "/usr/bin/c++" });
    }
    let headers = [
        "#include <boost/interprocess/ipc/message_queue.hpp>\n",
        "#include <boost/lockfree/spsc_queue.hpp>\n",
    ];
    if !compiles("headers", &headers.concat()) {
        let why = "Boost headers are not installed: apt-get install libboost-dev";
        return Some(Missing { why, file: "/usr/include/boost/version.hpp" });
    }
    None
}

fn compiles(name: &str, source: &str) -> bool {
    let directory = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let file = Path::new(&directory).join(format!("{name}.cpp"));
    std::fs::write(&file, source).expect("write into OUT_DIR");
    let mut build = cxx();
    build.cargo_metadata(false).cargo_warnings(false).cargo_debug(false);
    build.file(file).try_compile(&format!("probe_{name}")).is_ok()
}

/// As Rust is compiled for a release: optimised, for every processor of the architecture.
fn cxx() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(3).define("NDEBUG", None);
    build
}

fn compile() {
    cxx().file("cpp/boost.cpp").compile("segring_versus_boost");
    // Where the C library does not have them itself.
    println!("cargo::rustc-link-lib=pthread");
    println!("cargo::rustc-link-lib=rt");
    println!("cargo::rustc-cfg=boost");
}
