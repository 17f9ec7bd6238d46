#!/bin/sh
# An agent as small as can be: it reads its prompt, builds and runs a program as real ones do in
# their work, and changes a file of the workspace.
set -eu
prompt=$(cat)
case $prompt in *'exclamation mark'*) ;; *) exit 1 ;; esac
case $prompt in
    *'take your time'*) sleep 10 ;;
    *'see nothing of the host'*)
        [ ! -e /var/lib/claude-flow/state.db ]
        [ ! -e /etc/claude-flow ]
        [ "$(find /proc -maxdepth 1 -name '[0-9]*' | wc -l)" -lt 12 ]
        # The only way out is a proxy, and that lets nothing through which no list names.
        python3 - <<'END'
import socket, urllib.error, urllib.request
try:
    urllib.request.urlopen("http://example.org/", timeout=20)
except urllib.error.HTTPError as error:
    assert error.code == 403 and b"execution.network_hosts" in error.read()
else:
    raise SystemExit("example.org was reached")
try:
    socket.create_connection(("192.0.2.1", 80), 5)
except OSError:
    pass
else:
    raise SystemExit("an address was reached past the proxy")
END
        ;;
    *'use up the memory'*) python3 -c 'print(len(b"x" * 2**30))' ;;
    *'wait until you may'*)
        # A test lets it go on; no longer than any test can take.
        for _ in $(seq 600); do
            [ ! -e /usr/local/share/claude-flow-test-agent-may ] || break
            sleep 1
        done
        ;;
esac
printf '#include <stdio.h>\nint main(void) { return puts("built and run") < 0; }\n' > "$TMPDIR/try.c"
cc -o "$TMPDIR/try" "$TMPDIR/try.c"
"$TMPDIR/try"
sed --in-place 's/Hello$/Hello!/' greeting.txt
echo "The greeting has its exclamation mark."
