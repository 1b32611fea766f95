#!/bin/sh
# Unpacks system images into a containerd store below a folder. Runs as pid 1 of its own pid and mount namespace, so
# nothing is left behind when it ends, however it ends.
# usage: preload.sh CONTAINERD CTR STORE SCRATCH ARCHIVE
set -eu
containerd=$1 ctr=$2 store=$3 scratch=$4 archive=$5
cat > "$scratch/config.toml" <<EOF
version = 3
root = "$store"
state = "$scratch/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.native", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.erofs"]
[grpc]
address = "$scratch/containerd.sock"
[ttrpc]
address = "$scratch/containerd.sock.ttrpc"
EOF
"$containerd" --config "$scratch/config.toml" > "$scratch/containerd.log" 2>&1 &
daemon=$!
tries=0
until "$ctr" --address "$scratch/containerd.sock" version > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { tail -n 20 "$scratch/containerd.log" >&2; exit 1; }
    sleep 0.1
done
image() { "$ctr" --address "$scratch/containerd.sock" --namespace k8s.io images "$@"; }
image import "$archive"
for name in $(image list -q); do
    image label "$name" io.cri-containerd.image=managed io.cri-containerd.pinned=pinned
done
kill $daemon
wait $daemon || true
