"""A completion script for bash, and for zsh through its bashcompinit.

What can be known beforehand (verbs, their options, which of these take a value) is written into
it, and the words that an option may have, from where they are defined; ids of jobs, their later
attempts and schedules are looked up as one types, in the result directory, tasks and
stages in the note of what was submitted and among the collected logs of the job that is named
or the latest, and stacks, their pools and applications in the local state: no request, and no
Python is started for a key. bash cuts words at `:` and `=`, as readline does
(`COMP_WORDBREAKS`); they are put together again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from jobs.advice import WARNING_CODES
from jobs.costs import BY
from jobs.listing import FIELDS, TAG
from jobs.logs import ALL_SOURCES
from jobs.progress import STYLES
from jobs.strictness import FAIL_ON

SHELLS = ("bash", "zsh")
CHOICES: dict[str, tuple[str, ...]] = {
    "--by": (*BY, TAG),
    "--fail-on": FAIL_ON,
    "--fields": (*FIELDS, TAG),
    "--ignore": WARNING_CODES,
    "--progress": STYLES,
    "--source": ALL_SOURCES,
}
"""Words that an option may have, each from where it is checked."""
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
_hpc_typed() {
    local line=${COMP_LINE-} rest word at
    typed=()
    for (( at = 0; at <= COMP_CWORD; at++ )); do
        word=${COMP_WORDS[at]}
        rest=${line#"${line%%[![:space:]]*}"}
        if [[ -n ${COMP_LINE-} && $rest == "$line" ]] && (( at > 0 )); then
            typed[${#typed[@]}-1]+=$word
        else
            typed+=("$word")
        fi
        [[ $rest == "$word"* ]] || { typed=("${COMP_WORDS[@]:0:COMP_CWORD+1}"); return 0; }
        line=${rest#"$word"}
    done
}
_hpc_schedules() {
    local schedule
    for schedule in "$1"/.schedules/*/schedule.json; do
        [[ -e $schedule ]] || continue
        schedule=${schedule%/schedule.json}
        schedule=${schedule##*/}
        [[ $schedule == *[!A-Za-z0-9_-]* ]] || words+=" $schedule"
    done
}
_hpc_stacks() {
    local stack
    for stack in "${HPC_LOCAL_DIR:-.local}"/stacks/*/outputs.json \
                 "${HPC_LOCAL_DIR:-.local}"/jobs/stacks/*.names; do
        [[ -e $stack ]] || continue
        stack=${stack%/outputs.json}
        stack=${stack##*/}
        stack=${stack%.names}
        [[ $stack == *[!A-Za-z0-9_.-]* || " $words " == *" $stack "* ]] || words+=" $stack"
    done
}
_hpc_names() {
    local file name kind
    for file in "${HPC_LOCAL_DIR:-.local}"/jobs/stacks/*.names; do
        [[ -e $file ]] || continue
        [[ -n $3 && ${file##*/} != "$3.names" ]] && continue
        while read -r kind name; do
            [[ $kind != "$1" || $name == *[!A-Za-z0-9_-]* ]] && continue
            [[ " $words " == *" $2$name "* ]] || words+=" $2$name"
        done < "$file"
    done
}
_hpc_jobs() {
    local verb="" words="" valued="" kind="" cut="" begins=4 at word several=""
    local -a typed
    COMPREPLY=()
    _hpc_typed
    local last=$(( ${#typed[@]} - 1 ))
    local cur=${typed[last]}
    # of a word that the shell cut up, it takes what follows the last cut
    [[ $cur == "${COMP_WORDS[COMP_CWORD]}" ]] || cut=${cur%"${cur##*[:=]}"}
    [[ ${typed[1]} == -m ]] || return 0
    case ${typed[2]} in
        jobs) (( last > 3 )) && verb=${typed[3]} ;;
        jobs.run) begins=3; (( last > 2 )) && verb=run ;;
        *) return 0 ;;
    esac
    (( last < 3 )) && return 0
    (( last > 4 )) && [[ $verb == @GROUPS@ ]] && { verb+="-${typed[4]}"; begins=5; }
    case $verb in
@CASES@
    esac
    local named="" out="" option="" first="" head="" stack=${JOBS_STACK-}
    for (( at = begins; at < last; at++ )); do
        word=${typed[at]}
        case $word in
            --job=*) named=${word#*=} ;;
            --out=*) out=${word#*=} ;;
            --stack=*) stack=${word#*=} ;;
            --*=*) ;;
            -?*)
                [[ $valued == *" $word "* ]] || continue
                (( ++at < last )) || { option=$word; continue; }
                case $word in
                    --job|-j) named=${typed[at]} ;;
                    --out) out=${typed[at]} ;;
                    --stack|-s) stack=${typed[at]} ;;
                esac ;;
            *) [[ -n $first ]] || first=$word ;;
        esac
    done
    out=${out:-${JOBS_OUT:-results}}
    if [[ $cur == --*=* ]]; then
        option=${cur%%=*}
        head=$option=
        cur=${cur#*=}
    fi
    case $option in
        --job|-j) kind=job ;;
        --stack|-s) kind=stack ;;
        --tasks) kind=task ;;
@CHOICES@
        ?*) return 0 ;;
        *) [[ $cur != -* && ( $verb == @SEVERAL_TAKERS@ ) ]] && several=1
           if [[ $cur != -* && ( $verb == @TAKERS@ ) ]]; then kind=job
           elif [[ $cur != -* && ( $verb == @TASK_TAKERS@ ) ]]; then kind=task
           elif [[ $cur != -* && ( $verb == @SCHEDULE_TAKERS@ ) ]]; then kind=schedule
           elif [[ $cur != -* && -z $first && ( $verb == @APPLICATION_TAKERS@ ) ]]; then
               kind=application
           elif [[ $cur != -* && ( $verb == @SHELL_TAKERS@ ) ]]; then
               kind=words words="@SHELLS@"; fi ;;
    esac
    if [[ $kind == words ]]; then
        local before=""
        [[ $cur == *,* ]] && before=${cur%,*},
        [[ -n $before ]] && words=$before${words// / "$before"}
    elif [[ $kind == filter ]]; then
        [[ $cur == pool=* ]] && { words=""; _hpc_names pool pool= "$stack"; }
    elif [[ $kind == application ]]; then
        words=""
        _hpc_names application "" "$stack"
    fi
    if [[ $kind == stack ]]; then
        words=""
        _hpc_stacks
    elif [[ $kind == task ]]; then
        local tree="" file others=""
        [[ $verb == rerun && -n $first ]] && named=$first
        [[ $named == last ]] && named=""
        if [[ -n $named && ! -e $out/$named/job.json ]]; then
            local attempt=${named##*-r}
            [[ -z $attempt || $attempt == *[!0-9]* ]] || named=${named%-r*}
        fi
        for file in "$out"/*/job.json; do
            [[ -e $file ]] || continue
            case $file in
                "$out/${named/:/.}"/job.json) tree=$file; break ;;
                "$out/$named".job-*) ;;
                *) [[ -z $named ]] || continue ;;
            esac
            [[ -z $tree || $file -nt $tree ]] && tree=$file
        done
        [[ $cur == *,* ]] && others=${cur%,*},
        _hpc_tasks "${cur##*,}" "${tree%/job.json}"
        [[ -n $others ]] && words=$others${words// / "$others"}
    elif [[ $kind == schedule ]]; then
        words=""
        _hpc_schedules "$out"
    elif [[ $kind == job ]]; then
        local tree id others=""
        words="last"
        [[ -n $several && $cur == *,* ]] && others=${cur%,*},
        [[ -n $several && -z $others ]] && words+=" all"
        _hpc_schedules "$out"
        for tree in "$out"/*/job.json; do
            [[ -e $tree ]] || continue
            tree=${tree%/job.json}
            tree=${tree##*/}
            [[ $cur == *:* ]] && tree=${tree/.job-/:job-}
            [[ $tree == *[!A-Za-z0-9_.:-]* ]] || words+=" $tree"
        done
        while read -r id; do
            id=${id%'"'}
            id=${id##*'"'}
            [[ $id == *[!A-Za-z0-9_-]* || -e $out/$id ]] || words+=" $id"
        done < <(grep -ho '"job_id": "[^"]*-r[0-9]*"' "$out"/*/job.json 2>/dev/null)
        [[ -n $others ]] && words=$others${words// / "$others"}
    fi
    [[ -n $verb && $cur != -* && $words == --* ]] && return 0
    for word in $words; do
        [[ $word == "$cur"* ]] || continue
        word=$head$word
        COMPREPLY+=("${word#"$cut"}")
    done
    [[ ${COMPREPLY[*]-} == *[=.] ]] && compopt -o nospace 2>/dev/null
    return 0
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
    for name, verb in verbs.items():
        offered, valued = " ".join(_options(verb)), " ".join(_valued(verb))
        cases.append(f'        {name}) words="{offered}"; valued=" {valued} " ;;')
    text = _SCRIPT.replace("@CASES@", "\n".join(cases))
    for mark, names in (
        ("@TAKERS@", ("job", "jobs")),
        ("@SEVERAL_TAKERS@", ("jobs",)),
        ("@APPLICATION_TAKERS@", ("application",)),
        ("@SHELL_TAKERS@", ("shell",)),
        ("@TASK_TAKERS@", ("tasks",)),
        ("@SCHEDULE_TAKERS@", ("schedule",)),
    ):
        text = text.replace(mark, " || $verb == ".join(_takers(verbs, names)))
    text = text.replace("@GROUPS@", " || $verb == ".join(groups))
    text = text.replace("@SHELLS@", " ".join(SHELLS))
    text = text.replace("@CHOICES@", "\n".join(_choices()))
    return "autoload -U +X bashcompinit && bashcompinit\n" + text if shell == "zsh" else text


def _choices() -> Iterator[str]:
    """What the options of `CHOICES` may have, as cases of the script."""
    for option, words in CHOICES.items():
        yield f'        {option}) kind=words; words="{" ".join(words)}" ;;'
    fields = " ".join(f"{name}=" for name in (*FIELDS, TAG))
    yield f'        --filter) kind=filter; words="{fields.replace(f"{TAG}=", TAG)}" ;;'


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
        if parameter.param_type_name == "option" and not parameter.hidden:
            yield from (name for name in parameter.opts if name.startswith("--"))
    yield "--help"


def _valued(verb: Any) -> Iterator[str]:
    """Options after which a value comes, by every name."""
    for parameter in () if isinstance(verb, TyperGroup) else verb.params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            yield from parameter.opts


def _takers(verbs: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """Verbs that have an argument of one of these names."""
    for name, verb in verbs.items():
        if any(p.name in names and p.param_type_name == "argument" for p in verb.params):
            yield name
