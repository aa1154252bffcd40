#!/usr/bin/env python3
"""How well the products' inner loops fill the multiply pipes, by llvm-mca's models of the cores.

For each class: the loop of its compiled product that multiplies most (of several that do, the one that occurs most often,
and of two alike the longer one), as cycles per iteration, against the cycles of its multiplications alone (with the same
registers): 100 % is what the multiply pipes can do at most.

  cmake --preset aarch64 && cmake --build --preset aarch64 --target vitrail
  bench/inner_loops.py [LLVM_MCA]        # by default llvm-mca-19; libraries that are not built are left out
"""
import re
import subprocess
import sys
from pathlib import Path

LIBRARIES = {"aarch64": ("build/aarch64/libvitrail.a", "aarch64-linux-gnu-objdump"),
             "x86-64": ("build/release/libvitrail.a", "objdump")}
CLASSES = [  # class, a core whose best class it is, its multiplications
    ("aarch64", "neon", "cortex-a72", "smull|smull2|smlal|smlal2"),
    ("aarch64", "dotprod_in_order", "cortex-a55", "sdot"),
    ("aarch64", "dotprod", "cortex-a76", "sdot"),
    ("aarch64", "i8mm", "neoverse-n2", "usmmla"),
    ("x86-64", "avx2", "haswell", "vpmaddwd"),
    ("x86-64", "avx_vnni", "alderlake", r"(\{vex\} )?vpdpbusd"),
    ("x86-64", "avx512", "skylake-avx512", "vpmaddwd"),
    ("x86-64", "avx512_vnni", "icelake-server", "vpdpbusd"),
    ("x86-64", "avx512_vnni", "sapphirerapids", "vpdpbusd"),
]
SHARED_FILES = {"dotprod_in_order": ("dotprod", ", true>"), "dotprod": ("dotprod", ", false>")}  # file, part of function names
ATTRIBUTES = {"aarch64": ["--mattr=+i8mm,+dotprod"]}


def loops(architecture, name):
    """The innermost loops of gemm_u8s8_NAME.cpp as lists of instructions."""
    library, objdump = LIBRARIES[architecture]
    file, functions = SHARED_FILES.get(name, (name, ""))
    text = subprocess.run([objdump, "-dC", "--no-show-raw-insn", library], capture_output=True, text=True, check=True).stdout
    start = text.index(f"gemm_u8s8_{file}.cpp")
    section = text[start:]
    end = section.find("file format", len(file) + 80)
    found = []
    for function in re.split(r"\n[0-9a-f]+ <", section[:end])[1:]:
        if functions not in function[:function.index("\n")]:
            continue
        code = [(int(a, 16), i) for a, i in re.findall(r"^\s+([0-9a-f]+):\t(.*)$", function, re.M)]
        index = {address: i for i, (address, _) in enumerate(code)}
        for i, (address, instruction) in enumerate(code):
            branch = re.match(r"(?:b\.\w+|cbnz\s+\w+,|cbz\s+\w+,|j[^m]\w*)\s+([0-9a-f]+)", instruction)
            if not branch or int(branch[1], 16) > address or int(branch[1], 16) not in index:
                continue
            body = [re.sub(r"\s*(//|<|#).*" if architecture == "x86-64" else r"\s*(//|<).*", "", text)
                    for _, text in code[index[int(branch[1], 16)]:i]]
            if not any(re.match(r"(b|bl|b\.\w+|cbn?z|ret|j\w+|call)\b", line) for line in body):
                found.append(body)
    return found


def cycles(mca, architecture, core, body):
    run = subprocess.run([mca, f"--march={architecture}", f"--mcpu={core}", *ATTRIBUTES.get(architecture, []), "--iterations=500",
                          "--resource-pressure=false", "--instruction-info=false"],
                         input="\n".join(body) + "\n", capture_output=True, text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", run.stdout)[1]) / 500


def stores(instruction):
    return re.match(r"st[1rpu]|v?mov\w*\s+%[^,]+,.*\(", instruction)


def loads(instruction):
    return re.search(r"[(\[]", instruction)


def main():
    mca = sys.argv[1] if len(sys.argv) > 1 else "llvm-mca-19"
    print("| class | core | instructions | multiplications | cycles | multiplications alone | share |")
    print("|---|---|---|---|---|---|---|")
    for architecture, name, core, multiply in CLASSES:
        if not Path(LIBRARIES[architecture][0]).exists():
            continue
        is_multiply = re.compile(rf"({multiply})\s").match
        # One that stores is for the first rows only, and one that does not load measures the peak.
        candidates = [loop for loop in loops(architecture, name) if not any(map(stores, loop)) and any(map(loads, loop))]
        sizes = [(sum(bool(is_multiply(i)) for i in loop), len(loop)) for loop in candidates]
        body = candidates[sizes.index(max(sizes, key=lambda size: (size[0], sizes.count(size), size[1])))]
        alone = [i for i in body if is_multiply(i)]
        if multiply == "vpmaddwd":  # does not add: what its operands wait for is not in the way
            width = re.search("[xyz]mm", alone[0])[0]
            alone = [f"vpmaddwd %{width}0, %{width}1, %{width}{2 + i % 14}" for i in range(len(alone))]
        all_cycles, alone_cycles = cycles(mca, architecture, core, body), cycles(mca, architecture, core, alone)
        print(f"| {name} | {core} | {len(body) + 1} | {len(alone)} | {all_cycles:.1f} | {alone_cycles:.1f} "
              f"| {100 * alone_cycles / all_cycles:.0f} % |")


main()
