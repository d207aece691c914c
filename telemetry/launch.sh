# Starts the collector beside what the node is for, then becomes the pool's own start task.
# Nothing in here may fail the node: what goes wrong is said and left.
hpc_telemetry() {
    case $AZ_BATCH_ACCOUNT_URL in
        *//127.0.0.1* | *//localhost*)
            echo "telemetry: a node of the emulator has no Azure to report to" >&2
            return
            ;;
    esac
    python=$(command -v python3) || { echo "telemetry: there is no python3" >&2; return; }
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
        echo "telemetry: $python is older than 3.9" >&2
        return
    fi
    hpc_service && return
    setsid "$python" -c 'import os; exec(os.environ.pop("HPC_TELEMETRY_PROGRAM"))' \
        </dev/null >/dev/null 2>&1 &
}

# Batch wants what outlives the start task to be a service of the operating system, which a
# start task without administrator rights cannot make:
# https://learn.microsoft.com/azure/batch/best-practices
hpc_service() (
    [ "$(id -u)" = 0 ] && command -v systemd-run >/dev/null || return
    # The service runs as nobody in particular, who must be able to read its program.
    umask 022
    program=${HPC_TELEMETRY_DIRECTORY:-/run/hpc-telemetry}/collector.py
    mkdir -p "${program%/*}" && printf '%s' "$HPC_TELEMETRY_PROGRAM" >"$program" || return
    systemctl stop hpc-telemetry.service 2>/dev/null
    systemd-run --unit=hpc-telemetry --collect --property=DynamicUser=yes \
        --property=Restart=on-failure --property=RestartSec=60 \
        --property=MemoryMax=256M --property=SuccessExitStatus=2 \
        --setenv=HPC_TELEMETRY_ENDPOINT="$HPC_TELEMETRY_ENDPOINT" \
        --setenv=HPC_TELEMETRY_RULE_ID="$HPC_TELEMETRY_RULE_ID" \
        --setenv=HPC_TELEMETRY_STREAM="$HPC_TELEMETRY_STREAM" \
        --setenv=HPC_TELEMETRY_CLIENT_ID="$HPC_TELEMETRY_CLIENT_ID" \
        --setenv=HPC_TELEMETRY_INTERVAL_S="$HPC_TELEMETRY_INTERVAL_S" \
        --setenv=AZ_BATCH_ACCOUNT_NAME="$AZ_BATCH_ACCOUNT_NAME" \
        --setenv=AZ_BATCH_POOL_ID="$AZ_BATCH_POOL_ID" \
        --setenv=AZ_BATCH_NODE_ID="$AZ_BATCH_NODE_ID" \
        --setenv=AZ_BATCH_NODE_ROOT_DIR="$AZ_BATCH_NODE_ROOT_DIR" \
        "$python" "$program" >&2
)

hpc_telemetry || echo "telemetry: the collector was not started" >&2
hpc_command=$HPC_START_COMMAND
unset HPC_TELEMETRY_PROGRAM HPC_TELEMETRY_LAUNCH HPC_START_COMMAND
[ -z "$hpc_command" ] || eval "exec $hpc_command"
