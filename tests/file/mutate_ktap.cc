// Compiles scripts into .ktap files in memory, changes them by chance, and runs what is still
// accepted: what verify() lets through must not harm the process.
//
// usage: mutate_ktap [--count=N] [--seed=N] [--reasons=yes] [--only=INDEX] [--dump=FILE] FOLDER…
//
// Scripts are the *.kp files of the folders, up to a line `#---`. Mutant INDEX of a seed is always
// the same: where one crashes, its index is printed, --only runs it alone, --dump writes it. Ctrl-C
// ends a long run with the counts so far.
// Exit 0: none crashed, and both kinds, accepted and refused, are a good part.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bytecode/file.h"
#include "compiler/compiler.h"
#include "diag/diagnostic.h"
#include "mutator.h"
#include "run_compiled.h"
#include "syntax/parser.h"

namespace {

using ktap::testing::Chance;
using ktap::testing::Outcome;

constexpr unsigned kSeconds = 60;  // more for one mutant is a hang

volatile uint64_t present_index = 0;
volatile std::sig_atomic_t stopped = 0;

void stop(int) { stopped = 1; }

void tell_and_die(int signal) {
  char text[100];
  const int size = std::snprintf(text, sizeof text, "\nmutate_ktap: signal %d at --only=%llu\n",
                                 signal, static_cast<unsigned long long>(present_index));
  if (write(STDERR_FILENO, text, static_cast<size_t>(size)) < 0) _exit(1);
  _exit(1);
}

/// The folder's scripts as compiled files, whole and stripped in turns; those that do not compile
/// are left out.
void compile_folder(const std::filesystem::path& folder, std::vector<std::string>& files) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".kp") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (const size_t mark = text.find("\n#---\n"); mark != std::string::npos) text.resize(mark + 1);
    const ktap::diag::Source source(path.filename(), text);
    ktap::diag::Sink sink;
    const ktap::syntax::Script script = ktap::syntax::parse(source, sink);
    if (sink.has_errors()) continue;
    const auto chunk = ktap::compiler::compile(script, source, sink);
    if (chunk == nullptr) continue;
    const bool strip = files.size() % 2 == 1;
    files.push_back(ktap::bytecode::save(*chunk, source, strip).value());
  }
}

std::string make_mutant(const std::vector<std::string>& files, Chance& chance) {
  const std::string& bytes = files[chance.below(files.size())];
  if (!chance.once_in(4)) return ktap::testing::mutate_code(bytes, chance);
  return ktap::testing::mutate_bytes(bytes, files[chance.below(files.size())], chance);
}

struct Counts {
  size_t accepted = 0;
  size_t refused = 0;
  size_t failed = 0;
  size_t handlers = 0;
  size_t lowered = 0;
  std::map<std::string, size_t> reasons;
};

void count(const Outcome& outcome, Counts& counts) {
  if (outcome.accepted) {
    ++counts.accepted;
    counts.failed += outcome.text.empty() ? 0 : 1;
    counts.handlers += static_cast<size_t>(outcome.handlers);
    counts.lowered += static_cast<size_t>(outcome.lowered);
    return;
  }
  ++counts.refused;
  // The rule alone: what follows the place and stands before a name, without numbers.
  std::string reason = outcome.text.substr(0, outcome.text.find('\''));
  reason = reason.substr(reason.rfind(": ") + 1);
  reason.erase(
      std::remove_if(reason.begin(), reason.end(), [](char c) { return c >= '0' && c <= '9'; }),
      reason.end());
  ++counts.reasons[reason];
}

bool option(const std::string& arg, const std::string& name, std::string& value) {
  const std::string head = "--" + name + "=";
  if (arg.compare(0, head.size(), head) != 0) return false;
  value = arg.substr(head.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::string count_text = "20000";
  std::string seed_text = "1";
  std::string only;
  std::string dump;
  std::string reasons;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (option(arg, "count", count_text) || option(arg, "seed", seed_text) ||
        option(arg, "only", only) || option(arg, "dump", dump) || option(arg, "reasons", reasons))
      continue;
    compile_folder(arg, files);
  }
  if (files.size() < 10) {
    std::fprintf(stderr, "mutate_ktap: %zu scripts compile; give folders of scripts\n",
                 files.size());
    return 2;
  }
  for (const int signal : {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    std::signal(signal, tell_and_die);
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, stop);
  const uint64_t seed = std::strtoull(seed_text.c_str(), nullptr, 10);
  const uint64_t first = std::strtoull(only.c_str(), nullptr, 10);
  const uint64_t last = only.empty() ? std::strtoull(count_text.c_str(), nullptr, 10) : first + 1;
  Counts counts;
  for (uint64_t index = first; index < last && stopped == 0; ++index) {
    present_index = index;
    alarm(kSeconds);
    Chance chance(seed * 1000003 + index);
    const std::string mutant = make_mutant(files, chance);
    if (!dump.empty()) std::ofstream(dump, std::ios::binary) << mutant;
    const Outcome outcome = ktap::testing::run_compiled(mutant);
    if (!only.empty())
      std::printf("%s: %s\n", outcome.accepted ? "accepted" : "refused", outcome.text.c_str());
    count(outcome, counts);
  }
  std::printf(
      "seed %llu: %zu scripts, %zu mutants accepted (%zu ended with a run-time error; %zu "
      "handlers ran, %zu were lowered), %zu refused\n",
      static_cast<unsigned long long>(seed), files.size(), counts.accepted, counts.failed,
      counts.handlers, counts.lowered, counts.refused);
  for (const auto& [reason, times] : counts.reasons) {
    if (!reasons.empty()) std::printf("%8zu %s\n", times, reason.c_str());
  }
  const size_t all = counts.accepted + counts.refused;
  if (!only.empty() || (counts.accepted > all / 10 && counts.refused > all / 10)) return 0;
  std::fprintf(stderr, "mutate_ktap: too few of one kind: this proves nothing\n");
  return 1;
}
