# Watches over the holder: LIMIT MOUNT_POINT...; stdin is the holder's stdout, stdout whoever asked.
#
# Relays what the holder says. If the holder ends without having thawed, or has not done so LIMIT + 1 seconds later,
# this thaws whatever the holder may have frozen, ends it, waits until no process is left that could still freeze,
# thaws once more, and adds:
#   STUCK K WHY       the Kth can't be thawed; "Invalid argument" says that it isn't frozen
#   RESCUED           no other one is frozen
# All are thawed side by side, the last first. One that lies in a file on another is not thawed before that other is,
# which may happen only once the holder has ended; so nothing waits for the first round.
# No here-document: some shells keep those in a file, and the disk may be frozen.
limit=$1
shift
trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM
set -f

thaw_one() {
    why=$(fsfreeze -u -- "$2" 2>&1) || echo "STUCK $1 ${why##*: }"
}

thaw() {
    k=$frozen
    while [ "$k" -gt 0 ]; do
        eval "mount_point=\${$k}"
        thaw_one "$k" "$mount_point" &
        k=$((k - 1))
    done
}

exec 5>&1
seen=$(timeout -s KILL "$((limit + 1))" tee /dev/fd/9 9>&1 >&5)
frozen=0 holder='' before='' mount_point=''
for word in $seen; do
    case $before in
    HOLDER) holder=$word ;;
    FREEZING) frozen=$word ;;
    THAWED | REFUSED) exit 0 ;;
    esac
    before=$word
done
thaw "$@" >&2
[ -z "$holder" ] || kill -KILL "$holder"
cat >&2
thaw "$@"
wait
echo RESCUED
