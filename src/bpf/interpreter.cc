// The test machine's dispatch loop and its fake helpers.
#include "bpf/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "bpf/decode.h"
#include "bpf/disassembler.h"
#include "bpf/helpers.h"

namespace ktap::bpf {

namespace {

constexpr uint64_t kStackBytes = 512;
constexpr uint64_t kStepLimit = 20'000'000;
constexpr int64_t kEfault = -14;
// A map or a function as a helper's argument: not dereferenceable.
constexpr uint64_t kMapHandle = uint64_t{0xbf} << 56;
constexpr uint64_t kFunctionHandle = uint64_t{0xcf} << 56;
constexpr int64_t kE2big = -7;
constexpr int64_t kEinval = -22;

uint64_t alu(AluOp op, uint64_t a, uint64_t b, bool is64) {
  uint32_t width = is64 ? 64 : 32;
  if (!is64) {
    a = static_cast<uint32_t>(a);
    b = static_cast<uint32_t>(b);
  }
  uint64_t result = 0;
  switch (op) {
    case AluOp::Add:
      result = a + b;
      break;
    case AluOp::Sub:
      result = a - b;
      break;
    case AluOp::Mul:
      result = a * b;
      break;
    case AluOp::Div:
      result = b == 0 ? 0 : a / b;
      break;
    case AluOp::Or:
      result = a | b;
      break;
    case AluOp::And:
      result = a & b;
      break;
    case AluOp::Lsh:
      result = a << (b & (width - 1));
      break;
    case AluOp::Rsh:
      result = a >> (b & (width - 1));
      break;
    case AluOp::Neg:
      result = ~a + 1;
      break;
    case AluOp::Mod:
      result = b == 0 ? a : a % b;
      break;
    case AluOp::Xor:
      result = a ^ b;
      break;
    case AluOp::Mov:
      result = b;
      break;
    case AluOp::Arsh:
      result = is64 ? static_cast<uint64_t>(static_cast<int64_t>(a) >> (b & 63))
                    : static_cast<uint64_t>(static_cast<int32_t>(a) >> (b & 31));
      break;
  }
  return is64 ? result : static_cast<uint32_t>(result);
}

/// Like the kernel's: 0 gives 0 or the dividend, what overflows wraps.
uint64_t signed_alu(AluOp op, uint64_t a, uint64_t b) {
  const bool is_quotient = op == AluOp::Div;
  if (b == 0) return is_quotient ? 0 : a;
  if (b == UINT64_MAX) return is_quotient ? 0 - a : 0;
  const auto x = static_cast<int64_t>(a), y = static_cast<int64_t>(b);
  return static_cast<uint64_t>(is_quotient ? x / y : x % y);
}

/// The lowest `bits` of a value, sign extended.
uint64_t extended(uint64_t value, uint32_t bits) {
  return static_cast<uint64_t>(static_cast<int64_t>(value << (64 - bits)) >> (64 - bits));
}

template <class Signed, class Unsigned>
bool compare(JumpOp op, Unsigned a, Unsigned b) {
  auto sa = static_cast<Signed>(a);
  auto sb = static_cast<Signed>(b);
  switch (op) {
    case JumpOp::Eq:
      return a == b;
    case JumpOp::Ne:
      return a != b;
    case JumpOp::Gt:
      return a > b;
    case JumpOp::Ge:
      return a >= b;
    case JumpOp::Lt:
      return a < b;
    case JumpOp::Le:
      return a <= b;
    case JumpOp::SGt:
      return sa > sb;
    case JumpOp::SGe:
      return sa >= sb;
    case JumpOp::SLt:
      return sa < sb;
    case JumpOp::SLe:
      return sa <= sb;
    case JumpOp::Set:
      return (a & b) != 0;
    default:
      KTAP_UNREACHABLE();
  }
}

bool holds(const Decoded& d, uint64_t a, uint64_t b) {
  return d.is64 ? compare<int64_t, uint64_t>(d.jump, a, b)
                : compare<int32_t, uint32_t>(d.jump, static_cast<uint32_t>(a),
                                             static_cast<uint32_t>(b));
}

}  // namespace

/// One run of one program. Anything wrong sets error_ and ends it.
class Run {
 public:
  Run(Machine& machine, const Program& program) : machine_(machine), program_(program) {}
  Result<uint64_t> go(const Bytes& context);

