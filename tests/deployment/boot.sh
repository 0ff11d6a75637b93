#!/bin/sh
# Starts a systemd in namespaces of its own, on a copy of this machine that is gone afterwards.
# Run by booted.py under `unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child`.
# $1: an empty folder; $2: the project; $3: the virtual environment; $4: the models; $5: the
# programs that deploy/get-tools fetched; $6: the prefix of the Python below the environment.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$1/root
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
for folder in etc usr var; do
    test ! -d "$5/$folder" || cp -a "$5/$folder" "$root/"
done

mount -t proc none "$root/proc"
mount --bind /proc/sys "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --rbind /sys "$root/sys"
mount -o remount,bind,ro "$root/sys"
mount -t tmpfs none "$root/run"
mount -t tmpfs none "$root/tmp"
mount -t tmpfs none "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
# What PrivateDevices= looks for.
ln -s pts/ptmx "$root/dev/ptmx"
mkdir -p "$root/dev/shm" "$root/dev/mqueue" "$root/dev/hugepages" "$root/run/lock"

# The program as docs/deployment.md has it installed.
mkdir -p "$root/opt/audio-transcriber"
mount --bind "$2" "$root/opt/audio-transcriber"
mount -t tmpfs none "$root/mnt"
mkdir "$root/mnt/upper" "$root/mnt/work" "$root/mnt/venv" "$root/opt/python"
mount -t overlay none -o "lowerdir=$2,upperdir=$root/mnt/upper,workdir=$root/mnt/work" \
    "$root/opt/audio-transcriber"
mkdir -p "$root/opt/audio-transcriber/.venv" "$root/opt/audio-transcriber/models"
mount --bind "$4" "$root/opt/audio-transcriber/models"
# Its Python may lie in somebody's home, where the service cannot go.
mount --bind "$6" "$root/opt/python"
echo /opt/python/lib >"$root/etc/ld.so.conf.d/00-python.conf"
chroot "$root" /sbin/ldconfig
mkdir "$root/mnt/venv/upper" "$root/mnt/venv/work" "$root/mnt/venv/upper/bin"
sed "s#^home = .*#home = /opt/python/bin#" "$3/pyvenv.cfg" >"$root/mnt/venv/upper/pyvenv.cfg"
ln -s /opt/python/bin/python3 "$root/mnt/venv/upper/bin/python"
mount -t overlay none -o "lowerdir=$3,upperdir=$root/mnt/venv/upper,workdir=$root/mnt/venv/work" \
    "$root/opt/audio-transcriber/.venv"

# Nothing of the machine's own is started, but for what keeps the log.
units=$root/etc/systemd/system
mount -t tmpfs none "$units"
for wants in sysinit basic sockets timers multi-user local-fs; do
    folder=$root/lib/systemd/system/$wants.target.wants
    test ! -d "$folder" || mount -t tmpfs none "$folder"
done
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.socket\n' >"$units/sysinit.target"
printf '[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n' >"$units/basic.target"
: >"$root/etc/fstab"
exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd --system --unit=basic.target \
    --log-target=journal --show-status=0
