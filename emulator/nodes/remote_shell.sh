#!/bin/sh
# Runs a command "on" another emulated node: see remote_shell.py beside this file.
while [ $# -gt 0 ]; do
    case $1 in
        -[bcDEeFIiJLlmOopQRSWw]) [ $# -gt 1 ] && shift; shift ;;  # ssh's options with a value
        -*) shift ;;
        *) break ;;
    esac
done
host=${1-}
host=${host#*@}
[ $# -gt 0 ] && shift
case ",$AZ_BATCH_HOST_LIST," in
    *",$host,"*) ;;
    *)
        echo "remote shell of the emulator: $host is no node of this task ($AZ_BATCH_HOST_LIST)" >&2
        exit 255
        ;;
esac
exec /bin/sh -c "$*"
