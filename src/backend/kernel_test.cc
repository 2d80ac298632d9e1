// The same programs in the running kernel, by bpf(2) and BPF_PROG_TEST_RUN: must load, and must
// leave what the evaluator and the test machine leave. Skipped by name without privileges. Attaches
// nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "backend/layout.h"
#include "backend/test_random_function.h"
#include "backend/test_reference.h"
#include "backend/test_samples.h"
#include "backend/test_subjects.h"
#include "backend/test_support.h"
#include "bpf/btf.h"
#include "bpf/disassembler.h"
#include "bpf/function_btf.h"
#include "bpf/helpers.h"
#include "passes/pipeline.h"

namespace ktap::backend::testing_support {
namespace {

long bpf_call(int command, bpf_attr& attr) {
  return syscall(__NR_bpf, command, &attr, sizeof(attr));
}

uint64_t pointer(const void* data) { return reinterpret_cast<uint64_t>(data); }

uint32_t possible_cpus() {
  std::ifstream possible("/sys/devices/system/cpu/possible");
  std::string range;
  possible >> range;
  size_t dash = range.rfind('-');
  return dash == std::string::npos ? 1
                                   : static_cast<uint32_t>(std::stoul(range.substr(dash + 1))) + 1;
}

/// One unit in the kernel: maps made, programs loaded, nothing attached.
class RealKernel {
 public:
  RealKernel(const Unit& unit, const std::vector<int64_t>& cells)
      : unit_(unit), cpus_(possible_cpus()) {
    for (const bpf::MapSpec& spec : unit.maps) make_map(spec);
    if (!error.empty()) return;
    for (const bpf::Program& program : unit.programs) load(program);
    if (!error.empty()) return;
    void* page =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, maps_[unit.control_map], 0);
    if (page == MAP_FAILED) {
      error = "mmap of the control page";
      return;
    }
    control_ = static_cast<uint8_t*>(page);
    set_control(Control::kArmed, 1);
    for (size_t i = 0; i < cells.size(); ++i) {
      set_control(Control::kCells + 8 * static_cast<uint32_t>(i), cells[i]);
    }
  }
  RealKernel(const RealKernel&) = delete;
  RealKernel& operator=(const RealKernel&) = delete;
  ~RealKernel() {
    if (control_ != nullptr) munmap(control_, 4096);
    for (int fd : programs_) close(fd);
    for (int fd : maps_) close(fd);
  }

  std::string error;      ///< "" when all is loaded
  uint64_t verified = 0;  ///< instructions that the verifier has walked, all programs together
  bool not_permitted = false;

  void set_control(uint32_t offset, int64_t value) { std::memcpy(control_ + offset, &value, 8); }
  int64_t control(uint32_t offset) const {
    int64_t value = 0;
    std::memcpy(&value, control_ + offset, 8);
    return value;
  }

  bool run(Bytes context, size_t program = 0) {
    bpf_attr attr{};
    attr.test.prog_fd = static_cast<uint32_t>(programs_[program]);
    attr.test.ctx_in = pointer(context.data());
    attr.test.ctx_size_in = static_cast<uint32_t>(context.size());
    return bpf_call(BPF_PROG_TEST_RUN, attr) == 0;
  }

  /// The descriptor that holds the attachment, or -1.
  int attach(size_t program) {
    bpf_attr attr{};
    if (unit_.programs[program].kind == bpf::ProgramKind::RawTracepoint)
      attr.raw_tracepoint.name = pointer(unit_.programs[program].attach_to.c_str());
    attr.raw_tracepoint.prog_fd = static_cast<uint32_t>(programs_[program]);
    return static_cast<int>(bpf_call(BPF_RAW_TRACEPOINT_OPEN, attr));
  }

