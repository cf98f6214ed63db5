/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when the first function of it is called: it brings 23 libraries along, which half
 * of all runs have no use for. Its functions are called by their names, as <curl/curl.h> declares
 * them; curl_load.c has those that are in use. Without the library they fail as they would for want
 * of memory.
 */
#pragma once

#include "sluice/core/error.h"

/*
 * Loads libcurl and starts it with memory that is wiped, since tokens, passwords and keys go
 * through it. For each success curl_global_cleanup() is called once. Any thread. SL_E_SYSTEM when
 * it is not installed or too old.
 */
SL_MUST_CHECK int sl_curl_start(struct sl_error *err);
