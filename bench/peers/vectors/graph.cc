// One peer of the suite "vectorize" that is a C++ library: USearch or hnswlib,
// used as its authors do, without another language between.
//
//   graph PEER DIM BASE QUERIES THREADS SAVED
//   graph stream BYTES SECONDS
//
// The second prints how many bytes a second one thread reads at most.
//
// The index of the vectors in BASE is read from SAVED if that is there, else
// built with THREADS threads and written. Lines "ef threads count filter" on
// standard input are answered by running the first count queries; filter is the
// name of a file of one bit a row, or "-".
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <hnswlib.h>
#include <usearch/index_dense.hpp>

namespace {

constexpr std::size_t k = 10, degree = 16, candidates = 128;
using Bits = std::vector<unsigned char>;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

double processor_seconds() {
    rusage u{};
    getrusage(RUSAGE_SELF, &u);
    return double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + double(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// thread_seconds is the processor time of the calling thread.
double thread_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

// anonymous_bytes is the memory of this process that is not a file's.
double anonymous_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("RssAnon:", 0) == 0) return std::stod(line.substr(8)) * 1024;
    return 0;
}

bool keeps(Bits const& bits, std::size_t row) { return bits[row >> 3] >> (row & 7) & 1; }

template <typename T> std::vector<T> read_file(std::string const& name) {
    std::ifstream in(name, std::ios::binary | std::ios::ate);
    if (!in) throw std::runtime_error("cannot read " + name);
    std::vector<T> out(std::size_t(in.tellg()) / sizeof(T));
    in.seekg(0);
    in.read(reinterpret_cast<char*>(out.data()), std::streamsize(out.size() * sizeof(T)));
    return out;
}

// share calls f(thread, i) for every i below n from some threads.
void share(std::size_t n, std::size_t threads, std::function<void(std::size_t, std::size_t)> const& f) {
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < threads; t++)
        all.emplace_back([&, t] {
            for (std::size_t i; (i = next++) < n;) f(t, i);
        });
    for (auto& t : all) t.join();
}

struct Peer {
    virtual ~Peer() = default;
    virtual void reserve(std::size_t n, std::size_t threads) = 0;
    virtual void add(std::size_t row, float const* v, std::size_t thread) = 0;
    virtual void save(std::string const& name) = 0;
    virtual void load(std::string const& name, std::size_t n, std::size_t threads) = 0;
    virtual void expand(std::size_t ef) = 0;
    virtual std::vector<std::size_t> search(float const* v, Bits const* filter, std::size_t thread) = 0;
};

struct USearch final : Peer {
    using Index = unum::usearch::index_dense_t;
    Index index;

    USearch(std::size_t dim, unum::usearch::scalar_kind_t kind) {
        unum::usearch::metric_punned_t metric(dim, unum::usearch::metric_kind_t::cos_k, kind);
        unum::usearch::index_dense_config_t config(degree, candidates, 64);
        auto made = Index::make(metric, config);
        if (!made) throw std::runtime_error("usearch: make");
        index = std::move(made.index);
        std::cerr << "usearch: " << metric.isa_name() << "\n";
    }
    void reserve(std::size_t n, std::size_t threads) override {
        if (!index.try_reserve({n, threads})) throw std::runtime_error("usearch: reserve");
    }
    void add(std::size_t row, float const* v, std::size_t thread) override {
        if (auto r = index.add(row, v, thread); !r) throw std::runtime_error(r.error.release());
    }
    void save(std::string const& name) override {
        if (auto r = index.save(name.c_str()); !r) throw std::runtime_error(r.error.release());
    }
    void load(std::string const& name, std::size_t n, std::size_t threads) override {
        if (auto r = index.load(name.c_str()); !r) throw std::runtime_error(r.error.release());
        reserve(n, threads);
    }
    void expand(std::size_t ef) override { index.change_expansion_search(ef); }
    std::vector<std::size_t> search(float const* v, Bits const* filter, std::size_t thread) override {
        auto found = filter ? index.filtered_search(v, k, [filter](std::size_t row) { return keeps(*filter, row); }, thread)
                            : index.search(v, k, thread);
        if (!found) throw std::runtime_error(found.error.release());
        std::vector<std::size_t> rows;
        for (std::size_t i = 0; i < found.size(); i++) rows.push_back(found[i].member.key);
        return rows;
    }
};

struct Hnswlib final : Peer {
    struct Filter final : hnswlib::BaseFilterFunctor {
        Bits const* bits;
        bool operator()(hnswlib::labeltype row) override { return keeps(*bits, row); }
    };
    hnswlib::InnerProductSpace space;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> index;

    explicit Hnswlib(std::size_t dim) : space(dim) {}
    void reserve(std::size_t n, std::size_t) override {
        index = std::make_unique<hnswlib::HierarchicalNSW<float>>(&space, n, degree, candidates);
    }
    void add(std::size_t row, float const* v, std::size_t) override { index->addPoint(v, row); }
    void save(std::string const& name) override { index->saveIndex(name); }
    void load(std::string const& name, std::size_t n, std::size_t) override {
        index = std::make_unique<hnswlib::HierarchicalNSW<float>>(&space, name, false, n);
    }
    void expand(std::size_t ef) override { index->setEf(ef); }
    std::vector<std::size_t> search(float const* v, Bits const* filter, std::size_t) override {
        Filter f;
        f.bits = filter;
        std::vector<std::size_t> rows;
        for (auto q = index->searchKnn(v, k, filter ? &f : nullptr); !q.empty(); q.pop()) rows.push_back(q.top().second);
        return rows;
    }
};

