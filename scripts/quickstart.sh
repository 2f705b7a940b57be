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
components=(postgres ldap) sources=(OMS LdapServer DBService)
[ $hdfs = no ] || { components+=(hdfs) sources+=(NameNode); }
cluster=$HOLDFAST_LAB/cluster
export HOLDFAST_CONFIG=$cluster/admin/client.yaml
holdfast=$PWD/scripts/holdfast
began=$SECONDS

main() {
  if [ $down = yes ]; then stop_all; exit 0; fi
  step 'Install what is missing'
  if [ $hdfs = yes ]; then ./scripts/install-deps.sh; else ./scripts/install-deps.sh --without hdfs; fi
  export PATH=$PWD/node_modules/.bin:$PATH

  trap end EXIT
  trap 'exit 130' INT TERM
  step "Start the real services: ${components[*]}"
  rm -rf "$HOLDFAST_LAB/before" "$HOLDFAST_LAB/after"
  scripts/lab.sh up "${components[@]}"
  scripts/lab.sh seed "${size[@]}" "${components[@]}"
  scripts/lab.sh snapshot "$HOLDFAST_LAB/before" "${components[@]}"

  step 'Start Holdfast: one controller, agents on two management nodes and on the node of the sources'
  make_cluster
  start_daemon controller controller "$cluster/controller/controller.yaml"
  for node in mn1 mn2 dn1; do start_daemon "$node" agent "$cluster/nodes/$node/agent.yaml"; done
  wait_for_agents
  "$holdfast" agent list
  "$holdfast" space

  step 'Back up: the task default'
  choose_sources
  "$holdfast" task run default --wait
  "$holdfast" set list
  set_id=$("$holdfast" set list --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8"))[0].id')

  step 'Destroy the data of the sources'
  scripts/lab.sh destroy "${components[@]}"

  step 'Restore'
  "$holdfast" restore plan "$set_id"
  "$holdfast" restore create quickstart_restore --set "$set_id"
  "$holdfast" restore start quickstart_restore --yes --wait

  step 'Compare with what was there before'
  scripts/lab.sh snapshot "$HOLDFAST_LAB/after" "${components[@]}"
  compare
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
  setsid "$holdfast" "$2" --config "$3" >"$cluster/run/$1.log" 2>&1 </dev/null &
  echo $! >"$cluster/run/$1.pid"
}

wait_for_agents() {
  local deadline=$((SECONDS + 30))
  until [ "$("$holdfast" agent list --json 2>/dev/null | grep -c '"connected": true')" -eq 3 ]; do
    if [ $SECONDS -ge $deadline ]; then
      echo "the agents did not connect within 30 s; their last words:" >&2
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

compare() {
  local source files file verdict failed=0
  for source in "${sources[@]}"; do
    case $source in
      OMS) files='oms.sql oms-config.txt' ;;
      DBService) files=dbservice.sql ;;
      LdapServer) files=ldap.ldif ;;
      NameNode) files=namenode.txt ;;
    esac
    verdict=identical
    for file in $files; do
      [ -s "$HOLDFAST_LAB/before/$file" ] || { echo "nothing was recorded in $file before" >&2; verdict=unknown; }
      diff -u "$HOLDFAST_LAB/before/$file" "$HOLDFAST_LAB/after/$file" | head -40 >&2 || verdict=different
    done
    echo "$source: $verdict"
    [ $verdict = identical ] || failed=1
  done
  return $failed
}

end() {
  local status=$?
  trap - EXIT INT TERM
  if [ $keep = yes ] && [ $status -eq 0 ]; then
    cat <<TEXT

Everything is up. Talk to it:
  export HOLDFAST_CONFIG=$HOLDFAST_CONFIG
  scripts/holdfast task list
  scripts/holdfast run list
Logs: $cluster/run/*.log. Stop it: scripts/quickstart.sh --down
TEXT
  else
    [ $status -eq 0 ] || { echo; echo "The quickstart failed; the logs are in $cluster/run and $HOLDFAST_LAB." >&2; }
    stop_all
  fi
  step 'Done'
  exit $status
}

# The daemons stop cleanly on SIGTERM; one that does not within 20 s is killed, and said so.
stop_all() {
  local file pid deadline=$((SECONDS + 20))
  for file in "$cluster"/run/*.pid; do
    [ -e "$file" ] || continue
    pid=$(<"$file")
    kill -TERM "$pid" 2>/dev/null || true
  done
  for file in "$cluster"/run/*.pid; do
    [ -e "$file" ] || continue
    pid=$(<"$file")
    while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then
      echo "$(basename "$file" .pid) did not stop within 20 s: killed" >&2
      kill -KILL "$pid"
    fi
    rm -f "$file"
  done
  scripts/lab.sh down
}

main
