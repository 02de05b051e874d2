# Holds file systems frozen while whoever asked for it keeps talking: LIMIT LEASE COUNTS MOUNT_POINT...
#
# COUNTS divides the mount points into levels: "2 1" are two, then one. A level is frozen side by side, after all those
# before it, and thawed before them: where one file system lies in a file on another, what lies above has to be frozen
# first and thawed last, since both write to what lies below.
# stdin: a "." at least every LEASE seconds while frozen; "T" asks for the thaw.
# stdout, a line each, on its way through the watchdog to whoever asked:
#   HOLDER PID        first of all
#   FREEZING COUNT    before each level: of the first COUNT mount points any may be frozen from now on
#   REFUSED K WHY     the Kth could not be; those that were are thawed, none is left frozen
#   FROZEN            all of them are
#   STUCK K WHY       the Kth could not be thawed, or was found thawed ("Invalid argument")
#   THAWED REASON     all others are thawed: "asked", or because of "lease", "limit", "signal"
# Whoever could still freeze keeps fd 6 open: only when all such processes are gone the watchdog sees the end of the pipe.
limit=$1 lease=$2 counts=$3
shift 3
exec 3<&0 6>&1
reason='' frozen='' refusal='' mount_point=''
trap 'reason=${reason:-signal}' HUP INT TERM
trap '' PIPE
set -f

uptime_s() {
    read -r uptime _ </proc/uptime
    uptime=${uptime%%.*}
}

freeze_one() {
    if why=$(fsfreeze -f -- "$2" 2>&1); then
        echo "OK $1"
    else
        echo "NO $1 ${why##*: }"
    fi
}

# FIRST LAST MOUNT_POINT...
freeze_level() {
    trap '' HUP INT TERM
    k=$1 last=$2
    shift 2
    while [ "$k" -le "$last" ]; do
        eval "mount_point=\${$k}"
        freeze_one "$k" "$mount_point" &
        k=$((k + 1))
    done
    wait
    echo DONE
}

# Takes note of what that said. Without its last word some may be frozen later: that is for the watchdog.
note() {
    case $1 in
    *DONE) ;;
    *) exit 1 ;;
    esac
    IFS='
'
    for line in $1; do
        case $line in
        OK*) frozen="${line#OK } $frozen" ;;
        NO*) refusal=${refusal:-${line#NO }} ;;
        esac
    done
    unset IFS
}

thaw_one() {
    why=$(fsfreeze -u -- "$2" 2>&1) || echo "STUCK $1 ${why##*: }"
}

thaw() {
    trap '' HUP INT TERM
    for k in $frozen; do
        if [ "$k" = , ]; then
            wait
        else
            eval "mount_point=\${$k}"
            thaw_one "$k" "$mount_point" &
        fi
    done
    wait
}

echo "HOLDER $$"
k=0
for mount_point do
    k=$((k + 1))
    mountpoint -q -- "$mount_point" || {
        echo "REFUSED $k not a mount point"
        exit 1
    }
done
uptime_s
end=$((uptime + limit)) left=$limit
last=0
for count in $counts; do
    first=$((last + 1)) last=$((last + count))
    [ -z "$refusal$reason" ] || break
    echo "FREEZING $last"
    frozen=", $frozen"
    note "$(freeze_level "$first" "$last" "$@")"
done
if [ -n "$refusal" ]; then
    thaw "$@"
    echo "REFUSED $refusal"
    exit 1
fi
[ -n "$reason" ] || echo FROZEN
while [ -z "$reason" ]; do
    [ "$lease" -lt "$left" ] || lease=$left
    said=$(timeout "$lease" dd bs=1 count=1 <&3 2>/dev/null 6>&-)
    uptime_s
    left=$((end - uptime))
    case $said in
    T) reason=asked ;;
    .) [ "$left" -gt 0 ] || reason=limit ;;
    *) [ "$left" -gt 0 ] && reason=${reason:-lease} || reason=limit ;;
    esac
done
thaw "$@"
echo "THAWED $reason"
