"""The scripts: each command's words stand in them, and what is live is asked for when Tab is pressed."""

from __future__ import annotations

from .command_tables import completed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .command_tables import Completed, Taken

_BASH = """\
# Completion of netinspect for bash: `netinspect completion bash`.
_netinspect() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local command=${{COMP_WORDS[1]}} options= words= live= values= asked= listed= files= before= quote= name quoted
    local line=${{COMP_LINE:0:COMP_POINT}} ahead= head= first= program= at
    local whole=${{line##*[[:space:]]}}
    local -a named=()
    # Readline takes =, : and @ for words of their own, and puts in what is behind the last of them, or @ and that.
    if [[ $whole == *[=:@]* && $whole != *[\\"\\']* ]]; then
        ahead=${{line%"$whole"}} cur=$whole
        ahead=${{ahead%"${{ahead##*[![:space:]]}}"}} prev=${{ahead##*[[:space:]]}}
        if [[ $whole == --*=* ]]; then prev=${{whole%%=*}} cur=${{whole#*=}}; fi
        head=${{cur%"${{cur##*[=:@]}}"}} head=${{head%@}}
    fi
    COMPREPLY=()
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=($(compgen -W '{commands} --help --version' -- "$cur"))
        return
    fi
    at=2
    if [[ $command == lab ]] && (( COMP_CWORD > 2 )); then command="lab ${{COMP_WORDS[2]}}" at=3; fi
    if (( COMP_CWORD > at )); then first=${{COMP_WORDS[at]}}; fi
    case $command in
{cases}
    *) return ;;
    esac
    for (( at++; at < COMP_CWORD; at++ )); do
        if [[ -z $program || ${{COMP_WORDS[at]}} != -- ]]; then continue; fi
        # A command line of its own: bash-completion completes any, else only the name and our own are known.
        if declare -F _command_offset > /dev/null; then
            _command_offset $(( at + 1 ))
        elif (( at + 1 == COMP_CWORD )); then
            COMPREPLY=($(compgen -c -- "$cur"))
        elif [[ ${{COMP_WORDS[at + 1]}} == netinspect ]]; then
            COMP_CWORD=$(( COMP_CWORD - at - 1 )) COMP_WORDS=("${{COMP_WORDS[@]:at + 1}}")
            _netinspect
        else
            compopt -o default
        fi
        return
    done
    if [[ -n $asked ]]; then
        mapfile -t named < <(netinspect completion --values $asked 2>/dev/null)
    elif [[ -z $values && -z $files && $cur != -* ]]; then
        values=$words
        if [[ -n $live ]]; then mapfile -t named < <(netinspect completion --values $live 2>/dev/null); fi
    elif [[ -z $values && -z $files ]]; then
        values=$options
    fi
    if [[ $files == all ]]; then
        compopt -o default
        return
    fi
    if [[ $files == none ]]; then return; fi
    if [[ -n $listed && $cur == *,* ]]; then before=${{cur%,*}}, cur=${{cur##*,}}; fi
    local IFS=$' \\t\\n'
    if [[ $cur == [\\"\\']* ]]; then quote=${{cur:0:1}} cur=${{cur:1}}; fi
    COMPREPLY=($(compgen -P "$before" -W "$values" -- "$cur"))
    # Names may have any character: none is expanded, and each is put in as one word. A quote that is open stays.
    for name in "${{named[@]}}"; do
        quoted=$name
        if [[ -z $quote ]]; then printf -v quoted %q "$name"; fi
        if [[ $quote == "'" ]]; then quoted=${{name//"'"/"'\\\\''"}}; fi
        if [[ $quote == '"' ]]; then quoted=$(sed 's/[\\"$`]/\\\\&/g' <<< "$name"); fi
        if [[ $name != "$cur"* && $quoted != "$cur"* ]]; then continue; fi
        quoted=$before$quoted
        COMPREPLY+=("${{quoted#"$head"}}")
    done
}}
complete -F _netinspect netinspect
"""

