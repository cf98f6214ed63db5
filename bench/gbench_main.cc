/* SPDX-License-Identifier: Apache-2.0 */
/* Hands the tables of cases to google-benchmark. */
#include "bench_case.h"
#include "limit.h"

#include <benchmark/benchmark.h>

#include <cstring>

namespace
{

const sl_bench_table *const tables[] = {
    &sl_bench_cipher,
    &sl_bench_decompress,
    &sl_bench_untar,
};

void run_case(benchmark::State &state, const sl_bench_case *c)
{
    void *data = nullptr;
    if (c->set_up(c, &data) != 0) {
        state.SkipWithError("set-up failed");
        return;
    }
    for (auto _ : state) {
        if (c->reset) {
            state.PauseTiming();
            if (c->reset(data) != 0) {
                state.SkipWithError("reset failed");
                break;
            }
            state.ResumeTiming();
        }
        if (c->run(data) != 0) {
            state.SkipWithError("run failed");
            break;
        }
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(c->bytes));
    state.SetLabel(std::string("rival: ") + c->rival);
    c->tear_down(data);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "limit") == 0)
        return sl_bench_limit(argc - 1, argv + 1);
    for (const auto *table : tables)
        for (size_t i = 0; i < table->n_cases; i++)
            benchmark::RegisterBenchmark(table->cases[i].name, run_case, &table->cases[i]);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
