/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases with google-benchmark: those that are rivals in turn, A B A B, so that a machine
 * whose speed drifts does not decide the result. */
#include "bench_data.h"
#include "bench_memory.h"
#include "bench_rivalry.h"
#include "limit.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <csignal>
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
constexpr int kMinSecondsMax = 60;

struct Options {
    std::string filter; /* regular expression; empty: all */
    std::string records;
    int repetitions = 7;
    double min_seconds = 0.2; /* of one repetition of a case */
    bool list = false;
};

/* Folders and mounts are taken away by the same code as at the end. */
volatile std::sig_atomic_t stopped_by = 0;

/* The second time the program ends where it is. */
void stop_on_signals()
{
    struct sigaction action = {};
    action.sa_handler = [](int sig) { stopped_by = sig; };
    action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    (void)sigaction(SIGINT, &action, nullptr);
    (void)sigaction(SIGTERM, &action, nullptr);
}

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
        if (!x.ok() || stopped_by) {
            state.SkipWithError(stopped_by ? "interrupted" : x.result->err.msg);
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
        if (!stopped_by)
            prepare(x, options);
    for (int i = 0; i < options.repetitions; i++)
        for (auto &x : group)
            if (!stopped_by)
                run_once(x);
    for (auto &x : group)
        if (x.is_set_up)
            x.result->c->tear_down(&x.run);
}

void run_all(const sl_bench_results &results, const Options &options)
{
    const bool is_watched = isatty(STDERR_FILENO);
    for (size_t i = 0; i < results.n && !stopped_by;) {
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
    "usage: sluice-bench [OPTION...]\n"
    "       sluice-bench limit [OPTION...] IMAGE\n"
    "Measures cases and their rivals in turn, and prints how many times as fast each case is.\n"
    "  --list              print the names of the cases\n"
    "  --filter REGEX      only these cases, with their rivals: '^crypto/' or untar/mixed\n"
    "  --quick             shorter: 3 repetitions of 0.05 s\n"
    "  --smoke             one run of each: that they run at all\n"
    "  --repetitions N     of each case, 1 to %d (default 7)\n"
    "  --min-time SECONDS  of one repetition (default 0.2)\n"
    "  --records FILE      write one line of JSON for each case to FILE\n"
    "limit prints how close a pull comes to what this machine can do: sluice-bench limit --help\n"
    "Data is made once and kept in $SLUICE_BENCH_DIR or ~/.cache/sluice-bench.\n";

int bad_usage(const std::string &what)
{
    std::cerr << "sluice-bench: " << what << "; see sluice-bench --help\n";
    return 2;
}

/* False unless it is a number, and no other text, from min to max. */
bool read_number(const std::string &text, double min, double max, double &ret)
{
    char *end = nullptr;
    ret = std::strtod(text.c_str(), &end);
    return end != text.c_str() && *end == 0 && ret >= min && ret <= max;
}

/* An exit status, or -1 to go on. */
int take_value(const std::string &name, const std::string &value, Options &options)
{
    double n = 0;
    if (name == "--filter" || name == "--benchmark_filter") {
        options.filter = value;
    } else if (name == "--records") {
        options.records = value;
    } else if (name == "--repetitions" || name == "--benchmark_repetitions") {
        if (!read_number(value, 1, SL_BENCH_REPETITIONS_MAX, n))
            return bad_usage(name + ": a number from 1 to " +
                             std::to_string(SL_BENCH_REPETITIONS_MAX));
        options.repetitions = static_cast<int>(n);
    } else if (name == "--min-time" || name == "--benchmark_min_time") {
        if (!read_number(value, 0, kMinSecondsMax, options.min_seconds))
            return bad_usage(name + ": seconds, at most " + std::to_string(kMinSecondsMax));
    } else {
        return bad_usage(name + " is no option");
    }
    return -1;
}

/* True when the option needs no value. */
bool take_flag(const std::string &arg, Options &options)
{
    if (arg == "--quick")
        options.repetitions = 3, options.min_seconds = 0.05;
    else if (arg == "--smoke")
        sl_bench_smoke = true, options.repetitions = 1;
    else if (arg == "--list" || arg == "--benchmark_list_tests")
        options.list = true;
    else
        return false;
    return true;
}

/* An exit status, or -1 to go on. */
int parse(int argc, char **argv, Options &options)
{
    int status = -1;
    for (int i = 1; i < argc && status < 0; i++) {
        const std::string arg = argv[i];
        const size_t equals = arg.find('=');
        if (arg == "--help" || arg == "-h") {
            std::printf(usage, SL_BENCH_REPETITIONS_MAX);
            return 0;
        }
        if (take_flag(arg, options))
            continue;
        if (arg.compare(0, 2, "--") != 0)
            status = bad_usage(arg + " is no option: cases are chosen by --filter");
        else if (equals != std::string::npos)
            status = take_value(arg.substr(0, equals), arg.substr(equals + 1), options);
        else if (i + 1 < argc)
            status = take_value(arg, argv[++i], options);
        else
            status = bad_usage(arg + " is no option, or wants a value");
    }
    return status;
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
    stop_on_signals();
    run_all(results, options);
    if (stopped_by) {
        sl_bench_data_done();
        std::cerr << "sluice-bench: interrupted\n";
        return 128 + stopped_by;
    }
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
    const int status = parse(argc, argv, options);
    if (status >= 0)
        return status;
    int one = 1;
    benchmark::Initialize(&one, argv);
    return run(options);
}
