/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl gives nghttp2 no allocator before version 8.15, and there is no option for one, so that a
 * request with its keys would stay in buffers that were only freed. The makers of sessions are
 * therefore defined here too: the program's definitions go before those of a library, if they can
 * be seen from outside. Those of a shared library of ours do not, and are not exported by it.
 */
#include "http2_memory.h"

#include "sluice/core/wiping_heap.h"

#include <stdlib.h>

static void *take(size_t size, void *arg)
{
    (void)arg;
    return malloc(size);
}

static void *take_zeroed(size_t n, size_t size, void *arg)
{
    (void)arg;
    return calloc(n, size);
}

static void *resize(void *p, size_t size, void *arg)
{
    (void)arg;
    return sl_wiping_realloc(p, size);
}

static void give_back(void *p, void *arg)
{
    (void)arg;
    sl_wiping_free(p);
}

nghttp2_mem *sl_http2_memory(void)
{
    static nghttp2_mem memory = {
        .malloc = take, .free = give_back, .calloc = take_zeroed, .realloc = resize};
    return &memory;
}

#define SEEN_BY_LIBCURL __attribute__((visibility("default")))

SEEN_BY_LIBCURL
int nghttp2_session_client_new2(nghttp2_session **ret, const nghttp2_session_callbacks *callbacks,
                                void *arg, const nghttp2_option *option)
{
    return nghttp2_session_client_new3(ret, callbacks, arg, option, sl_http2_memory());
}

SEEN_BY_LIBCURL
int nghttp2_session_client_new(nghttp2_session **ret, const nghttp2_session_callbacks *callbacks,
                               void *arg)
{
    return nghttp2_session_client_new2(ret, callbacks, arg, NULL);
}