 private:
  using Region = Machine::Region;

  void until_exit();
  void step();
  void load_imm64(const Decoded& d);
  void atomic(const Decoded& d);
  void call(Helper helper);
  void call_kernel(uint32_t btf_id);
  void cast();
  void map_helper(Helper helper);
  void probe_read(Helper helper);
  void probe_write();
  void get_stack();
  void task_registers();
  void current_comm();
  void ring_helper(Helper helper);
  void loop();
  void for_each_entry();
  bool call_back(size_t function, const std::vector<uint64_t>& arguments);
  uint64_t rounds_of(size_t function, uint64_t rounds, uint64_t context);

  void fail(std::string text) {
    if (error_.empty()) error_ = std::move(text);
  }
  uint64_t read_reg(Reg reg) {
    if (!known_[static_cast<int>(reg)])
      fail(fmt::format("r{} is not initialised", static_cast<int>(reg)));
    return regs_[static_cast<int>(reg)];
  }
  void write_reg(Reg reg, uint64_t value) {
    if (reg == Reg::R10) fail("r10 is read-only");
    regs_[static_cast<int>(reg)] = value;
    known_[static_cast<int>(reg)] = true;
  }
  Bytes read_bytes(uint64_t address, uint64_t size);
  void write_bytes(uint64_t address, const uint8_t* data, uint64_t size);
  uint64_t read_memory(uint64_t address, Size size);
  void write_memory(uint64_t address, Size size, uint64_t value);
  std::optional<uint32_t> map_argument();

