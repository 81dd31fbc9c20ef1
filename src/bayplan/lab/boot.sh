#!/bin/sh
# The first process of a lab's host, started in namespaces of its own: makes the host's file system, then stays as init.
# boot.sh ROOT DATA NAME: ROOT a Debian root, shared and never written; DATA the host's own directory on disk.
set -eu
root=$1 data=$2 name=$3

hostname "$name" 2>/dev/null || echo "$name" > /proc/sys/kernel/hostname
mount --make-rprivate /

# A disk of the host's own, in a file that grows with it: it goes in an instant with the lab, and what a file system
# remembers of the thousands of files that other labs removed does not slow it. Without loop devices: the directory.
disk=$data/disk
if [ ! -e "$disk" ] && [ ! -e "$data/docker" ]; then
    truncate -s 32G "$disk.new" && mkfs.ext4 -q -F -m 0 "$disk.new" && mount -o loop,discard "$disk.new" /mnt &&
        umount /mnt && mv "$disk.new" "$disk" || rm -f "$disk.new"
fi
if [ -e "$disk" ]; then
    mkdir -p "$data/mounted"
    mount -o loop,discard "$disk" "$data/mounted"
    data=$data/mounted
fi
mkdir -p "$data/upper" "$data/work" "$data/docker" "$data/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$data/upper,workdir=$data/work" "$data/root"
cd "$data/root"
mkdir -p var/lib/docker .old
mount --bind "$data/docker" var/lib/docker   # overlay2 cannot stand on an overlay
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for device in null zero full random urandom tty; do
    : > "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
if [ -d /lib/modules ]; then
    mkdir -p lib/modules && mount --bind -o ro /lib/modules lib/modules
fi

# Control groups as this machine has them, with the host's own group as their root.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    # All of the host's processes are in a leaf, so that the engine's groups beside it may have controllers.
    for controller in $(cat sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" > sys/fs/cgroup/cgroup.subtree_control || true
    done
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    grep -E '^[^ ]+ [^ ]+ cgroup ' /proc/mounts | while read -r _ place _ options _; do
        tree=${place##*/}
        mkdir -p "sys/fs/cgroup/$tree"
        kinds=$(echo "$options" | tr , '\n' | grep -vE '^(rw|ro|relatime|noatime|nosuid|nodev|noexec|clone_children|xattr|release_agent=.*)$' | paste -sd,)
        mount -t cgroup -o "$kinds" cgroup "sys/fs/cgroup/$tree"
    done
fi

mkdir -p run/sshd run/lock
PATH=$PATH:$PWD/usr/sbin pivot_root . .old   # Ubuntu 26.04 has it in util-linux-extra; if need be, the root's own
cd /
umount -l /.old
rmdir /.old 2>/dev/null || true
exec /bin/sh -c 'trap "" HUP; : > /run/booted; while :; do sleep 1000000; done'
