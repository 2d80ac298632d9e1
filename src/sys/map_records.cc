// Each CPU has a ring of its own; a process leaves its records in that of the CPU where it runs.
// While one ring is read another gets on: so what came later than the reading began waits for the
// next one, and all rings together are in order.
#include "sys/map_records.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <utility>

#include "sys/bpf.h"
#include "sys/clock.h"
#include "sys/errors.h"
#include "sys/masked_signals.h"
#include "sys/unique_fd.h"

namespace ktap::sys {

namespace {

// Some hundred programs that are started.
constexpr size_t kRingBytes = size_t{128} << 10;
constexpr uint32_t kWakeBytes = kRingBytes / 4;
constexpr size_t kMostPending = size_t{64} << 10;
constexpr size_t kTimeBytes = 8;  // what sample_id_all puts behind each record

uint64_t now_ns() { return static_cast<uint64_t>(clock_ns(CLOCK_MONOTONIC)); }

/// A record out of the ring, and numbers of it; what lies outside is 0.
class RecordBytes {
 public:
  explicit RecordBytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <class T>
  T number(size_t at) const {
    T value = 0;
    if (at + sizeof value <= bytes_.size()) std::memcpy(&value, &bytes_[at], sizeof value);
    return value;
  }
  size_t size() const { return bytes_.size(); }
  uint64_t time_ns() const { return number<uint64_t>(bytes_.size() - kTimeBytes); }
  /// From there up to its NUL, or to the time.
  std::string text(size_t at) const {
    const auto* begin = reinterpret_cast<const char*>(&bytes_[at]);
    return {begin, strnlen(begin, bytes_.size() - kTimeBytes - at)};
  }

 private:
  std::span<const uint8_t> bytes_;
};

/// Places in records, and what the shortest one has.
constexpr size_t kHeaderBytes = sizeof(perf_event_header);
constexpr size_t kPid = kHeaderBytes;
constexpr size_t kParent = kHeaderBytes + 4;  // of a fork
constexpr size_t kForkBytes = kHeaderBytes + 24 + kTimeBytes;
constexpr size_t kCommandBytes = kHeaderBytes + 8 + kTimeBytes;
constexpr size_t kLostCount = kHeaderBytes + 8;
constexpr size_t kLostBytes = kHeaderBytes + 16 + kTimeBytes;
constexpr size_t kAddress = kHeaderBytes + 8;
constexpr size_t kLength = kHeaderBytes + 16;
constexpr size_t kFileOffset = kHeaderBytes + 24;
constexpr size_t kMajor = kHeaderBytes + 32;
constexpr size_t kMinor = kHeaderBytes + 36;
constexpr size_t kInode = kHeaderBytes + 40;
constexpr size_t kProtection = kHeaderBytes + 56;
constexpr size_t kPath = kHeaderBytes + 64;
constexpr size_t kMappedBytes = kPath + kTimeBytes;

bool read_mapped(const RecordBytes& bytes, MapRecord& record) {
  if (bytes.size() < kMappedBytes) return false;
  if ((bytes.number<uint32_t>(kProtection) & PROT_EXEC) == 0) return false;
  record.kind = MapRecord::Kind::Mapped;
  record.pid = bytes.number<pid_t>(kPid);
  record.begin = bytes.number<uint64_t>(kAddress);
  const uint64_t length = bytes.number<uint64_t>(kLength);
  record.end = record.begin + std::min(length, UINT64_MAX - record.begin);
  record.file_offset = bytes.number<uint64_t>(kFileOffset);
  record.device = uint64_t{bytes.number<uint32_t>(kMajor)} << 32 | bytes.number<uint32_t>(kMinor);
  record.inode = bytes.number<uint64_t>(kInode);
  record.path = bytes.text(kPath);
  return record.begin < record.end;
}

/// False: of what does not concern us, or too short for what it says to be.
bool read_record(const perf_event_header& header, const RecordBytes& bytes, uint64_t last_ns,
                 MapRecord& record) {
  record.time_ns = bytes.time_ns();
  switch (header.type) {
    case PERF_RECORD_MMAP2:
      return read_mapped(bytes, record);
    case PERF_RECORD_COMM:
      record.kind = MapRecord::Kind::Executed;
      record.pid = bytes.number<pid_t>(kPid);
      return bytes.size() >= kCommandBytes && (header.misc & PERF_RECORD_MISC_COMM_EXEC) != 0;
    case PERF_RECORD_FORK:
      record.kind = MapRecord::Kind::Forked;
      record.pid = bytes.number<pid_t>(kPid);
      record.parent = bytes.number<pid_t>(kParent);
      return bytes.size() >= kForkBytes && record.pid != record.parent;
    case PERF_RECORD_LOST:
      record.kind = MapRecord::Kind::Lost;
      record.until_ns = record.time_ns;
      record.time_ns = last_ns;
      record.count = bytes.number<uint64_t>(kLostCount);
      return bytes.size() >= kLostBytes;
    default:
      return false;
  }
}

}  // namespace

void read_map_records(std::span<const uint8_t> ring, uint64_t tail, uint64_t head,
                      uint64_t* last_ns, std::vector<MapRecord>& records) {
  const uint64_t mask = ring.size() - 1;
  std::vector<uint8_t> whole;  // of a record that goes round the end
  const auto bytes_at = [&](uint64_t at, size_t size) {
    const auto begin = static_cast<size_t>(at & mask);
    if (begin + size <= ring.size()) return ring.subspan(begin, size);
    whole.assign(ring.begin() + static_cast<std::ptrdiff_t>(begin), ring.end());
    whole.insert(whole.end(), ring.begin(),
                 ring.begin() + static_cast<std::ptrdiff_t>(begin + size - ring.size()));
    return std::span<const uint8_t>(whole);
  };
  bool is_broken = head - tail > ring.size();
  while (!is_broken && head - tail >= sizeof(perf_event_header)) {
    perf_event_header header;
    std::memcpy(&header, bytes_at(tail, sizeof header).data(), sizeof header);
    is_broken = header.size < sizeof header + kTimeBytes || header.size > head - tail;
    if (is_broken) break;
    const RecordBytes bytes(bytes_at(tail, header.size));
    MapRecord record;
    if (read_record(header, bytes, *last_ns, record)) records.push_back(std::move(record));
    *last_ns = bytes.time_ns();
    tail += header.size;
  }
  if (!is_broken && tail == head) return;
  MapRecord lost;
  lost.kind = MapRecord::Kind::Lost;
  lost.time_ns = lost.until_ns = *last_ns;
  lost.count = 1;
  records.push_back(std::move(lost));
}

namespace {

/// That of a CPU, mapped.
class Ring {
 public:
  static Result<Ring> open(int cpu);
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&& other) noexcept;
  ~Ring();
  int fd() const { return event_.get(); }
  void drain(std::vector<MapRecord>& records);
  uint64_t last_ns() const { return last_ns_; }

