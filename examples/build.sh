#!/bin/bash
# Builds the example modules. See usage() below and README.md.
#
# The modules come out byte for byte the same wherever this folder lies, given
# the tools in toolchain.txt: sources are named by relative paths, other paths
# are mapped away, and nothing that could differ (names, times, debug
# information, tool records) is left in a module.

set -euo pipefail

usage() {
    cat <<'TEXT'
usage: build.sh [--out DIR] [NAME...]   build all or the named examples into
                                        DIR/NAME/function.wasm (default: in
                                        place, and bring digests.txt up to date)
       build.sh --verify [NAME...]      build elsewhere and compare with
                                        digests.txt
       build.sh --check-toolchain       compare the installed tools with
                                        toolchain.txt

exit codes: 0 done / same, 1 a build or a comparison failed, 2 bad usage,
            3 a tool is missing, 4 a tool has another version than the pinned
TEXT
}

# Neither the caller's language nor compiler settings may reach the modules.
export LC_ALL=C
umask 022
unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH CCC_OVERRIDE_OPTIONS \
      SOURCE_DATE_EPOCH RUSTC_BOOTSTRAP NODE_OPTIONS CDPATH

# The caller's folder: --out is relative to it.
caller=$PWD
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
here=$PWD

CLANG=/usr/bin/clang-14
WASM_LD=/usr/bin/wasm-ld-14
RUSTC=/usr/bin/rustc
STB=/usr/include/stb

MAX_MODULE_BYTES=$((300 * 1024))
MAX_MEMORY=$((64 * 1024 * 1024))

work=
# Runs at exit, whatever the cause.
clean_up() { if [ -n "$work" ]; then rm -rf -- "$work"; fi; }
trap clean_up EXIT
trap 'exit 1' INT TERM

die() { printf 'build.sh: %s\n' "$2" >&2; exit "$1"; }

# ---- tools --------------------------------------------------------------

missing=()

# need WHAT PACKAGE TEST...: notes PACKAGE unless the test command succeeds.
need() {
    local what=$1 package=$2
    shift 2
    case " ${missing[*]-} " in
    *" $package "*) return ;;
    esac
    if ! "$@" >/dev/null 2>&1; then
        printf 'build.sh: missing: %s (Debian package %s)\n' "$what" "$package" >&2
        missing+=("$package")
    fi
}

need_c() {
    need "$CLANG" clang-14 test -x "$CLANG"
    need "$WASM_LD" lld-14 test -x "$WASM_LD"
    need 'the C library for wasm32-wasi' wasi-libc test -e /usr/lib/wasm32-wasi/libc.a
    need "clang 14's builtins for wasm32" libclang-rt-14-dev-wasm32 \
        test -e /usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a
}

need_rust() {
    need "$RUSTC" rustc test -x "$RUSTC"
    need "$WASM_LD" lld-14 test -x "$WASM_LD"
    need "Rust's standard library for wasm32-wasi" libstd-rust-dev-wasm32 \
        test -d /usr/lib/rustlib/wasm32-wasi
}

need_npm() {
    need 'node, 18 or newer' nodejs node --version
    need npm npm npm --version
}

check_tools() {
    local name
    for name in "$@"; do
        case $name in
        echo | echo-command | sha256 | primes) need_c ;;
        thumbnail)
            need_c
            need 'stb_image.h and stb_image_write.h' libstb-dev test -e "$STB/stb_image.h"
            ;;
        wordcount) need_rust ;;
        deflate)
            need_c
            need_npm
            ;;
        json-transform) need_npm ;;
        esac
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        die 3 "install with: apt-get install ${missing[*]}"
    fi
}

