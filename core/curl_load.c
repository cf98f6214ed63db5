/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/curl_load.h"

#include "sluice/core/wiping_heap.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Newer versions promise not to change a URL they read. */
typedef CURLUcode url_get_fn(CURLU *, CURLUPart, char **, unsigned);
typedef __typeof__(*__builtin_choose_expr(
    __builtin_types_compatible_p(__typeof__(curl_url_get), url_get_fn), (CURLU *)NULL,
    (const CURLU *)NULL)) read_url;

/* What is called: name, result, result without the library, parameters, arguments. */
/* clang-format off */
#define CALLS(call, call_void) \
    call(easy_escape, char *, NULL, (CURL *easy, const char *s, int n), (easy, s, n)) \
    call(easy_init, CURL *, NULL, (void), ()) \
    call(easy_pause, CURLcode, CURLE_FAILED_INIT, (CURL *easy, int mask), (easy, mask)) \
    call(easy_strerror, const char *, "libcurl is missing", (CURLcode code), (code)) \
    call(getdate, time_t, -1, (const char *date, const time_t *unused), (date, unused)) \
    call(global_init_mem, CURLcode, CURLE_FAILED_INIT, \
         (long flags, curl_malloc_callback m, curl_free_callback f, curl_realloc_callback r, \
          curl_strdup_callback s, curl_calloc_callback c), (flags, m, f, r, s, c)) \
    call(multi_add_handle, CURLMcode, CURLM_BAD_HANDLE, (CURLM *m, CURL *easy), (m, easy)) \
    call(multi_cleanup, CURLMcode, CURLM_BAD_HANDLE, (CURLM *m), (m)) \
    call(multi_info_read, CURLMsg *, NULL, (CURLM *m, int *ret_n), (m, ret_n)) \
    call(multi_init, CURLM *, NULL, (void), ()) \
    call(multi_perform, CURLMcode, CURLM_BAD_HANDLE, (CURLM *m, int *ret_n), (m, ret_n)) \
    call(multi_poll, CURLMcode, CURLM_BAD_HANDLE, \
         (CURLM *m, struct curl_waitfd fds[], unsigned n, int ms, int *ret_n), \
         (m, fds, n, ms, ret_n)) \
    call(multi_remove_handle, CURLMcode, CURLM_BAD_HANDLE, (CURLM *m, CURL *easy), (m, easy)) \
    call(multi_strerror, const char *, "libcurl is missing", (CURLMcode code), (code)) \
    call(multi_wakeup, CURLMcode, CURLM_BAD_HANDLE, (CURLM *m), (m)) \
    call(slist_append, struct curl_slist *, NULL, (struct curl_slist *l, const char *s), (l, s)) \
    call(url, CURLU *, NULL, (void), ()) \
    call(url_get, CURLUcode, CURLUE_OUT_OF_MEMORY, \
         (read_url *url, CURLUPart part, char **ret, unsigned flags), (url, part, ret, flags)) \
    call(url_set, CURLUcode, CURLUE_OUT_OF_MEMORY, \
         (CURLU *url, CURLUPart part, const char *s, unsigned flags), (url, part, s, flags)) \
    call(version_info, curl_version_info_data *, NULL, (CURLversion age), (age)) \
    call_void(easy_cleanup, (CURL *easy), (easy)) \
    call_void(easy_reset, (CURL *easy), (easy)) \
    call_void(free, (void *p), (p)) \
    call_void(global_cleanup, (void), ()) \
    call_void(slist_free_all, (struct curl_slist *list), (list)) \
    call_void(url_cleanup, (CURLU *url), (url))
/* clang-format on */

/* Those whose last argument has the type that an option says. */
#define VARIADIC_CALLS(call) call(easy_getinfo) call(easy_setopt) call(multi_setopt)

#define MEMBER(name, ...) __typeof__(curl_##name) *name;
struct curl_calls {
    CALLS(MEMBER, MEMBER)
    VARIADIC_CALLS(MEMBER)
};

#define PLACE(name, ...) {"curl_" #name, offsetof(struct curl_calls, name)},
static const struct {
    const char *name;
    size_t offset;
} places[] = {CALLS(PLACE, PLACE) VARIADIC_CALLS(PLACE)};

/* Written once, below load_once. */
static struct curl_calls calls;
static char failure[160]; /* why there are none */
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

