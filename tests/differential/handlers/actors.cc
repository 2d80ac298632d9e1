// See actors.h.
#include "handlers/actors.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ktap::differential {

namespace {

constexpr const char* kNames[] = {"judged_x", "judged_yy", "a name of 15 by"};

pid_t own_tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

}  // namespace

Actors::Actors() : cpu_count_(static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN))) {
  for (const char* name : kNames) {
    actors_.push_back(std::make_unique<Actor>());
    Actor& actor = *actors_.back();
    actor.name = name;
    if (actors_.size() == 1) {
      actor.tid = own_tid();
      prctl(PR_SET_NAME, name);
      continue;
    }
    actor.thread = std::thread([this, &actor] { live(actor); });
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return actor.tid != 0; });
  }
}

Actors::~Actors() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& actor : actors_) actor->ends = true;
  }
  changed_.notify_all();
  for (const auto& actor : actors_) {
    if (actor->thread.joinable()) actor->thread.join();
  }
}

void Actors::live(Actor& actor) {
  prctl(PR_SET_NAME, actor.name.c_str());
  std::unique_lock<std::mutex> lock(mutex_);
  actor.tid = own_tid();
  changed_.notify_all();
  while (true) {
    changed_.wait(lock, [&] { return actor.work != nullptr || actor.ends; });
    if (actor.ends) return;
    (*actor.work)();
    actor.work = nullptr;
    changed_.notify_all();
  }
}

void Actors::run(const std::function<void()>& work) {
  Actor& actor = *actors_[thread_];
  if (actor.cpu != cpu_) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu_, &one);
    sched_setaffinity(actor.tid, sizeof one, &one);
    actor.cpu = cpu_;
  }
  if (thread_ == 0) return work();
  std::unique_lock<std::mutex> lock(mutex_);
  actor.work = &work;
  changed_.notify_all();
  changed_.wait(lock, [&] { return actor.work == nullptr; });
}

}  // namespace ktap::differential
