# shellcheck shell=bash
# What the scripts share; source it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One build folder for every checkout on this machine.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-target}

die() { echo "${0##*/}: $*" >&2; exit 1; }
wrong() { echo "${0##*/}: $* (see --help)" >&2; exit 2; }
usage() { sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; }

# run COMMAND... - say what runs, then run it
run() { echo "+ $*"; "$@"; }

# need COMMAND=PACKAGE... - install the Debian packages whose commands are missing
need() {
  local pair missing=()
  for pair; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  ((${#missing[@]} == 0)) || packages "${missing[@]}"
}

# packages PACKAGE... - install them
packages() {
  local sudo=()
  command -v apt-get >/dev/null || die "missing: $* (Debian's names; there is no apt-get to install them with)"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "missing: $* (install them, or run this as root)"
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# need_build - what building Weir takes: a C compiler for librdkafka, OpenSSL's headers
need_build() {
  command -v cargo >/dev/null || die "Rust is missing: install it with rustup"
  need gcc=gcc g++=g++ make=make pkg-config=pkg-config
  [[ -e /usr/include/openssl/ssl.h ]] || pkg-config --exists openssl || packages libssl-dev
  own_build
}

# own_build - Cargo goes by time, not content: in a build folder that checkouts share, it takes
# what another one built last for ours, unless our files are newer
own_build() {
  local mark=$CARGO_TARGET_DIR/.checkout
  [[ $(cat "$mark" 2>/dev/null) == "$root" ]] && return
  mkdir -p "$CARGO_TARGET_DIR"
  find "$root" \( -name .git -o -name target \) -prune -o -type f -exec touch -c {} +
  echo "$root" >"$mark"
}

# lint - everything that judges the text of the code
lint() {
  run cargo fmt --all --check
  run cargo clippy --workspace --all-targets -- -D warnings
  if command -v shellcheck >/dev/null; then
    run shellcheck -x -P SCRIPTDIR "$root"/scripts/{lib.sh,up,check,test,bench,sim} "$root"/scripts/stack/{lib.sh,guard,kafka,prometheus,otelcol}
  else
    echo "- no shellcheck here: scripts are not checked"
  fi
  if command -v cargo-deny >/dev/null; then
    run cargo deny check bans licenses sources
  else
    echo "- no cargo-deny here: licences of dependencies are not checked"
  fi
}