# found KIND NAME: the version that is there, or nothing.
found() {
    case $1 in
    run | min)
        if command -v "$2" >/dev/null 2>&1; then
            "$2" --version 2>/dev/null | head -n 1
        fi
        ;;
    deb)
        # shellcheck disable=SC2016
        dpkg-query -W -f '${db:Status-Abbrev}${Version}\n' "$2" 2>/dev/null \
            | sed -n 's/^ii *//p' | head -n 1
        ;;
    npm)
        grep -h -A 1 -F "\"node_modules/$2\": {" ./*/package-lock.json \
            | sed -n 's/.*"version": "\(.*\)".*/\1/p'
        ;;
    esac || true
}

check_toolchain() {
    local result=0 kind name pinned have verdict major
    while IFS=$'\t' read -r kind name pinned; do
        case $kind in '' | '#'*) continue ;; esac
        have=$(found "$kind" "$name")
        if [ -z "$have" ]; then
            verdict=MISSING
            result=3
        elif [ "$kind" = min ]; then
            major=${have#v}
            major=${major%%.*}
            pinned=">= $pinned"
            if [ "$major" -ge "${pinned#>= }" ] 2>/dev/null; then
                verdict=same
            else
                verdict=DIFFERENT
            fi
        elif [ "$have" = "$pinned" ]; then
            verdict=same
        else
            verdict=DIFFERENT
        fi
        if [ "$verdict" = DIFFERENT ] && [ "$result" -eq 0 ]; then
            result=4
        fi
        printf '%-9s  %s %s: found %s, pinned %s\n' \
            "$verdict" "$kind" "$name" "${have:-nothing}" "$pinned"
    done <toolchain.txt
    exit "$result"
}

# ---- compilers ----------------------------------------------------------

# c_module NAME MODEL OPTION...: MODEL is command or reactor. Compiling and
# linking are two steps: given an -O option, the driver would run whatever
# wasm-opt it finds on PATH when it links.
c_module() {
    local name=$1 model=$2
    shift 2
    "$CLANG" --target=wasm32-wasi -mcpu=mvp -std=c11 -O2 -g0 \
        -Wall -Wextra -Werror -ffunction-sections -fdata-sections -fno-ident \
        -ffile-prefix-map="$here"=. -Iinclude "$@" \
        -c "$name/function.c" -o "$work/$name.o"
    "$CLANG" --target=wasm32-wasi -mexec-model="$model" -fuse-ld="$WASM_LD" \
        -Wl,--gc-sections,--strip-all \
        -Wl,-z,stack-size=262144,--stack-first -Wl,--max-memory="$MAX_MEMORY" \
        "$work/$name.o" "${objects[@]}" -o "$work/$name.wasm"
    objects=()
}

# c_library SOURCE OPTION...: compiles a file of a library for the next c_module.
c_library() {
    local object=$work/lib-$(basename "$1" .c).o
    "$CLANG" --target=wasm32-wasi -mcpu=mvp -O2 -g0 -w -ffunction-sections -fdata-sections \
        -fno-ident -ffile-prefix-map="$work"=. "${@:2}" -c "$1" -o "$object"
    objects+=("$object")
}
objects=()

# npm_install FOLDER: what FOLDER/package-lock.json pins by version and digest, into the
# temporary folder, for this build only.
npm_install() {
    mkdir "$work/npm-$1"
    cp "$1/package.json" "$1/package-lock.json" "$work/npm-$1/"
    (
        cd "$work/npm-$1"
        npm ci --ignore-scripts --no-audit --no-fund --prefer-offline >npm.log 2>&1 \
            || { cat npm.log >&2; exit 1; }
    )
}

# rust FILE CRATE EDITION OPTION...
rust() {
    local file=$1 crate=$2 edition=$3
    shift 3
    "$RUSTC" --target wasm32-wasi --crate-name "$crate" --edition "$edition" \
        -C opt-level=s -C panic=abort -C codegen-units=1 -C debuginfo=0 \
        -C linker="$WASM_LD" -C linker-flavor=wasm-ld \
        --remap-path-prefix "$here"=. --remap-path-prefix "$work"=. \
        "$@" "$file"
}

