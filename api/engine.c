/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "sluice/core/buf.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/statvfs.h>

/* ---- life ---- */

static int open_engine(struct sluice *s, const struct sluice_options *o, struct sl_error *err)
{
    struct sl_key_options broker = {0};
    struct sl_engine_options options = {.root = o->root,
                                        .storeless = s->parts == SLUICE_NO_STORE,
                                        .threads = o->threads,
                                        .memory = o->memory,
                                        .broker = o->broker ? &broker : NULL};
    int r = sl_api_registry_options(o->registry, &options.registry, err);
    if (r == 0)
        r = sl_api_key_options(o->broker, &broker, err);
    if (r == 0)
        r = sl_engine_new(&options, &s->engine, err);
    if (r == 0)
        s->store = sl_engine_store(s->engine);
    return r;
}

static int open_parts(struct sluice *s, const struct sluice_options *o, struct sl_error *err)
{
    switch (s->parts) {
    case SLUICE_STORE_ONLY: {
        int r = sl_store_open(o->root ? o->root : SL_STORE_ROOT_DEFAULT, &s->own_store, err);
        s->store = s->own_store;
        return r;
    }
    case SLUICE_ALL:
    case SLUICE_NO_STORE:
        return open_engine(s, o, err);
    }
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "options: parts is %d, which is none",
                        (int)s->parts);
}

int sluice_open(const struct sluice_options *options, struct sluice **ret, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    struct sluice_options o;
    int r = SL_API_TAKE(&o, options, &why);
    if (r < 0)
        return sl_api_result(r, &why, err);
    struct sluice *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_api_result(sl_error_oom(&why), &why, err);
    s->parts = o.parts;
    r = open_parts(s, &o, &why);
    if (r < 0)
        (void)sluice_close(s);
    else
        *ret = s;
    return sl_api_result(r, &why, err);
}

struct sluice *sluice_close(struct sluice *s)
{
    if (!s)
        return NULL;
    (void)sl_engine_free(s->engine);
    (void)sl_store_close(s->own_store);
    free(s);
    return NULL;
}

void sluice_cancel(struct sluice *s)
{
    if (s->engine)
        sl_engine_cancel(s->engine);
}

int sl_api_need_engine(const struct sluice *s, struct sl_error *err)
{
    return s->engine ? 0
                     : sl_error_set(err, SL_E_SYSTEM, EINVAL,
                                    "opened with SLUICE_STORE_ONLY, which speaks to no registry");
}

int sl_api_need_store(const struct sluice *s, struct sl_error *err)
{
    return s->store ? 0
                    : sl_error_set(err, SL_E_SYSTEM, EINVAL,
                                   "opened with SLUICE_NO_STORE: there is no store");
}

static int reload(struct sluice *s, const struct sluice_registry_options *registry,
                  const struct sluice_key_options *broker, struct sl_error *err)
{
    struct sl_registry_options to = {0};
    struct sl_key_options to_broker = {0};
    int r = sl_api_need_engine(s, err);
    if (r == 0)
        r = sl_api_registry_options(registry, &to, err);
    if (r == 0)
        r = sl_api_key_options(broker, &to_broker, err);
    return r < 0 ? r : sl_engine_reload(s->engine, &to, broker ? &to_broker : NULL, err);
}

int sluice_reload(struct sluice *s, const struct sluice_registry_options *registry,
                  const struct sluice_key_options *broker, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    return sl_api_result(reload(s, registry, broker, &why), &why, err);
}

/* ---- memory and disk ---- */

void sluice_get_usage(struct sluice *s, struct sluice_usage *ret)
{
    struct sluice_usage usage = {0};
    struct statvfs fs;
    if (s->engine) {
        struct sl_buf_pool *buffers = sl_engine_buffers(s->engine);
        size_t total = sl_buf_pool_total(buffers);
        usage.buffer_bytes = (total - sl_buf_pool_spare(buffers)) * SL_BUF_SIZE;
        usage.buffers_peak = sl_buf_pool_peak(buffers) * SL_BUF_SIZE;
        usage.buffers_limit = total * SL_BUF_SIZE;
    }
    if (s->store && statvfs(sl_store_root(s->store), &fs) == 0) {
        usage.store_free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        usage.store_total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    }
    sl_api_give(ret, &usage, sizeof(usage));
}

void sluice_trim(struct sluice *s)
{
    if (s->engine)
        sl_buf_pool_trim(sl_engine_buffers(s->engine));
    (void)malloc_trim(0);
}
