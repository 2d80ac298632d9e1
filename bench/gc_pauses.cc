// How long the collector stops a script: a heap of N live objects, of which some die and are born
// all the time, collected in slices as the VM does it, against the same heap collected at once.
// Prints one line a size: pauses in microseconds of this thread's CPU time (other programs' turns
// are not the collector's), and how far the heap grew meanwhile.
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/heap.h"
#include "runtime/table.h"

namespace {

using ktap::runtime::Heap;
using ktap::runtime::Table;
using ktap::runtime::Type;
using ktap::runtime::Value;

double cpu_micros() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

/// A table of records {name, {counter}}, as a script that gathers by key has it.
void fill(Heap& heap, Table* all, int64_t key) {
  Table* record = heap.table();
  all->set(Value::of(key), Value::of_object(Type::Table, record));
  record->set(heap.string("name"), heap.string("process number " + std::to_string(key)));
  record->set(Value::of(int64_t{1}), Value::of(key));
}

void measure(int64_t records) {
  Heap heap;
  Table* all = heap.table();
  heap.set_roots([all](Heap& h) { h.mark(all); });
  for (int64_t i = 0; i < records; ++i) {
    fill(heap, all, i * 3);
    if (heap.wants_collection()) heap.step();
  }
  double start = cpu_micros();
  heap.collect();
  const double at_once = cpu_micros() - start;
  const size_t live = heap.live_bytes();

  std::vector<double> pauses;
  size_t peak = live;
  for (int64_t round = 0; round < 6 * records; ++round) {
    fill(heap, all, round * 7 % records * 3);  // its old record dies
    if (!heap.wants_collection()) continue;
    peak = std::max(peak, heap.live_bytes());
    start = cpu_micros();
    heap.step();
    pauses.push_back(cpu_micros() - start);
  }
  std::sort(pauses.begin(), pauses.end());
  const size_t n = pauses.size();
  auto at = [&pauses, n](size_t percent) { return n != 0 ? pauses[(n - 1) * percent / 100] : 0; };
  std::printf(
      "%7lld records %6.1f MB: at once %7.0f us; in slices: median %4.0f us, 99 %% %5.0f us, "
      "longest %5.0f us (%zu slices), peak %.2fx\n",
      static_cast<long long>(records), static_cast<double>(live) / 1e6, at_once, at(50), at(99),
      at(100), n, static_cast<double>(peak) / static_cast<double>(live));
}

}  // namespace

int main() {
  for (int64_t records : {10000, 100000, 500000}) measure(records);
}
