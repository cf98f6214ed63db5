/* SPDX-License-Identifier: Apache-2.0 */
#include "status_json.h"

#include "sluice/api_error.h"
#include "sluice/core/clock.h"
#include "sluice/core/json_writer.h"

#include <unistd.h>

static void put_job(struct sl_json_writer *w, const struct sl_job_info *job)
{
    sl_json_open_object(w, NULL);
    sl_json_put_int(w, "id", (int64_t)job->id);
    sl_json_put_string(w, "image", job->image);
    if (job->manifest && *job->manifest)
        sl_json_put_string(w, "manifest", job->manifest);
    sl_json_put_string(w, "state", job->state);
    sl_json_put_int(w, "waiters", job->waiters);
    sl_json_put_int(w, "layers", (int64_t)job->n_layers);
    sl_json_put_int(w, "layersDone", (int64_t)job->layers_done);
    sl_json_put_int(w, "bytes", (int64_t)job->bytes);
    sl_json_put_int(w, "received", (int64_t)job->received);
    sl_json_put_decimal(w, "seconds", job->seconds);
    sl_json_close_object(w);
}

static int put_jobs(struct sl_json_writer *w, struct sl_jobs *jobs, struct sl_error *err)
{
    struct sl_job_info *infos = NULL;
    size_t n = 0;
    int r = sl_jobs_list(jobs, &infos, &n, err);
    if (r < 0)
        return r;
    sl_json_open_array(w, "jobs");
    for (size_t i = 0; i < n; i++)
        put_job(w, &infos[i]);
    sl_json_close_array(w);
    sl_job_infos_free(infos, n);
    return 0;
}

static void put_usage(struct sl_json_writer *w, struct sluice *s, const char *root)
{
    struct sluice_usage u = {.size = sizeof(u)};
    sluice_get_usage(s, &u);
    sl_json_open_object(w, "buffers");
    sl_json_put_int(w, "bytes", (int64_t)u.buffer_bytes);
    sl_json_put_int(w, "peak", (int64_t)u.buffers_peak);
    sl_json_put_int(w, "limit", (int64_t)u.buffers_limit);
    sl_json_close_object(w);
    sl_json_open_object(w, "store");
    if (root)
        sl_json_put_string(w, "root", root);
    sl_json_put_int(w, "free", (int64_t)u.store_free_bytes);
    sl_json_put_int(w, "size", (int64_t)u.store_total_bytes);
    sl_json_close_object(w);
}

static int put_images(struct sl_json_writer *w, struct sluice *s, struct sl_error *err)
{
    struct sluice_image_list *list = NULL;
    struct sluice_error why = {0};
    int r = sl_error_from_api(sluice_list(s, &list, &why), &why, err);
    if (r < 0)
        return r;
    sl_json_open_array(w, "images");
    for (size_t i = 0; i < list->n; i++) {
        const struct sluice_image *image = list->images[i];
        sl_json_open_object(w, NULL);
        if (image->name)
            sl_json_put_string(w, "name", image->name);
        sl_json_put_string(w, "manifest", image->manifest);
        sl_json_put_int(w, "size", (int64_t)image->bytes);
        sl_json_put_bool(w, "encrypted", image->encrypted);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    (void)sluice_image_list_free(list);
    return 0;
}

static int put_mounts(struct sl_json_writer *w, struct sluice *s, struct sl_error *err)
{
    struct sluice_mount_list *list = NULL;
    struct sluice_error why = {0};
    int r = sl_error_from_api(sluice_list_mounts(s, &list, &why), &why, err);
    if (r < 0)
        return r;
    sl_json_open_array(w, "mounts");
    for (size_t i = 0; i < list->n; i++) {
        const struct sluice_mount *mount = list->mounts[i];
        if (!mount->alive)
            continue;
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "target", mount->target);
        sl_json_put_string(w, "manifest", mount->manifest);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    (void)sluice_mount_list_free(list);
    return 0;
}

/* Before the first pull there is no store to tell of: asking does not open it. */
static int put_store(struct sl_json_writer *w, struct sl_backend *backend, struct sl_error *err)
{
    struct sl_generation *g = sl_backend_peek(backend);
    if (!g)
        return 0;
    put_usage(w, g->sluice, g->config->work_dir);
    int r = put_images(w, g->sluice, err);
    if (r == 0)
        r = put_mounts(w, g->sluice, err);
    sl_backend_release(backend, g);
    return r;
}

int sl_status_json(const struct sl_status_sources *from, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_string(w, "version", sluice_version());
    sl_json_put_int(w, "pid", getpid());
    sl_json_put_decimal(w, "uptime", (double)(sl_clock_ns() - from->started_ns) / 1e9);
    if (from->config_path)
        sl_json_put_string(w, "config", from->config_path);
    sl_json_put_int(w, "generation", (int64_t)sl_backend_number(from->backend));
    int r = put_jobs(w, from->jobs, err);
    if (r == 0)
        r = put_store(w, from->backend, err);
    return r < 0 ? r : sl_json_end(w, ret, err);
}
