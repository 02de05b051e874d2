# Begins a freeze: sh -c THIS snapback-freeze HOLD WATCH PRE POST HOOK_LIMIT LIMIT LEASE COUNTS MOUNT_POINT...
#
# HOLD and WATCH are the texts of freeze_hold.sh and freeze_watch.sh; PRE and POST the commands to run before and after, or
# empty. The mount points come in the order to freeze them; COUNTS divides them, as freeze_hold.sh says. stdout, a line
# each, besides what those two say:
#   BUSY              another freeze has gone on here for 30 s; nothing was done
#   UNLOCKED WHY      the lock that keeps two freezes apart can't be taken; nothing was done
#   PRE STATUS        PRE has ended so
#   POST STATUS       POST has; it runs whenever PRE ran, whatever became of the freeze and of whoever asked for it
# stderr: what PRE and POST say; the lines of their ends stand there too, since the two streams may arrive in any order.
# Everything is written to disk before, so that the freeze itself is short. The watchdog has a session of its own: what
# kills the holder, its group or its session leaves it alive. Never writes to disk. POSIX sh, coreutils, util-linux.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH LC_ALL=C
export PATH LC_ALL
hold=$1 watch=$2 pre=$3 post=$4 hook_limit=$5 limit=$6 lease=$7 counts=$8
shift 8
trap : HUP INT TERM
trap '' PIPE
cd / || exit 1

hook() {
    [ -n "$2" ] || return 0
    timeout -k 5 "$hook_limit" sh -c "$2" snapback-hook >&2 </dev/null 4<&-
    ended="$1 $?"
    echo "$ended" >&2
    echo "$ended"
}

# Whoever can open a file can lock it, and so keep us out. So it is a file that only root can open, in a folder in
# which only root can make one.
lock=
for folder in /run /var/run; do
    case $(stat -L -c %u:%A "$folder" 2>/dev/null) in
    0:d????-??-*) ;;
    *) continue ;;
    esac
    lock=$folder/snapback-freeze.lock
    (umask 077 && : >>"$lock") 2>/dev/null && chmod 600 "$lock" && command exec 4<"$lock" && break
    lock=
done
if [ -z "$lock" ]; then
    echo "UNLOCKED root can make no file of its own in /run or /var/run"
    exit 1
fi
why=$(flock -w 30 4 2>&1)
case $?:$why in
0:*) ;;
1:)
    echo BUSY
    exit 1
    ;;
*)
    echo "UNLOCKED $(printf '%s\n' "$why" | head -n 1)"
    exit 1
    ;;
esac
hook PRE "$pre"
for mount_point do
    sync -f -- "$mount_point" 2>/dev/null || sync
done
sh -c "$hold" snapback-hold "$limit" "$lease" "$counts" "$@" | setsid sh -c "$watch" snapback-watch "$limit" "$@"
exec 4<&-
hook POST "$post"
