/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases with google-benchmark: those that are rivals in turn, A B A B, so that a machine
 * whose speed drifts does not decide the result. */
#include "bench_data.h"
#include "bench_memory.h"
#include "bench_rivalry.h"
#include "limit.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace
{

constexpr int64_t kIterationsMax = 1000 * 1000;

struct Options {
    std::string filter; /* regular expression; empty: all */
    std::string records;
    int repetitions = 7;
    double min_seconds = 0.2; /* of one repetition of a case */
    bool list = false;
};

double seconds_of(const timespec &t)
{
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

double wall_seconds()
{
    timespec t = {};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return seconds_of(t);
}

/* Of all threads, and of children that have ended. */
double cpu_seconds()
{
    timespec t = {};
    rusage children = {};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    const auto of = [](const timeval &v) {
        return static_cast<double>(v.tv_sec) + static_cast<double>(v.tv_usec) / 1e6;
    };
    return seconds_of(t) + of(children.ru_utime) + of(children.ru_stime);
}

/* A case and what it has set up, for as long as its group runs. */
struct Competitor {
    sl_bench_result *result;
    sl_bench_run run = {};
    bool is_set_up = false;
    int64_t iterations = 1;
    double wall = 0, cpu = 0; /* of the repetition that runs */

    bool ok() const
    {
        return result->r == 0;
    }
    int reset()
    {
        return result->c->reset ? result->c->reset(&run, &result->err) : 0;
    }
    /* One run whose time is taken. */
    bool time_one()
    {
        result->r = reset();
        if (!ok())
            return false;
        const double wall_before = wall_seconds(), cpu_before = cpu_seconds();
        result->r = result->c->run(&run, &result->err);
        cpu += cpu_seconds() - cpu_before;
        wall += wall_seconds() - wall_before;
        return ok();
    }
};

void prepare(Competitor &x, const Options &options)
{
    sl_bench_result &result = *x.result;
    result.r = result.c->set_up(result.c, &x.run, &result.err);
    x.is_set_up = result.r == 0;
    if (!x.is_set_up)
        return;
    const uint64_t resident = sl_bench_memory_mark();
    if (!x.time_one())
        return;
    const uint64_t peak = sl_bench_memory_peak();
    result.bytes = x.run.bytes;
    result.peak_bytes = x.run.peak_bytes ? x.run.peak_bytes : peak > resident ? peak - resident : 0;
    if (!sl_bench_smoke)
        x.iterations = std::clamp<int64_t>(
            static_cast<int64_t>(options.min_seconds / std::max(x.wall, 1e-7)), 1, kIterationsMax);
}

/* Called by google-benchmark. Runs that need no reset are timed together, the clock being dearer
 * than the shortest of them. */
void repeat(benchmark::State &state, Competitor &x)
{
    x.wall = x.cpu = 0;
    const bool is_apart = x.result->c->reset != nullptr;
    const double wall_before = wall_seconds(), cpu_before = cpu_seconds();
    for (auto _ : state) {
        if (is_apart)
            (void)x.time_one();
        else
            x.result->r = x.result->c->run(&x.run, &x.result->err);
        if (!x.ok()) {
            state.SkipWithError(x.result->err.msg);
            break;
        }
    }
    if (!is_apart) {
        x.cpu = cpu_seconds() - cpu_before;
        x.wall = wall_seconds() - wall_before;
    }
}

/* google-benchmark runs; the table is ours. */
class Silent : public benchmark::BenchmarkReporter
{
  public:
    bool ReportContext(const Context &) override
    {
        return true;
    }
    void ReportRuns(const std::vector<Run> &) override
    {
    }
};

void run_once(Competitor &x)
{
    if (!x.ok())
        return;
    Silent reporter;
    benchmark::RegisterBenchmark(x.result->c->name, [&x](benchmark::State &state) {
        repeat(state, x);
    })->Iterations(x.iterations);
    benchmark::RunSpecifiedBenchmarks(&reporter, ".");
    benchmark::ClearRegisteredBenchmarks();
    if (!x.ok())
        return;
    const auto n = static_cast<double>(x.iterations);
    sl_bench_result &result = *x.result;
    result.wall[result.n] = x.wall / n;
    result.cpu[result.n] = x.cpu / n;
    result.n++;
}

void run_group(std::vector<Competitor> &group, const Options &options)
{
    for (auto &x : group)
        prepare(x, options);
    for (int i = 0; i < options.repetitions; i++)
        for (auto &x : group)
            run_once(x);
    for (auto &x : group)
        if (x.is_set_up)
            x.result->c->tear_down(&x.run);
}

void run_all(const sl_bench_results &results, const Options &options)
{
    const bool is_watched = isatty(STDERR_FILENO);
    for (size_t i = 0; i < results.n;) {
        std::vector<Competitor> group;
        const size_t number = results.list[i].group;
        for (; i < results.n && results.list[i].group == number; i++) {
            Competitor x;
            x.result = &results.list[i];
            group.push_back(x);
        }
        if (is_watched)
            std::cerr << "\r\033[K" << i << "/" << results.n << " " << group[0].result->c->name
                      << std::flush;
        run_group(group, options);
    }
    if (is_watched)
        std::cerr << "\r\033[K";
}

const char usage[] =
    "usage: sluice-bench [--filter REGEX] [--records FILE] [--quick | --smoke] [--repetitions N]\n"
    "                    [--min-time SECONDS] [--list]\n"
    "       sluice-bench limit IMAGE\n";

bool parse_value(const std::string &name, const std::string &value, Options &options)
{
    if (name == "--filter" || name == "--benchmark_filter")
        options.filter = value;
    else if (name == "--records")
        options.records = value;
    else if (name == "--repetitions" || name == "--benchmark_repetitions")
        options.repetitions =
            std::clamp(std::atoi(value.c_str()), 1, int{SL_BENCH_REPETITIONS_MAX});
    else if (name == "--min-time" || name == "--benchmark_min_time")
        options.min_seconds = std::max(0.0, std::strtod(value.c_str(), nullptr));
    else
        return false;
    return true;
}

bool parse(int argc, char **argv, Options &options)
{
    for (int i = 1; i < argc; i++) {
        const std::string arg = argv[i];
        const size_t equals = arg.find('=');
        if (arg == "--quick")
            options.repetitions = 3, options.min_seconds = 0.05;
        else if (arg == "--smoke")
            sl_bench_smoke = true, options.repetitions = 1;
        else if (arg == "--list" || arg == "--benchmark_list_tests")
            options.list = true;
        else if (equals != std::string::npos) {
            if (!parse_value(arg.substr(0, equals), arg.substr(equals + 1), options))
                return false;
        } else if (i + 1 == argc || !parse_value(arg, argv[i + 1], options))
            return false;
        else
            i++;
    }
    return true;
}

void print_names(const sl_bench_results &results)
{
    for (size_t i = 0; i < results.n; i++)
        if (results.list[i].is_wanted)
            std::printf("%s\n", results.list[i].c->name);
}

/* Returns the exit status. */
int measure(const sl_bench_results &results, const Options &options)
{
    sl_error err = {};
    run_all(results, options);
    sl_bench_print_table(&results);
    std::printf("\n%s", sl_bench_data_note());
    sl_bench_data_done();
    if (!options.records.empty() &&
        sl_bench_write_records(&results, options.records.c_str(), &err) < 0) {
        std::cerr << "sluice-bench: " << err.msg << "\n";
        return 1;
    }
    return sl_bench_failures(&results) > 0;
}

int run(const Options &options)
{
    sl_error err = {};
    sl_bench_results results = {};
    const char *pattern = options.filter.empty() ? "." : options.filter.c_str();
    int status = 0;
    if (sl_bench_select(pattern, &results, &err) < 0) {
        std::cerr << "sluice-bench: " << err.msg << "\n";
        return 2;
    }
    if (results.n == 0) {
        std::cerr << "sluice-bench: no case matches " << pattern << ": see --list\n";
        status = 2;
    } else if (options.list)
        print_names(results);
    else
        status = measure(results, options);
    sl_bench_results_done(&results);
    return status;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "limit") == 0)
        return sl_bench_limit(argc - 1, argv + 1);
    Options options;
    if (!parse(argc, argv, options)) {
        std::cerr << usage;
        return 2;
    }
    int one = 1;
    benchmark::Initialize(&one, argv);
    return run(options);
}
