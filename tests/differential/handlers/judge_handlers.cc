// The judge of handlers: the same scripts with the VM alone, with their eBPF on the test machine,
// and with it in this kernel: by BPF_PROG_TEST_RUN, and some attached to system calls that no
// kernel has. Equal must be all output, the errors by place, text and number, and the status;
// nothing may be lost, and the verifier refuses nothing. Usage:
//   judge_handlers --random N       random scripts; one that differs is made smaller and printed
//   judge_handlers --enumerate N    every handler body of at most N nodes
//   judge_handlers --program S      prints the script of that seed
//   judge_handlers --check FILE…    judges scripts that say what happens (events.h)
//   judge_handlers --refused DIR    scripts whose programs a verifier once refused: all load
//   judge_handlers --self-test      shows that differences are found
// With them:
//   --seed S            of the random scripts
//   --masks             judges also as if the kernel were older
//   --no-kernel         leaves the kernel out
//   --attach-every N    attaches each N-th script (100; 0: none)
//   --only WORD         fewer kinds of things: basic, or basic and loops, strings, values,
//                       aggregates, updates, choices, library, closures
// Status 77 without the privilege, unless --no-kernel is given.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "handlers/handler_generator.h"
#include "handlers/judgement.h"
#include "handlers/small_handlers.h"

namespace ktap::differential {
namespace {

constexpr int kShown = 3;  ///< scripts that differ and are printed
constexpr int kShrinkAttempts = 2000;
/// Of all handlers, where a kernel with all facts is asked; 79 to 80 are reached.
constexpr int64_t kPlacedPercent = 74;
constexpr int64_t kPlacedLeast = 500;  ///< handlers that tell something

struct Arguments {
  std::string what;
  std::vector<std::string> rest;
  uint64_t seed = std::random_device()();
  bool masks = false;
  bool kernel = true;
  int64_t attach_every = 100;
  HandlerFeatures features;
};

int finish(int64_t passed, int64_t failed) {
  fmt::print("{} passed, {} failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream whole;
  whole << file.rdbuf();
  return whole.str();
}

void show(Judge& judge, const std::string& title, const std::string& script) {
  const Judgement judgement = judge.judge_again(script, true);
  fmt::print("{} {}:\n{}\n{}\n", title,
             judgement.verdict == Verdict::Refused ? "is refused" : "differs", script,
             judgement.report);
  std::fflush(stdout);
}

/// Makes it smaller and prints it. What does not happen again is printed as it was `first`.
void show_smaller(Judge& judge, uint64_t seed, Node program, const Judgement& first) {
  const std::string script = render(program, Language::Ktap);
  const Judgement whole = judge.judge_again(script, false);
  if (!whole.is_like(first)) {
    fmt::print("program {} differed once, and not again:\n{}\n{}\n", seed, script, first.report);
    std::fflush(stdout);
    return;
  }
  fmt::print("program {} {}: made smaller, which takes minutes\n", seed,
             whole.verdict == Verdict::Refused ? "is refused" : "differs");
  std::fflush(stdout);
  shrink(
      program,
      [&](const Node& smaller) {
        return judge.judge_again(render(smaller, Language::Ktap), false).is_like(whole);
      },
      kShrinkAttempts);
  show(judge, fmt::format("program {}, made smaller,", seed), render(program, Language::Ktap));
}

int run_random(const Arguments& arguments, Judge& judge) {
  const int64_t count = std::strtoll(arguments.rest[0].c_str(), nullptr, 10);
  fmt::print("seed {}\n", arguments.seed);
  std::fflush(stdout);
  int shown = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t own = arguments.seed * 1000003 + static_cast<uint64_t>(i);
    Node program = random_script(own, arguments.features);
    const Judgement judgement =
        judge.judge(render(program, Language::Ktap), fmt::format("program {}", own));
    const bool bad = judgement.verdict == Verdict::Differ || judgement.verdict == Verdict::Refused;
    if (bad && ++shown <= kShown) show_smaller(judge, own, program, judgement);
    if (judgement.verdict == Verdict::NoScript && judge.tally().no_script <= 2)
      fmt::print("program {} is no script: {}", own, judgement.report);
  }
  judge.print_tally();
  int64_t failed = judge.tally().differ + judge.tally().refused;
  if (judge.tally().agree * 2 < count) {
    fmt::print("less than half of the programs were judged: the generator is at fault\n");
    ++failed;
  }
  if (judge.tally().too_much * 100 > count) {
    fmt::print("more than 1 % of the programs are too much for the verifier\n");
    ++failed;
  }
  const bool has_all = arguments.kernel && arguments.features.user_space;
  const int64_t handlers = judge.tally().handlers;
  if (has_all && handlers >= kPlacedLeast &&
      judge.tally().in_kernel * 100 < handlers * kPlacedPercent) {
    fmt::print("less than {} % of the handlers run in the kernel\n", kPlacedPercent);
    ++failed;
  }
  return finish(judge.tally().agree, failed);
}

/// Leaves the handlers out that the disagreement does not need.
SmallScript smaller(Judge& judge, SmallScript script) {
  for (size_t size = std::max<size_t>(script.bodies.size() / 2, 1); size > 0; size /= 2) {
    for (size_t begin = 0; begin < script.bodies.size();) {
      SmallScript without = script;
      const auto first = without.bodies.begin() + static_cast<std::ptrdiff_t>(begin);
      const size_t end = std::min(begin + size, script.bodies.size());
      without.bodies.erase(first, first + static_cast<std::ptrdiff_t>(end - begin));
      if (judge.judge_again(without.text(), false).verdict == Verdict::Agree) {
        begin = end;
      } else {
        script = std::move(without);
      }
    }
  }
  return script;
}

int run_enumerate(const Arguments& arguments, Judge& judge) {
  const int nodes = std::atoi(arguments.rest[0].c_str());
  int shown = 0;
  const int64_t bodies = enumerate_handlers(nodes, [&](const SmallScript& script) {
    const Judgement judgement = judge.judge(script.text(), "a script");
    if (judgement.verdict == Verdict::Agree || ++shown > kShown) return;
    show(judge, "a handler", smaller(judge, script).text());
  });
  judge.print_tally();
  fmt::print("{} handlers of at most {} nodes\n", bodies, nodes);
  return finish(judge.tally().agree,
                judge.tally().differ + judge.tally().refused + judge.tally().no_script);
}

int run_check(const std::vector<std::string>& paths, Judge& judge) {
  int64_t failed = 0;
  for (const std::string& path : paths) {
    const Judgement judgement = judge.judge(read_file(path), path);
    if (judgement.verdict == Verdict::Agree) continue;
    ++failed;
    if (judgement.verdict == Verdict::NoScript) {
      fmt::print("{} is no script: {}", path, judgement.report);
    } else {
      show(judge, path, read_file(path));
    }
  }
  judge.print_tally();
  return finish(static_cast<int64_t>(paths.size()) - failed, failed);
}

std::vector<std::string> scripts_in(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".kp") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

int self_test(Judge& judge) {
  int failed = 0;
  const auto expect = [&](const char* what, const std::string& script, Verdict verdict) {
    const Judgement judgement = judge.judge(script, what);
    if (judgement.verdict == verdict) return;
    ++failed;
    fmt::print("{}:\n{}\n{}\n", what, script, judgement.report);
  };
  const std::string base =
      "#on: enter close 5\nvar t = {}\ntrace syscalls:sys_enter_close { t[1] += arg1 }\n"
      "trace_end { print(t) }\n";
  expect("a script that is right", base, Verdict::Agree);
  expect("a script that does not compile", "var = 3\n", Verdict::NoScript);
  expect("a script whose data doubles without end",
         "#on: enter close 5\nvar s = \"abcd\"\n"
         "trace syscalls:sys_enter_close { for (i = 1, 40) { s ..= s } print(s) }\n"
         "trace_end { print(s) }\n",
         Verdict::NoScript);
  judge.spoil_for_test(true);
  expect("another output", base, Verdict::Differ);
  judge.spoil_for_test(false);
  expect("an error of the handler",
         "#on: enter close 5\ntrace syscalls:sys_enter_close { print(1 / (arg1 - 5)) }\n",
         Verdict::Agree);
  const HandlerFeatures features;
  if (render(random_script(5, features), Language::Ktap) !=
      render(random_script(5, features), Language::Ktap)) {
    fmt::print("one seed gives two scripts\n");
    ++failed;
  }
  return finish(6 - failed, failed);
}

void choose(HandlerFeatures& features, const std::string& only) {
  features = {};
  features.user_space = false;
  features.updates = only == "updates";
  features.choices = only == "choices";
  features.calls = only == "library";
  features.closures = only == "closures";
  features.loops = only == "loops";
  features.strings = only == "strings";
  features.values = only == "values";
  features.aggregates = only == "aggregates";
}

Arguments parse(const std::vector<std::string>& args) {
  Arguments out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--masks") {
      out.masks = true;
    } else if (args[i] == "--no-kernel") {
      out.kernel = out.features.argstr = false;  // argstr asks tracefs
    } else if (args[i] == "--attach-every" && i + 1 < args.size()) {
      out.attach_every = std::strtoll(args[++i].c_str(), nullptr, 10);
    } else if (args[i] == "--seed" && i + 1 < args.size()) {
      out.seed = std::strtoull(args[++i].c_str(), nullptr, 10);
    } else if (args[i] == "--only" && i + 1 < args.size()) {
      choose(out.features, args[++i]);
    } else if (out.what.empty()) {
      out.what = args[i];
    } else {
      out.rest.push_back(args[i]);
    }
  }
  return out;
}

