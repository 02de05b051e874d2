# Runs rsync's receiving end where there is nothing of this host but its programs and the destination: PATH OPTION...
#
# Run as root, in namespaces of its own for mounts and processes. PATH is a folder or a block device; rsync has it as /to.
# The sender can make a receiver read any path, by filter rules that name files, and an old rsync write to any, by links.
set -e
to=$1
shift
mount -t tmpfs -o size=8m,mode=755,nosuid,nodev snapback /tmp
cd /tmp
mkdir etc old proc
# rsync needs /proc/self/fd for ACLs. Kernels before 5.8 have no subset.
mount -t proc -o ro,nosuid,nodev,noexec,subset=pid proc proc 2>/dev/null ||
    mount -t proc -o ro,nosuid,nodev,noexec proc proc
for folder in bin lib lib32 lib64 sbin usr; do
    if [ -L "/$folder" ]; then
        cp -P "/$folder" .
    elif [ -d "/$folder" ]; then
        mkdir "$folder"
        mount -o bind,ro,nosuid,nodev "/$folder" "$folder"
    fi
done
cp /etc/ld.so.cache etc 2>/dev/null || :
if [ -d "$to" ]; then
    mkdir to
    mount -o bind,nosuid,nodev,noexec "$to" to
else
    : >to
    mount --bind "$to" to
fi
pivot_root . old
cd /
# Nothing of the host stays mounted here, also no other transfer's file system: it couldn't be put to rest.
umount -l /old
rmdir old
exec rsync --server "$@" . /to