_ZSH = """\
#compdef netinspect
# Completion of netinspect for zsh: `netinspect completion zsh`.
_netinspect() {{
    local cur=$words[CURRENT] prev=$words[CURRENT-1] command=$words[2] live= asked= listed= files= first= program= at=3
    local -a options operands values commands
    if (( CURRENT == 2 )); then
        commands=({commands})
        _describe command commands
        return
    fi
    if [[ $command == lab ]] && (( CURRENT > 3 )); then command="lab $words[3]" at=4; fi
    if (( CURRENT > at )); then first=$words[at]; fi
    if [[ $cur == --*=* ]]; then prev=${{cur%%=*}}; compset -P '*='; fi
    case $command in
{cases}
    (*) return 1 ;;
    esac
    at=$words[(i)--]
    if [[ -n $program ]] && (( at < CURRENT )); then
        shift $at words
        (( CURRENT -= at ))
        _normal
        return
    fi
    if [[ $files == all ]]; then _files; return; fi
    if [[ $files == none ]]; then return 1; fi
    if [[ -n $asked ]]; then values+=(${{(f)"$(netinspect completion --values ${{=asked}} 2>/dev/null)"}}); fi
    if (( $#values )); then
        if [[ -n $listed ]]; then compset -P '*,'; fi
        compadd -a values
    elif [[ $cur == -* ]]; then
        _describe option options
    else
        if [[ -n $live ]]; then operands+=(${{(f)"$(netinspect completion --values ${{=live}} 2>/dev/null)"}}); fi
        compadd -a operands
    fi
}}
if [[ $funcstack[1] == _netinspect ]]; then _netinspect "$@"; else compdef _netinspect netinspect; fi
"""

_FISH = """\
# Completion of netinspect for fish: `netinspect completion fish`.
function __netinspect_is
    set -l words (commandline -opc)
    set -l command $words[2]
    if test "$command" = lab; and test (count $words) -gt 2
        set command "lab $words[3]"
    end
    test "$command" = "$argv[1]"
end
function __netinspect_after
    set -l words (commandline -opc)
    contains -- "$words[-1]" $argv
end
# Whether the first operand of a command of the lab stands there, and it is not the cursor's.
function __netinspect_later
    test (count (commandline -opc)) -gt 3
end
function __netinspect_first
    set -l words (commandline -opc)
    echo -- $words[4]
end
# What stands behind -- is a command line of its own.
function __netinspect_runs
    contains -- -- (commandline -opc)
end
function __netinspect_program
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -l line
    if test $at -lt (count $words)
        set line $words[(math $at + 1)..-1]
    end
    complete -C (string join -- ' ' (string escape -- $line) (commandline -ct))
end
complete -c netinspect -f
complete -c netinspect -n '__netinspect_is ""' -l help -s h -d 'help text'
complete -c netinspect -n '__netinspect_is ""' -l version -s V -d 'version'
"""


def bash() -> str:
    """For bash, without the package bash-completion as well."""
    found = completed()
    cases = "\n".join(line for one in found for line in _bash_case(one))
    return _BASH.format(commands=" ".join(_top(found)), cases=cases)


def _bash_case(one: Completed) -> Iterator[str]:
    options = " ".join(spelling for option in one.options for spelling in _spellings(option))
    yield f"    '{one.name}')"
    yield f"        options='{options}' words='{' '.join(one.words)}' live='{one.live}'"
    yield from _value_case(one, bash=True)


def _zsh_case(one: Completed) -> Iterator[str]:
    described = [_described(spelling, option.help) for option in one.options for spelling in _spellings(option)]
    yield f"    ('{one.name}')"
    yield f"        options=({' '.join(described)})"
    yield f"        operands=({' '.join(one.words)}) live='{one.live}'"
    yield from _value_case(one, bash=False)


def _value_case(one: Completed, *, bash: bool) -> Iterator[str]:
    """The end of a command's case: later operands, what the option before the cursor takes, and files."""
    if one.program:
        yield "        program=1"
    if one.later:
        words, live = ("", f"{one.later} $first") if isinstance(one.later, str) else (" ".join(one.later), "")
        given = f"words='{words}'" if bash else f"operands=({words})"
        yield f'        if [[ -n $first ]]; then {given} live="{live}"; fi'
    values = list(_value_cases(one, bash=bash))
    if values:
        yield "        case $prev in"
        yield from values
        yield "        esac"
    if one.files:
        nothing = "-z $files$values$asked" if bash else "-z $files$asked && $#values -eq 0"
        yield f"        if [[ {nothing} && $cur != -* ]]; then files=all; fi"
    yield "        ;;"


