#!/bin/bash
# Runs on a host, for ops/host_job.py:
#
# start NAME COMMAND   COMMAND as the unit NAME, which goes on when the operator does not
# look NAME            its exit code once it has ended, else the unit's state
# read LENGTH COMMAND  what COMMAND prints, compressed: the file that has it, its length, the first LENGTH characters
set -euo pipefail
run=/run/ha
act=$1
shift

start() {
  local name=$1 command=$2 folder=$run/jobs/$1
  case $(systemctl show --property=ActiveState --value "$name.service") in
    active | activating | deactivating | reloading)
      echo "$name is still under way" >&2
      return 75
      ;;
  esac
  # The result of an earlier job is never taken for this one's.
  rm -rf "$folder"
  mkdir -p "$folder"
  # shellcheck disable=SC2016  # the inner shell's
  systemd-run --quiet --collect --unit="$name" --working-directory="$folder" bash -c \
    'bash -c "$1" >out 2>err </dev/null; echo $? >code.new; mv code.new code' bash "$command"
}

look() {
  local state
  # First: a job that ends after this has written its exit code.
  state=$(systemctl is-active "$1.service" || true)
  if [ -e "$run/jobs/$1/code" ]; then cat "$run/jobs/$1/code"; else echo "$state"; fi
}

read_all() {
  local part=$1 command=$2 answer length
  mkdir -p "$run"
  answer=$(mktemp "$run/answer.XXXXXX")
  if ! bash -c "$command" | gzip -9 | base64 -w0 >"$answer"; then
    rm -f "$answer"
    return 1
  fi
  length=$(stat -c %s "$answer")
  echo "$answer $length"
  head -c "$part" "$answer"
  if ((length <= part)); then rm -f "$answer"; fi
}

case $act in
  start) start "$@" ;;
  look) look "$@" ;;
  read) read_all "$@" ;;
esac
