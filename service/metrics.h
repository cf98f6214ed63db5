/* SPDX-License-Identifier: Apache-2.0 */
/* Counters for people and Prometheus. Any thread. */
#pragma once

#include "sluice.h"
#include "sluice/core/bytes.h"

struct sl_metrics;
SL_MUST_CHECK int sl_metrics_new(struct sl_metrics **ret, struct sl_error *err);
struct sl_metrics *sl_metrics_free(struct sl_metrics *metrics);
SL_DEFINE_AUTO(sl_metrics, sl_metrics_free)

/* A request for an image has come, which will be counted once when it is answered. */
void sl_metrics_begin_request(struct sl_metrics *metrics);
/* Those that have not been answered. */
unsigned sl_metrics_requests_in_flight(struct sl_metrics *metrics);
/* fn is called whenever a request has come or was answered, or a job is over; on the thread that
 * says so: it must not block. Before the first of them. */
void sl_metrics_watch(struct sl_metrics *metrics, void (*fn)(void *arg), void *arg);
/* Jobs that succeeded so far. */
uint64_t sl_metrics_pulls(struct sl_metrics *metrics);

/* A request for an image was answered: err NULL when it was granted. */
void sl_metrics_count_request(struct sl_metrics *metrics, const struct sluice_error *err,
                              double seconds);
/* A job is over; report NULL when it failed. Layers, bytes, seconds per stage, cache hits, verdicts
 * (a code of SLUICE_E_POLICY is a denial). */
void sl_metrics_count_job(struct sl_metrics *metrics, const struct sluice_pull_report *report,
                          const struct sluice_error *err);
void sl_metrics_count_join(struct sl_metrics *metrics);
/* To an upstream hub. */
void sl_metrics_count_forward(struct sl_metrics *metrics, bool ok);
void sl_metrics_count_reload(struct sl_metrics *metrics, bool ok);
/* Prometheus text exposition format 0.0.4. usage may be NULL. */
SL_MUST_CHECK int sl_metrics_format(struct sl_metrics *metrics, const struct sluice_usage *usage,
                                    unsigned jobs, struct sl_bytes *ret, struct sl_error *err);
