// What is said of one script, and the tally of all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "handlers/sides.h"

namespace ktap::differential {

enum class Verdict : uint8_t {
  Agree,
  Differ,
  Refused,   ///< by the plan, the verifier, or our own of SSA
  NoScript,  ///< wrong, or its main chunk fails
};
struct Judgement {
  Verdict verdict = Verdict::Agree;
  std::string report;
  std::string cause;  ///< where, and what is wrong in general: a smaller script must have it too

  bool is_like(const Judgement& other) const {
    return verdict == other.verdict && cause == other.cause;
  }
};

class Judge {
 public:
  struct Tally {
    int64_t agree = 0;
    int64_t differ = 0;
    int64_t refused = 0;
    int64_t no_script = 0;
    int64_t too_much = 0;  ///< of those that agree: the verifier gave up
    int64_t raced = 0;     ///< of those that agree: not compared, see judge_on()
    int64_t handlers = 0;
    int64_t in_kernel = 0;
    std::map<std::string_view, int64_t> layouts;  ///< of tables in the kernel
    std::map<std::string, int64_t> reasons;       ///< why handlers went to user space
    using Slowest = std::vector<std::pair<int64_t, std::string>>;  ///< work in ns, script
    Slowest planned;
    Slowest loaded;
  };

  /// `masks`: each script once more as if the kernel lacked something, in turns. Errors: the
  /// kernel is asked for and does not let us.
  static Result<std::unique_ptr<Judge>> create(bool kernel, bool masks);

  /// Each script number that this divides is judged attached too; 0: none. Attaching waits long.
  void attach_every(int64_t count) { attach_every_ = count; }
  /// Judges and counts. `name` is the script's among the slowest.
  Judgement judge(const std::string& script, const std::string& name);
  /// Judges once more, without counting; `in_full`: with the code of what differs.
  Judgement judge_again(const std::string& script, bool in_full);
  const Tally& tally() const { return tally_; }
  void print_tally() const;
  /// Changes what the placed sides print.
  void spoil_for_test(bool spoil) { spoil_ = spoil; }

 private:
  struct Setting {
    std::string name;
    Side side;
    bpf::KernelFacts facts;
    int64_t turn = -1;  ///< scripts are given to one mask after the other; -1: every script
  };

  explicit Judge(std::unique_ptr<Ground> ground) : ground_(std::move(ground)) {}
  void add_masks(bool kernel, const bpf::KernelFacts& facts);
  Judgement look(const std::string& script, bool in_full, bool counts);
  /// False: `judgement` says why.
  bool judge_on(const Setting& setting, const std::string& script, const Outcome& reference,
                bool in_full, bool counts, Judgement* judgement);
  Judgement look_quietly(const std::string& script, bool in_full, bool counts);
  void count(const PlacedRun& run);

  std::unique_ptr<Ground> ground_;
  std::vector<Setting> settings_;
  Tally tally_;
  bool spoil_ = false;
  int64_t attach_every_ = 0;
  int64_t judged_ = 0;
  int64_t plan_ns_ = 0;  ///< the longest of the script at hand
  int64_t load_ns_ = 0;
  int64_t turns_ = 1;
  int64_t started_ns_ = 0;
};

}  // namespace ktap::differential
