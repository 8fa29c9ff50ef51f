"""Calls XLA inside a TensorFlow library, without a GPU: which PTX does it emit for one, and does its ptxas take it?

A program of its own, for one question ends in an abort where LLVM refuses: xlaprobe.py QUESTION, a JSON object with
``folder`` (of the two libraries), ``symbols`` (name -> address in libtensorflow_cc.so.2, of functions to call),
``capability`` ([major, minor]) and ``module`` (a file with LLVM IR). The ptxas is that of XLA_FLAGS's
xla_gpu_cuda_data_dir. Prints a JSON object. The layouts are those of libstdc++ and of absl, x86-64, as official wheels
have them: a string is pointer, length, 16 bytes; a StatusOr is a word of status (0 or 1: fine) and the value.
"""

import ctypes
import json
import os
import re
import sys
from pathlib import Path

WORD, INT = ctypes.c_void_p, ctypes.c_int
STRING = 32  # bytes of a std::string


class Version(ctypes.Structure):
    """stream_executor::SemanticVersion."""

    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("patch", ctypes.c_uint))


class Library:
    """The loaded library; functions by name, exported ones or such whose address is known."""

    def __init__(self, folder, symbols):
        self.others = ctypes.CDLL(f"{folder}/libtensorflow_framework.so.2", ctypes.RTLD_GLOBAL)
        self.own = ctypes.CDLL(f"{folder}/libtensorflow_cc.so.2", ctypes.RTLD_GLOBAL)
        self.symbols = symbols
        exported = next(name for name in symbols if hasattr(self.own, name))
        self.start = self.address(exported) - symbols[exported]

    def address(self, name):
        if hasattr(self.own, name):
            return ctypes.cast(getattr(self.own, name), WORD).value
        return self.start + self.symbols[name]

    def call(self, part, *arguments, result=None):
        """Call the one function whose mangled name has this part."""
        name = next((name for name in self.symbols if part in name), part)
        return ctypes.CFUNCTYPE(result, *(kind for kind, _ in arguments))(self.address(name))(
            *(value for _, value in arguments)
        )


def room(size=1 << 16):
    """Zeroed memory for an object of C++, and its address; it lives as long as the program."""
    memory = ctypes.create_string_buffer(size)
    KEPT.append(memory)
    return ctypes.addressof(memory)


def put(place, *words):
    for number, word in enumerate(words):
        ctypes.memmove(place + 8 * number, word.to_bytes(8, "little"), 8)


def string(text):
    """A std::string, or a string_view turned around, that holds this text."""
    place, data = room(STRING), ctypes.create_string_buffer(text)
    KEPT.append(data)
    put(place, ctypes.addressof(data), len(text))
    return place


def word(place):
    return int.from_bytes(ctypes.string_at(place, 8), "little")


def emit(library, capability, module):
    """The PTX that XLA emits for a compute capability (xla::gpu::nvptx::CompileToPtx)."""
    context, loaded, options, answer = room(64), room(8), room(), room(256)
    library.call("LLVMContextC1Ev", (WORD, context))
    library.call("LoadIRModule", (WORD, loaded), (WORD, string(module.encode())), (WORD, context))
    library.call("_ZN3xla24GetDebugOptionsFromFlagsEv", (WORD, options))
    arguments = (answer, word(loaded), capability, options, room(64))
    library.call("CompileToPtx", *((WORD, argument) for argument in arguments))
    return ctypes.string_at(word(answer + 8), word(answer + 16)) if word(answer) <= 1 else None


def assemble(library, capability, numbers, ptx, cuda):
    """Bytes of machine code that XLA gets from its ptxas (stream_executor::CompileGpuAsmUsingPtxAs); 0 on failure."""
    options, answer = room(256), room(64)
    data = ctypes.create_string_buffer(ptx)
    put(options + 8, *(word(string(cuda.encode()) + 8 * number) for number in range(2)))
    if any("AsEiiPKc" in name for name in library.symbols):  # TensorFlow 2.18
        source = [(INT, numbers[0]), (INT, numbers[1]), (WORD, ctypes.addressof(data))]
    else:
        source = [(WORD, capability), (ctypes.c_size_t, len(ptx)), (WORD, ctypes.addressof(data))]
    tail = [(WORD, options), (ctypes.c_bool, False), (ctypes.c_bool, False)]
    library.call("CompileGpuAsmUsingPtxAs", (WORD, answer), *source, *tail)
    if word(answer) > 1:
        return 0
    machine_code = ctypes.string_at(word(answer + 8), word(answer + 16) - word(answer + 8))
    return len(machine_code) if machine_code.startswith(b"\x7fELF") else 0


def main(question):
    library = Library(question["folder"], question["symbols"])
    capability = room(64)
    for number, value in enumerate(question["capability"]):
        ctypes.memmove(capability + 4 * number, value.to_bytes(4, "little"), 4)
    levels = {}
    for cuda in ((12, 5, 0), (12, 8, 93), (12, 9, 86)):
        level = library.call("DetermineHighestSupportedPtxVersion", (Version, Version(*cuda)), result=Version)
        levels[".".join(map(str, cuda[:2]))] = f"{level.major}.{level.minor}"
    ptx = emit(library, capability, question["module"])
    found = dict(re.findall(rb"^\.(version|target) (\S+)", ptx or b"", re.MULTILINE))
    size = assemble(library, capability, question["capability"], ptx, question["cuda"]) if ptx else 0
    answer = {name.decode(): value.decode() for name, value in found.items()}
    return answer | {"levels": levels, "ptx": (ptx or b"").decode(), "machine_code": size}


KEPT = []

if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))), flush=True)  # noqa: T201 -- its product
    os._exit(0)  # destructors of the library would run on objects that Python has freed