 private:
  Ring() = default;
  UniqueFd event_;
  uint8_t* pages_ = nullptr;
  size_t page_bytes_ = 0;
  size_t data_bytes_ = 0;
  uint64_t last_ns_ = 0;
};

Result<Ring> Ring::open(int cpu) {
  perf_event_attr attr = {};
  attr.type = PERF_TYPE_SOFTWARE;
  attr.size = sizeof attr;
  attr.config = PERF_COUNT_SW_DUMMY;
  attr.sample_type = PERF_SAMPLE_TIME;
  attr.sample_id_all = 1;
  attr.mmap = 1;  // of code alone
  attr.mmap2 = 1;
  attr.comm = 1;
  attr.comm_exec = 1;
  attr.task = 1;
  attr.watermark = 1;
  attr.wakeup_watermark = kWakeBytes;
  attr.use_clockid = 1;
  attr.clockid = CLOCK_MONOTONIC;
  Ring ring;
  ring.event_.reset(
      static_cast<int>(syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
  const std::string what = fmt::format("watching what programs map, on CPU {}", cpu);
  if (!ring.event_.valid()) return tracing_error(what, errno);
  ring.page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ring.data_bytes_ = std::max(kRingBytes, ring.page_bytes_);
  void* pages = mmap(nullptr, ring.page_bytes_ + ring.data_bytes_, PROT_READ | PROT_WRITE,
                     MAP_SHARED, ring.fd(), 0);
  if (pages == MAP_FAILED) return tracing_error(what, errno);
  ring.pages_ = static_cast<uint8_t*>(pages);
  ring.last_ns_ = now_ns();
  return ring;
}

Ring::Ring(Ring&& other) noexcept { *this = std::move(other); }

Ring& Ring::operator=(Ring&& other) noexcept {
  std::swap(event_, other.event_);
  std::swap(pages_, other.pages_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(data_bytes_, other.data_bytes_);
  std::swap(last_ns_, other.last_ns_);
  return *this;
}

Ring::~Ring() {
  if (pages_ != nullptr) munmap(pages_, page_bytes_ + data_bytes_);
}

void Ring::drain(std::vector<MapRecord>& records) {
  auto* page = reinterpret_cast<perf_event_mmap_page*>(pages_);
  const uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
  const uint64_t tail = page->data_tail;
  if (head == tail) return;
  read_map_records({pages_ + page_bytes_, data_bytes_}, tail, head, &last_ns_, records);
  __atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
}

}  // namespace

struct MapRecords::State {
  UniqueFd epoll;  ///< readable when a ring is a quarter full, or it is the end
  UniqueFd end;
  std::mutex mutex;  ///< guards what follows
  std::vector<Ring> rings;
  std::vector<MapRecord> pending;
  uint64_t lost = 0;
  pthread_t thread{};
  bool has_thread = false;

  ~State() {
    const uint64_t one = 1;
    if (has_thread && write(end.get(), &one, sizeof one) == sizeof one)
      pthread_join(thread, nullptr);
  }

  Result<void> open_all();
  Result<void> watch(int fd) const;
  void start();
  void run();
  void drain();
  std::vector<MapRecord> take();
};

Result<void> MapRecords::State::watch(int fd) const {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return system_error("watching what programs map", errno);
  return {};
}

Result<void> MapRecords::State::open_all() {
  epoll.reset(epoll_create1(EPOLL_CLOEXEC));
  end.reset(eventfd(0, EFD_CLOEXEC));
  if (!epoll.valid() || !end.valid()) return system_error("creating an event descriptor", errno);
  KTAP_TRY(watch(end.get()));
  KTAP_ASSIGN(const std::vector<int> cpus, online_cpus());
  for (const int cpu : cpus) {
    Result<Ring> ring = Ring::open(cpu);
    if (!ring.ok() && ring.error().sys_errno == ENODEV) continue;  // gone since
    if (!ring.ok()) return ring.error();
    KTAP_TRY(watch(ring.value().fd()));
    rings.push_back(std::move(ring).value());
  }
  return {};
}

/// Without a thread take() does what there is to do.
void MapRecords::State::start() {
  const MaskedSignals masked;
  const auto begin = [](void* self) -> void* {
    static_cast<State*>(self)->run();
    return nullptr;
  };
  has_thread = pthread_create(&thread, nullptr, begin, this) == 0;
}

void MapRecords::State::run() {
  epoll_event event = {};
  while (epoll_wait(epoll.get(), &event, 1, -1) >= 0 || errno == EINTR) {
    if (event.data.fd == end.get()) return;
    const std::lock_guard<std::mutex> guard(mutex);
    drain();
  }
}

/// Requires the lock.
void MapRecords::State::drain() {
  for (Ring& ring : rings) {
    const size_t before = pending.size();
    const uint64_t since_ns = ring.last_ns();
    ring.drain(pending);
    if (pending.size() <= kMostPending) continue;
    MapRecord lost_ones;
    lost_ones.kind = MapRecord::Kind::Lost;
    lost_ones.time_ns = since_ns;
    lost_ones.until_ns = ring.last_ns();
    lost_ones.count = pending.size() - before;
    pending.resize(before);
    pending.push_back(std::move(lost_ones));
  }
}

std::vector<MapRecord> MapRecords::State::take() {
  const uint64_t begin = now_ns();
  const std::lock_guard<std::mutex> guard(mutex);
  drain();
  if (pending.empty()) return {};
  std::stable_sort(pending.begin(), pending.end(),
                   [](const MapRecord& a, const MapRecord& b) { return a.time_ns < b.time_ns; });
  const auto later = std::find_if(pending.begin(), pending.end(),
                                  [begin](const MapRecord& r) { return r.time_ns > begin; });
  std::vector<MapRecord> taken(std::make_move_iterator(pending.begin()),
                               std::make_move_iterator(later));
  pending.erase(pending.begin(), later);
  for (const MapRecord& record : taken) lost += record.count;
  return taken;
}

Result<MapRecords> MapRecords::open() {
  auto state = std::make_unique<State>();
  KTAP_TRY(state->open_all());
  state->start();
  return MapRecords(std::move(state));
}

MapRecords::MapRecords(std::unique_ptr<State> state) : state_(std::move(state)) {}
MapRecords::MapRecords(MapRecords&&) noexcept = default;
MapRecords& MapRecords::operator=(MapRecords&&) noexcept = default;
MapRecords::~MapRecords() = default;

std::vector<MapRecord> MapRecords::take() { return state_->take(); }

uint64_t MapRecords::lost() const { return state_->lost; }

}  // namespace ktap::sys
