"""Scripts changed word by word, and by what a shell makes of words."""

from __future__ import annotations

import shlex
from random import Random

from odd_values import huge_value, odd_text


def mutated_script(text: str, random: Random) -> str:
    """Change some words of a script, or the way they are written."""
    lines = text.split("\n")
    for _ in range(random.choice((1, 2, 3, 8))):
        at = random.randrange(len(lines))
        words = lines[at].split(" ")
        place = random.randrange(len(words))
        kind = random.randrange(8)
        if kind <= 2:
            words[place] = _written(odd_text(random), random)
        elif kind == 3:
            words.insert(place, random.choice(_OPTIONS))
        elif kind == 4:
            words.pop(place)
        elif kind == 5:
            words[place] = random.choice(_WRAPPED).replace("X", words[place])
        elif kind == 6:
            words.insert(place, random.choice(_SYNTAX))
        else:
            lines.insert(at, random.choice(_LINES))
        lines[at] = " ".join(words) if kind < 7 else lines[at]
    if random.random() < 0.03:
        lines *= random.choice((3, 20, 400))
    if random.random() < 0.03:
        value = huge_value(random)
        words = [str(each) for each in value] if isinstance(value, list) else [str(value)]
        lines.append("trl sft --use_peft --lora_target_modules " + " ".join(words))
    return "\n".join(lines)


def _written(text: str, random: Random) -> str:
    kind = random.randrange(5)
    if kind == 0:
        return text
    if kind == 1:
        return shlex.quote(text)
    if kind == 2:
        return '"' + text.replace('"', '\\"') + '"'
    if kind == 3:
        return "$'" + text.replace("'", "\\'") + "'"
    return f"--lora_target_modules={text}"


_OPTIONS = (
    "--lora_rank",
    "--lora_r",
    "--lora_r=-1",
    "--lora_alpha 1e309",
    "--target_modules",
    "--lora_target_modules",
    "--target_regex",
    "--use_peft",
    "--use_peft=false",
    "--no-use_peft",
    "--config x.yaml",
    "--adapters x",
    "--",
    "-",
    "--x.y",
    "--lora_target_modules all-linear",
    "--modules_to_save",
    "--exclude_modules",
    "--init_weights pissa",
    "--use_dora true",
    "--task_type seq_cls",
)
_WRAPPED = (
    "'X'",
    '"X"',
    "$(X)",
    "`X`",
    "${X}",
    "${X:-X}",
    "${X[@]}",
    "{X,X}",
    "X\\",
    "(X",
    "$((X))",
    "<(X)",
    "X#X",
    "'X",
    '"X',
)
_SYNTAX = (
    ";",
    "&&",
    "||",
    "|",
    "&",
    "<<EOF",
    "<<-'EOF'",
    "<<<",
    ">",
    "2>&1",
    "if",
    "then",
    "do",
    "{",
    "}",
    "(",
    ")",
    ";;",
    "\\",
    "#",
    "!",
)
_LINES = (
    "A=a; B=$A$A; C=$B$B; D=$C$C; A=$D$D; B=$A$A; C=$B$B; D=$C$C; A=$D$D; B=$A$A; C=$B$B",
    "MODEL=$MODEL$MODEL",
    "RANK+=$RANK",
    "TARGETS+=(a b c $TARGETS)",
    "set -- $@ $*",
    "eval swift sft --model x --lora_rank 8",
    "cat <<END",
    "function trl() { trl sft --use_peft; }",
    "case x in",
    "swift sft --model x",
    "python -m trl.scripts.sft --use_peft --model_name_or_path x",
    "export " + "A=1 " * 500,
    "X=" + "(" * 200,
    "trl sft " + "$(" * 300,
    "trl sft --use_peft --lora_r 8 --lora_r 16 --lora_r",
)
