# The first process of an instance, in namespaces of its own: gives it a card, devices and its
# root, and becomes its PID 1. Its standard input is a socket to the sandbox; $1 is the folder of
# what the instance is to know.
set -eu
seed=$1
. "$seed/settings"
hostname "$HOST_NAME"

# /proc is still the machine's: it tells the pid by which the sandbox knows this process.
read -r pid _ </proc/self/stat
. "$seed/cable"
ip -batch - <<END
link set lo up
addr add $ADDRESS/$PREFIX broadcast + dev eth0
link set eth0 up
route add default via $GATEWAY
END

mount -t tmpfs -o mode=755,size=64m dev /dev
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys
for folder in /sys/block /sys/dev/block /sys/class/block; do
    mount -t tmpfs -o mode=755,size=4m "$(basename $folder)" $folder
done
if [ "$INIT" = systemd ]; then
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
fi
mount -t tmpfs -o mode=755,nosuid,nodev run /run
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "/dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 666 /dev/tty c 5 0
mknod -m 600 /dev/btrfs-control c 10 234
mkdir /dev/pts /dev/shm /dev/mqueue /run/lock
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
touch /dev/console
mount --bind "$seed/../console" /dev/console
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

# The sandbox makes the nodes of the disks now, and says when it has.
echo "$pid" >&0
read -r _

root=$seed/root
mount -o noatime "$ROOT_NODE" "$root"
cp -R "$seed/cloud" /run/cloud
cp "$seed/init.sh" /run/init.sh
cd "$root"
mkdir -p .usr/upper .usr/work
mount -t overlay -o lowerdir=/usr,upperdir=.usr/upper,workdir=.usr/work usr usr
mount -t proc -o nosuid,nodev,noexec proc proc
# What is there the whole machine's is not for an instance to change.
for file in sys sysrq-trigger; do
    [ -e proc/$file ] || continue
    mount --bind proc/$file proc/$file
    mount -o remount,bind,ro,nosuid,nodev,noexec proc/$file
done
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw,nosuid,nodev,noexec proc/sys/net
for folder in dev sys run; do
    mount --move /$folder $folder
done
pivot_root . .
umount -l .
cd /

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
sh /run/cloud/first-boot
mount -a || true
# Other instances are on the same kernel, which takes an XFS of the same UUID, as that of the original
# of a restored volume, only if told so.
while read -r source point kind options _; do
    [ "$kind" = xfs ] || continue
    point=$(printf %b "$point")
    mountpoint -q "$point" || mount -o "$options,nouuid" "$source" "$point" || true
done </etc/fstab
exec </dev/null
case $INIT in
systemd) exec env -i PATH="$PATH" container=ec2-sandbox /usr/lib/systemd/systemd ;;
*) exec env -i PATH="$PATH" /bin/sh /run/init.sh ;;
esac