def _value_cases(one: Completed, *, bash: bool) -> Iterator[str]:
    for word, behind in one.after.items():
        yield f"        {'' if bash else '('}{word}) {_offering(behind, bash=bash)} ;;"
    for option in one.options:
        value = option.value
        if value is None:
            continue
        does = ["listed=1"] if value.listed else []
        if value.words or value.live:
            does.append(_offering(value.words or value.live, bash=bash))
        else:
            does.append("files=all" if value.file else "files=none")
        opening = "" if bash else "("
        yield f"        {opening}{'|'.join(_spellings(option))}) {' '.join(does)} ;;"


def _offering(what: Sequence[str] | str, *, bash: bool) -> str:
    """Offers words, or those of a live kind."""
    if isinstance(what, str):
        return f"asked='{what}'"
    words = " ".join(what)
    return f"values='{words}'" if bash else f"values=({words})"


def zsh() -> str:
    """For zsh, loaded by compinit or by hand."""
    found = completed()
    commands = " ".join(_described(name, help) for name, help in _top(found).items())
    return _ZSH.format(commands=commands, cases="\n".join(line for one in found for line in _zsh_case(one)))


def fish() -> str:
    """For fish."""
    found = completed()
    lines = [
        f"complete -c netinspect -n '__netinspect_is \"\"' -a {name} -d {_quoted(help)}"
        for name, help in _top(found).items()
    ]
    for one in found:
        head = f"complete -c netinspect -n '__netinspect_is \"{one.name}\"'"
        words = " ".join(one.words)
        first = f"{head[:-1]}; and not __netinspect_later'" if one.later else head
        if words:
            lines.append(f"{first} -a '{words}'")
        if one.live:
            lines.append(f"{first} -a '(netinspect completion --values {one.live})'")
        later = f"{head[:-1]}; and __netinspect_later; and not __netinspect_runs'"
        if one.later and isinstance(one.later, str):
            lines.append(f"{later} -a '(netinspect completion --values {one.later} (__netinspect_first))'")
        elif one.later:
            lines.append(f"{later} -a '{' '.join(one.later)}'")
        if one.program:
            lines.append(f"{head[:-1]}; and __netinspect_runs' -a '(__netinspect_program)'")
        for word, behind in one.after.items():
            condition = f"-n '__netinspect_is \"{one.name}\"; and __netinspect_after {word}'"
            offered = f"(netinspect completion --values {behind})" if isinstance(behind, str) else " ".join(behind)
            lines.append(f"complete -c netinspect {condition} -a '{offered}'")
        if one.files:
            lines.append(f"{head} -F")
        for option in one.options:
            names = (f" -l {option.long}" if option.long else "") + (f" -s {option.short}" if option.short else "")
            lines.append(f"{head}{names}{_fish_value(option)} -d {_quoted(option.help)}")
    return _FISH + "\n".join(lines) + "\n"


def _fish_value(option: Taken) -> str:
    value = option.value
    if value is None:
        return ""
    if value.words:
        words = " ".join(value.words)
        return f" -x -a '(__fish_append , {words})'" if value.listed else f" -x -a '{words}'"
    if value.live:
        asked = f"netinspect completion --values {value.live}"
        return f" -x -a '(__fish_append , ({asked}))'" if value.listed else f" -x -a '({asked})'"
    return " -r -F" if value.file else " -x"


def _top(found: Sequence[Completed]) -> dict[str, str]:
    return {one.name: one.help for one in found if " " not in one.name}


def _spellings(option: Taken) -> list[str]:
    return [*([f"-{option.short}"] if option.short else []), *([f"--{option.long}"] if option.long else [])]


def _described(word: str, help: str) -> str:
    """As zsh's _describe takes it: ``word:what it does``."""
    return _quoted(f"{word}:{help}")


def _quoted(text: str) -> str:
    """In single quotes, for zsh and fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "'\\''") + "'"


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
"""By the name of the shell."""