  Machine& machine_;
  const Program& program_;
  uint64_t regs_[11] = {};
  bool known_[11] = {};
  size_t pc_ = 0;
  bool done_ = false;  // the function that runs
  uint64_t steps_ = 0;
  std::optional<uint32_t> callback_stack_;  // one that no call uses now
  bool has_place_ = false;                  // error_ says where
  std::string error_;
  std::vector<uint32_t> records_;  // reserved, not yet submitted
  struct Iterator {
    int32_t next;
    int32_t end;
    uint32_t region;  // what next() points at
  };
  std::map<uint64_t, Iterator> iterators_;  // by address, not yet destroyed
  uint64_t may_gotos_left_ = machine_.may_gotos;
};

Bytes Run::read_bytes(uint64_t address, uint64_t size) {
  Region* region = machine_.find(address, size);
  if (region == nullptr) {
    fail(fmt::format("read of {} bytes at {:#x} is outside every object", size, address));
    return Bytes(size);
  }
  uint64_t offset = address & 0xffffffff;
  for (uint64_t i = 0; i < size && !region->initialised.empty(); ++i) {
    if (!region->initialised[offset + i]) {
      fail(fmt::format("read of stack byte {} that nothing wrote",
                       static_cast<int64_t>(offset + i) - static_cast<int64_t>(kStackBytes)));
    }
  }
  auto begin = region->bytes.begin() + static_cast<int64_t>(offset);
  return Bytes(begin, begin + static_cast<int64_t>(size));
}

void Run::write_bytes(uint64_t address, const uint8_t* data, uint64_t size) {
  Region* region = machine_.find(address, size);
  if (region == nullptr || !region->writable) {
    fail(fmt::format("write of {} bytes at {:#x} is outside every writable object", size, address));
    return;
  }
  uint64_t offset = address & 0xffffffff;
  std::copy(data, data + size, region->bytes.begin() + static_cast<int64_t>(offset));
  for (uint64_t i = 0; i < size && !region->initialised.empty(); ++i) {
    region->initialised[offset + i] = true;
  }
}

uint64_t Run::read_memory(uint64_t address, Size size) {
  Bytes bytes = read_bytes(address, size_bytes(size));
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

void Run::write_memory(uint64_t address, Size size, uint64_t value) {
  uint8_t bytes[8];
  std::memcpy(bytes, &value, sizeof(value));
  if ((regs_[10] - address) <= kStackBytes && address % size_bytes(size) != 0) {
    fail("misaligned stack access");
  }
  write_bytes(address, bytes, size_bytes(size));
}

Result<uint64_t> Run::go(const Bytes& context) {
  size_t before = machine_.regions_.size();
  uint32_t stack = machine_.add_region(Bytes(kStackBytes), true);
  machine_.regions_[stack].initialised.assign(kStackBytes, false);
  uint32_t ctx = machine_.add_region(context, false);
  regs_[10] = machine_.address_of(stack) + kStackBytes;
  regs_[1] = machine_.address_of(ctx);
  known_[10] = known_[1] = true;
  until_exit();
  if (error_.empty() && !iterators_.empty()) error_ = "an iterator is not destroyed";
  if (error_.empty() && !records_.empty())
    error_ = "a ring record is neither submitted nor discarded";
  for (size_t i = before; i < machine_.regions_.size(); ++i) {
    if (i != stack && i != ctx) continue;
    machine_.regions_[i].live = false;
    machine_.regions_[i].bytes = Bytes();
  }
  if (!error_.empty()) return Error{error_};
  return regs_[0];
}

/// Runs from pc_ to the end of that function, or to what is wrong.
void Run::until_exit() {
  done_ = false;
  while (!done_ && error_.empty()) {
    if (++steps_ > kStepLimit) fail("the program does not end");
    if (pc_ >= program_.code.size()) {
      fail("control leaves the code");
      break;
    }
    size_t at = pc_;
    step();
    if (!error_.empty() && !has_place_) {
      error_ = fmt::format("instruction {} ({}): {}", at, disassemble(program_.code[at]), error_);
      has_place_ = true;
    }
  }
}

void Run::step() {
  auto decoded = decode(program_.code[pc_]);
  if (!decoded) {
    fail("no such instruction");
    return;
  }
  const Decoded& d = *decoded;
  ++pc_;
  auto imm = static_cast<uint64_t>(static_cast<int64_t>(d.imm));
  auto offset = static_cast<uint64_t>(static_cast<int64_t>(d.off));
  switch (d.form) {
    case Form::AluReg:
    case Form::AluImm: {
      uint64_t a = d.alu == AluOp::Mov ? 0 : read_reg(d.dst);
      write_reg(d.dst, alu(d.alu, a, d.form == Form::AluReg ? read_reg(d.src) : imm, d.is64));
      break;
    }
    case Form::SignedReg:
    case Form::SignedImm:
      write_reg(d.dst, signed_alu(d.alu, read_reg(d.dst),
                                  d.form == Form::SignedReg ? read_reg(d.src) : imm));
      break;
    case Form::MoveSigned:
      write_reg(d.dst, extended(read_reg(d.src), static_cast<uint32_t>(d.off)));
      break;
    case Form::LoadSigned:
      write_reg(d.dst,
                extended(read_memory(read_reg(d.src) + offset, d.size), 8 * size_bytes(d.size)));
      break;
    case Form::BigEndian:
      write_reg(d.dst, __builtin_bswap64(read_reg(d.dst)));
      break;
    case Form::Load:
      write_reg(d.dst, read_memory(read_reg(d.src) + offset, d.size));
      break;
    case Form::StoreReg:
      write_memory(read_reg(d.dst) + offset, d.size, read_reg(d.src));
      break;
    case Form::StoreImm:
      write_memory(read_reg(d.dst) + offset, d.size, imm);
      break;
    case Form::Atomic:
      atomic(d);
      break;
    case Form::Jump:
      pc_ += offset;
      break;
    case Form::JumpReg:
    case Form::JumpImm:
      if (holds(d, read_reg(d.dst), d.form == Form::JumpReg ? read_reg(d.src) : imm)) pc_ += offset;
      break;
    case Form::MayGoto:
      if (may_gotos_left_-- == 0) pc_ += offset;
      break;
    case Form::CallKernel:
    case Form::Call:
      if (d.form == Form::Call) call(static_cast<Helper>(d.imm));
      if (d.form == Form::CallKernel) call_kernel(static_cast<uint32_t>(d.imm));
      for (int i = 1; i <= 5; ++i) known_[i] = false;
      break;
    case Form::Exit:
      read_reg(Reg::R0);
      done_ = true;
      break;
    case Form::LoadImm64:
      load_imm64(d);
      break;
  }
}

void Run::load_imm64(const Decoded& d) {
  if (pc_ >= program_.code.size()) {
    fail("half of a two-slot load");
    return;
  }
  uint64_t high = static_cast<uint32_t>(program_.code[pc_].imm);
  size_t at = pc_ - 1;
  ++pc_;
  if (d.pseudo == kPseudoNone) {
    write_reg(d.dst, high << 32 | static_cast<uint32_t>(d.imm));
    return;
  }
  if (d.pseudo == kPseudoFunction) {
    const size_t target = at + 1 + static_cast<size_t>(static_cast<int64_t>(d.imm));
    const auto& callbacks = program_.callbacks;
    if (!std::binary_search(callbacks.begin(), callbacks.end(), target))
      return fail("no function begins there");
    return write_reg(d.dst, kFunctionHandle | target);
  }
  for (const MapRef& ref : program_.maps) {
    if (ref.insn != at) continue;
    if (!ref.value) {
      write_reg(d.dst, kMapHandle | ref.map);
    } else {
      Machine::FakeMap& map = machine_.maps_[ref.map];
      if (map.spec.kind != MapKind::Array)
        fail("the value of a map that is not an array");
      else
        write_reg(d.dst, machine_.address_of(map.arrays[0]) + ref.offset);
    }
    return;
  }
  fail("no map reference here");
}

void Run::atomic(const Decoded& d) {
  uint64_t address = read_reg(d.dst) + static_cast<uint64_t>(static_cast<int64_t>(d.off));
  if (address % size_bytes(d.size) != 0) fail("misaligned atomic");
  uint64_t old = read_memory(address, d.size);
  uint64_t operand = read_reg(d.src);
  switch (d.atomic) {
    case AtomicOp::Add:
      write_memory(address, d.size, old + operand);
      break;
    case AtomicOp::Or:
      write_memory(address, d.size, old | operand);
      break;
    case AtomicOp::And:
      write_memory(address, d.size, old & operand);
      break;
    case AtomicOp::Xor:
      write_memory(address, d.size, old ^ operand);
      break;
    case AtomicOp::FetchAdd:
      write_memory(address, d.size, old + operand);
      write_reg(d.src, old);
      break;
    case AtomicOp::Xchg:
      write_memory(address, d.size, operand);
      write_reg(d.src, old);
      break;
    case AtomicOp::CmpXchg: {
      uint64_t expected =
          d.size == Size::W ? static_cast<uint32_t>(read_reg(Reg::R0)) : read_reg(Reg::R0);
      if (old == expected) write_memory(address, d.size, operand);
      write_reg(Reg::R0, old);
      break;
    }
  }
}

std::optional<uint32_t> Run::map_argument() {
  uint64_t handle = read_reg(Reg::R1);
  if ((handle & kMapHandle) != kMapHandle || (handle & 0xffffffff) >= machine_.maps_.size()) {
    fail("r1 is no map");
    return std::nullopt;
  }
  return static_cast<uint32_t>(handle);
}

void Run::call(Helper helper) {
  const FakeTask& task = machine_.task;
  switch (helper) {
    case Helper::MapLookupElem:
    case Helper::MapUpdateElem:
    case Helper::MapDeleteElem:
      return map_helper(helper);
    case Helper::ProbeReadUser:
    case Helper::ProbeReadKernel:
    case Helper::ProbeReadUserStr:
    case Helper::ProbeReadKernelStr:
      return probe_read(helper);
    case Helper::ProbeWriteUser:
      return probe_write();
    case Helper::OverrideReturn:
      machine_.task.results.push_back(static_cast<int64_t>(read_reg(Reg::R2)));
      return write_reg(Reg::R0, 0);
    case Helper::SendSignal:
      machine_.task.signals.push_back(static_cast<uint32_t>(read_reg(Reg::R1)));
      return write_reg(Reg::R0, 0);
    case Helper::RingbufReserve:
    case Helper::RingbufSubmit:
    case Helper::RingbufDiscard:
      return ring_helper(helper);
    case Helper::Loop:
      return loop();
    case Helper::ForEachMapElem:
      return for_each_entry();
    case Helper::TailCall:
      for (const Reg reg : {Reg::R1, Reg::R2, Reg::R3}) read_reg(reg);
      known_[0] = false;
      return;  // the map of programs is empty: nothing happens
    case Helper::KtimeGetNs:
      return write_reg(Reg::R0, task.ns);
    case Helper::GetPrandomU32:
      return write_reg(Reg::R0, machine_.task.random++);
    case Helper::GetSmpProcessorId:
      return write_reg(Reg::R0, task.cpu);
    case Helper::GetCurrentPidTgid:
      return write_reg(Reg::R0, uint64_t{task.tgid} << 32 | task.tid);
    case Helper::GetCurrentUidGid:
      return write_reg(Reg::R0, uint64_t{task.gid} << 32 | task.uid);
    case Helper::GetCurrentCgroupId:
      return write_reg(Reg::R0, task.cgroup);
    case Helper::CurrentTaskUnderCgroup:
      read_reg(Reg::R1);
      read_reg(Reg::R2);
      return write_reg(Reg::R0, task.is_under_cgroup ? 1 : 0);
    case Helper::GetStack:
      return get_stack();
    case Helper::GetFuncIp:
    case Helper::GetAttachCookie:
      read_reg(Reg::R1);  // the context
      return write_reg(Reg::R0, helper == Helper::GetFuncIp ? task.probe_address : task.cookie);
    case Helper::GetCurrentTask:
    case Helper::GetCurrentTaskBtf:
      return write_reg(Reg::R0, task.task_address);
    case Helper::TaskPtRegs:
      return task_registers();
    case Helper::GetCurrentComm:
      return current_comm();
    case Helper::MapLookupPercpuElem:
    case Helper::ThisCpuPtr:
      break;  // programs of events do not call it
  }
  fail("unknown helper");
}

/// bpf_rdonly_cast: the address itself, of an object; else a copy of what is in the kernel's
/// memory.
void Run::cast() {
  const uint64_t at = read_reg(Reg::R1);
  read_reg(Reg::R2);
  const auto memory = machine_.task.kernel_memory.find(at);
  if (memory == machine_.task.kernel_memory.end()) return write_reg(Reg::R0, at);
  write_reg(Reg::R0, machine_.address_of(machine_.add_region(memory->second, false)));
}

/// bpf_iter_num_…: the iterator's 8 bytes hold the current and the last number.
void Run::call_kernel(uint32_t btf_id) {
  if (btf_id != 0 && btf_id == machine_.rdonly_cast) return cast();
  const uint64_t at = read_reg(Reg::R1);
  if (btf_id != 0 && btf_id == machine_.iter_num_new) {
    if (iterators_.count(at) != 0) return fail("the iterator is in use");
    iterators_[at] = {static_cast<int32_t>(read_reg(Reg::R2)),
                      static_cast<int32_t>(read_reg(Reg::R3)),
                      machine_.add_region(Bytes(4), false)};
    const Bytes state(8);
    write_bytes(at, state.data(), state.size());
    return write_reg(Reg::R0, 0);
  }
  const auto it = iterators_.find(at);
  if (it == iterators_.end()) return fail("r1 is no iterator");
  if (btf_id != 0 && btf_id == machine_.iter_num_next) {
    Iterator& iterator = it->second;
    const bool more = iterator.next < iterator.end;
    if (more) {
      std::memcpy(machine_.regions_[iterator.region].bytes.data(), &iterator.next, 4);
      ++iterator.next;
    }
    return write_reg(Reg::R0, more ? machine_.address_of(iterator.region) : 0);
  }
  if (btf_id == 0 || btf_id != machine_.iter_num_destroy) return fail("unknown kernel function");
  machine_.regions_[it->second.region].live = false;
  iterators_.erase(it);
  known_[0] = false;
}

/// bpf_loop(rounds, function, context, 0).
void Run::loop() {
  const uint64_t rounds = read_reg(Reg::R1), function = read_reg(Reg::R2);
  const uint64_t context = read_reg(Reg::R3), flags = read_reg(Reg::R4);
  if ((function & kFunctionHandle) != kFunctionHandle) fail("r2 is no function");
  if (!error_.empty()) return;
  uint64_t result = 0;
  if (flags != 0) {
    result = static_cast<uint64_t>(kEinval);
  } else if (rounds > static_cast<uint64_t>(kMostLoopRounds)) {
    result = static_cast<uint64_t>(kE2big);
  } else {
    result = rounds_of(function & ~kFunctionHandle, rounds, context);
  }
  if (error_.empty()) write_reg(Reg::R0, result);
}

/// bpf_for_each_map_elem(map, function, context, 0), of hash maps.
void Run::for_each_entry() {
  const std::optional<uint32_t> map = map_argument();
  if (!map) return;
  const uint64_t handle = read_reg(Reg::R1), function = read_reg(Reg::R2);
  const uint64_t context = read_reg(Reg::R3), flags = read_reg(Reg::R4);
  if ((function & kFunctionHandle) != kFunctionHandle) fail("r2 is no function");
  if (!machine_.maps_[*map].is_hash()) fail("r1 is no hash map");
  if (!error_.empty()) return;
  if (flags != 0) return write_reg(Reg::R0, static_cast<uint64_t>(kEinval));
  uint64_t entries = 0;
  for (const Bytes& key : machine_.keys(*map)) {
    const uint64_t value = machine_.lookup(*map, key, machine_.task.cpu);
    if (value == 0) continue;  // it went meanwhile
    const uint32_t copy = machine_.add_region(key, false);
    ++entries;
    const bool ends =
        call_back(function & ~kFunctionHandle, {handle, machine_.address_of(copy), value, context});
    machine_.regions_[copy].live = false;
    if (!error_.empty()) return;
    if (ends) break;
  }
  write_reg(Reg::R0, entries);
}

/// How often the function was called.
uint64_t Run::rounds_of(size_t function, uint64_t rounds, uint64_t context) {
  uint64_t round = 0;
  while (round < rounds && error_.empty()) {
    if (round >= machine_.loop_rounds) return rounds;
    if (call_back(function, {round++, context})) break;
  }
  return round;
}

/// One call, with registers and a stack of its own. True: it is to be the last one.
bool Run::call_back(size_t function, const std::vector<uint64_t>& arguments) {
  uint64_t saved[11];
  bool saved_known[11];
  std::copy(std::begin(regs_), std::end(regs_), saved);
  std::copy(std::begin(known_), std::end(known_), saved_known);
  const size_t resume = pc_;
  if (!callback_stack_) callback_stack_ = machine_.add_region(Bytes(kStackBytes), true);
  const uint32_t stack = *std::exchange(callback_stack_, std::nullopt);
  machine_.regions_[stack].initialised.assign(kStackBytes, false);
  std::fill(std::begin(known_), std::end(known_), false);
  for (size_t i = 0; i < arguments.size(); ++i) {
    regs_[i + 1] = arguments[i];
    known_[i + 1] = true;
  }
  regs_[10] = machine_.address_of(stack) + kStackBytes;
  known_[10] = true;
  pc_ = function;
  until_exit();
  if (error_.empty() && regs_[0] > 1) fail("a callback gives neither 0 nor 1");
  const bool ends = regs_[0] == static_cast<uint64_t>(kLoopEnds);
  callback_stack_ = stack;
  std::copy(std::begin(saved), std::end(saved), regs_);
  std::copy(std::begin(saved_known), std::end(saved_known), known_);
  pc_ = resume;
  done_ = false;
  return ends;
}

void Run::map_helper(Helper helper) {
  auto map = map_argument();
  if (!map) return;
  const MapSpec& spec = machine_.maps_[*map].spec;
  Bytes key = read_bytes(read_reg(Reg::R2), spec.key_size_bytes);
  if (!error_.empty()) return;
  uint32_t cpu = machine_.task.cpu;
  if (helper == Helper::MapLookupElem) return write_reg(Reg::R0, machine_.lookup(*map, key, cpu));
  if (helper == Helper::MapDeleteElem) {
    bool there = machine_.lookup(*map, key, cpu) != 0;
    machine_.erase(*map, key);
    return write_reg(Reg::R0, there ? 0 : static_cast<uint64_t>(int64_t{-2}));
  }
  Bytes value = read_bytes(read_reg(Reg::R3), spec.value_size_bytes);
  uint64_t flags = read_reg(Reg::R4);
  if (error_.empty()) {
    write_reg(Reg::R0, static_cast<uint64_t>(machine_.update(*map, key, value, cpu, flags)));
  }
}

void Run::current_comm() {
  const FakeTask& task = machine_.task;
  const uint64_t room = read_reg(Reg::R2);
  if (room == 0) return fail("a comm of 0 bytes");
  // What stands behind the NUL stays, as in Linux 5.19 to 6.2.
  Bytes comm(std::min<uint64_t>(task.comm.size(), room - 1) + 1);
  std::copy_n(task.comm.begin(), comm.size() - 1, comm.begin());
  write_bytes(read_reg(Reg::R1), comm.data(), comm.size());
  write_reg(Reg::R0, 0);
}

void Run::task_registers() {
  if (read_reg(Reg::R1) != machine_.task.task_address) return fail("registers of no task");
  write_reg(Reg::R0, machine_.task.registers_address);
}

/// Within one piece of the user's memory.
/// Zeros behind the last frame, as the kernel writes them.
void Run::get_stack() {
  read_reg(Reg::R1);  // the context
  const uint64_t into = read_reg(Reg::R2);
  const uint64_t size = read_reg(Reg::R3);
  const uint64_t flags = read_reg(Reg::R4);
  if (size % 8 != 0 || size > 1 << 20) return fail("a stack in no whole number of words");
  const bool is_user = (flags & kUserStack) != 0;
  const auto& frames = is_user ? machine_.task.user_stack : machine_.task.kernel_stack;
  std::vector<uint64_t> words(size / 8);
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t at = i + (flags & kMostSkippedFrames);
    if (at < frames.size()) words[i] = frames[at];
  }
  write_bytes(into, reinterpret_cast<const uint8_t*>(words.data()), size);
  write_reg(Reg::R0, 8 * std::min<uint64_t>(words.size(), frames.size()));
}

void Run::probe_write() {
  const uint64_t address = read_reg(Reg::R1);
  const uint64_t source = read_reg(Reg::R2);
  const uint64_t size = read_reg(Reg::R3);
  if (size == 0 || size > 1 << 20) return fail("a write of no bytes, or of more than 1 MB");
  const Bytes bytes = read_bytes(source, size);
  auto& memory = machine_.task.user_memory;
  auto it = memory.upper_bound(address);
  if (it == memory.begin()) return write_reg(Reg::R0, static_cast<uint64_t>(kEfault));
  --it;
  const uint64_t at = address - it->first;
  if (at + size > it->second.size()) return write_reg(Reg::R0, static_cast<uint64_t>(kEfault));
  std::copy(bytes.begin(), bytes.end(), it->second.begin() + static_cast<int64_t>(at));
  write_reg(Reg::R0, 0);
}

void Run::probe_read(Helper helper) {
  uint64_t dst = read_reg(Reg::R1);
  uint64_t size = read_reg(Reg::R2);
  uint64_t src = read_reg(Reg::R3);
  bool is_user = helper == Helper::ProbeReadUser || helper == Helper::ProbeReadUserStr;
  bool is_str = helper == Helper::ProbeReadUserStr || helper == Helper::ProbeReadKernelStr;
  if (size > 1 << 20) return fail("a read of more than 1 MB");
  auto byte_at = [&](uint64_t address) -> std::optional<uint8_t> {
    const auto& memory = is_user ? machine_.task.user_memory : machine_.task.kernel_memory;
    auto it = memory.upper_bound(address);
    if (it != memory.begin()) {
      --it;
      if (address - it->first < it->second.size()) return it->second[address - it->first];
    }
    if (is_user) return std::nullopt;
    Region* region = machine_.find(address, 1);
    if (region == nullptr) return std::nullopt;
    return region->bytes[address & 0xffffffff];
  };
  Bytes out;
  bool fault = false;
  while (out.size() < size && !fault) {
    auto byte = byte_at(src + out.size());
    // Like the kernel's: the byte after the last one that fits is not looked at, it becomes the
    // NUL.
    if (is_str && out.size() + 1 == size) byte = uint8_t{0};
    fault = !byte.has_value();
    if (byte) out.push_back(*byte);
    if (is_str && byte == uint8_t{0}) break;
  }
  if (fault) out.assign(size, 0);
  write_bytes(dst, out.data(), out.size());
  // What the kernel may leave behind the NUL is not promised; the bytes must at least be the
  // program's own.
  if (machine_.find(dst, size) == nullptr) fail("the destination is smaller than the size given");
  int64_t result = fault ? kEfault : is_str ? static_cast<int64_t>(out.size()) : 0;
  write_reg(Reg::R0, static_cast<uint64_t>(result));
}

void Run::ring_helper(Helper helper) {
  if (helper == Helper::RingbufReserve) {
    auto map = map_argument();
    if (!map) return;
    if (machine_.maps_[*map].spec.kind != MapKind::RingBuffer) return fail("r1 is no ring buffer");
    if (read_reg(Reg::R3) != 0) return fail("flags of ringbuf_reserve must be 0");
    if (machine_.ring_full) return write_reg(Reg::R0, 0);
    // Memory of a ring is whatever was there: 0xee shows a byte that the program forgot.
    uint32_t region = machine_.add_region(Bytes(read_reg(Reg::R2), 0xee), true);
    records_.push_back(region);
    return write_reg(Reg::R0, machine_.address_of(region));
  }
  uint64_t address = read_reg(Reg::R1);
  auto it = std::find_if(records_.begin(), records_.end(),
                         [&](uint32_t region) { return machine_.address_of(region) == address; });
  if (it == records_.end()) return fail("r1 is no reserved record");
  auto flags = static_cast<int64_t>(read_reg(Reg::R2));
  Region& region = machine_.regions_[*it];
  region.live = false;
  Bytes data = std::move(region.bytes);
  region.bytes = Bytes();
  if (helper == Helper::RingbufSubmit)
    machine_.records_.push_back(FakeRecord{std::move(data), flags});
  records_.erase(it);
  known_[0] = false;
}

Result<uint64_t> Machine::run(const Program& program, const Bytes& context) {
  return Run(*this, program).go(context);
}

}  // namespace ktap::bpf
