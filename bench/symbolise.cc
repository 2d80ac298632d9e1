// How long it takes to name the frames of 10 000 distinct stacks: of a process (this one: its own
// program and the C library), and of the kernel. The first stack pays for what is read once
// (symbols of the files, kallsyms), which is told apart. Prints one line for each; CPU time.
// `symbolise FILE`: of a program with debug information too, whose source lines and inlined
// functions are looked up.
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "runtime/heap.h"
#include "runtime/stack.h"
#include "session/kernel_data.h"
#include "session/stack_names.h"
#include "symbol/elf_file.h"
#include "symbol/source_lines.h"

namespace {

using ktap::runtime::Heap;
using ktap::runtime::Stack;
using ktap::runtime::Value;

constexpr size_t kStacks = 10000;
constexpr size_t kFrames = 20;
constexpr uint64_t kSpanBytes = 256 << 10;  // of code that the addresses are spread over

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Frames in spans of code that begin at `bases`.
std::vector<Value> make_stacks(Heap& heap, uint64_t owner, const std::vector<uint64_t>& bases) {
  std::mt19937_64 random(7);
  std::vector<Value> stacks;
  std::vector<uint64_t> words(1 + kFrames);
  for (size_t i = 0; i < kStacks; ++i) {
    words[0] = owner;
    for (size_t at = 1; at < words.size(); ++at)
      words[at] = bases[random() % bases.size()] + random() % kSpanBytes;
    stacks.push_back(heap.stack(words.data(), words.size()));
  }
  return stacks;
}

void measure(const char* what, ktap::session::StackNamer& names, const std::vector<Value>& stacks) {
  const double begin = cpu_seconds();
  size_t bytes = 0;
  for (const std::string& line : names.lines_of(*stacks[0].stack())) bytes += line.size();
  const double first = cpu_seconds();
  for (size_t i = 1; i < stacks.size(); ++i) {
    for (const std::string& line : names.lines_of(*stacks[i].stack())) bytes += line.size();
  }
  const double end = cpu_seconds();
  std::printf(
      "%-8s %zu stacks of %zu frames: %.0f ms, the first %.0f ms, then %.2f us a frame (%zu kB)\n",
      what, stacks.size(), kFrames, (end - begin) * 1e3, (first - begin) * 1e3,
      (end - first) * 1e6 / static_cast<double>((kStacks - 1) * kFrames), bytes >> 10);
}

void measure_lines(const char* path) {
  const double begin = cpu_seconds();
  const auto file = ktap::symbol::ElfFile::open(path);
  if (!file.ok() || file.value().functions().empty()) {
    std::printf("lines    %s\n", file.ok() ? "no functions" : file.error().message.c_str());
    return;
  }
  const std::vector<ktap::symbol::FunctionSymbol>& functions = file.value().functions();
  ktap::symbol::SourceLines lines(file.value());
  const double first = cpu_seconds();
  std::mt19937_64 random(7);
  size_t found = 0, frames = 0;
  for (size_t i = 0; i < kStacks * kFrames; ++i) {
    // A program spends its time in some thousand functions.
    const auto& function = functions[random() % 2000 * functions.size() / 2000];
    const auto at = lines.at(function.address + random() % (function.size_bytes + 1));
    found += at.empty() ? 0 : 1;
    frames += at.size();
  }
  const double end = cpu_seconds();
  std::printf(
      "lines    %zu addresses of %zu functions: %.0f ms behind %.0f ms of symbols; %zu have a "
      "line, %zu frames\n",
      kStacks * kFrames, functions.size(), (end - first) * 1e3, (first - begin) * 1e3, found,
      frames);
}

}  // namespace

int main(int argc, char** argv) {
  Heap heap;
  ktap::session::KernelData kernel;
  ktap::session::StackNamer names(kernel);
  const auto own = reinterpret_cast<uint64_t>(&cpu_seconds);
  const auto libc = reinterpret_cast<uint64_t>(dlsym(RTLD_DEFAULT, "malloc"));
  measure("process", names,
          make_stacks(heap, Stack::kUserBit | static_cast<uint64_t>(getpid()), {own, libc}));
  if (argc > 1) measure_lines(argv[1]);
  const ktap::Result<int64_t> vfs = kernel.symbol("vfs_read");
  const ktap::Result<int64_t> sched = kernel.symbol("schedule");
  if (!vfs.ok() || !sched.ok()) {
    std::printf("kernel   skipped: its addresses are hidden\n");
    return 0;
  }
  measure("kernel", names,
          make_stacks(heap, 0,
                      {static_cast<uint64_t>(vfs.value()), static_cast<uint64_t>(sched.value())}));
}
