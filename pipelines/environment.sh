# What every step starts with: `. "$(dirname "$0")/environment.sh"`.
#
# Goes to the project's root, takes the project's own tools, and fills in what the
# pipeline's variables say where there is no pipeline: STACK and WORKLOAD. The one place
# that knows how the stack `local` differs: its engine talks to the emulator.
set -eu
cd "$(dirname "$0")/.."
if [ -x .venv/bin/python ]; then
    PATH="$PWD/.venv/bin:$PATH"
fi
export PATH
: "${STACK:=local}"
: "${WORKLOAD:=workloads/montecarlo/job.yaml}"
: "${RESULTS:=results}"

# The Pulumi engine on this stack: `engine preview`, `engine up`. It takes the script's place, so
# that a signal to the script, Ctrl-C in the demo say, reaches the engine and not a shell.
engine() {
    if [ "$STACK" = local ]; then
        exec python -m emulator stack "$1" --stack "$STACK"
    fi
    sign_in_by_federation
    case $1 in
        preview) exec pulumi preview --stack "$STACK" --non-interactive --diff ;;
        up) exec pulumi up --stack "$STACK" --non-interactive --yes --skip-preview ;;
    esac
    echo "engine: $1 is neither preview nor up" >&2
    exit 2
}

# Hands the provider the token that the AzureCLI task got for its service connection
# (workload identity federation: no secret exists). Elsewhere `az login` has signed in.
sign_in_by_federation() {
    if [ -n "${idToken:-}" ]; then
        ARM_USE_OIDC=true
        ARM_OIDC_TOKEN=$idToken
        ARM_CLIENT_ID=$servicePrincipalId
        ARM_TENANT_ID=$tenantId
        ARM_SUBSCRIPTION_ID=$(az account show --query id --output tsv)
        export ARM_USE_OIDC ARM_OIDC_TOKEN ARM_CLIENT_ID ARM_TENANT_ID ARM_SUBSCRIPTION_ID
    fi
}
