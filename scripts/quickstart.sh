#!/usr/bin/env bash
# The main job on real services, from a fresh clone: starts PostgreSQL, slapd and HDFS and a Holdfast of one controller and three
# agents, backs everything up, destroys it, restores it and compares. Leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'USAGE'
usage: scripts/quickstart.sh [--keep] [--large] [--without hdfs]
       scripts/quickstart.sh --down

  --keep           leave everything up at the end and say how to talk to it
  --large          a 1 GB database, 100,000 directory entries, 200,000 files
  --without hdfs   only OMS, LdapServer and DBService: no Java is needed
  --down           stop what an earlier --keep left

State lies in $HOLDFAST_LAB (default .lab); HOLDFAST_LAB_PORT_OFFSET shifts all ports.
USAGE
}

keep=no down=no hdfs=yes size=()
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=yes ;;
    --down) down=yes ;;
    --large) size=(--large) ;;
    --without) shift; [ "${1-}" = hdfs ] || { usage >&2; exit 2; }; hdfs=no ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

export HOLDFAST_LAB
HOLDFAST_LAB=$(realpath -m "${HOLDFAST_LAB:-.lab}")
offset=${HOLDFAST_LAB_PORT_OFFSET:-0}
components=(postgres ldap)
[ $hdfs = no ] || components+=(hdfs)
cluster=$HOLDFAST_LAB/cluster
# There from the disaster to the restoration: what the sources hold meanwhile is no beginning for another run.
destroyed=$HOLDFAST_LAB/destroyed
export HOLDFAST_CONFIG=$cluster/admin/client.yaml
holdfast=$PWD/scripts/holdfast
began=$SECONDS

