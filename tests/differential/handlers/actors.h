// Who makes the system calls of a script, and where: the threads of this process, and the CPU. Both
// are the script's choice (`#on: thread 1`, `#on: cpu 1`), so that what is kept by thread or by CPU
// is judged too.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ktap::differential {

class Actors {
 public:
  /// Number 0 is the thread that calls.
  Actors();
  ~Actors();
  Actors(const Actors&) = delete;
  Actors& operator=(const Actors&) = delete;

  /// Thread 0 on CPU 0 again.
  void reset() { thread_ = cpu_ = 0; }
  void choose_thread(uint64_t number) { thread_ = number % actors_.size(); }
  void choose_cpu(uint64_t number) { cpu_ = static_cast<uint32_t>(number % cpu_count_); }

  pid_t tid() const { return actors_[thread_]->tid; }
  /// At most 15 bytes.
  const std::string& name() const { return actors_[thread_]->name; }
  uint32_t cpu() const { return cpu_; }
  uint32_t cpu_count() const { return cpu_count_; }

  /// Calls `work` on the chosen thread and CPU, and waits for its end.
  void run(const std::function<void()>& work);

 private:
  struct Actor {
    pid_t tid = 0;
    std::string name;
    int64_t cpu = -1;  ///< where it is bound to
    std::thread thread;
    const std::function<void()>* work = nullptr;
    bool ends = false;
  };
  void live(Actor& actor);

  uint32_t cpu_count_ = 1;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t thread_ = 0;
  uint32_t cpu_ = 0;
};

}  // namespace ktap::differential
