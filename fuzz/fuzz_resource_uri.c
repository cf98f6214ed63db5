/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a key or resource. Who controls it: whoever writes the manifest (kid of a packet),
 * or the signature policy. What was understood must be understood again, as the same. */
#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok)
        abort();
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_canonical(const struct sl_resource_uri *uri)
{
    SL_AUTO_DONE(sl_resource_uri) again = {0};
    SL_AUTO_FREE char *text = sl_resource_uri_format(uri);
    need(text && sl_resource_uri_parse(text, &again, NULL) == 0);
    need(is_same(again.plugin, uri->plugin) && is_same(again.host, uri->host));
    need(is_same(again.path, uri->path) && is_same(again.query, uri->query));
    need(again.n_segments == uri->n_segments && again.n_segments > 0);
    need(!strstr(uri->path, "/."));
    SL_AUTO_FREE char *text_again = sl_resource_uri_format(&again);
    need(is_same(text, text_again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    SL_AUTO_DONE(sl_resource_uri) kid = {0};
    struct sl_error err;
    SL_AUTO_FREE char *text = strndup((const char *)data, size);
    need(text != NULL);
    int r_uri = sl_resource_uri_parse(text, &uri, &err);
    int r_kid = sl_resource_uri_parse_kid(text, &kid, &err);
    need(r_uri < 0 || r_kid == 0);
    if (r_uri == 0)
        check_canonical(&uri);
    if (r_kid == 0)
        check_canonical(&kid);
    return 0;
}
