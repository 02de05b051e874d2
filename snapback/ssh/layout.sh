# Prints the block devices of this host, and what uses them. Run by root; changes nothing.
#
# stdout: lsblk's JSON; then sections, each begun by a line of its name:
#   [mounted]  MAJOR:MINOR of each device that anything here has mounted: lsblk doesn't see the mounts of containers
#   [mounts]   /proc/self/mountinfo: lsblk doesn't see either what is mounted over another
#   [loops]    losetup's JSON: lsblk doesn't tell the files behind loop devices
#   [writers]  MAJOR MINOR (both hexadecimal) NAME: who has a block device open for writing: a process, or the kernel, which
#              offers it to others by iSCSI or NVMe over Fabrics; "unknown" where that takes longer than 30 s
#   [end]      all of it was printed
# Descriptors are counted, and no device is opened: opened exclusively, it would look busy to others. Before util-linux 2.37
# lsblk tells one mount point a device. POSIX sh, coreutils, util-linux.
columns=NAME,KNAME,PATH,MAJ:MIN,RO,SERIAL,TYPE,FSTYPE,UUID,SIZE

find_writers='
for process in /proc/[0-9]*; do
    for descriptor in "$process"/fd/*; do
        [ -b "$descriptor" ] || continue
        mode=
        while read -r key value; do
            [ "$key" != flags: ] || mode=$value
        done <"$process/fdinfo/${descriptor##*/}"
        case $mode in
        *[1256])
            name=
            read -r name <"$process/comm"
            echo "$(stat -L -c "%t %T" -- "$descriptor") ${name:-?} (process ${process#/proc/})"
            ;;
        esac
    done
done
for offered in /sys/kernel/config/target/core/*/*/udev_path /sys/kernel/config/nvmet/subsystems/*/namespaces/*/device_path; do
    path= enabled=
    read -r path <"$offered" || [ -n "$path" ] || continue
    read -r enabled <"${offered%/*}/enable"
    [ "$enabled" = 0 ] || [ ! -b "$path" ] || echo "$(stat -L -c "%t %T" -- "$path") the kernel (${offered#/sys/kernel/config/})"
done
:'

lsblk --json -b -o $columns,MOUNTPOINTS 2>/dev/null || lsblk --json -b -o $columns,MOUNTPOINT || exit
echo "[mounted]"
cut -d' ' -f3 /proc/[0-9]*/mountinfo 2>/dev/null | sort -u
echo "[mounts]"
cat /proc/self/mountinfo
echo "[loops]"
losetup --list --json -O NAME,MAJ:MIN,BACK-FILE,BACK-MAJ:MIN 2>/dev/null
echo "[writers]"
timeout -k 5 30 sh -c "$find_writers" 2>/dev/null || echo unknown
echo "[end]"
