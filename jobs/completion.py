"""A completion script for bash, and for zsh through its bashcompinit.

What can be known beforehand (verbs, their options) is written into it; ids of jobs are
looked up as one types, in the result trees under the working directory, tasks and stages in
the note of what was submitted and among the collected logs of the job that is named or the
latest, and stacks in the local state: no request, and no Python is started for a key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

SHELLS = ("bash", "zsh")
_SCRIPT = """\
_hpc_positions() {
    local head=$1 part=$2 count=$3 digit
    [[ $part == *[!0-9]* || $part == 0?* || ${#part} -gt 8 ]] && return 0
    [[ -n $part ]] && (( part < count )) && words+=" $head$part"
    [[ $part == 0 ]] && return 0
    for digit in 0 1 2 3 4 5 6 7 8 9; do
        (( $part$digit < count )) && words+=" $head$part$digit"
    done
    return 0
}
_hpc_tasks() {
    local cur=$1 tree=$2 line name count total="" stages="" log
    words="all failed"
    [[ -n $tree ]] || return 0
    while IFS= read -r line; do
        line=${line//[[:space:]]/}
        if [[ -n $stages ]]; then
            [[ $line == "}"* ]] && break
            name=${line#'"'}
            name=${name%%'"'*}
            count=${line##*:}
            count=${count%,}
            [[ -z $name || $name == *[!A-Za-z0-9_]* ]] && continue
            [[ -z $count || $count == *[!0-9]* ]] && continue
            words+=" $name"
            [[ $cur == "$name"/* ]] && _hpc_positions "$name/" "${cur#*/}" "$count"
        elif [[ $line == '"stages":{' ]]; then
            stages=1
        elif [[ -z $total && $line == '"tasks":'* ]]; then
            total=${line##*:}
            total=${total%,}
            [[ $total == *[!0-9]* ]] && total=0
        fi
    done < "$tree/job.json"
    [[ -n $cur ]] || return 0
    [[ -z $stages && -n $total ]] && _hpc_positions "" "$cur" "$total"
    for log in "$tree/logs/$cur"*; do
        log=${log##*/}
        [[ $log == *[!A-Za-z0-9_-]* || $log != [0-9]* ]] || words+=" $log"
    done
}
_hpc_jobs() {
    local cur=${COMP_WORDS[COMP_CWORD]} verb="" words=""
    COMPREPLY=()
    [[ ${COMP_WORDS[1]} == -m ]] || return 0
    case ${COMP_WORDS[2]} in
        jobs) (( COMP_CWORD > 3 )) && verb=${COMP_WORDS[3]} ;;
        jobs.run) (( COMP_CWORD > 2 )) && verb=run ;;
        *) return 0 ;;
    esac
    (( COMP_CWORD < 3 )) && return 0
    (( COMP_CWORD > 4 )) && [[ $verb == @GROUPS@ ]] && verb+="-${COMP_WORDS[4]}"
    case $verb in
@CASES@
    esac
    local prev=${COMP_WORDS[COMP_CWORD-1]} kind=""
    case $prev in
        --job|-j) kind=job ;;
        --stack|-s) kind=stack ;;
        --tasks) kind=task ;;
        *) if [[ $cur != -* && ( $verb == @TAKERS@ ) ]]; then kind=job
           elif [[ $cur != -* && ( $verb == @TASK_TAKERS@ ) ]]; then kind=task
           elif [[ $cur != -* && ( $verb == @SCHEDULE_TAKERS@ ) ]]; then kind=schedule; fi ;;
    esac
    if [[ $kind == stack ]]; then
        local stack
        words=""
        for stack in "${HPC_LOCAL_DIR:-.local}"/stacks/*/outputs.json; do
            [[ -e $stack ]] || continue
            stack=${stack%/outputs.json}
            stack=${stack##*/}
            [[ $stack == *[!A-Za-z0-9_.-]* ]] || words+=" $stack"
        done
    elif [[ $kind == task ]]; then
        local tree="" named="" file at head=""
        for (( at = 4; at < COMP_CWORD; at++ )); do
            case ${COMP_WORDS[at]} in
                --job|-j) named=${COMP_WORDS[at+1]} ;;
            esac
        done
        if [[ $verb == rerun && ${COMP_WORDS[4]} != -* ]]; then named=${COMP_WORDS[4]}; fi
        for file in "${JOBS_OUT:-results}"/*/job.json; do
            [[ -e $file ]] || continue
            if [[ -n $named && $named != last ]]; then
                [[ $file == */"$named"/job.json ]] && tree=$file
            else
                [[ -z $tree || $file -nt $tree ]] && tree=$file
            fi
        done
        [[ $cur == *,* ]] && head=${cur%,*},
        _hpc_tasks "${cur##*,}" "${tree%/job.json}"
        [[ -n $head ]] && words=$head${words// / "$head"}
    elif [[ $kind == schedule ]]; then
        local schedule
        words=""
        for schedule in "${JOBS_OUT:-results}"/.schedules/*/schedule.json; do
            [[ -e $schedule ]] || continue
            schedule=${schedule%/schedule.json}
            schedule=${schedule##*/}
            [[ $schedule == *[!A-Za-z0-9_-]* ]] || words+=" $schedule"
        done
    elif [[ $kind == job ]]; then
        local tree
        words="last"
        for tree in "${JOBS_OUT:-results}"/*/job.json; do
            [[ -e $tree ]] || continue
            tree=${tree%/job.json}
            tree=${tree##*/}
            [[ $tree == *[!A-Za-z0-9_.-]* ]] || words+=" $tree"
        done
    fi
    [[ -n $verb && $cur != -* && $words == --* ]] && return 0
    local word
    for word in $words; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
    done
}
complete -o bashdefault -o default -F _hpc_jobs python python3
"""


def script(app: typer.Typer, shell: str) -> str:
    """The text that a shell reads: `source <(python -m jobs completion bash)`."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101 - the program has several verbs
    cases = [f'        "") words="{" ".join(group.commands)}" ;;']
    groups = [name for name, verb in group.commands.items() if isinstance(verb, TyperGroup)]
    verbs = dict(_flat(group.commands))
    cases.extend(
        f'        {name}) words="{" ".join(_options(verb))}" ;;' for name, verb in verbs.items()
    )
    text = _SCRIPT.replace("@CASES@", "\n".join(cases))
    for mark, names in (
        ("@TAKERS@", ("job", "jobs")),
        ("@TASK_TAKERS@", ("tasks",)),
        ("@SCHEDULE_TAKERS@", ("schedule",)),
    ):
        text = text.replace(mark, " || $verb == ".join(_takers(verbs, names)))
    text = text.replace("@GROUPS@", " || $verb == ".join(groups))
    return "autoload -U +X bashcompinit && bashcompinit\n" + text if shell == "zsh" else text


def _flat(commands: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Verbs by name, those of a group as `GROUP-VERB`."""
    for name, verb in commands.items():
        yield name, verb
        if isinstance(verb, TyperGroup):
            yield from ((f"{name}-{inner}", below) for inner, below in verb.commands.items())


def _options(verb: Any) -> Iterator[str]:
    if isinstance(verb, TyperGroup):
        yield from verb.commands
        return
    for parameter in verb.params:
        if parameter.param_type_name == "option":
            yield from (name for name in parameter.opts if name.startswith("--"))
    yield "--help"


def _takers(verbs: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """Verbs that have an argument of one of these names."""
    for name, verb in verbs.items():
        if any(p.name in names and p.param_type_name == "argument" for p in verb.params):
            yield name
