/* SPDX-License-Identifier: Apache-2.0 */
/* The form of values. Nothing is opened and nobody is asked. */
#pragma once

#include "keys.h"

/* An address of a server as rpc.h has it, or as the hub writes them: "unix:///PATH" is ttrpc's,
 * "HOST:PORT" gRPC's; "vsock://CID:PORT". */
sl_config_check_fn sl_config_check_listen;
sl_config_check_fn sl_config_check_control;       /* the same, of ttrpc, or "" */
sl_config_check_fn sl_config_check_target;        /* a ttrpc target of rpc.h */
sl_config_check_fn sl_config_check_metrics;       /* "unix:///PATH", or HOST:PORT of this machine */
sl_config_check_fn sl_config_check_resource;      /* kbs:///R/T/T, file:///PATH, /PATH */
sl_config_check_fn sl_config_check_path;          /* absolute */
sl_config_check_fn sl_config_check_folder;        /* absolute, without "." and ".." */
sl_config_check_fn sl_config_check_proxy;         /* does not quote it */
sl_config_check_fn sl_config_check_certificates;  /* PEM text */
sl_config_check_fn sl_config_check_pinned_digest; /* see sl_pinned_digest_check() */
sl_config_check_fn sl_config_check_kbc_name;
sl_config_check_fn sl_config_check_log_level;

/* How many certificates a PEM text has that has passed. */
size_t sl_config_count_certificates(const char *pem);
/* Whether a path that begins with / has no empty, "." or ".." segments (one '/' at its end is
 * fine). */
bool sl_config_is_plain_path(const char *path);
/* Whether a terminal would obey some of it, or the line break. */
bool sl_config_has_control(const char *text);
/* "64M", "1g", "1000" */
SL_MUST_CHECK int sl_config_parse_size(const char *text, uint64_t *ret, struct sl_error *err);
/* What of a listener's or target's address is the same however it is written: "/PATH", "@NAME",
 * "HOST:PORT". Borrowed. */
const char *sl_config_address_tail(const char *address);
