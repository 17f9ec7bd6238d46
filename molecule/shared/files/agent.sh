#!/bin/sh
# An agent as small as can be: it reads its prompt, builds and runs a program as real ones do in
# their work, and changes a file of the workspace.
set -eu
prompt=$(cat)
case $prompt in *'exclamation mark'*) ;; *) exit 1 ;; esac
case $prompt in
    *'take your time'*) sleep 10 ;;
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
