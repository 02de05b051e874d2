# Ends what a key has begun on this host, or several keys: MARK, a pattern. Run as root.
#
# What is about to end by itself has two seconds for it. Exit status 1: something can't be ended.
begun() {
    grep -lszxe "[S]NAPBACK_KEY=$1" /proc/[0-9]*/environ /proc/[0-9]*/cmdline | cut -d/ -f3 | sort -u
}
left=100
while processes=$(begun "$1") && [ -n "$processes" ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || exit 1
    [ "$left" -gt 80 ] || kill -KILL $processes 2>/dev/null
    sleep 0.1
done