std::unique_ptr<Peer> make(std::string const& name, std::size_t dim) {
    using unum::usearch::scalar_kind_t;
    if (name == "usearch-i8") return std::make_unique<USearch>(dim, scalar_kind_t::i8_k);
    if (name == "usearch-f32") return std::make_unique<USearch>(dim, scalar_kind_t::f32_k);
    if (name == "hnswlib") return std::make_unique<Hnswlib>(dim);
    throw std::runtime_error("unknown peer " + name);
}

// prepare loads the index or builds it, and says what that took.
void prepare(Peer& peer, std::size_t dim, std::string const& base, std::string const& saved, std::size_t threads) {
    struct stat st{};
    if (stat(base.c_str(), &st) != 0) throw std::runtime_error("no " + base);
    std::size_t const n = std::size_t(st.st_size) / dim / sizeof(float);
    double built[2] = {0, 0};
    if (std::ifstream times(saved + ".times"); times >> built[0] >> built[1]) {
        peer.load(saved, n, threads);
    } else {
        auto const vectors = read_file<float>(base);
        peer.reserve(n, threads);
        auto const began = Clock::now();
        double const cpu = processor_seconds();
        share(n, threads, [&](std::size_t t, std::size_t i) { peer.add(i, &vectors[i * dim], t); });
        built[0] = since(began), built[1] = processor_seconds() - cpu;
        peer.save(saved);
        std::ofstream(saved + ".times") << built[0] << " " << built[1] << "\n";
    }
    std::printf("{\"build\":%g,\"processor\":%g,\"memory\":%g}\n", built[0], built[1], anonymous_bytes());
    std::fflush(stdout);
}

void answer(Peer& peer, std::size_t dim, std::vector<float> const& queries, std::size_t q, std::size_t threads, Bits const* filter) {
    std::vector<std::vector<std::size_t>> found(q);
    std::vector<double> took(q), worked(q);
    auto const began = Clock::now();
    share(q, threads, [&](std::size_t t, std::size_t i) {
        auto const start = Clock::now();
        double const busy = thread_seconds();
        found[i] = peer.search(&queries[i * dim], filter, t);
        worked[i] = thread_seconds() - busy;
        took[i] = since(start);
    });
    double const seconds = since(began), processor = std::accumulate(worked.begin(), worked.end(), 0.0);
    std::sort(took.begin(), took.end());
    std::string out = "{\"seconds\":" + std::to_string(seconds) + ",\"processor\":" + std::to_string(processor) + ",\"p95\":" + std::to_string(took[q * 95 / 100]) + ",\"found\":[";
    for (std::size_t i = 0; i < q; i++) {
        out += i ? ",[" : "[";
        for (std::size_t j = 0; j < found[i].size(); j++) out += (j ? "," : "") + std::to_string(found[i][j]);
        out += "]";
    }
    std::cout << out << "]}" << std::endl;
}

// stream reads memory front to back, over and over, as fast as it comes.
void stream(std::size_t bytes, double seconds) {
    constexpr std::size_t huge = 2 << 20;
    std::size_t const size = (bytes + huge - 1) / huge * huge;
    auto* words = static_cast<std::uint64_t*>(std::aligned_alloc(huge, size));
    if (words == nullptr) throw std::bad_alloc();
    madvise(words, size, MADV_HUGEPAGE);
    for (std::size_t i = 0; i < bytes / 8; i++) words[i] = i;
    std::uint64_t sum = 0, rounds = 0;
    auto const began = Clock::now();
    double took;
    do {
        for (std::size_t i = 0; i < bytes / 8; i++) sum ^= words[i];
        asm volatile("" : "+r"(sum) : : "memory");
        rounds++;
    } while ((took = since(began)) < seconds);
    std::printf("%g\n", double(bytes) * double(rounds) / took);
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc == 4 && std::string(argv[1]) == "stream") {
        stream(std::stoul(argv[2]), std::stod(argv[3]));
        return 0;
    }
    if (argc != 7) throw std::runtime_error("usage: graph PEER DIM BASE QUERIES THREADS SAVED");
    std::size_t const dim = std::stoul(argv[2]), most = std::stoul(argv[5]);
    auto peer = make(argv[1], dim);
    prepare(*peer, dim, argv[3], argv[6], most);
    auto const queries = read_file<float>(argv[4]);
    std::size_t ef, threads, count;
    std::string filter;
    while (std::cin >> ef >> threads >> count && std::getline(std::cin >> std::ws, filter)) {
        peer->expand(ef);
        count = std::min(count, queries.size() / dim);
        Bits bits;
        if (filter != "-") bits = read_file<unsigned char>(filter);
        answer(*peer, dim, queries, count, std::min(threads, most), filter == "-" ? nullptr : &bits);
    }
} catch (std::exception const& e) {
    std::cerr << "graph: " << e.what() << "\n";
    return 1;
}
