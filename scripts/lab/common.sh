# What every component of the lab uses. Sourced by lab.sh.

port() { echo $(($1 + HOLDFAST_LAB_PORT_OFFSET)); }

# Runs VERB of each component at the same time; says which failed and where its log is.
side_by_side() { # side_by_side VERB ARGUMENT COMPONENT...
  local verb=$1 argument=$2 component failed=() pids=()
  shift 2
  # Each in a process group of its own, so that an interrupted lab leaves no half of it at work.
  set -m
  for component in "$@"; do
    (set +m && "${component}_$verb" "$argument") &
    pids+=($!)
  done
  set +m
  # shellcheck disable=SC2064
  trap "kill -TERM ${pids[*]/#/-} 2>/dev/null; exit 130" INT TERM
  for component in "$@"; do
    wait "${pids[0]}" || failed+=("$component")
    pids=("${pids[@]:1}")
  done
  trap - INT TERM
  for component in "${failed[@]}"; do
    echo "error: $component: $verb failed; its log: $HOLDFAST_LAB/log/$component.log" >&2
    # Without the frames of a stack, which hide the reason.
    grep -v '^[[:space:]]' "$HOLDFAST_LAB/log/$component.log" 2>/dev/null | tail -n 5 >&2 || true
  done
  [ ${#failed[@]} -eq 0 ]
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_until SECONDS COMMAND...: until it succeeds.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.1
  done
}

# A pid file of an earlier boot may name somebody else: the command line must name this lab too.
runs() { # runs NAME
  local pid
  pid=$(cat "$HOLDFAST_LAB/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] && { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$HOLDFAST_LAB"
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_process NAME: TERM, then KILL after 20 s.
stop_process() {
  local pid
  if runs "$1"; then
    pid=$(cat "$HOLDFAST_LAB/run/$1.pid")
    kill -TERM "$pid" 2>/dev/null || true
    wait_until 20 is_gone "$pid" || { kill -KILL "$pid" && wait_until 5 is_gone "$pid"; }
  fi
  rm -f "$HOLDFAST_LAB/run/$1.pid"
}

status_line() { # status_line NAME PORT LOG
  if runs "$1"; then
    echo "$1: running, pid $(cat "$HOLDFAST_LAB/run/$1.pid"), port $2, log $3"
  else
    echo "$1: stopped"
  fi
}

# A secret of the lab: made once, mode 600.
make_secret() { # make_secret NAME
  local file=$HOLDFAST_LAB/secrets/$1
  [ -s "$file" ] || (umask 077 && openssl rand -hex 16 >"$file")
}

# bin/NAME runs a verb of this script whatever environment it is called with, as an agent would.
make_command() { # make_command NAME VERB
  cat >"$HOLDFAST_LAB/bin/$1" <<SH
#!/bin/sh
export HOLDFAST_LAB='$HOLDFAST_LAB' HOLDFAST_LAB_PORT_OFFSET='$HOLDFAST_LAB_PORT_OFFSET' HOLDFAST_CACHE='${HOLDFAST_CACHE:-$HOME/.cache/holdfast}'
exec '$repository/scripts/lab.sh' $2 "\$@"
SH
  chmod 755 "$HOLDFAST_LAB/bin/$1"
}
