"""Counts the words of its input, as JSON: {"words": 2, "most": [["hello", 2]]}."""
import collections
import json
import re

# Once, before the first call: each call begins from here.
WORD = re.compile(r"\w+")


def handle(call):
    counts = collections.Counter()
    for line in call.input:
        counts.update(word.lower() for word in WORD.findall(line.decode("utf-8", "replace")))
    print("invocation", call.invocation, "has", sum(counts.values()), "words")
    answer = {"words": sum(counts.values()), "most": counts.most_common(3)}
    call.output.write(json.dumps(answer).encode() + b"\n")
