#!/usr/bin/env bash
# The real services that Holdfast backs up, for the quickstart, the tests and the benchmarks: on 127.0.0.1, on private ports, with all state
# under one directory. Every verb may be repeated.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

HOLDFAST_LAB=$(realpath -m "${HOLDFAST_LAB:-$repository/.lab}")
HOLDFAST_LAB_PORT_OFFSET=${HOLDFAST_LAB_PORT_OFFSET:-0}
export HOLDFAST_LAB HOLDFAST_LAB_PORT_OFFSET
[[ $HOLDFAST_LAB_PORT_OFFSET =~ ^[0-9]+$ ]] || { echo "error: HOLDFAST_LAB_PORT_OFFSET is no number: $HOLDFAST_LAB_PORT_OFFSET" >&2; exit 2; }
KNOWN=(postgres ldap hdfs)
# Of these there is but up, down, status, reset and verbs of their own, and only by their name.
ON_DEMAND=(ha)

usage() {
  cat <<'USAGE'
usage: scripts/lab.sh VERB [postgres] [ldap] [hdfs]      without a component: all of these
       scripts/lab.sh up|down|status|reset|failover ha   HDFS with two NameNodes

  up              starts them, side by side
  down            stops them; leaves nothing running
  status          one line each
  seed [--large]  fills them with data to back up (--large: for the benchmark of the whole)
  snapshot DIR    writes what is to be the same after a restore, as text
  compare A B     says of each source whether two snapshots are identical; fails when one is not
  destroy         destroys their data, as a disaster would
  reset           stops them and forgets all they hold
  failover        makes the other NameNode of ha the active one
  env             exports for a shell: where everything is
  claim           makes the directory of all state the lab's own; refuses one that holds anything else (up does it, too)

HOLDFAST_LAB: all state (default .lab). HOLDFAST_LAB_PORT_OFFSET: shifts every port.
HOLDFAST_CACHE: where Hadoop's jars are kept (default ~/.cache/holdfast).
USAGE
}

for part in common postgres ldap hdfs ha; do
  # shellcheck source=/dev/null
  . "$repository/scripts/lab/$part.sh"
done

main() {
  local verb=${1-} directories=() large=no components=()
  [ $# -gt 0 ] || { usage >&2; exit 2; }
  shift
  case $verb in snapshot) take 1 "$@" ;; compare) take 2 "$@" ;; esac
  shift ${#directories[@]}
  while [ $# -gt 0 ]; do
    case $1 in
      --large) large=yes ;;
      *)
        known "$verb" "$1" || { echo "error: the lab does not know $verb $1; it knows: ${KNOWN[*]} ${ON_DEMAND[*]}" >&2; exit 2; }
        components+=("$1")
        ;;
    esac
    shift
  done
  [ ${#components[@]} -gt 0 ] || components=("${KNOWN[@]}")

  case $verb in
    claim | up | seed | destroy | reset) claim ;;
  esac
  case $verb in
    claim) ;;
    up) up ;;
    down) down ;;
    status) for component in "${components[@]}"; do "${component}_status"; done ;;
    seed) seed ;;
    snapshot)
      mkdir -p "${directories[0]}"
      side_by_side snapshot "${directories[0]}" "${components[@]}"
      ;;
    compare) compare "${directories[@]}" ;;
    destroy) side_by_side destroy '' "${components[@]}" ;;
    reset) reset "${components[@]}" ;;
    failover) ha_failover ;;
    env) print_env ;;
    *) usage >&2; exit 2 ;;
  esac
}

known() { # known VERB COMPONENT
  case $1 in up | down | status | reset) [[ " ${KNOWN[*]} ${ON_DEMAND[*]} " == *" $2 "* ]] ;;
    failover) [ "$2" = ha ] ;;
    *) [[ " ${KNOWN[*]} " == *" $2 "* ]] ;;
  esac
}

