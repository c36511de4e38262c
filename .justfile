# The commands of CONTRIBUTING.md by short names, for https://just.systems: `just`, `just test`.
# tests/repository/policy.rs compares this file with that page, and needs no `just` for it.

# Lists the recipes.
@_:
    just --list

# Builds the command.
build:
    cargo build --release

# Builds the command for profilers.
build-profiling:
    cargo build --profile profiling

# Installs the command.
install:
    cargo install --path .

# Installs the C library. PREFIX and DESTDIR are variables of the environment.
install-library:
    tools/install.sh

# Checks everything, while working.
check:
    cargo check --all-targets --features capi

# Checks the library with no feature.
check-bare:
    cargo clippy --no-default-features --lib -- -D warnings

# Checks the fuzz targets.
check-fuzz:
    CUSTOM_LIBFUZZER_PATH=/dev/null cargo check --locked --manifest-path tools/fuzz/Cargo.toml

# Opens the documentation.
doc:
    cargo doc --no-deps --open

# Formats the sources.
format:
    cargo fmt

# Runs all tests.
test:
    cargo test --release

# Runs the unit tests of the kernels.
test-kernels:
    cargo test --release --lib kernels::

# Runs the unit tests of the command's modules.
test-command:
    cargo test --release --bin occlude

# Runs one folder of tests/, then one file of it.
test-engine:
    cargo test --release --test engine
    cargo test --release --test engine sweep::

# Runs a test with another instruction set than the fastest.
test-avx2:
    OCCLUDE_ISA=avx2 cargo test --release --test engine seeded::

# Runs the tests that compare with the published network, which lies in FOLDER.
test-trained FOLDER:
    OCCLUDE_WEIGHTS={{FOLDER}}/weights/bvlc_googlenet.safetensors OCCLUDE_REQUIRE_WEIGHTS=1 cargo test --release --test engine trained::

# Runs the tests of a new kernel.
test-kernel:
    cargo test --release --lib kernels::pool_lrn
    cargo test --release --test repository unsafe_code::
    cargo test --release --test engine reproducible::

# Runs the tests of a new layer.
test-layer:
    cargo test --release --lib network:: && cargo test --release --lib reference::
    cargo test --release --test engine

# Compares the modules' imports with ARCHITECTURE.md.
test-architecture:
    cargo test --release --test repository architecture::

# Puts into the book what its commands print now.
write-book:
    OCCLUDE_BOOK=write cargo test --release --test repository book::

# Runs what must pass before a merge.
ci:
    .ci/run

# Times loading, passes, layers and sweeps.
bench:
    cargo bench --bench speed

# Times a sweep in crates with other profiles.
bench-profiles:
    cargo bench --bench host_profiles

# Times a pass layer by layer.
profile:
    target/release/occlude profile tests/data/chelsea.png --threads 1

# Shows how to compare with other engines.
compare:
    python tools/compare.py --help
