// See call_frames.h.
#include "symbol/call_frames.h"

#include <libelf.h>

#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "symbol/dwarf_file.h"

namespace ktap::symbol {

namespace {

constexpr size_t kMostKept = 8192;  // guessed: some megabytes

struct Free {
  void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};

}  // namespace

struct CallFrames::State {
  explicit State(const ElfFile& elf_file) : file(elf_file) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (in_file != nullptr) dwarf_cfi_end(in_file);
  }

  const ElfFile& file;
  bool is_open = false;
  DwarfFile whole;
  Dwarf_CFI* in_file = nullptr;  ///< .eh_frame
  bool is_debug_open = false;
  DwarfFile debug;
  Dwarf_CFI* in_debug = nullptr;  ///< .debug_frame; debug's
  std::unordered_map<uint64_t, std::unique_ptr<Dwarf_Frame, Free>> frames;

  Dwarf_Frame* look(uint64_t address) {
    if (!std::exchange(is_open, true)) {
      whole = DwarfFile(file.image().whole());
      if (whole.elf() != nullptr) in_file = dwarf_getcfi_elf(whole.elf());
    }
    Dwarf_Frame* frame = nullptr;
    if (in_file != nullptr && dwarf_cfi_addrframe(in_file, address, &frame) == 0) return frame;
    if (!std::exchange(is_debug_open, true)) {
      debug = DwarfFile(file.debug_information());
      if (debug.get() != nullptr) in_debug = dwarf_getcfi(debug.get());
    }
    if (in_debug != nullptr && dwarf_cfi_addrframe(in_debug, address, &frame) == 0) return frame;
    return nullptr;
  }
};

CallFrames::CallFrames(const ElfFile& file) : state_(new State(file)) {}
CallFrames::~CallFrames() = default;

Dwarf_Frame* CallFrames::at(uint64_t address) {
  if (state_->frames.size() >= kMostKept) state_->frames.clear();
  const auto [at, is_new] = state_->frames.try_emplace(address);
  if (is_new) at->second.reset(state_->look(address));
  return at->second.get();
}

std::optional<uint64_t> CallFrames::begin_of(uint64_t address) {
  Dwarf_Addr begin = 0;
  bool is_signal = false;
  Dwarf_Frame* const frame = at(address);
  if (frame == nullptr || dwarf_frame_info(frame, &begin, nullptr, &is_signal) < 0 ||
      begin > address)
    return std::nullopt;
  // What a handler of signals returns to: unwinders look up the address before it, so that its
  // rules begin in what fills the room there.
  return is_signal && begin < address ? begin + 1 : begin;
}

}  // namespace ktap::symbol
