/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_parts.h"

/* Of the report: when the first layer began, what the longest commit took, and what was left when
 * the last layer's bytes were through. */
static void divide(struct limit_pull *pull)
{
    const struct sl_pull_report *report = pull->report;
    double first = pull->wall, last = 0;
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sl_layer_report *l = &report->layers[i];
        if (l->state != SL_LAYER_DONE)
            continue;
        first = l->began < first ? l->began : first;
        last = l->began + l->seconds > last ? l->began + l->seconds : last;
        pull->commit = l->commit_seconds > pull->commit ? l->commit_seconds : pull->commit;
    }
    pull->before = first + (pull->wall - report->seconds);
    pull->after = report->seconds - last;
}

static int pull(struct sl_engine *engine, const struct limit_options *o, struct limit_pull *ret,
                struct sl_error *err)
{
    const struct sl_pull_options options = {.image = o->image,
                                            .keys.decryption_keys = o->decryption_keys,
                                            .policy.insecure = true,
                                            .cancel_fd = -1};
    return sl_pull_image(engine, &options, &ret->report, err);
}

int limit_pull_once(const struct limit_options *o, const struct limit_image *image,
                    const char *root, struct limit_pull *ret, struct sl_error *err)
{
    SL_AUTO(sl_engine) engine = NULL;
    const struct sl_engine_options options = {.root = root, .registry.insecure = o->insecure};
    double server = limit_process_cpu(image->server), kernel = limit_kernel_cpu();
    struct limit_cost cost = {0};
    struct limit_meter since = limit_meter_now();
    int r = sl_engine_new(&options, &engine, err);
    if (r == 0)
        r = pull(engine, o, ret, err);
    limit_meter_add(&cost, since);
    if (r < 0)
        return r;
    ret->cpu = cost.cpu;
    ret->wall = cost.wall;
    ret->server_cpu = limit_process_cpu(image->server) - server;
    ret->kernel_cpu = limit_kernel_cpu() - kernel;
    divide(ret);
    return 0;
}
