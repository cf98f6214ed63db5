/* SPDX-License-Identifier: Apache-2.0 */
/* One try of a fetch, one hop of it, as a libcurl transfer. */
#pragma once

#include "http_fetch.h"

/* Sets up f->transfer.easy for f->hop_url and gives it to the loop. */
SL_MUST_CHECK int sl_http_easy_send(struct sl_fetch *f, struct sl_error *err);
/* Takes back what the transfer holds; f->transfer.easy stays for the next hop. */
void sl_http_easy_reset(struct sl_fetch *f);
void sl_http_easy_free(struct sl_fetch *f);
/* A CURLcode in our words. */
int sl_http_easy_error(const struct sl_fetch *f, int curl_code, struct sl_error *err);
/* Whether who was greeted by TLS does not speak it. */
bool sl_http_easy_is_plain_answer(const struct sl_fetch *f, int curl_code);
/* Whether the same request may do better later. */
bool sl_http_easy_is_transient(const struct sl_fetch *f, int curl_code);