  Outcome outcome(size_t cell_count) {
    Outcome out;
    for (const Table& table : unit_.tables) out.tables.push_back(content(table));
    out.records = drain();
    for (size_t row = 0; row < unit_.counters.size(); ++row) {
      uint64_t sum = 0;
      Bytes key(4);
      key[0] = static_cast<uint8_t>(row);
      Bytes on_cpus = values(unit_.counter_map, key);
      for (size_t at = 0; at < on_cpus.size(); at += 8) {
        sum += static_cast<uint64_t>(as_int(on_cpus, at));
      }
      if (sum != 0) out.counters[counter_name(unit_.counters[row])] += sum;
    }
    for (size_t i = 0; i < cell_count; ++i) {
      out.cells.push_back(control(Control::kCells + 8 * static_cast<uint32_t>(i)));
    }
    out.armed = control(Control::kArmed);
    out.exit_status = control(Control::kExitStatus);
    return out;
  }

 private:
  Content content(const Table& table) const {
    ContentBuilder out(table);
    if (table.layout == TableLayout::Shared || table.layout == TableLayout::ByThread) {
      Bytes memory = values(table.maps[0], Bytes(4));
      out.add_shared(memory.data());
      return out.content;
    }
    for (uint32_t map : table.maps) {
      for (const Bytes& key : keys(map)) {
        Bytes all = values(map, key);
        size_t size = unit_.maps[map].value_size_bytes;
        for (size_t at = 0; at < all.size(); at += size) {
          out.add_value(key, Bytes(all.begin() + static_cast<int64_t>(at),
                                   all.begin() + static_cast<int64_t>(at + size)));
        }
      }
    }
    for (const TablePlace& place : table.places) {
      const ProgramMemory& memory = unit_.memories[place.memory];
      const bpf::MapSpec& spec = unit_.maps[memory.map];
      for (uint32_t entry = 0; entry < spec.max_entries; ++entry) {
        Bytes key(4);
        std::memcpy(key.data(), &entry, 4);
        Bytes bytes = values(memory.map, key);
        for (size_t at = 0; at < spec.value_size_bytes; at += memory.area_bytes) {
          out.add_area(place, &bytes[at]);
        }
      }
    }
    return out.content;
  }

  void make_map(const bpf::MapSpec& spec) {
    bpf_attr attr{};
    switch (spec.kind) {
      case bpf::MapKind::Array:
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        break;
      case bpf::MapKind::PercpuArray:
        attr.map_type = BPF_MAP_TYPE_PERCPU_ARRAY;
        break;
      case bpf::MapKind::Hash:
        attr.map_type = BPF_MAP_TYPE_HASH;
        break;
      case bpf::MapKind::PercpuHash:
        attr.map_type = BPF_MAP_TYPE_PERCPU_HASH;
        break;
      case bpf::MapKind::RingBuffer:
        attr.map_type = BPF_MAP_TYPE_RINGBUF;
        break;
      case bpf::MapKind::Cgroups:
        attr.map_type = BPF_MAP_TYPE_CGROUP_ARRAY;
        break;
      case bpf::MapKind::Programs:
        attr.map_type = BPF_MAP_TYPE_PROG_ARRAY;
        break;
    }
    attr.key_size = spec.key_size_bytes;
    attr.value_size = spec.value_size_bytes;
    attr.max_entries = spec.max_entries;
    if (spec.mmapable) attr.map_flags |= BPF_F_MMAPABLE;
    if (spec.read_only) attr.map_flags |= BPF_F_RDONLY_PROG;
    spec.name.copy(attr.map_name, sizeof(attr.map_name) - 1);
    long fd = bpf_call(BPF_MAP_CREATE, attr);
    if (fd < 0) {
      not_permitted = errno == EPERM;
      error = fmt::format("map {}: {}", spec.name, std::strerror(errno));
      return;
    }
    maps_.push_back(static_cast<int>(fd));
    if (spec.content.empty()) return;
    uint32_t zero = 0;
    bpf_attr update{};
    update.map_fd = static_cast<uint32_t>(fd);
    update.key = pointer(&zero);
    update.value = pointer(spec.content.data());
    bpf_attr freeze{};
    freeze.map_fd = static_cast<uint32_t>(fd);
    if (bpf_call(BPF_MAP_UPDATE_ELEM, update) != 0 || bpf_call(BPF_MAP_FREEZE, freeze) != 0) {
      error = "filling the read-only map";
    }
  }