/*
 * Its own names are not made visible to others. What it looks for is searched in the program first,
 * which http2_memory.c of rpc/ counts on. What it calls itself is bound as its makers say, which is
 * half a millisecond less than all at once. It stays until the end: others may have threads in it.
 */
static void load(void)
{
    struct curl_calls found;
    void *library = dlopen(SL_CURL_SONAME, RTLD_LAZY | RTLD_LOCAL);
    bool ok = library != NULL;
    for (size_t i = 0; ok && i < sizeof(places) / sizeof(places[0]); i++) {
        void *function = dlsym(library, places[i].name);
        ok = function != NULL;
        memcpy((char *)&found + places[i].offset, &function, sizeof(function));
    }
    if (ok) {
        calls = found;
        return;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): in glibc each thread has its own */
    const char *why = dlerror();
    (void)snprintf(failure, sizeof(failure), "%s", why ? why : SL_CURL_SONAME);
}

static const struct curl_calls *loaded(void)
{
    pthread_once(&load_once, load);
    return &calls;
}

int sl_curl_start(struct sl_error *err)
{
    if (!loaded()->global_init_mem)
        return sl_error_set(err, SL_E_SYSTEM, ELIBACC, "cannot load libcurl: %s; install it",
                            failure);
    /* Whoever is first says this for the whole process. */
    CURLcode rc = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, sl_wiping_free,
                                       sl_wiping_realloc, strdup, calloc);
    if (rc != CURLE_OK)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "cannot start libcurl: %s",
                            curl_easy_strerror(rc));
    return 0;
}

/* --- its functions, for whoever links with us --- */

#define DEFINE(name, type, failed, parameters, arguments)                                          \
    type curl_##name parameters                                                                    \
    {                                                                                              \
        return loaded()->name ? calls.name arguments : (failed);                                   \
    }
#define DEFINE_VOID(name, parameters, arguments)                                                   \
    void curl_##name parameters                                                                    \
    {                                                                                              \
        if (loaded()->name)                                                                        \
            calls.name arguments;                                                                  \
    }
CALLS(DEFINE, DEFINE_VOID)

/* Parentheses: <curl/curl.h> has macros of these names, which check types. */
CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
    va_list list;
    va_start(list, info);
    void *ret = va_arg(list, void *);
    va_end(list);
    return loaded()->easy_getinfo ? calls.easy_getinfo(easy, info, ret) : CURLE_FAILED_INIT;
}

/* An option's number says the type of its value. */
static unsigned type_of(unsigned option)
{
    return option / CURLOPTTYPE_OBJECTPOINT * CURLOPTTYPE_OBJECTPOINT;
}

#define PASS(function, handle, option, list)                                                       \
    (type_of(option) == CURLOPTTYPE_LONG    ? (function)(handle, option, va_arg(list, long))       \
     : type_of(option) == CURLOPTTYPE_OFF_T ? (function)(handle, option, va_arg(list, curl_off_t)) \
                                            : (function)(handle, option, va_arg(list, void *)))

CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
    if (!loaded()->easy_setopt)
        return CURLE_FAILED_INIT;
    va_list list;
    va_start(list, option);
    /* NOLINTNEXTLINE(bugprone-branch-clone): types that are one here are two elsewhere */
    CURLcode rc = PASS(calls.easy_setopt, easy, option, list);
    va_end(list);
    return rc;
}

CURLMcode(curl_multi_setopt)(CURLM *multi, CURLMoption option, ...)
{
    if (!loaded()->multi_setopt)
        return CURLM_BAD_HANDLE;
    va_list list;
    va_start(list, option);
    /* NOLINTNEXTLINE(bugprone-branch-clone): types that are one here are two elsewhere */
    CURLMcode rc = PASS(calls.multi_setopt, multi, option, list);
    va_end(list);
    return rc;
}

/* --- what the program says of itself: https://systemd.io/ELF_DLOPEN_METADATA/ --- */

#define NOTE_JSON                                                                                  \
    "[{\"soname\":[\"" SL_CURL_SONAME "\"],\"feature\":\"http\","                                  \
    "\"description\":\"Registries and key providers\",\"priority\":\"required\"}]"

__attribute__((used, section(".note.dlopen"), aligned(4))) static const struct {
    uint32_t name_size, size, type;
    char name[4];
    _Alignas(uint32_t) char json[sizeof(NOTE_JSON)];
} dlopen_note = {sizeof("FDO"), sizeof(NOTE_JSON), 0x407c0c0a, "FDO", NOTE_JSON};
