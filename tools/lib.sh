# shellcheck shell=bash
# Shared by the scripts in tools/. Source it; it changes to the root of the checkout.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Root's PATH in a non-login shell on Debian may lack these, and the lab needs many programs in them.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
HA_CACHE=${HA_CACHE:-$HOME/.cache/event-manager-ha}
export PATH HA_CACHE

say() { printf '%s\n' "$*" >&2; }

# die CODE MESSAGE...: print each message on a line of stderr, then exit CODE (2: the machine or the input is wrong).
die() {
  local code=$1
  shift
  printf 'error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '       %s\n' "$@" >&2
  exit "$code"
}

have() { command -v "$1" >/dev/null 2>&1; }

# at_least WANTED FOUND: true when version FOUND is WANTED or newer.
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort --version-sort | head -n 1) == "$1" ]]; }

# fingerprint PATH...: one hash over names and contents of these files and of the files in these folders, without ignored ones.
fingerprint() {
  git ls-files --cached --others --exclude-standard -z -- "$@" | sort -zu |
    while IFS= read -r -d '' file; do [[ -f $file ]] && printf '%s\0' "$file"; done |
    xargs -0 -r sha256sum | sha256sum | cut -d ' ' -f 1
}

# seconds_since EPOCHREALTIME: prints the seconds since then, with milliseconds.
seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.3f", to - from }'; }

# quietly COMMAND...: shows the command's output, on stderr, only when it fails.
quietly() {
  local output
  output=$("$@" 2>&1 </dev/null) || { printf '%s\n' "$output" >&2; return 1; }
}