  void load(const bpf::Program& program) {
    std::vector<bpf::Insn> code = program.code;
    for (const bpf::MapRef& ref : program.maps) code[ref.insn].imm = maps_[ref.map];
    const std::vector<bpf::FunctionInfo> functions = bpf::function_infos(program.callbacks);
    const int types = program.callbacks.empty() ? -1 : load_types();
    for (bool with_log : {false, true}) {
      std::vector<char> log(with_log ? 1 << 20 : 1 << 16);
      bpf_attr attr{};
      attr.prog_type = program.kind == bpf::ProgramKind::Tracepoint ? BPF_PROG_TYPE_TRACEPOINT
                                                                    : BPF_PROG_TYPE_RAW_TRACEPOINT;
      if (program.kind == bpf::ProgramKind::TypedRawTracepoint) {
        attr.prog_type = BPF_PROG_TYPE_TRACING;
        attr.expected_attach_type = BPF_TRACE_RAW_TP;
        attr.attach_btf_id = program.btf_id;
      }
      attr.insns = pointer(code.data());
      attr.insn_cnt = static_cast<uint32_t>(code.size());
      attr.license = pointer("GPL");
      attr.log_buf = pointer(log.data());
      attr.log_size = static_cast<uint32_t>(log.size());
      attr.log_level = with_log ? 1 : 4;  // 4: the last line alone
      if (types >= 0) {
        attr.prog_btf_fd = static_cast<uint32_t>(types);
        attr.func_info = pointer(functions.data());
        attr.func_info_cnt = static_cast<uint32_t>(functions.size());
        attr.func_info_rec_size = sizeof functions[0];
      }
      program.name.copy(attr.prog_name, sizeof(attr.prog_name) - 1);
      long fd = bpf_call(BPF_PROG_LOAD, attr);
      if (fd >= 0) {
        const char* processed = std::strstr(log.data(), "processed ");
        if (processed != nullptr) verified += std::strtoull(processed + 10, nullptr, 10);
        programs_.push_back(static_cast<int>(fd));
        break;
      }
      if (with_log) {
        std::string text(log.data());
        error = fmt::format("{}\n{}", text.substr(text.size() > 4000 ? text.size() - 4000 : 0),
                            bpf::disassemble(program, unit_.maps));
      }
    }
    if (types >= 0) close(types);
  }

  static int load_types() {
    const Bytes btf = bpf::btf_of_functions();
    bpf_attr attr{};
    attr.btf = pointer(btf.data());
    attr.btf_size = static_cast<uint32_t>(btf.size());
    return static_cast<int>(bpf_call(BPF_BTF_LOAD, attr));
  }

  std::vector<Bytes> keys(uint32_t map) const {
    std::vector<Bytes> out;
    Bytes key(unit_.maps[map].key_size_bytes), next(key.size());
    bpf_attr attr{};
    attr.map_fd = static_cast<uint32_t>(maps_[map]);
    attr.next_key = pointer(next.data());
    while (bpf_call(BPF_MAP_GET_NEXT_KEY, attr) == 0) {
      out.push_back(next);
      key = next;
      attr.key = pointer(key.data());
    }
    return out;
  }

  Bytes values(uint32_t map, const Bytes& key) const {
    bool is_percpu = unit_.maps[map].kind == bpf::MapKind::PercpuArray ||
                     unit_.maps[map].kind == bpf::MapKind::PercpuHash;
    Bytes out((is_percpu ? cpus_ : 1) * round_up8(unit_.maps[map].value_size_bytes));
    bpf_attr attr{};
    attr.map_fd = static_cast<uint32_t>(maps_[map]);
    attr.key = pointer(key.data());
    attr.value = pointer(out.data());
    if (bpf_call(BPF_MAP_LOOKUP_ELEM, attr) != 0) out.clear();
    return out;
  }

