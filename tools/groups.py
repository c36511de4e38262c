"""Writes `src/network/wordnet.txt`: the nodes of WordNet 3.0 above ImageNet's classes, with the classes under each.
Needs the folder of WordNet's database files (Debian: the package wordnet-base): `tools/groups.py /usr/share/wordnet`."""
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def nouns(folder):
    """For each noun's offset, its names and the offsets of its hypernyms."""
    nodes = {}
    for line in (folder / "data.noun").read_text().splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        names = [name.replace("_", " ") for name in fields[4 : 4 + 2 * count : 2]]
        pointers = fields[5 + 2 * count :]
        parents = [pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")]
        nodes[fields[0]] = (names, parents)
    return nodes


def ancestors(nodes, offset):
    above = set()
    for parent in nodes[offset][1]:
        above |= {parent} | ancestors(nodes, parent)
    return above


def ranges(classes):
    """Indices as text: `3,5-8`."""
    runs = []
    for index in sorted(classes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def main():
    nodes = nouns(Path(sys.argv[1]))
    members = {}
    for index, line in enumerate((ROOT / "weights/synset_words.txt").read_text().splitlines()):
        for offset in ancestors(nodes, line[1:9]):
            members.setdefault(offset, set()).add(index)
    order = sorted(members, key=lambda offset: (min(members[offset]), -len(members[offset]), offset))
    lines = [f"n{offset} {', '.join(nodes[offset][0])}: {ranges(members[offset])}" for offset in order]
    (ROOT / "src/network/wordnet.txt").write_text("\n".join(lines) + "\n")


main()
