#!/bin/sh
# Builds and installs the C library: header, shared and static library, and the file for pkg-config.
#
#     tools/install.sh                                     into /usr/local, as root
#     PREFIX=$HOME/.local tools/install.sh                 for one user; set PKG_CONFIG_PATH=$HOME/.local/lib/pkgconfig
#     DESTDIR=package PREFIX=/usr tools/install.sh --offline
#
# Variables: DESTDIR, a folder before all paths, for packages; PREFIX; LIBDIR, by default PREFIX/lib; FEATURES of the library;
# PROFILE of the build. Arguments go to cargo.
set -eu
cd "$(dirname "$0")/.."

: "${DESTDIR:=}" "${PREFIX:=/usr/local}" "${PROFILE:=release}" "${FEATURES:=rayon,all-formats,pth,builtin,capi}"
: "${LIBDIR:=$PREFIX/lib}"
target=${CARGO_TARGET_DIR:-target}

case $(uname -s) in
Darwin | *NT*)
    echo "tools/install.sh installs on Linux and the BSDs; elsewhere build the library as src/capi/occlude.h says" >&2
    exit 1
    ;;
esac

# Programs that were linked with one version run with another one of the same number here: before 1.0 the second counts.
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
major=${version%%.*}
rest=${version#*.}
number=$major
[ "$major" != 0 ] || number=0.${rest%%.*}

cargo rustc --lib --profile "$PROFILE" --no-default-features --features "$FEATURES" --crate-type cdylib,staticlib "$@" -- \
    -C "link-arg=-Wl,-soname,libocclude.so.$number"
built=$target/$PROFILE
[ "$PROFILE" != dev ] || built=$target/debug

libraries=$DESTDIR$LIBDIR
mkdir -p "$libraries/pkgconfig" "$DESTDIR$PREFIX/include"
install -m 644 src/capi/occlude.h "$DESTDIR$PREFIX/include/"
install -m 644 "$built/libocclude.a" "$libraries/"
# A third of it is debug information and bitcode of Rust's standard library.
if command -v objcopy >/dev/null; then
    objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd "$libraries/libocclude.a"
fi
install -m 755 "$built/libocclude.so" "$libraries/libocclude.so.$version"
ln -sf "libocclude.so.$version" "$libraries/libocclude.so.$number"
ln -sf "libocclude.so.$number" "$libraries/libocclude.so"
cat >"$libraries/pkgconfig/occlude.pc" <<END
prefix=$PREFIX
libdir=$LIBDIR
includedir=\${prefix}/include

Name: occlude
Description: GoogLeNet that explains its classifications by occlusion sensitivity
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -locclude
Libs.private: -lpthread -ldl -lm
END
echo "installed libocclude $version in $libraries"
