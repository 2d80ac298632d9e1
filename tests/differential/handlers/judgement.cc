// See judgement.h. What handlers tell on standard error while a script is judged goes to memory; it
// comes out when the process dies, with the script.
#include "handlers/judgement.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "handlers/engines.h"
namespace ktap::differential {
namespace {

int real_stderr = STDERR_FILENO;
const std::string* judged_now = nullptr;

void on_death(int signal) {
  char text[4096];
  const ssize_t n = pread(STDERR_FILENO, text, sizeof text, 0);
  const auto say = [](const char* data, size_t size) {
    if (write(real_stderr, data, size) < 0) return;
  };
  if (n > 0) say(text, static_cast<size_t>(n));
  if (judged_now != nullptr) say(judged_now->data(), judged_now->size());
  ::signal(signal, SIG_DFL);
  raise(signal);
}

/// Standard error goes to memory from here on.
void quiet() {
  const int memory = memfd_create("told", MFD_CLOEXEC);
  real_stderr = dup(STDERR_FILENO);
  dup2(memory, STDERR_FILENO);
  close(memory);
  for (const int number : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS}) ::signal(number, on_death);
}

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

/// Up to and with the first newline.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n') + 1); }

/// Names and numbers are of the script alone.
std::string general(const std::string& reason) {
  std::string out;
  bool quoted = false;
  for (const char c : reason) {
    if (c == '\'') {
      if (!quoted) out += "'…'";
      quoted = !quoted;
    } else if (!quoted) {
      const bool digit = c >= '0' && c <= '9';
      if (digit && !out.empty() && out.back() == 'N') continue;
      out += digit ? 'N' : c;
    }
  }
  return out;
}

void note(Judge::Tally::Slowest& slowest, int64_t ns, const std::string& name) {
  constexpr size_t kKept = 3;
  slowest.emplace_back(ns, name);
  std::sort(slowest.rbegin(), slowest.rend());
  if (slowest.size() > kKept) slowest.pop_back();
}

}  // namespace

Result<std::unique_ptr<Judge>> Judge::create(bool kernel, bool masks) {
  KTAP_ASSIGN(std::unique_ptr<Ground> ground, prepare(kernel));
  std::unique_ptr<Judge> judge(new Judge(std::move(ground)));
  const bpf::KernelFacts& facts = judge->ground_->facts;
  judge->settings_.push_back({"test machine", Side::Machine, facts});
  // BPF_PROG_TEST_RUN knows no typed raw tracepoints.
  bpf::KernelFacts untyped = facts;
  bpf::remove_fact(untyped, "typed_tracepoints");
  if (kernel) judge->settings_.push_back({"kernel", Side::Kernel, untyped});
  if (masks) judge->add_masks(kernel, facts);
  if (kernel) judge->settings_.push_back({"kernel, attached", Side::Attached, facts});
  quiet();
  judge->started_ns_ = now_ns();
  return judge;
}

void Judge::add_masks(bool kernel, const bpf::KernelFacts& facts) {
  bpf::KernelFacts oldest = facts;
  const auto add = [&](const std::string& name, const bpf::KernelFacts& older) {
    settings_.push_back({"test machine " + name, Side::Machine, older, turns_});
    bpf::KernelFacts untyped = older;
    bpf::remove_fact(untyped, "typed_tracepoints");
    if (kernel) settings_.push_back({"kernel " + name, Side::Kernel, untyped, turns_});
    ++turns_;
  };
  turns_ = 0;
  for (const std::string_view name : bpf::fact_names()) {
    bpf::KernelFacts older = facts;
    bpf::remove_fact(older, name);
    bpf::remove_fact(oldest, name);
    add("without " + std::string(name), older);
  }
  // Loops by bpf_loop, as in Linux 5.17 to 6.3.
  bpf::KernelFacts older = facts;
  for (const char* name : {"may_goto", "iter_num"}) bpf::remove_fact(older, name);
  add("without may_goto and iter_num", older);
  bpf::remove_fact(older, "cpu_v4");
  add("without may_goto, iter_num and cpu_v4", older);
  add("without all of them", oldest);
}

void Judge::count(const PlacedRun& run) {
  for (const std::string_view layout : run.layouts) ++tally_.layouts[layout];
  for (const HandlerPlace& place : run.places) {
    ++tally_.handlers;
    if (place.in_kernel) {
      ++tally_.in_kernel;
    } else {
      ++tally_.reasons[general(place.reason)];
    }
  }
}

Judgement Judge::look_quietly(const std::string& script, bool in_full, bool counts) {
  judged_now = &script;
  if (ftruncate(STDERR_FILENO, 0) == 0) lseek(STDERR_FILENO, 0, SEEK_SET);
  Judgement judgement = look(script, in_full, counts);
  judged_now = nullptr;
  return judgement;
}

Judgement Judge::judge_again(const std::string& script, bool in_full) {
  return look_quietly(script, in_full, false);
}

Judgement Judge::judge(const std::string& script, const std::string& name) {
  plan_ns_ = load_ns_ = 0;
  Judgement judgement = look_quietly(script, false, true);
  note(tally_.planned, plan_ns_, name);
  note(tally_.loaded, load_ns_, name);
  switch (judgement.verdict) {
    case Verdict::Agree:
      ++tally_.agree;
      break;
    case Verdict::Differ:
      ++tally_.differ;
      break;
    case Verdict::Refused:
      ++tally_.refused;
      break;
    case Verdict::NoScript:
      ++tally_.no_script;
      break;
  }
  return judgement;
}

