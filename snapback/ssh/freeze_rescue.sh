# Thaws when asked to, should all else have failed: MOUNT_POINT...
#
# Root already, and ready before anything is frozen: a sudo begun later may itself want to write to what is frozen
# (that of Debian and Ubuntu does, to ~/.sudo_as_admin_successful), and hang.
# stdin: a number K a line, for the Kth mount point; stdout, a line each:
#   READY             first of all
#   THAWED K          it was frozen, and is no longer
#   STUCK K WHY       it can't be thawed; "Invalid argument" says that it isn't frozen
# Side by side, as asked for: one that lies in a file on another is not thawed before that other is.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH LC_ALL=C
export PATH LC_ALL
trap '' HUP INT TERM
set -f
mount_point=''

thaw_one() {
    if why=$(fsfreeze -u -- "$2" 2>&1); then
        echo "THAWED $1"
    else
        echo "STUCK $1 ${why##*: }"
    fi
}

echo READY
while read -r k; do
    eval "mount_point=\${$k}"
    thaw_one "$k" "$mount_point" &
done
