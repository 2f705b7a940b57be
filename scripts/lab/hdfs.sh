# One-node HDFS: a NameNode and a DataNode, from the jars of Maven Central. Sourced by lab.sh.

NN_RPC_PORT=$(port 19000)
NN_HTTP_PORT=$(port 19870)
DN_PORT=$(port 19866)
DN_HTTP_PORT=$(port 19864)
DN_IPC_PORT=$(port 19867)
HDFS_DIR=$HOLDFAST_LAB/hdfs
HDFS_CONF=$HDFS_DIR/conf
HADOOP_CACHE=${HOLDFAST_CACHE:-$HOME/.cache/holdfast}/hadoop
# Java 17 has closed what Hadoop reaches into.
HADOOP_OPENS=()
for package in java.nio sun.nio.ch java.lang.reflect java.lang.invoke java.lang java.util java.net java.util.concurrent \
  java.util.regex java.util.concurrent.atomic java.text java.time java.io; do
  HADOOP_OPENS+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
export HADOOP_USER_NAME=root

# Of these exact versions: another pom is another directory.
hadoop_lib() { echo "$HADOOP_CACHE/lib-$(sha256sum "$repository/scripts/lab/hadoop-pom.xml" | cut -c1-12)"; }

hadoop_fetch() {
  local lib partial
  lib=$(hadoop_lib)
  [ ! -d "$lib" ] || return 0
  partial=$lib.partial.$$
  echo "fetching Hadoop's jars from Maven Central into $lib"
  rm -rf "$partial"
  mvn -q -B -f "$repository/scripts/lab/hadoop-pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DoutputDirectory="$partial" -DincludeScope=runtime >>"$HOLDFAST_LAB/log/hdfs.log" 2>&1
  # Two labs may have fetched at once: the first rename wins.
  mv -T "$partial" "$lib" 2>/dev/null || rm -rf "$partial"
}

hadoop() { # hadoop MEMORY CLASS [arguments]
  local memory=$1
  shift
  java "-Xmx$memory" -XX:+UseSerialGC "${HADOOP_OPENS[@]}" ${HADOOP_FAST-} -cp "$HDFS_CONF:$(hadoop_lib)/*" "$@"
}

# What the agent calls as `hdfs`; Hadoop's own script does not come with the jars.
hdfs_tool() {
  local verb=$1 class
  shift
  case $verb in
    dfs) class=org.apache.hadoop.fs.FsShell ;;
    dfsadmin) class=org.apache.hadoop.hdfs.tools.DFSAdmin ;;
    oiv) class=org.apache.hadoop.hdfs.tools.offlineImageViewer.OfflineImageViewerPB ;;
    oev) class=org.apache.hadoop.hdfs.tools.offlineEditsViewer.OfflineEditsViewer ;;
    *) echo "hdfs: $verb is not known here" >&2; return 2 ;;
  esac
  # A tool lives for a second: the second compiler would not pay.
  HADOOP_FAST=-XX:TieredStopAtLevel=1 hadoop 512m $class "$@"
}

hdfs_up() {
  hadoop_fetch
  make_command hdfs hdfs_tool
  make_command namenode-start namenode_start
  make_command namenode-stop namenode_stop
  write_hdfs_conf
  if [ ! -d "$HDFS_DIR/name/current" ]; then
    # Blocks of a file system that is gone: the DataNode would not serve another with them.
    stop_process datanode
    rm -rf "$HDFS_DIR/blocks"
    hadoop 256m org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive >>"$HOLDFAST_LAB/log/hdfs.log" 2>&1
  fi
  # Side by side: the DataNode waits for its NameNode by itself.
  start_daemon datanode 256m org.apache.hadoop.hdfs.server.datanode.DataNode
  namenode_start
}

