# HDFS of high availability: two NameNodes, a JournalNode that keeps what both read, two DataNodes; who fails over is a verb. Sourced by lab.sh.

HA_DIR=$HOLDFAST_LAB/ha
HA_LOG=$HOLDFAST_LAB/log/ha.log
JN_RPC_PORT=$(port 18485)
JN_HTTP_PORT=$(port 18480)
# Of the first of each pair; those of the second are greater by one.
HA_RPC_PORT=$(port 19100)
HA_HTTP_PORT=$(port 19110)
HA_DN_PORT=$(port 19120)
HA_DN_HTTP_PORT=$(port 19130)
HA_DN_IPC_PORT=$(port 19140)

ha_up() {
  local HDFS_CONF=$HA_DIR/conf HADOOP_LOG=$HA_LOG daemons=org.apache.hadoop.hdfs.server n pids=()
  hadoop_fetch
  write_ha_conf
  start_daemon journalnode 256m org.apache.hadoop.hdfs.qjournal.server.JournalNode
  wait_until 30 listens "$JN_RPC_PORT"
  if [ ! -e "$HA_DIR/formatted" ]; then
    rm -rf "$HA_DIR"/{name1,name2,blocks1,blocks2}
    hadoop 256m $daemons.namenode.NameNode "$(name_node_is 1)" "$(name_lies_in 1)" -format -force -nonInteractive >>"$HA_LOG" 2>&1
    # What a standby is otherwise made by, in a Java machine of its own.
    cp -r "$HA_DIR/name1" "$HA_DIR/name2"
    touch "$HA_DIR/formatted"
  fi
  for n in 1 2; do
    start_daemon "ha-namenode$n" 512m $daemons.namenode.NameNode "$(name_node_is $n)" "$(name_lies_in $n)" &
    pids+=($!)
    start_daemon "ha-datanode$n" 256m $daemons.datanode.DataNode \
      "-Ddfs.datanode.data.dir=$HA_DIR/blocks$n" \
      "-Ddfs.datanode.address=127.0.0.1:$((HA_DN_PORT + n - 1))" \
      "-Ddfs.datanode.http.address=127.0.0.1:$((HA_DN_HTTP_PORT + n - 1))" \
      "-Ddfs.datanode.ipc.address=127.0.0.1:$((HA_DN_IPC_PORT + n - 1))" &
    pids+=($!)
  done
  wait "${pids[@]}"
  for n in 1 2; do
    wait_until 60 listens $((HA_RPC_PORT + n - 1))
    wait_until 60 listens $((HA_DN_HTTP_PORT + n - 1))
  done
  [ -n "$(ha_active)" ] || ha_admin -transitionToActive n1
  wait_until 60 ha_serves
}

name_node_is() { echo "-Ddfs.ha.namenode.id=n$1"; }
name_lies_in() { echo "-Ddfs.namenode.name.dir=$HA_DIR/name$1"; }

write_ha_conf() {
  mkdir -p "$HA_DIR"/conf/webapps/{hdfs,datanode,journal}/WEB-INF
  for app in hdfs datanode journal; do echo '<web-app/>' >"$HA_DIR/conf/webapps/$app/WEB-INF/web.xml"; done
  sed "s#@DIR@#$HA_DIR#g; s#@NN_RPC@#ha#g" "$repository/scripts/lab/hadoop-conf/core-site" >"$HA_DIR/conf/core-site.xml"
  cp "$repository/scripts/lab/hadoop-conf/log4j" "$HA_DIR/conf/log4j.properties"
  sed -e "s#@DIR@#$HA_DIR#g; s#@JN_RPC@#127.0.0.1:$JN_RPC_PORT#g; s#@JN_HTTP@#127.0.0.1:$JN_HTTP_PORT#g
          s#@RPC1@#127.0.0.1:$HA_RPC_PORT#g; s#@RPC2@#127.0.0.1:$((HA_RPC_PORT + 1))#g
          s#@HTTP1@#127.0.0.1:$HA_HTTP_PORT#g; s#@HTTP2@#127.0.0.1:$((HA_HTTP_PORT + 1))#g" \
    "$repository/scripts/lab/hadoop-conf/ha-site" >"$HA_DIR/conf/hdfs-site.xml"
}

ha_jmx() { curl -sf "http://127.0.0.1:$((HA_HTTP_PORT + $1 - 1))/jmx?qry=Hadoop:service=NameNode,name=$2"; }

# Its number; nothing when there is none.
ha_active() { for n in 1 2; do if ha_jmx $n NameNodeStatus | grep -q '"State" : "active"'; then echo $n; fi; done; }

# Out of safe mode, with its DataNodes: both, for a DataNode must have found the standby before it can take over.
ha_serves() {
  local n
  [ -n "$(ha_active)" ] || return 1
  for n in 1 2; do
    ha_jmx $n FSNamesystemState | grep -q '"NumLiveDataNodes" : 2' || return 1
  done
  ha_jmx "$(ha_active)" NameNodeInfo | grep -q '"Safemode" : ""'
}

ha_admin() {
  local HDFS_CONF=$HA_DIR/conf
  HADOOP_FAST=-XX:TieredStopAtLevel=1 hadoop 256m org.apache.hadoop.hdfs.tools.DFSHAAdmin "$@" >>"$HA_LOG" 2>&1
}

# To the one that is not active; also from one that is dead.
ha_failover() {
  case $(ha_active) in
    1) ha_admin -failover n1 n2 ;;
    2) ha_admin -failover n2 n1 ;;
    *) if listens "$HA_RPC_PORT"; then ha_admin -failover n2 n1; else ha_admin -failover n1 n2; fi ;;
  esac
}

ha_processes() { printf '%s\n' journalnode ha-namenode1 ha-namenode2 ha-datanode1 ha-datanode2; }

ha_down() {
  local name pids=()
  # The journal last: a NameNode that cannot write to it kills itself.
  for name in $(ha_processes | tail -n +2); do
    stop_process "$name" &
    pids+=($!)
  done
  wait "${pids[@]}"
  stop_process journalnode
}

ha_status() {
  status_line journalnode "$JN_RPC_PORT" "$HA_LOG"
  for n in 1 2; do
    status_line "ha-namenode$n" $((HA_RPC_PORT + n - 1)) "$HA_LOG"
    status_line "ha-datanode$n" $((HA_DN_PORT + n - 1)) "$HA_LOG"
  done
}
