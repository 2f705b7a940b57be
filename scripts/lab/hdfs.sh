# One-node HDFS: a NameNode and a DataNode, from the jars of Maven Central. Sourced by lab.sh.

NN_RPC_PORT=$(port 19000)
NN_HTTP_PORT=$(port 19870)
DN_PORT=$(port 19866)
DN_HTTP_PORT=$(port 19864)
DN_IPC_PORT=$(port 19867)
HDFS_DIR=$HOLDFAST_LAB/hdfs
HDFS_CONF=$HDFS_DIR/conf
HADOOP_LOG=$HOLDFAST_LAB/log/hdfs.log
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
  local lib
  lib=$(hadoop_lib)
  [ ! -d "$lib" ] || return 0
  mkdir -p "$HADOOP_CACHE"
  # One at a time: Maven's own cache does not bear two. Whoever waited finds it done.
  (
    flock 9
    [ ! -d "$lib" ] || exit 0
    echo "fetching Hadoop's jars from Maven Central into $lib"
    rm -rf "$HADOOP_CACHE"/lib-*.partial*
    maven_copy "$lib.partial" || maven_copy "$lib.partial"
    mv -T "$lib.partial" "$lib"
  ) 9>"$HADOOP_CACHE/lock"
}

# What an earlier try has fetched is kept by Maven. -C: a file that was cut off fails by its checksum instead of being used; -U: what
# failed an hour ago is tried again; a server that says nothing for a minute is given up.
maven_copy() { # maven_copy DIRECTORY
  mvn -q -B -C -U -Dmaven.wagon.rto=60000 -f "$repository/scripts/lab/hadoop-pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DoutputDirectory="$1" -DincludeScope=runtime >>"$HADOOP_LOG" 2>&1 9>&-
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
    version) class=org.apache.hadoop.util.VersionInfo ;;
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
  # An image with its MD5 is the last that a format writes.
  if ! compgen -G "$HDFS_DIR/name/current/fsimage_*.md5" >/dev/null; then
    # Blocks of a file system that is gone: the DataNode would not serve another with them.
    stop_process datanode
    rm -rf "$HDFS_DIR/blocks" "$HDFS_DIR/name"
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

start_daemon() { # start_daemon NAME MEMORY CLASS [arguments]
  local name=$1 memory=$2
  shift 2
  runs "$name" && return 0
  (
    exec >>"$HADOOP_LOG" 2>&1 </dev/null
    exec setsid java "-Xmx$memory" -XX:+UseSerialGC "${HADOOP_OPENS[@]}" -Dholdfast.lab="$HOLDFAST_LAB" -cp "$HDFS_CONF:$(hadoop_lib)/*" "$@"
  ) &
  local pid=$!
  echo $pid >"$HOLDFAST_LAB/run/$name.pid"
  # Until it has become its program it bears this script's command line, and whoever looked would find it ended.
  wait_until 30 has_begun "$name" $pid
}

has_begun() { runs "$1" || is_gone "$2"; }

namenode_start() {
  start_daemon namenode 512m org.apache.hadoop.hdfs.server.namenode.NameNode
  wait_until 60 namenode_is_settled
  runs namenode && namenode_serves || { echo 'the NameNode does not serve, or has ended' >>"$HOLDFAST_LAB/log/hdfs.log"; return 1; }
}

namenode_is_settled() { namenode_serves || ! runs namenode; }

# Out of safe mode, with its DataNode, and alive.
namenode_serves() {
  local jmx=http://127.0.0.1:$NN_HTTP_PORT/jmx?qry=Hadoop:service=NameNode,name=
  curl -sf "${jmx}FSNamesystemState" | grep -q '"NumLiveDataNodes" : 1' && curl -sf "${jmx}NameNodeInfo" | grep -q '"Safemode" : ""'
}

namenode_stop() { stop_process namenode; }

hdfs_down() {
  stop_process namenode &
  stop_process datanode
  wait $!
}

hdfs_status() {
  status_line namenode "$NN_RPC_PORT" "$HOLDFAST_LAB/log/hdfs.log"
  status_line datanode "$DN_PORT" "$HOLDFAST_LAB/log/hdfs.log"
}

# The last files come after the last checkpoint: an fsimage alone would lose them.
hdfs_seed() { # hdfs_seed LARGE
  if webhdfs GET /seeded GETFILESTATUS 2>/dev/null; then return 0; fi
  local tree=$HDFS_DIR/tree/data directories=10 files=20
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
    # Over what a seed that was cut off has left.
    hdfs_tool dfs -put -f -t 8 "$tree" /
    rm -rf "$tree"
    hdfs_tool dfsadmin -safemode enter
    hdfs_tool dfsadmin -saveNamespace
    hdfs_tool dfsadmin -safemode leave
    echo 'after the checkpoint' | hdfs_tool dfs -put -f - /after-the-checkpoint
    webhdfs PUT /data/d1 SETPERMISSION permission=750
    webhdfs PUT /seeded MKDIRS
  } >>"$HOLDFAST_LAB/log/hdfs.log" 2>&1
}

# What needs no Java machine of its own.
webhdfs() { # webhdfs METHOD PATH OPERATION [PARAMETER]
  curl -sSf -o /dev/null -X "$1" "http://127.0.0.1:$NN_HTTP_PORT/webhdfs/v1$2?user.name=root&op=$3&${4-}"
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
