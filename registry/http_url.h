/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about URLs, answered by libcurl's own parser: what decides where a secret may go must
 * read a URL as the code that will connect does. */
#pragma once

#include <stdbool.h>

/* Same scheme, host and port. False when one of them does not parse. */
bool sl_url_is_same_origin(const char *a, const char *b);
bool sl_url_is_https(const char *url);
/* "scheme://host:port" for messages: no path, no query, no user. Freed by the caller; NULL when
 * it does not parse. */
char *sl_url_origin(const char *url);
/* location, taken relative to base, without its fragment. NULL unless the result is http or
 * https, has a host and names no user. */
char *sl_url_resolve(const char *base, const char *location);
