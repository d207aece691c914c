"""A completion script for bash, and for zsh through its bashcompinit.

What can be known beforehand (verbs, their options) is written into it; ids of jobs are
looked up as one types, in the result trees under the working directory, those of tasks
among the collected logs of the latest, and stacks in the local state: no request, and no
Python is started for a key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

SHELLS = ("bash", "zsh")
_SCRIPT = """\
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
        local log newest=""
        words="all failed"
        for log in "${JOBS_OUT:-results}"/*/job.json; do
            [[ -e $log ]] || continue
            [[ -z $newest || $log -nt $newest ]] && newest=$log
        done
        if [[ -n $cur && -n $newest ]]; then
            for log in "${newest%/job.json}/logs/$cur"*; do
                log=${log##*/}
                [[ $log == *[!A-Za-z0-9_-]* ]] || words+=" $log"
            done
        fi
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