write_hdfs_conf() {
  mkdir -p "$HDFS_CONF"/webapps/{hdfs,datanode}/WEB-INF
  # Each daemon wants its web application on the class path; a stub will do.
  for app in hdfs datanode; do echo '<web-app/>' >"$HDFS_CONF/webapps/$app/WEB-INF/web.xml"; done
  for file in core-site hdfs-site log4j; do
    sed -e "s#@DIR@#$HDFS_DIR#g; s#@NN_RPC@#127.0.0.1:$NN_RPC_PORT#g; s#@NN_HTTP@#127.0.0.1:$NN_HTTP_PORT#g
            s#@DN@#127.0.0.1:$DN_PORT#g; s#@DN_HTTP@#127.0.0.1:$DN_HTTP_PORT#g; s#@DN_IPC@#127.0.0.1:$DN_IPC_PORT#g" \
      "$repository/scripts/lab/hadoop-conf/$file" >"$HDFS_CONF/$file.$([ $file = log4j ] && echo properties || echo xml)"
  done
}

start_daemon() { # start_daemon NAME MEMORY CLASS
  local name=$1
  shift
  runs "$name" && return 0
  (
    exec >>"$HOLDFAST_LAB/log/hdfs.log" 2>&1 </dev/null
    exec setsid java "-Xmx$1" -XX:+UseSerialGC "${HADOOP_OPENS[@]}" -Dholdfast.lab="$HOLDFAST_LAB" -cp "$HDFS_CONF:$(hadoop_lib)/*" "$2"
  ) &
  echo $! >"$HOLDFAST_LAB/run/$name.pid"
}

namenode_start() {
  start_daemon namenode 512m org.apache.hadoop.hdfs.server.namenode.NameNode
  wait_until 60 namenode_serves || { runs namenode || echo 'the NameNode has ended' >>"$HOLDFAST_LAB/log/hdfs.log"; return 1; }
}

# Out of safe mode, with its DataNode, and alive.
namenode_serves() {
  local jmx=http://127.0.0.1:$NN_HTTP_PORT/jmx?qry=Hadoop:service=NameNode,name=
  curl -sf "${jmx}FSNamesystemState" | grep -q '"NumLiveDataNodes" : 1' && curl -sf "${jmx}NameNodeInfo" | grep -q '"Safemode" : ""'
}

namenode_stop() { stop_process namenode; }

hdfs_down() {
  stop_process namenode
  stop_process datanode
}

hdfs_status() {
  status_line namenode "$NN_RPC_PORT" "$HOLDFAST_LAB/log/hdfs.log"
  status_line datanode "$DN_PORT" "$HOLDFAST_LAB/log/hdfs.log"
}

# The last files come after the last checkpoint: an fsimage alone would lose them.
hdfs_seed() { # hdfs_seed LARGE
  if hdfs_tool dfs -test -e /seeded 2>/dev/null; then return 0; fi
  local tree=$HDFS_DIR/tree directories=10 files=20
  rm -rf "$tree" && mkdir -p "$tree"
  if [ "$1" = yes ]; then directories=400 files=500; fi
  for directory in $(seq "$directories"); do
    mkdir "$tree/d$directory"
    # Empty files have no blocks and cost HDFS an entry each: enough for an image.
    if [ "$1" = yes ]; then (cd "$tree/d$directory" && seq -f 'f%g' "$files" | xargs touch); else
      for file in $(seq "$files"); do echo "content $directory/$file" >"$tree/d$directory/f$file"; done
    fi
  done
  {
    hdfs_tool dfs -put -t 8 "$tree" /data
    rm -rf "$tree"
    hdfs_tool dfsadmin -safemode enter
    hdfs_tool dfsadmin -saveNamespace
    hdfs_tool dfsadmin -safemode leave
    echo 'after the checkpoint' | hdfs_tool dfs -put - /after-the-checkpoint
    hdfs_tool dfs -chmod -R 750 /data/d1
    hdfs_tool dfs -touchz /seeded
  } >>"$HOLDFAST_LAB/log/hdfs.log" 2>&1
}

hdfs_snapshot() { # hdfs_snapshot DIR
  {
    hdfs_tool dfs -ls -R /
    hdfs_tool dfs -checksum '/after-the-checkpoint' '/data/d*/*'
  } >"$1/namenode.txt" 2>>"$HOLDFAST_LAB/log/hdfs.log"
}

# The DataNode goes on, with its blocks: what is lost is what they mean.
hdfs_destroy() {
  namenode_stop
  rm -rf "$HDFS_DIR/name"
}