# rust_module NAME OPTION...
rust_module() {
    local name=$1
    shift
    rust "$name/src/main.rs" "$name" 2021 -D warnings \
        -C lto=fat -C strip=symbols \
        -C link-arg=-zstack-size=262144 -C link-arg=--max-memory="$MAX_MEMORY" \
        "$@" -o "$work/$name.wasm"
}

build_echo() { c_module echo reactor; }
build_echo-command() { c_module echo-command command; }
build_sha256() { c_module sha256 reactor; }
build_primes() { c_module primes reactor; }

# The headers are not ours: no warnings from them.
build_thumbnail() { c_module thumbnail command -isystem "$STB" -Wno-unused-function; }

build_wordcount() { rust_module wordcount; }

# zlib, which an npm package carries as C sources.
build_deflate() {
    npm_install deflate
    local zlib=$work/npm-deflate/node_modules/zlib-sync/deps/zlib file
    for file in adler32 crc32 deflate trees zutil; do
        c_library "$zlib/$file.c"
    done
    c_module deflate command -isystem "$zlib"
}

# The compiler is JavaScript and WebAssembly; what it writes does not depend on the version of
# node that runs it.
build_json-transform() {
    npm_install json-transform
    cp -R json-transform/assembly "$work/npm-json-transform/"
    (
        cd "$work/npm-json-transform"
        node node_modules/assemblyscript/bin/asc.js assembly/index.ts \
            --outFile ../json-transform.wasm -O3 --shrinkLevel 2 \
            --runtime incremental --exportStart _start \
            --use abort=assembly/wasi/onAbort --maximumMemory $((MAX_MEMORY / 65536)) \
            --disable bulk-memory --disable sign-extension --disable nontrapping-f2i
    )
}

# ---- main ---------------------------------------------------------------

out=
verify=
names=()
while [ $# -gt 0 ]; do
    case $1 in
    --out)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        out=$2
        shift
        ;;
    --verify) verify=yes ;;
    --check-toolchain) check_toolchain ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) names+=("${1%/}") ;;
    esac
    shift
done
if [ -n "$verify" ] && [ -n "$out" ]; then
    usage >&2
    exit 2
fi

mapfile -t known < <(cut -f 1 deploy.txt)
if [ "${#names[@]}" -eq 0 ]; then
    names=("${known[@]}")
fi
for name in "${names[@]}"; do
    case " ${known[*]} " in
    *" $name "*) ;;
    *) die 2 "no example is named $name; there are: ${known[*]}" ;;
    esac
done

check_tools "${names[@]}"
work=$(mktemp -d)

case $out in
'') target=$here ;;
/*) target=$out ;;
*) target=$caller/$out ;;
esac
if [ -n "$verify" ]; then
    target=$work/verify
fi

for name in "${names[@]}"; do
    # In a shell of its own, as `set -e` is off in a command that || follows.
    set +e
    (set -e; "build_$name")
    status=$?
    set -e
    [ "$status" -eq 0 ] || die 1 "$name: the build failed"

    size=$(stat -c %s "$work/$name.wasm")
    [ "$size" -le "$MAX_MODULE_BYTES" ] || die 1 "$name: $size bytes are over $MAX_MODULE_BYTES"
    mkdir -p -- "$target/$name" || die 1 "cannot make $target/$name"
    chmod 644 "$work/$name.wasm"
    mv -f -- "$work/$name.wasm" "$target/$name/function.wasm" || die 1 "cannot write to $target"
    printf '%s: %s bytes\n' "$name" "$size"
done

if [ -n "$verify" ]; then
    for name in "${names[@]}"; do
        grep -F "  $name/function.wasm" digests.txt >>"$work/expected" \
            || die 1 "$name: not in digests.txt"
    done
    (cd "$target" && sha256sum --check --strict "$work/expected") || die 1 'a digest differs'
elif [ -z "$out" ]; then
    for name in "${known[@]}"; do
        if [ -e "$name/function.wasm" ]; then
            sha256sum "$name/function.wasm"
        fi
    done >"$work/digests"
    cp "$work/digests" digests.txt
fi
