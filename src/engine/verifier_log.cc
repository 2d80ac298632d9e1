// Finds the verdict at the end of a verifier log. The log's form differs between kernels: unknown
// lines count as words of the verdict, so that the worst that happens is a strange reason.
#include "engine/verifier_log.h"

#include <charconv>

namespace ktap::engine {

namespace {

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

/// "12: (85) call …", also "from 7 to 12: …" and "12: R0=…": the instruction that a line is about.
int64_t insn_of(std::string_view line, bool* is_instruction) {
  *is_instruction = false;
  int64_t insn = -1;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), insn);
  if (error != std::errc()) return -1;
  const std::string_view rest = line.substr(static_cast<size_t>(end - line.data()));
  if (!starts_with(rest, ":")) return -1;
  *is_instruction = starts_with(rest, ": (");
  return insn;
}

bool is_statistics(std::string_view line) {
  return starts_with(line, "processed ") || starts_with(line, "verification time ") ||
         starts_with(line, "stack depth ");
}

/// Register states and the like: walked through, no verdict.
bool is_state(std::string_view line) {
  return line.empty() || line[0] == ';' || starts_with(line, "from ") || starts_with(line, "R0=") ||
         starts_with(line, "func#") || starts_with(line, "last_idx ") ||
         starts_with(line, "regs=") || starts_with(line, "mark_precise");
}

/// "invalid access …, insn 12" and "jump out of range from insn 12 to 99": named in words.
int64_t insn_in_words(std::string_view line) {
  const size_t at = line.rfind("insn ");
  int64_t insn = -1;
  if (at == std::string_view::npos) return -1;
  std::from_chars(line.data() + at + 5, line.data() + line.size(), insn);
  return insn;
}

}  // namespace

VerifierVerdict read_verifier_log(std::string_view log) {
  VerifierVerdict verdict;
  while (!log.empty()) {
    const size_t newline = log.find('\n');
    const std::string_view line = log.substr(0, newline);
    log.remove_prefix(newline == std::string_view::npos ? log.size() : newline + 1);
    bool is_instruction = false;
    const int64_t insn = insn_of(line, &is_instruction);
    if (is_instruction) verdict.insn = insn;
    // Linux 7 goes on with a report of many lines, for people: what the verdict means and what to
    // do.
    if (starts_with(line, "Verification failed: ") && !verdict.reason.empty()) break;
    if (insn >= 0 || is_state(line) || is_statistics(line)) continue;
    verdict.reason = std::string(line);
  }
  if (verdict.insn < 0) verdict.insn = insn_in_words(verdict.reason);
  // kernel/bpf/verifier.c: "BPF program is too large. Processed … insn", "The sequence of … jumps
  // is too complex.", "insn … cannot be patched due to 16-bit range", "combined stack size of …
  // calls is … Too large".
  verdict.is_size = verdict.reason.find("too large") != std::string::npos ||
                    verdict.reason.find("too complex") != std::string::npos ||
                    verdict.reason.find("16-bit range") != std::string::npos;
  if (verdict.reason.empty()) verdict.reason = "the verifier gave no reason";
  return verdict;
}

}  // namespace ktap::engine