main() {
  require_alone
  if [ $down = yes ]; then stop_all; exit 0; fi
  step 'Install what is missing'
  if [ $hdfs = yes ]; then ./scripts/install-deps.sh; else ./scripts/install-deps.sh --without hdfs; fi
  export PATH=$PWD/node_modules/.bin:$PATH

  trap end EXIT
  trap 'exit 130' INT TERM HUP
  step "Start the real services: ${components[*]}"
  stop_daemons
  if [ -e "$destroyed" ]; then scripts/lab.sh reset; fi
  rm -rf "$HOLDFAST_LAB/before" "$HOLDFAST_LAB/after" "$destroyed"
  scripts/lab.sh up "${components[@]}" 9>&-
  scripts/lab.sh seed "${size[@]}" "${components[@]}" 9>&-
  scripts/lab.sh snapshot "$HOLDFAST_LAB/before" "${components[@]}"

  step 'Start Holdfast: one controller, agents on two management nodes and on the node of the sources'
  make_cluster
  start_daemon controller controller "$cluster/controller/controller.yaml"
  for node in mn1 mn2 dn1; do start_daemon "$node" agent "$cluster/nodes/$node/agent.yaml"; done
  wait_for_agents
  "$holdfast" agent list
  echo
  "$holdfast" space

  step 'Back up: the task default'
  choose_sources
  "$holdfast" task run default --wait
  echo
  "$holdfast" set list
  set_id=$("$holdfast" set list --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8"))[0].id')

  step 'Destroy the data of the sources'
  touch "$destroyed"
  scripts/lab.sh destroy "${components[@]}"

  step 'Restore'
  "$holdfast" restore plan "$set_id"
  "$holdfast" restore create quickstart_restore --set "$set_id"
  "$holdfast" restore start quickstart_restore --yes --wait

  step 'Compare with what was there before'
  scripts/lab.sh snapshot "$HOLDFAST_LAB/after" "${components[@]}"
  scripts/lab.sh compare "$HOLDFAST_LAB/before" "$HOLDFAST_LAB/after" "${components[@]}"
  rm -f "$destroyed"
}

# Held until this script ends; what it leaves up must not hold it on: `9>&-`.
require_alone() {
  scripts/lab.sh claim
  exec 9>"$HOLDFAST_LAB/lock"
  flock -n 9 && return 0
  echo "error: another quickstart is at work in $HOLDFAST_LAB" >&2
  echo 'next: wait for it, or take another place: HOLDFAST_LAB=/tmp/lab HOLDFAST_LAB_PORT_OFFSET=1000' >&2
  exit 4
}

step() { printf '\n== %s (%s s)\n' "$1" "$((SECONDS - began))"; }

# What a site would do by hand: `holdfast init`, then each node's sources in its agent.yaml.
make_cluster() {
  rm -rf "$cluster"
  "$holdfast" init --directory "$cluster" --controller "127.0.0.1:$((25700 + offset))" \
    --active "mn1=127.0.0.1:$((25701 + offset))" --standby "mn2=127.0.0.1:$((25702 + offset))" --node dn1=127.0.0.1 \
    --data-path "$cluster/data" >"$cluster.init.log" || { cat "$cluster.init.log"; return 1; }
  # A machine to try it on may be smaller than a management node: 1 GB instead of the 20 GB that must stay free.
  sed -i 's/^\( *\)#\{0,1\} *minimumFree:.*/\1minimumFree: 1 GB/' "$cluster"/nodes/mn?/agent.yaml "$cluster/controller/controller.yaml"
  local agent=$cluster/nodes/dn1/agent.yaml
  sed -i '/^sources:/,$d' "$agent"
  lab_sources >>"$agent"
}

lab_sources() {
  eval "$(scripts/lab.sh env)"
  cat <<YAML
sources:
  oms:
    database: { host: 127.0.0.1, port: $PGPORT, user: postgres, passwordFile: $HOLDFAST_LAB/secrets/postgres, name: oms }
    configuration: [$HOLDFAST_LAB/oms/conf]
  dbService:
    { host: 127.0.0.1, port: $PGPORT, user: postgres, passwordFile: $HOLDFAST_LAB/secrets/postgres, databases: [hivemeta] }
  ldapServer:
    configDirectory: $HOLDFAST_LAB/ldap/slapd.d
    tlsDirectory: $HOLDFAST_LAB/ldap/tls
    url: $LDAP_URL
    start: [$HOLDFAST_LAB/bin/ldap-start]
    stop: [$HOLDFAST_LAB/bin/ldap-stop]
YAML
  [ $hdfs = yes ] || return 0
  cat <<YAML
  nameNode:
    httpAddress: 127.0.0.1:$((19870 + offset))
    rpcAddress: 127.0.0.1:$((19000 + offset))
    nameDirectory: $HOLDFAST_LAB/hdfs/name
    hdfs: $HOLDFAST_LAB/bin/hdfs
    start: [$HOLDFAST_LAB/bin/namenode-start]
    stop: [$HOLDFAST_LAB/bin/namenode-stop]
YAML
}

start_daemon() { # start_daemon NAME controller|agent CONFIG
  mkdir -p "$cluster/run"
  setsid "$holdfast" "$2" --config "$3" >"$cluster/run/$1.log" 2>&1 </dev/null 9>&- &
  echo $! >"$cluster/run/$1.pid"
}

wait_for_agents() {
  local deadline=$((SECONDS + 30)) name
  until [ "$("$holdfast" agent list --json 2>/dev/null | grep -c '"connected": true')" -eq 3 ]; do
    for name in controller mn1 mn2 dn1; do
      runs "$name" || { echo "error: $name has ended; its last words:" >&2; tail -n 5 "$cluster/run/$name.log" >&2; return 1; }
    done
    if [ $SECONDS -ge $deadline ]; then
      echo 'error: the agents did not connect within 30 s; their last words:' >&2
      tail -n 3 "$cluster"/run/*.log >&2
      return 1
    fi
    sleep 0.3
  done
}

# The task `default` has all four sources.
choose_sources() {
  [ $hdfs = yes ] || "$holdfast" task modify default --source OMS --source LdapServer --source DBService
}

end() {
  local status=$?
  # A second Ctrl-C must not leave half of it running.
  trap '' INT TERM HUP
  trap - EXIT
  if [ $keep = yes ] && [ $status -eq 0 ]; then
    step 'Done'
    cat <<TEXT
Everything is up. Talk to it:
  export HOLDFAST_CONFIG=$HOLDFAST_CONFIG
  scripts/holdfast task list
  scripts/holdfast run list
Logs: $cluster/run/*.log. Stop it: $(again)scripts/quickstart.sh --down
TEXT
    exit 0
  fi
  step 'Stop everything'
  stop_all
  if [ $status -eq 130 ]; then
    echo 'Interrupted; nothing is left running.' >&2
  elif [ $status -eq 0 ]; then
    step 'Done: all of it was backed up, destroyed, restored and is identical'
  else
    printf '\nThe quickstart failed; the logs are in %s and %s.\n' "$cluster/run" "$HOLDFAST_LAB/log" >&2
  fi
  exit $status
}

# The settings that --down needs to find this lab again, where they are not the usual ones.
again() {
  [ "$HOLDFAST_LAB" = "$PWD/.lab" ] || printf 'HOLDFAST_LAB=%q ' "$HOLDFAST_LAB"
  [ "$offset" = 0 ] || printf 'HOLDFAST_LAB_PORT_OFFSET=%q ' "$offset"
}

stop_all() {
  stop_daemons
  scripts/lab.sh down
}

# The daemons stop cleanly on SIGTERM; one that does not within 20 s is killed, and said so.
stop_daemons() {
  local name deadline=$((SECONDS + 20))
  for name in dn1 mn1 mn2 controller; do
    if runs "$name"; then kill -TERM "$(pid_of "$name")" 2>/dev/null || true; fi
  done
  for name in dn1 mn1 mn2 controller; do
    while runs "$name" && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
    if runs "$name"; then
      echo "$name did not stop within 20 s: killed" >&2
      kill -KILL "$(pid_of "$name")"
    fi
    rm -f "$cluster/run/$name.pid"
  done
}

pid_of() { cat "$cluster/run/$1.pid" 2>/dev/null; }

# A pid file of an earlier boot may name somebody else: the command line must name this cluster too.
runs() {
  local pid
  pid=$(pid_of "$1") && [ -n "$pid" ] && { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$cluster/"
}

main
