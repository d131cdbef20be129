// The loops of the Boost peers, so that no message costs a call between languages.
//
// Messages are built and checked as `payload` of segring-bench does it; boost.rs compares the two.
// A function that receives returns the number of the first message that it did not receive and
// check, and leaves that message in a buffer if it was a wrong one.

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

#include <sys/statvfs.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <type_traits>

namespace {

using std::size_t;
using std::uint64_t;

constexpr uint64_t SPREAD = 0x9e3779b97f4a7c15;
constexpr uint64_t STEP = 0xd1b54a32d192ed03;

/// A message. Like the Rust side's `[u64; N]`.
template <size_t N>
struct message {
    uint64_t words[N];
};

/// Two words, as one vector of every processor: compilers differ in how well they find vectors in
/// plain loops, and that is not what is measured.
typedef uint64_t two_words __attribute__((vector_size(16)));

template <size_t N>
[[gnu::always_inline]] inline void fill(message<N> &out, uint64_t seq) {
    const uint64_t base = seq * SPREAD;
    two_words wanted = {base, base + STEP};
    for (size_t i = 0; i + 1 < N; i += 2) {
        std::memcpy(&out.words[i], &wanted, sizeof wanted);
        wanted += 2 * STEP;
    }
    if (N % 2 == 1) {
        out.words[N - 1] = base + (N - 1) * STEP;
    }
}

template <size_t N>
[[gnu::always_inline]] inline uint64_t difference(const message<N> &in, uint64_t seq) {
    const uint64_t base = seq * SPREAD;
    if constexpr (N == 1) {
        return in.words[0] ^ base;
    }
    two_words wanted = {base, base + STEP};
    two_words all = {0, 0};
    for (size_t i = 0; i + 1 < N; i += 2) {
        two_words words;
        std::memcpy(&words, &in.words[i], sizeof words);
        all |= words ^ wanted;
        wanted += 2 * STEP;
    }
    uint64_t difference = all[0] | all[1];
    if (N % 2 == 1) {
        difference |= in.words[N - 1] ^ (base + (N - 1) * STEP);
    }
    return difference;
}

/// What to do when a queue is full or empty: the Rust side's way, or one hint to the processor.
using pause_function = void (*)();

[[gnu::always_inline]] inline void wait(pause_function pause) {
    if (pause) {
        pause();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

/// As `capacity` of the Rust peers.
constexpr size_t capacity(size_t size) {
    const size_t most = (size_t(1) << 20) / size;
    size_t power = 1;
    while (power * 2 <= most) {
        power *= 2;
    }
    return power;
}

/// With its capacity as a constant, so that the library knows where the ring wraps.
template <size_t N>
using spsc_queue = boost::lockfree::spsc_queue<message<N>, boost::lockfree::capacity<capacity(N * 8)>>;

template <size_t N>
void send(spsc_queue<N> &queue, uint64_t first, uint64_t n, pause_function pause) {
    message<N> out;
    for (uint64_t seq = first; seq != first + n; ++seq) {
        fill(out, seq);
        while (!queue.push(out)) {
            wait(pause);
        }
    }
}

template <size_t N>
uint64_t receive(spsc_queue<N> &queue, uint64_t first, uint64_t n, pause_function pause, message<N> &wrong) {
    message<N> in;
    for (uint64_t seq = first; seq != first + n; ++seq) {
        while (!queue.pop(in)) {
            wait(pause);
        }
        if (difference(in, seq)) {
            wrong = in;
            return seq;
        }
    }
    return first + n;
}

template <size_t N>
void send_bulk(spsc_queue<N> &queue, uint64_t first, uint64_t n, pause_function pause, message<N> *batch,
               size_t len) {
    const uint64_t end = first + n;
    for (uint64_t next = first; next != end;) {
        const size_t count = std::min<uint64_t>(len, end - next);
        for (size_t i = 0; i < count; ++i) {
            fill(batch[i], next + i);
        }
        next += count;
        for (size_t sent = 0; sent != count;) {
            const size_t more = queue.push(batch + sent, count - sent);
            if (more == 0) {
                wait(pause);
            }
            sent += more;
        }
    }
}

template <size_t N>
uint64_t receive_bulk(spsc_queue<N> &queue, uint64_t first, uint64_t n, pause_function pause,
                      message<N> *batch, size_t len) {
    const uint64_t end = first + n;
    for (uint64_t next = first; next != end;) {
        const size_t count = queue.pop(batch, std::min<uint64_t>(len, end - next));
        if (count == 0) {
            wait(pause);
        }
        uint64_t all = 0;
        for (size_t i = 0; i < count; ++i) {
            all |= difference(batch[i], next + i);
        }
        if (all) {
            for (size_t i = 0; i < count; ++i) {
                if (difference(batch[i], next + i)) {
                    batch[0] = batch[i];
                    return next + i;
                }
            }
        }
        next += count;
    }
    return end;
}

namespace ipc = boost::interprocess;

/// The queue between processes: it waits by itself.
template <size_t N>
void send(ipc::message_queue &queue, uint64_t first, uint64_t n) {
    message<N> out;
    for (uint64_t seq = first; seq != first + n; ++seq) {
        fill(out, seq);
        queue.send(&out, sizeof out, 0);
    }
}

template <size_t N>
uint64_t receive(ipc::message_queue &queue, uint64_t first, uint64_t n, message<N> &wrong) {
    message<N> in;
    for (uint64_t seq = first; seq != first + n; ++seq) {
        ipc::message_queue::size_type came = 0;
        unsigned priority = 0;
        queue.receive(&in, sizeof in, came, priority);
        if (came != sizeof in) {
            throw std::runtime_error("a message of another length");
        }
        if (difference(in, seq)) {
            wrong = in;
            return seq;
        }
    }
    return first + n;
}

/// Calls `call` with the message's number of words as a constant.
template <typename Call>
void for_words(size_t words, Call call) {
    switch (words) {
    case 1: return call(std::integral_constant<size_t, 1>());
    case 7: return call(std::integral_constant<size_t, 7>());
    case 8: return call(std::integral_constant<size_t, 8>());
    case 32: return call(std::integral_constant<size_t, 32>());
    case 128: return call(std::integral_constant<size_t, 128>());
    case 512: return call(std::integral_constant<size_t, 512>());
    case 2048: return call(std::integral_constant<size_t, 2048>());
    case 8192: return call(std::integral_constant<size_t, 8192>());
    default: throw std::runtime_error("a size that is not compiled in");
    }
}

/// The Rust side's, with room for a C string.
struct text {
    char *bytes;
    size_t len;
};

void say(text error, const char *what) { std::snprintf(error.bytes, error.len, "%s", what); }

/// Runs `call`; exceptions must not leave C++, so they become a text. Whether there was none.
template <typename Call>
bool guarded(text error, Call call) {
    try {
        call();
        return true;
    } catch (const std::exception &e) {
        say(error, e.what());
    } catch (...) {
        say(error, "an exception without a text");
    }
    return false;
}

} // namespace

extern "C" {

bool segring_versus_fill(size_t words, uint64_t *out, uint64_t seq, text error) {
    return guarded(error, [&] {
        for_words(words, [&](auto n) { fill(*reinterpret_cast<message<n> *>(out), seq); });
    });
}

bool segring_versus_difference(size_t words, const uint64_t *in, uint64_t seq, bool *differs, text error) {
    return guarded(error, [&] {
        for_words(words,
                  [&](auto n) { *differs = difference(*reinterpret_cast<const message<n> *>(in), seq) != 0; });
    });
}

void *segring_versus_spsc_new(size_t words, text error) {
    void *queue = nullptr;
    guarded(error, [&] { for_words(words, [&](auto n) { queue = new spsc_queue<n>(); }); });
    return queue;
}

void segring_versus_spsc_delete(size_t words, void *queue, text error) {
    guarded(error, [&] {
        for_words(words, [&](auto n) { delete static_cast<spsc_queue<n> *>(queue); });
    });
}

/// Without a batch (a length of 0): one message per call.
bool segring_versus_spsc_send(size_t words, void *queue, uint64_t first, uint64_t n_messages,
                              pause_function pause, uint64_t *batch, size_t len, text error) {
    return guarded(error, [&] {
        for_words(words, [&](auto n) {
            auto &spsc = *static_cast<spsc_queue<n> *>(queue);
            if (len == 0) {
                send<n>(spsc, first, n_messages, pause);
            } else {
                send_bulk<n>(spsc, first, n_messages, pause, reinterpret_cast<message<n> *>(batch), len);
            }
        });
    });
}

/// As sending; the buffer has room for at least one message in any case.
bool segring_versus_spsc_receive(size_t words, void *queue, uint64_t first, uint64_t n_messages,
                                 pause_function pause, uint64_t *buffer, size_t len, uint64_t *reached,
                                 text error) {
    return guarded(error, [&] {
        for_words(words, [&](auto n) {
            auto &spsc = *static_cast<spsc_queue<n> *>(queue);
            auto *batch = reinterpret_cast<message<n> *>(buffer);
            *reached = len == 0 ? receive<n>(spsc, first, n_messages, pause, *batch)
                                : receive_bulk<n>(spsc, first, n_messages, pause, batch, len);
        });
    });
}

/// 0: made. 1: not possible on this system. 2: an error.
int segring_versus_mq_make(const char *name, size_t words, text error) {
    const size_t size = words * sizeof(uint64_t);
    const size_t len = capacity(size);
    // The library does not reserve the memory: without room, writing would end the process.
    struct statvfs shm;
    const size_t needed = len * (size + 64) + 4096;
    if (statvfs("/dev/shm", &shm) != 0) {
        say(error, "there is no /dev/shm");
        return 1;
    }
    if (shm.f_bavail * shm.f_frsize < needed) {
        std::snprintf(error.bytes, error.len, "/dev/shm has no room for %zu bytes", needed);
        return 1;
    }
    const bool made = guarded(error, [&] { ipc::message_queue(ipc::create_only, name, len, size); });
    return made ? 0 : 2;
}

bool segring_versus_mq_remove(const char *name) { return ipc::message_queue::remove(name); }

void *segring_versus_mq_open(const char *name, text error) {
    void *queue = nullptr;
    guarded(error, [&] { queue = new ipc::message_queue(ipc::open_only, name); });
    return queue;
}

void segring_versus_mq_close(void *queue) { delete static_cast<ipc::message_queue *>(queue); }

bool segring_versus_mq_send(size_t words, void *queue, uint64_t first, uint64_t n_messages, text error) {
    return guarded(error, [&] {
        for_words(words,
                  [&](auto n) { send<n>(*static_cast<ipc::message_queue *>(queue), first, n_messages); });
    });
}

bool segring_versus_mq_receive(size_t words, void *queue, uint64_t first, uint64_t n_messages,
                               uint64_t *wrong, uint64_t *reached, text error) {
    return guarded(error, [&] {
        for_words(words, [&](auto n) {
            auto &mq = *static_cast<ipc::message_queue *>(queue);
            *reached = receive<n>(mq, first, n_messages, *reinterpret_cast<message<n> *>(wrong));
        });
    });
}

} // extern "C"
