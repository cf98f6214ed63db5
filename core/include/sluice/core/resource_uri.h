/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KBS resource URIs, kbs[+PLUGIN]://[HOST[:PORT]]/SEGMENT[/SEGMENT…][?QUERY], as key brokers of
 * confidential containers name keys and resources. Peers hand them to a browser's URL parser, which
 * resolves "..", drops user names and takes doubled schemes. Images choose these texts, so here
 * they have the plain form or are refused, with the offending part named.
 */
#pragma once

#include "sluice/core/bytes.h"

struct sl_resource_uri {
    char *plugin; /* "resource" unless named */
    char *host;   /* "" when absent, with its port; nobody connects to it */
    char *path;   /* the segments joined by '/': "default/key/1" */
    size_t n_segments;
    char *query; /* without the '?'; NULL when absent */
};
void sl_resource_uri_done(struct sl_resource_uri *uri);
SL_DEFINE_AUTO_DONE(sl_resource_uri, sl_resource_uri_done)

SL_MUST_CHECK int sl_resource_uri_parse(const char *text, struct sl_resource_uri *ret,
                                        struct sl_error *err);
/* A key id: a resource URI, or one of the older forms ADDR/R/T/G and /R/T/G, which stand for
 * kbs://ADDR/R/T/G and kbs:///R/T/G. */
SL_MUST_CHECK int sl_resource_uri_parse_kid(const char *text, struct sl_resource_uri *ret,
                                            struct sl_error *err);
/* The canonical text ("kbs+resource://" becomes "kbs://"), to be freed; NULL when out of memory. */
char *sl_resource_uri_format(const struct sl_resource_uri *uri);
/* What the offline tables, the sample broker and the plugin "resource" ask for besides: plugin
 * "resource" and exactly repository/type/tag. */
SL_MUST_CHECK int sl_resource_uri_need_resource(const struct sl_resource_uri *uri,
                                                struct sl_error *err);
