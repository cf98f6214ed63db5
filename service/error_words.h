/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library gives advice in the options of sluice(1). Who reads the service's log, or what the
 * agent hands on, has sluice.conf(5) before him.
 */
#pragma once

#include <stddef.h>

/* Copies text, cut to size bytes with its end, options put into the words of the configuration. */
void sl_reword_advice(const char *text, char *ret, size_t size);