bool Judge::judge_on(const Setting& setting, const std::string& script, const Outcome& reference,
                     bool in_full, bool counts, Judgement* judgement) {
  PlacedRun run = run_placed(script, setting.side, *ground_, setting.facts, in_full);
  plan_ns_ = std::max(plan_ns_, run.plan_ns);
  load_ns_ = std::max(load_ns_, run.load_ns);
  if (!run.mistakes.empty()) {
    // The VM has run it: the plan must take it too.
    *judgement = {Verdict::Refused, fmt::format("--- {}: {}", setting.name, run.mistakes),
                  setting.name + general(first_line(run.mistakes))};
    return false;
  }
  if (counts) count(run);
  // A session gives such loops another form, else the handler to user space.
  if (run.refused.rfind(kTooMuch, 0) == 0) {
    if (counts) ++tally_.too_much;
    return true;
  }
  if (!run.refused.empty()) {
    *judgement = {Verdict::Refused,
                  fmt::format("--- {}: {}{}", setting.name, run.refused, run.code),
                  setting.name + general(first_line(run.refused))};
    return false;
  }
  // A handler in user space that ends the run is heard of when handlers in the kernel have gone on.
  if (reference.ended_early && run.has_user_handlers && run.outcome.trouble.empty()) {
    if (counts) ++tally_.raced;
    return true;
  }
  // Rounds that the kernel does in a moment, and the test machine does not.
  if (run.outcome.trouble.find("the program does not end") != std::string::npos) {
    if (counts) ++tally_.raced;
    return true;
  }
  // More output than the ring takes at once: it is small here; more keys than a table takes, which
  // the VM has room for.
  const bool table_was_full = run.outcome.text().find(" makes it larger)") != std::string::npos;
  const bool is_bounded = reference.errors.find(" loop iterations in one run") != std::string::npos;
  // The test machine gives up before the rounds of a long loop are all done.
  const bool is_long =
      run.outcome.trouble.find(": the program does not end") != std::string::npos && is_bounded;
  if (run.ring_was_full || table_was_full || is_long) {
    if (counts) ++tally_.raced;
    return true;
  }
  if (spoil_) run.outcome.output += "spoiled\n";
  if (run.outcome.agrees_with(reference)) return true;
  // A walk goes in any order: where the bound of loops ends it, each has left out other entries.
  const bool cuts_walk = script.find("pairs(") != std::string::npos &&
                         run.outcome.errors == reference.errors && is_bounded;
  // The kernel's bound came before ours (walks over many places with few entries), and is told.
  const bool both_bounded =
      is_bounded &&
      run.outcome.text().find("their loops took longer than the kernel lets") != std::string::npos;
  if ((cuts_walk || both_bounded) && !spoil_) {
    if (counts) ++tally_.raced;
    return true;
  }
  *judgement = {Verdict::Differ,
                fmt::format("--- VM\n{}--- {}\n{}{}", reference.text(), setting.name,
                            run.outcome.text(), run.code),
                setting.name + general(first_line(run.outcome.trouble))};
  return false;
}

Judgement Judge::look(const std::string& script, bool in_full, bool counts) {
  Judgement judgement;
  Outcome reference;
  judgement.report = run_in_vm(script, *ground_, false, &reference);
  if (!judgement.report.empty()) {
    judgement.verdict = Verdict::NoScript;
    return judgement;
  }
  if (counts) ++judged_;
  for (const Setting& setting : settings_) {
    const bool counts_here = counts && &setting == &settings_.front();
    if (setting.turn >= 0 && judged_ % turns_ != setting.turn) continue;
    if (setting.side == Side::Attached) {
      if (attach_every_ == 0 || judged_ % attach_every_ != 0) continue;
      run_in_vm(script, *ground_, true, &reference);
    }
    if (!judge_on(setting, script, reference, in_full, counts_here, &judgement)) break;
  }
  return judgement;
}

void Judge::print_tally() const {
  const double seconds = static_cast<double>(now_ns() - started_ns_) / 1e9;
  std::string names;
  for (const Setting& setting : settings_) {
    if (setting.turn < 0) names += (names.empty() ? "" : ", ") + setting.name;
  }
  if (turns_ > 1) names += fmt::format(", {} masks", turns_);
  fmt::print(
      "VM, {}: {} scripts agree, {} differ, {} are refused by the verifier, {} are none; "
      "{:.1f} s\n",
      names, tally_.agree, tally_.differ, tally_.refused, tally_.no_script, seconds);
  if (tally_.too_much != 0)
    fmt::print("{} programs are too much for the verifier: not compared\n", tally_.too_much);
  if (tally_.raced != 0)
    fmt::print(
        "{} times not compared: handlers in user space and an early end, the ring or a table "
        "full, a loop too long for the test machine or for the kernel (told), a walk that a bound "
        "ends\n",
        tally_.raced);
  fmt::print(
      "{} handlers, {} of them in the kernel ({:.1f} %)\n", tally_.handlers, tally_.in_kernel,
      tally_.handlers == 0
          ? 0.0
          : 100.0 * static_cast<double>(tally_.in_kernel) / static_cast<double>(tally_.handlers));
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [layout, count] : tally_.layouts)
    fmt::print("  {:6} tables: {}\n", count, layout);
  const auto print_slowest = [](const char* what, const Tally::Slowest& slowest) {
    for (const auto& [ns, name] : slowest)
      fmt::print("  {} {} took {:.1f} ms\n", what, name, static_cast<double>(ns) / 1e6);
  };
  print_slowest("planning", tally_.planned);
  print_slowest("loading", tally_.loaded);
  for (const auto& [reason, count] : tally_.reasons) sorted.emplace_back(count, reason);
  std::sort(sorted.rbegin(), sorted.rend());
  for (const auto& [count, reason] : sorted) fmt::print("  {:6} {}\n", count, reason);
  std::fflush(stdout);
}

}  // namespace ktap::differential