  /// Everything that lies in the ring (Documentation/bpf/ringbuf.rst: consumer page, producer page,
  /// data).
  std::vector<Bytes> drain() {
    std::vector<Bytes> out;
    int fd = maps_[unit_.ring_map];
    size_t size = unit_.maps[unit_.ring_map].max_entries;
    void* mapped = mmap(nullptr, 4096 + size, PROT_READ, MAP_SHARED, fd, 4096);
    if (mapped == MAP_FAILED) return out;
    auto* producer = static_cast<const uint8_t*>(mapped);
    uint64_t end = 0;
    std::memcpy(&end, producer, 8);
    for (uint64_t at = 0; at < end && end <= size;) {
      const uint8_t* header = producer + 4096 + at;
      uint32_t length = 0;
      std::memcpy(&length, header, 4);
      if ((length & (3u << 30)) == 0) {
        out.emplace_back(header + 8, header + 8 + length);
        std::fill_n(out.back().begin() + 4, 4, 0);
      }
      at += (uint64_t{length & ~(3u << 30)} + 8 + 7) / 8 * 8;
    }
    munmap(mapped, 4096 + size);
    return out;
  }

  const Unit& unit_;
  size_t cpus_ = 1;
  std::vector<int> maps_;
  std::vector<int> programs_;
  uint8_t* control_ = nullptr;
};

std::string show(const Outcome& o) {
  std::string out = fmt::format("armed {} status {}\n", o.armed, o.exit_status);
  for (int64_t cell : o.cells) out += fmt::format("cell {}\n", cell);
  for (size_t i = 0; i < o.tables.size(); ++i) {
    for (const auto& [key, value] : o.tables[i]) {
      out += fmt::format("table {} [{:02x}] = {}\n", i, fmt::join(key, ""), fmt::join(value, " "));
    }
  }
  for (const Bytes& r : o.records) out += fmt::format("record {:02x}\n", fmt::join(r, ""));
  for (const auto& [name, n] : o.counters) out += fmt::format("{}: {}\n", name, n);
  return out;
}

/// The instructions load, behind r0 = 0.
bool takes(std::vector<bpf::Insn> code) {
  code.insert(code.begin(), bpf::mov64(bpf::Reg::R0, 0));
  code.push_back(bpf::exit_insn());
  bpf_attr attr{};
  attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
  attr.insns = pointer(code.data());
  attr.insn_cnt = static_cast<uint32_t>(code.size());
  attr.license = pointer("GPL");
  const long fd = bpf_call(BPF_PROG_LOAD, attr);
  if (fd >= 0) close(static_cast<int>(fd));
  return fd >= 0;
}

bool has_cpu_v4() { return takes({bpf::signed64(bpf::AluOp::Div, bpf::Reg::R0, 3)}); }
bool has_fetch_atomics() {
  using bpf::Reg, bpf::Size;
  return takes({bpf::store(Size::DW, Reg::R10, -8, Reg::R0),
                bpf::atomic(bpf::AtomicOp::FetchAdd, Size::DW, Reg::R10, -8, Reg::R0)});
}
bool has_task_btf() {
  return takes({bpf::call(static_cast<int32_t>(bpf::Helper::GetCurrentTaskBtf)),
                bpf::mov64(bpf::Reg::R0, 0)});
}

/// What this kernel's BTF gives; its newer techniques are not tried here.
bpf::KernelFacts facts_of_this_kernel() {
  std::ifstream file("/sys/kernel/btf/vmlinux", std::ios::binary);
  const Bytes btf((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<bpf::BtfType> types = {{bpf::BtfKind::Typedef, "btf_trace_sys_enter"},
                                     {bpf::BtfKind::Typedef, "btf_trace_sys_exit"}};
  std::vector<bpf::BtfMember> members = {{"task_struct", "pid"},  {"task_struct", "tgid"},
                                         {"task_struct", "comm"}, {"task_struct", "real_parent"},
                                         {"task_struct", "cred"}, {"cred", "uid"},
                                         {"cred", "gid"}};
  bpf::KernelFacts facts;
  facts.has_fetch_atomics = has_fetch_atomics();
  if (!has_task_btf()) return facts;
  if (!bpf::find_in_btf(btf.data(), btf.size(), types, members)) return facts;
  if (types[0].id == 0 || types[1].id == 0) return facts;
  facts.typed_tracepoints = {{"sys_enter", types[0].id}, {"sys_exit", types[1].id}};
  bpf::TaskLayout& task = facts.task;
  int32_t* const offsets[] = {&task.pid,  &task.tgid,     &task.comm,    &task.real_parent,
                              &task.cred, &task.cred_uid, &task.cred_gid};
  for (size_t i = 0; i < members.size(); ++i) *offsets[i] = members[i].offset_bytes;
  facts.has_cpu_v4 = has_cpu_v4();
  facts.has_task_btf = true;  // with typed raw tracepoints since 5.11
  return facts;
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

/// BTF ids of this kernel's functions; 0: it has none of that name.
std::vector<uint32_t> find_functions(const std::vector<std::string>& names) {
  static const Bytes btf = [] {
    std::ifstream file("/sys/kernel/btf/vmlinux", std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
  }();
  std::vector<bpf::BtfType> types;
  for (const std::string& name : names) types.push_back({bpf::BtfKind::Func, name});
  std::vector<bpf::BtfMember> members;
  if (!btf.empty()) bpf::find_in_btf(btf.data(), btf.size(), types, members);
  std::vector<uint32_t> ids;
  for (const bpf::BtfType& type : types) ids.push_back(type.id);
  return ids;
}

/// What the loops of random functions use.
enum class Rounds { Best, MayGoto, IterNum, Callback, Known };
enum class Form { AsMade, Optimized };

/// More ways through the program than the verifier walks: loops of loops full of table operations,
/// thousands of instructions. A handler like that runs in user space.
bool is_too_much(const std::string& error) {
  if (error.rfind("processed ", 0) == 0) return true;  // its log was full: no reason is told
  return error.find("BPF program is too large") != std::string::npos ||
         error.find("jumps is too complex") != std::string::npos;
}

/// The facts of a kernel that has that form and no better one; of none where this one lacks it.
void set_form(bpf::KernelFacts& facts, Rounds form, bool in_kernel) {
  switch (form) {
    case Rounds::Best:
      set_form(facts, Rounds::MayGoto, in_kernel);
      if (!facts.has_may_goto) set_form(facts, Rounds::Callback, in_kernel);
      break;
    case Rounds::MayGoto:
      facts.has_may_goto = !in_kernel || takes({bpf::may_goto(0)});
      break;
    case Rounds::IterNum: {
      std::vector<uint32_t> ids = {kFakeIterNum, kFakeIterNum + 1, kFakeIterNum + 2};
      if (in_kernel)
        ids = find_functions({"bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy"});
      facts.iter_num_new = ids[0];
      facts.iter_num_next = ids[1];
      facts.iter_num_destroy = ids[2];
      break;
    }
    case Rounds::Callback:
      facts.has_bpf_loop = !in_kernel || find_functions({"bpf_loop"})[0] != 0;
      break;
    case Rounds::Known:
      break;
  }
}
bool has_form(const bpf::KernelFacts& facts) {
  return facts.has_may_goto || facts.has_iter_num() || facts.has_bpf_loop;
}

/// A sign made by a shift, -1 or 0, meets a constant mask in straight code; see may_be_sign().
bool masks_a_sign(const std::vector<bpf::Insn>& code) {
  constexpr uint8_t kAlu64 = 7, kClass = 7, kLoad = 1, kLoadImm = 0, kByRegister = 8;
  constexpr uint8_t kOr = 0x40, kAnd = 0x50, kMov = 0xb0, kArsh = 0xc0;
  std::array<bool, 16> is_sign{};
  std::array<bool, 16> is_known{};
  for (const bpf::Insn& insn : code) {
    const uint8_t kind = insn.code & kClass;
    const uint8_t op = insn.code & 0xf0;
    const bool by_register = (insn.code & kByRegister) != 0;
    if (kind == kAlu64) {
      const bool by_constant = !by_register || is_known[insn.src];
      if ((op == kAnd || op == kOr) && by_constant && is_sign[insn.dst]) return true;
      const bool is_move = op == kMov && by_register;
      is_sign[insn.dst] =
          is_move ? is_sign[insn.src] : op == kArsh && !by_register && insn.imm > 30;
      is_known[insn.dst] = op == kMov && (by_register ? is_known[insn.src] : true);
    } else if (kind == kLoad || kind == kLoadImm) {
      is_sign[insn.dst] = false;
      is_known[insn.dst] = kind == kLoadImm;
    } else if (op == 0x80 || op == 0) {  // a call, a jump
      is_sign[0] = is_known[0] = false;
    }
  }
  return false;
}

// KTAP_SEED and KTAP_ROUNDS choose others.
using Mask = void (*)(bpf::KernelFacts&);
void compare_random(bool in_kernel, Rounds form, Form made = Form::AsMade, Mask mask = nullptr) {
  prctl(PR_SET_NAME, kComm);
  uint64_t first = number_from("KTAP_SEED", 1), rounds = number_from("KTAP_ROUNDS", 300);
  uint64_t too_much = 0;
  for (uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("KTAP_SEED={} KTAP_ROUNDS=1", seed));
    Subject subject;
    if (in_kernel) subject.facts.cpu_count = possible_cpus();
    subject.facts.has_cpu_v4 = seed % 2 == 0 && (!in_kernel || has_cpu_v4());
    subject.facts.has_fetch_atomics = !in_kernel || has_fetch_atomics();
    static const bool kernel_calls_back = find_functions({"bpf_for_each_map_elem"})[0] != 0;
    subject.facts.has_for_each_map_elem = !in_kernel || kernel_calls_back;
    RandomFunction generate(seed, subject, mask == nullptr && made == Form::AsMade);
    set_form(subject.facts, form, in_kernel);
    const bool may_lack = form == Rounds::Known || form == Rounds::Best;
    if (!may_lack && !has_form(subject.facts))
      GTEST_SKIP() << "this kernel does not have that form of loops";
    if (mask != nullptr) mask(subject.facts);
    Reference reference(subject);
    if (in_kernel) reference.tid = gettid();
    reference.run();
    if (made == Form::Optimized) passes::optimize(subject.builder.function, subject.module);
    auto result = subject.emit_unit();
    if (may_lack && !has_form(subject.facts) && !result.failures.empty())
      continue;  // by its reason, elsewhere
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    for (const bpf::Program& program : result.unit.programs)
      ASSERT_FALSE(masks_a_sign(program.code));
    Outcome got;
    Bytes context = context_of({0, 0});
    if (in_kernel) {
      RealKernel kernel(result.unit, subject.cells);
      if (kernel.not_permitted) GTEST_SKIP() << "no privilege for bpf(2)";
      if (is_too_much(kernel.error)) {
        // More under emulation, and where a newer kernel is given a form that it would not get.
        ASSERT_LE(++too_much, std::max(rounds / 50, uint64_t{may_lack ? 4U : 6U}));
        continue;
      }
      ASSERT_EQ(kernel.error, "");
      if (std::getenv("KTAP_STATS") != nullptr) {
        std::printf("seed %lu: %zu instructions, %lu verified\n", seed,
                    result.unit.programs[0].code.size(), kernel.verified);
      }
      ASSERT_TRUE(kernel.run(context));
      got = kernel.outcome(subject.cells.size());
    } else {
      FakeKernel fake(result.unit, subject.cells);
      ASSERT_EQ(fake.run(context), "");
      got = fake.outcome(subject.cells.size());
    }
    ASSERT_TRUE(got == reference.out)
        << "evaluator:\n"
        << show(reference.out) << "program:\n"
        << show(got) << ssa::print(subject.builder.function, subject.module)
        << bpf::disassemble(result.unit.programs[0], result.unit.maps);
  }
}

// The verifier takes every feature; programs that TEST_RUN can run leave no error.
TEST(Kernel, LoadsEverySubject) {
  prctl(PR_SET_NAME, kComm);
  for (const NamedSubject& named : all_subjects()) {
    SCOPED_TRACE(named.name);
    Subject subject;
    named.build(subject);
    auto result = subject.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    RealKernel kernel(result.unit, subject.cells);
    if (kernel.not_permitted) GTEST_SKIP() << "no privilege for bpf(2)";
    ASSERT_EQ(kernel.error, "");
    subject.facts = facts_of_this_kernel();
    result = subject.emit_unit();
    ASSERT_TRUE(result.failures.empty()) << result.failures[0].text;
    RealKernel typed(result.unit, subject.cells);
    ASSERT_EQ(typed.error, "");
  }
}

TEST(Kernel, FilteredRunsLikeOnTheTestMachine) {
  Subject subject;
  filtered(subject);
  subject.options.cpu = -1;
  subject.options.target_tgid = getpid();
  auto result = subject.emit_unit();
  RealKernel kernel(result.unit, subject.cells);
  if (kernel.not_permitted) GTEST_SKIP() << "no privilege for bpf(2)";
  ASSERT_EQ(kernel.error, "");
  kernel.set_control(Control::kArmed, Control::kWaiting);
  ASSERT_TRUE(kernel.run(context_of({0, 0})));
  EXPECT_TRUE(kernel.outcome(0).records.empty()) << "before exec";
  ASSERT_TRUE(kernel.run(context_of({0, 59})));
  EXPECT_EQ(kernel.control(Control::kArmed), Control::kRunning);
  ASSERT_TRUE(kernel.run(context_of({0, 0})));
  ASSERT_TRUE(kernel.run(context_of({0, 1})));
  auto records = kernel.outcome(0).records;
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(as_int(records[0], 8), getpid());
}

TEST(Kernel, StringsRunLikeOnTheTestMachine) {
  prctl(PR_SET_NAME, kComm);
  for (auto build : {merged_text, many_texts}) {
    Subject subject;
    build(subject);
    auto result = subject.emit_unit();
    FakeKernel fake(result.unit, subject.cells);
    fake.machine.task.user_memory[pointer(kUserText)] = padded(kUserText, 14);
    ASSERT_EQ(fake.run(context_of({0, 0})), "");
    RealKernel kernel(result.unit, subject.cells);
    if (kernel.not_permitted) GTEST_SKIP() << "no privilege for bpf(2)";
    ASSERT_EQ(kernel.error, "");
    ASSERT_TRUE(kernel.run(context_of({0, 0})));
    EXPECT_EQ(show(kernel.outcome(subject.cells.size())), show(fake.outcome(subject.cells.size())));
  }
}

TEST(Kernel, BucketsAreThoseOfSsa) {
  Subject subject;
  buckets(subject);
  auto result = subject.emit_unit();
  RealKernel kernel(result.unit, subject.cells);
  if (kernel.not_permitted) GTEST_SKIP() << "no privilege for bpf(2)";
  ASSERT_EQ(kernel.error, "");
  for (int64_t sample : edge_samples(20000)) {
    kernel.set_control(Control::kCells, sample);
    ASSERT_TRUE(kernel.run(context_of({0, 0})));
    for (uint32_t i = 0; i < subject.cells.size(); ++i) {
      ASSERT_EQ(kernel.control(Control::kCells + 8 * i), buckets_of(subject, sample)[i]) << sample;
    }
  }
}

// Attached for a moment, for this process alone: what the kernel gives is what the test machine's
// facts say.
TEST(Kernel, RealSystemCalls) {
  const void* buffer = kUserText;
  for (const bool is_typed : {false, true})
    for (auto build : {syscall_enter, syscall_exit}) {
      Subject subject;
      build(subject);
      if (is_typed) subject.facts = facts_of_this_kernel();
      subject.options.target_tgid = getpid();
      auto result = subject.emit_unit();
      RealKernel kernel(result.unit, subject.cells);
      if (kernel.not_permitted) GTEST_SKIP() << "no privilege for bpf(2)";
      ASSERT_EQ(kernel.error, "");
      {
        int link = kernel.attach(0);
        if (link < 0) GTEST_SKIP() << "raw tracepoints cannot be attached here";
        syscall(SYS_pread64, -2l, buffer, (7l << 32) | 100, 0x1122334455667788, 5l, 6l);
        syscall(SYS_getppid);
        close(link);
      }
      auto records = kernel.outcome(0).records;
      ASSERT_GE(records.size(), 1u);
      const SiteLayout& site = result.unit.sites[0];
      bool is_enter = subject.group.kind == EventKind::SyscallEnter;
      int64_t number = as_int(records[0], site.raw_offset_bytes);
      EXPECT_EQ(number, 17);
      EXPECT_EQ(as_int(records[0], site.raw_offset_bytes + 8), is_enter ? -2 : -EBADF);
      EXPECT_EQ(as_int(records[0], site.arg_offset_bytes.back()), subject.group.name_ids[1]);
      if (!is_enter) continue;
      std::vector<int64_t> want{
          -2, static_cast<int64_t>(pointer(buffer)), (7ll << 32) | 100, 0x1122334455667788, 5, 6};
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_EQ(as_int(records[0], site.raw_offset_bytes + 8 + 8 * i), want[i]) << i;
      }
      EXPECT_EQ(as_int(records[0], site.arg_offset_bytes[0]), getpid());
      EXPECT_EQ(as_int(records[0], site.arg_offset_bytes[1]), gettid());
      EXPECT_EQ(as_int(records[0], site.arg_offset_bytes[2]), getuid());
      EXPECT_EQ(as_int(records[0], site.arg_offset_bytes[3]), getgid());
      EXPECT_EQ(as_int(records[0], site.arg_offset_bytes[10]), 100) << "an unsigned int";
    }
}

TEST(Differential, RandomFunctionsOnTheTestMachine) { compare_random(false, Rounds::MayGoto); }
TEST(Differential, RandomFunctionsInTheKernel) { compare_random(true, Rounds::MayGoto); }
TEST(Differential, OptimizedFunctionsOnTheTestMachine) {
  compare_random(false, Rounds::MayGoto, Form::Optimized);
}
TEST(Differential, OptimizedFunctionsInTheKernel) {
  compare_random(true, Rounds::MayGoto, Form::Optimized);
}
TEST(Differential, LoopsByIteratorOnTheTestMachine) { compare_random(false, Rounds::IterNum); }
TEST(Differential, LoopsByIteratorInTheKernel) { compare_random(true, Rounds::IterNum); }
TEST(Differential, LoopsByCallbackOnTheTestMachine) { compare_random(false, Rounds::Callback); }
TEST(Differential, LoopsByCallbackInTheKernel) { compare_random(true, Rounds::Callback); }
TEST(Differential, OptimizedLoopsByCallbackInTheKernel) {
  compare_random(true, Rounds::Callback, Form::Optimized);
}
TEST(Differential, LoopsOfKnownRoundsInTheKernel) { compare_random(true, Rounds::Known); }

// The paths for older kernels, each forced.
void without_mapped_tables(bpf::KernelFacts& facts) { facts.has_mapped_tables = false; }
void without_fetch_atomics(bpf::KernelFacts& facts) { facts.has_fetch_atomics = false; }
TEST(Differential, TablesOfTheKernelOnTheTestMachine) {
  compare_random(false, Rounds::MayGoto, Form::AsMade, without_mapped_tables);
}
TEST(Differential, TablesOfTheKernelInTheKernel) {
  compare_random(true, Rounds::Best, Form::AsMade, without_mapped_tables);
}
void without_ordered_stores(bpf::KernelFacts& facts) { facts.has_ordered_stores = false; }
TEST(Differential, WithoutOrderedStoresInTheKernel) {
  compare_random(true, Rounds::Best, Form::AsMade, without_ordered_stores);
}
TEST(Differential, WithoutFetchAtomicsInTheKernel) {
  compare_random(true, Rounds::Best, Form::AsMade, without_fetch_atomics);
}
// Areas that are together too large for one value.
void with_areas_looked_up(bpf::KernelFacts& facts) { facts.max_value_bytes = 64; }
TEST(Differential, AreasLookedUpOnTheTestMachine) {
  compare_random(false, Rounds::MayGoto, Form::AsMade, with_areas_looked_up);
}
TEST(Differential, AreasLookedUpInTheKernel) {
  compare_random(true, Rounds::Best, Form::AsMade, with_areas_looked_up);
}

}  // namespace
}  // namespace ktap::backend::testing_support
