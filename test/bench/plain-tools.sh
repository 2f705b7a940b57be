#!/usr/bin/env bash
# The peer of the benchmark of the whole: what a careful operator would script, one tool after another, to two nodes by scp.
#   plain-tools.sh up     a private sshd, standing for both management nodes
#   plain-tools.sh run    one backup of everything
#   plain-tools.sh down
# Wants HOLDFAST_LAB and HOLDFAST_LAB_PORT_OFFSET.
set -euo pipefail
state=$HOLDFAST_LAB/plain-tools
port=$((25822 + HOLDFAST_LAB_PORT_OFFSET))
eval "$("$(dirname "$0")/../../scripts/lab.sh" env)"

up() {
  mkdir -p "$state"/{mn1,mn2} /run/sshd
  ssh-keygen -q -t ed25519 -N '' -f "$state/host" <<<y >/dev/null
  ssh-keygen -q -t ed25519 -N '' -f "$state/key" <<<y >/dev/null
  cp "$state/key.pub" "$state/authorized"
  cat >"$state/sshd.conf" <<CONF
Port $port
ListenAddress 127.0.0.1
HostKey $state/host
AuthorizedKeysFile $state/authorized
PidFile $state/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
CONF
  /usr/sbin/sshd -f "$state/sshd.conf"
}

run() {
  local work=$state/work tree
  rm -rf "$work" "$state"/mn?/*
  mkdir -p "$work"/{oms,dbservice,ldap,namenode}
  PGPASSWORD=$(cat "$HOLDFAST_LAB/secrets/postgres")
  export PGPASSWORD
  pg_dump -Fd -j2 --compress=0 --exclude-table-data='t_alarm*' -f "$work/oms/dump" oms
  cp -a "$HOLDFAST_LAB/oms/conf" "$work/oms/conf"
  pg_dump -Fd -j2 --compress=0 -f "$work/dbservice/dump" hivemeta
  slapcat -F "$HOLDFAST_LAB/ldap/slapd.d" -n 0 -l "$work/ldap/config.ldif"
  slapcat -F "$HOLDFAST_LAB/ldap/slapd.d" -n 1 -l "$work/ldap/data.ldif"
  "$HOLDFAST_LAB/bin/hdfs" dfsadmin -rollEdits >/dev/null 2>&1
  curl -sf -o "$work/namenode/fsimage" "http://$NAMENODE_HTTP/imagetransfer?getimage=1&txid=latest"
  # The level of ours.
  for tree in oms dbservice ldap namenode; do ZSTD_CLEVEL=1 tar -C "$work" --zstd -cf "$work/$tree.tar.zst" $tree; done
  for node in mn1 mn2; do
    scp -q -i "$state/key" -P "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
      "$work"/*.tar.zst "127.0.0.1:$state/$node/"
    sync -f "$state/$node"
  done
}

down() {
  [ ! -e "$state/sshd.pid" ] || kill "$(cat "$state/sshd.pid")"
  rm -rf "$state"
}

case ${1-} in up | run | down) "$1" ;; *) echo "usage: plain-tools.sh up|run|down" >&2; exit 2 ;; esac
