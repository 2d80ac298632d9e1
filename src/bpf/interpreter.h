// A test eBPF machine: runs a Program purely, with fake maps and helpers and bounds-checked memory.
// Tests of `backend` and the differential tests use it where there are no privileges; the product
// never does. Stricter than a kernel where that helps: an uninitialised register or stack byte, a
// lost ring record, a byte outside its object is an Error that names the instruction. Not a
// verifier: it sees only the path that runs.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bpf/program.h"

namespace ktap::bpf {

using Bytes = std::vector<uint8_t>;

/// What the fake helpers answer.
struct FakeTask {
  uint32_t cpu = 0;
  uint32_t tgid = 100;
  uint32_t tid = 101;
  uint32_t uid = 1000;
  uint32_t gid = 2000;
  uint64_t ns = 123456789;
  uint64_t cgroup = 42;
  bool is_under_cgroup = true;        ///< the one in the map of cgroups
  uint64_t probe_address = 0x401000;  ///< of the function that is probed
  uint64_t cookie = 0;                ///< of the point where the program is attached
  uint32_t random = 1;                ///< the next random number, then the one after it
  std::string comm = "fake";
  std::vector<uint64_t> kernel_stack = {0xffffffff81000010, 0xffffffff81000020};
  std::vector<uint64_t> user_stack = {0x401010, 0x401020};
  std::vector<uint32_t> signals;   ///< that programs sent, in order
  std::vector<int64_t> results;    ///< that programs set for the function, in order
  uint64_t task_address = 0;       ///< of the task's structure: Machine::add_object
  uint64_t registers_address = 0;  ///< of those of user space, in kernel_memory
  std::map<uint64_t, Bytes>
      kernel_memory;  ///< by address; what probe_read_kernel finds beside the program's own
  std::map<uint64_t, Bytes> user_memory;
};

/// A record that was submitted, with its flags.
struct FakeRecord {
  Bytes data;
  int64_t flags = 0;
};

/// The maps of one unit, and the runs on them. Maps keep their content from run to run.
class Machine {
 public:
  Machine(const std::vector<MapSpec>& maps, uint32_t cpu_count);

  FakeTask task;
  /// BTF ids of bpf_iter_num_…; 0: there are none.
  uint32_t iter_num_new = 0;
  uint32_t iter_num_next = 0;
  uint32_t iter_num_destroy = 0;
  uint32_t rdonly_cast =
      0;  ///< likewise, of bpf_rdonly_cast: an object, or what is in kernel_memory
  uint64_t may_gotos = 8 << 20;  ///< how often one run may pass them before they are taken
  /// How many rounds bpf_loop does at most, although it says that it did all.
  uint64_t loop_rounds = UINT64_MAX;
  bool ring_full = false;  ///< ringbuf_reserve gives null

  /// Runs with R1 = address of `context`; gives R0. The context may be read, not written.
  Result<uint64_t> run(const Program& program, const Bytes& context);

  /// A structure of the kernel that typed pointers lead to; gives its address.
  uint64_t add_object(Bytes bytes) { return address_of(add_region(std::move(bytes), false)); }

  /// Value of a key on one CPU (0 for maps that are not per CPU); empty: no such key.
  Bytes value(uint32_t map, const Bytes& key, uint32_t cpu = 0) const;
  /// Writes it, as user space would. Requires: the size is the map's. False: no room.
  bool set_value(uint32_t map, const Bytes& key, const Bytes& bytes, uint32_t cpu = 0);
  void erase(uint32_t map, const Bytes& key);
  /// The keys of a hash map, sorted.
  std::vector<Bytes> keys(uint32_t map) const;
  const std::vector<FakeRecord>& records() const { return records_; }
  void clear_records() { records_.clear(); }

 private:
  friend class Run;

  /// One object in memory, at address (index + 1) << 32.
  struct Region {
    Bytes bytes;
    std::vector<bool> initialised;  // empty: all is
    bool writable = true;
    bool live = true;
  };
  struct FakeMap {
    MapSpec spec;
    std::vector<uint32_t> arrays;                 // Array, PercpuArray: a region a CPU
    std::map<Bytes, std::vector<uint32_t>> hash;  // Hash, PercpuHash: a region a CPU
    uint32_t stride_bytes = 8;
    bool is_percpu() const {
      return spec.kind == MapKind::PercpuArray || spec.kind == MapKind::PercpuHash;
    }
    bool is_hash() const { return spec.kind == MapKind::Hash || spec.kind == MapKind::PercpuHash; }
  };

  uint32_t add_region(Bytes bytes, bool writable);
  uint64_t address_of(uint32_t region) const { return (uint64_t{region} + 1) << 32; }
  /// The region that holds [address, address + size), or null.
  Region* find(uint64_t address, uint64_t size);
  /// Address of the value on `cpu`, 0 when there is none.
  uint64_t lookup(uint32_t map, const Bytes& key, uint32_t cpu) const;
  /// 0 or a negative errno, like the kernel.
  int64_t update(uint32_t map, const Bytes& key, const Bytes& bytes, uint32_t cpu, uint64_t flags);

  uint32_t cpu_count_;
  std::deque<Region> regions_;
  std::vector<FakeMap> maps_;
  std::vector<FakeRecord> records_;
};

}  // namespace ktap::bpf
