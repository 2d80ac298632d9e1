// Where in a program's file probes may stand: at the beginning of an instruction that the kernel's
// uprobes can run at another place. Of several names of one place a probe has one; of a function
// that is chosen when the program is linked, each that may be chosen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "symbol/call_frames.h"
#include "symbol/elf_file.h"

namespace ktap::symbol {

/// By address, one of each place: that with the best known name. Those that choose a function
/// (IFUNC) stay beside others.
std::vector<FunctionSymbol> one_name_each(std::vector<FunctionSymbol> functions);

/// Why no probe can stand `offset` bytes into the function; "": it can. "no instruction begins
/// there: …", "its first instruction …".
/// Cost: of an offset, a walk over the instructions before it.
std::string why_no_probe_at(const ElfFile& file, const FunctionSymbol& function, uint64_t offset);

/// From where instructions can be counted up to `address`: the function that holds it, else,
/// without a name, the code around it of which the tables for unwinding say where it begins.
/// Nothing: nobody knows what is there.
std::optional<FunctionPlace> code_around(const ElfFile& file, CallFrames& frames, uint64_t address);

/// Instructions begin wherever the address is a multiple of their one length.
bool has_one_instruction_length(Machine machine);

/// Where a probe of the function's entry or return stands: behind first instructions that probes
/// break and that change nothing which a probe sees (they fill vector registers). 0: at its first
/// instruction, whether a probe can stand there or not.
uint64_t entry_offset(const ElfFile& file, const FunctionSymbol& function);

/// What an IFUNC may choose: the functions whose addresses its code forms, with their own names
/// where they have one, else its name. x86-64 and arm64; elsewhere none.
std::vector<FunctionSymbol> choices_of(const ElfFile& file, const FunctionSymbol& ifunc);

}  // namespace ktap::symbol