take() { # take N ARGUMENTS...: the first N of them are directories
  [ $# -gt "$1" ] || { usage >&2; exit 2; }
  local path
  for path in "${@:2:$1}"; do directories+=("$(realpath -m "$path")"); done
}

# What it resets and destroys it must have made: a directory that holds anything else is none of its business.
claim() {
  [ ! -e "$HOLDFAST_LAB/.holdfast-lab" ] || return 0
  if [ -n "$(ls -A "$HOLDFAST_LAB" 2>/dev/null)" ]; then
    echo "error: $HOLDFAST_LAB is no directory of the lab, and is not empty" >&2
    echo 'next: set HOLDFAST_LAB to a new directory, or remove what lies in that one' >&2
    exit 4
  fi
  mkdir -p "$HOLDFAST_LAB"
  touch "$HOLDFAST_LAB/.holdfast-lab"
}

up() {
  mkdir -p "$HOLDFAST_LAB"/{bin,run,log}
  install -d -m 700 "$HOLDFAST_LAB/secrets"
  require_ports
  side_by_side up '' "${components[@]}"
}

# A port that is taken would end in a log; worse, we would talk to somebody else's server.
require_ports() {
  local component process ports port taken=()
  for component in "${components[@]}"; do
    while read -r process ports; do
      if runs "$process"; then continue; fi
      for port in $ports; do if listens "$port"; then taken+=("$port ($process)"); fi; done
    done <<<"$(ports_of "$component")"
  done
  [ ${#taken[@]} -eq 0 ] && return 0
  printf 'error: ports that are in use by others: %s\n' "${taken[*]}" >&2
  echo 'next: stop what listens there (ss -ltnp names it), or shift all ports: HOLDFAST_LAB_PORT_OFFSET=1000' >&2
  exit 4
}

ports_of() {
  case $1 in
    postgres) echo "postgres $PG_PORT" ;;
    ldap) echo "ldap $LDAP_PORT $LDAPS_PORT" ;;
    hdfs) printf '%s\n' "namenode $NN_RPC_PORT $NN_HTTP_PORT" "datanode $DN_PORT $DN_HTTP_PORT $DN_IPC_PORT" ;;
    ha)
      echo "journalnode $JN_RPC_PORT $JN_HTTP_PORT"
      for n in 0 1; do
        echo "ha-namenode$((n + 1)) $((HA_RPC_PORT + n)) $((HA_HTTP_PORT + n))"
        echo "ha-datanode$((n + 1)) $((HA_DN_PORT + n)) $((HA_DN_HTTP_PORT + n)) $((HA_DN_IPC_PORT + n))"
      done
      ;;
  esac
}

down() { if [ -d "$HOLDFAST_LAB/run" ]; then side_by_side down '' "${components[@]}"; fi; }

seed() {
  local component size
  for component in "${components[@]}"; do
    # One that holds the other size begins anew.
    size=$HOLDFAST_LAB/run/$component.large
    if [ "$(cat "$size" 2>/dev/null || echo "$large")" != "$large" ]; then
      reset "$component"
      side_by_side up '' "$component"
    fi
    echo "$large" >"$size"
  done
  side_by_side seed "$large" "${components[@]}"
}

reset() { # reset COMPONENT...
  local component
  side_by_side down '' "$@"
  for component in "$@"; do
    rm -rf "${HOLDFAST_LAB:?}/$component" "$HOLDFAST_LAB/run/$component.large"
    if [ "$component" = postgres ]; then rm -rf "$HOLDFAST_LAB/oms"; fi
  done
}

compare() { # compare BEFORE AFTER
  local component source files file verdict failed=0
  for component in "${components[@]}"; do
    while IFS=: read -r source files; do
      verdict=identical
      for file in $files; do
        [ -s "$1/$file" ] || { echo "nothing was recorded in $1/$file" >&2; verdict=unknown; }
        diff -u "$1/$file" "$2/$file" | head -40 >&2 || verdict=different
      done
      echo "$source: $verdict"
      [ $verdict = identical ] || failed=1
    done <<<"$(sources_of "$component")"
  done
  return $failed
}

# What each of them is backed up as, and the files of a snapshot that show it.
sources_of() {
  case $1 in
    postgres) printf '%s\n' 'OMS: oms.sql oms-config.txt' 'DBService: dbservice.sql' ;;
    ldap) echo 'LdapServer: ldap.ldif' ;;
    hdfs) echo 'NameNode: namenode.txt' ;;
  esac
}

print_env() {
  cat <<ENV
export HOLDFAST_LAB='$HOLDFAST_LAB'
export HOLDFAST_LAB_PORT_OFFSET='$HOLDFAST_LAB_PORT_OFFSET'
export PGHOST=127.0.0.1 PGPORT=$PG_PORT PGUSER=postgres
export LDAP_URL=$LDAP_URL
export NAMENODE_HTTP=127.0.0.1:${NN_HTTP_PORT-} NAMENODE_RPC=127.0.0.1:${NN_RPC_PORT-}
ENV
}

# A command by its own name is what the agent is configured with: see make_command in lab/common.sh.
case ${1-} in
  ldap_start | ldap_stop | namenode_start | namenode_stop) "$1" ;;
  hdfs_tool) shift && hdfs_tool "$@" ;;
  *) main "$@" ;;
esac