int main(const std::vector<std::string>& args) {
  const Arguments arguments = parse(args);
  if (arguments.what == "--program" && arguments.rest.size() == 1) {
    const uint64_t seed = std::strtoull(arguments.rest[0].c_str(), nullptr, 10);
    fmt::print("{}", render(random_script(seed, arguments.features), Language::Ktap));
    return 0;
  }
  Result<std::unique_ptr<Judge>> made = Judge::create(arguments.kernel, arguments.masks);
  if (!made.ok()) {
    fmt::print("skipped: judge of handlers: {}\n", made.error().message);
    return 77;
  }
  Judge& judge = *made.value();
  judge.attach_every(arguments.attach_every);
  const bool one = arguments.rest.size() == 1;
  if (arguments.what == "--self-test") return self_test(judge);
  if (arguments.what == "--random" && one) return run_random(arguments, judge);
  if (arguments.what == "--enumerate" && one) return run_enumerate(arguments, judge);
  if (arguments.what == "--refused" && one) return run_check(scripts_in(arguments.rest[0]), judge);
  if (arguments.what == "--check" && !arguments.rest.empty())
    return run_check(arguments.rest, judge);
  fmt::print("judge_handlers: see the head of judge_handlers.cc\n");
  return 2;
}

}  // namespace
}  // namespace ktap::differential

int main(int argc, char** argv) {
  return ktap::differential::main(std::vector<std::string>(argv + 1, argv + argc));
}
